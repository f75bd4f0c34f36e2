/* What MAIL says of time and order: whether it may say that here, and what becomes of it. */
#include "base/clock.h"
#include "smtp/session.h"

/* RFC 4865 section 4.2. A time that has passed is no time to come. */
static enum reply_id judge_hold(const struct smtp_session *s, const struct smtp_timing *said, int64_t now_ms,
				struct envelope_timing *timing)
{
	int64_t limit_ms = s->options.future_release_ms, release_ms;

	if (!s->is_submission || limit_ms == 0)
		return REPLY_PARAMETER_UNKNOWN;
	release_ms = said->hold_for_s > 0 ? now_ms + INT64_C(1000) * said->hold_for_s : said->hold_until_ms;
	if (said->holds > 1 || release_ms <= now_ms || release_ms - now_ms > limit_ms)
		return REPLY_PARAMETER_VALUE;
	timing->release_ms = release_ms;
	return REPLY_NONE;
}

/* As RFC 4865 section 5.1.2 has it: "for;3600", "until;2026-11-25T10:00:00Z". */
static struct slice hold_request(struct arena *arena, const struct smtp_timing *said)
{
	return slice_join(arena,
			  (const struct slice[]){said->hold_for_s > 0 ? SLICE("for;") : SLICE("until;"), said->hold_value}, 2);
}

/* RFC 2852 section 3, 4; RFC 4865 section 5.2.2: nothing is to be delivered before it may go. */
static enum reply_id judge_by(const struct smtp_session *s, const struct smtp_timing *said, int64_t now_ms,
			      struct envelope_timing *timing)
{
	if (s->is_lmtp)
		return REPLY_PARAMETER_UNKNOWN;
	if ((said->by_mode & BY_RETURN) && said->by_s < s->options.deliver_by_min_s)
		return REPLY_BY_TOO_SHORT;
	timing->by_ms = now_ms + INT64_C(1000) * said->by_s;
	timing->by_mode = said->by_mode;
	return timing->release_ms > timing->by_ms ? REPLY_PARAMETER_VALUE : REPLY_NONE;
}

/* RFC 6710 section 4.1: whom we don't know can't go before others, but he may step back. */
static int priority_of(const struct smtp_session *s, const struct smtp_timing *said)
{
	bool may_raise = s->is_trusted || (s->account != 0 && s->options.users_may_raise);

	return said->priority > 0 && !may_raise ? 0 : said->priority;
}

bool smtp_may_verp(const struct smtp_session *s)
{
	return s->is_submission || (s->is_trusted && !s->is_lmtp);
}

enum reply_id smtp_timing_judge(const struct smtp_session *s, struct arena *arena, const struct smtp_mail *mail,
				struct envelope_timing *timing)
{
	const struct smtp_timing *said = &mail->timing;
	int64_t now_ms = clock_wall_ms();
	enum reply_id fault = REPLY_NONE;

	*timing =
		(struct envelope_timing){.release_request = SLICE_EMPTY, .verp = SLICE_EMPTY, .priority = priority_of(s, said)};
	if (said->holds > 0) {
		fault = judge_hold(s, said, now_ms, timing);
		timing->release_request = hold_request(arena, said);
	}
	if (fault == REPLY_NONE && said->has_by)
		fault = judge_by(s, said, now_ms, timing);
	if (fault != REPLY_NONE || said->verp.len == 0)
		return fault;
	timing->verp = said->verp;
	if (!smtp_may_verp(s))
		return REPLY_PARAMETER_UNKNOWN;
	return mail->path.address.len > 0 ? REPLY_NONE : REPLY_VERP_OF_NOBODY;
}
