/* A whole message before the milters. Each sees what those before it have made of it. */
#include <unistd.h>

#include "ipc/ipc.h"
#include "smtp/filter.h"

/* What may be added to a message of the largest size: the deliver role takes so much more. */
#define ADDED_MAX (64 * 1024)

static struct deliver_verdict verdict_of_reply(enum reply_id id)
{
	struct reply reply = reply_make(id);

	return (struct deliver_verdict){STATUS_REFUSED, reply.code, reply.enhanced, reply.text};
}

static struct deliver_verdict verdict_of(const struct milter_answer *answer)
{
	return (struct deliver_verdict){STATUS_REFUSED, answer->code, answer->enhanced, answer->text};
}

/* ---- in ---- */

static bool load(struct milter_message *message, const struct incoming *incoming, struct slice bytes)
{
	struct slice own = slice_sub(bytes, 0, incoming->prefix), theirs = slice_skip(bytes, incoming->prefix);
	struct header_facts facts = header_look(theirs);

	if (facts.end > INCOMING_HEADER_MAX)
		return false;
	edit_load(&message->header, own, true);
	edit_load(&message->header, slice_sub(theirs, 0, facts.end), false);
	/* It is there, or there is no body. */
	message->body = slice_skip(theirs, facts.end + (facts.has_blank ? 2 : 0));
	return true;
}

/* Above all else, in the order in which they were given. */
static bool prepend(struct milter_message *message, const struct filter_line *lines)
{
	for (; lines; lines = lines->former)
		if (!edit_prepend(&message->header, lines->text))
			return false;
	return true;
}

/* ---- the milters ---- */

/* BDAT may have brought the message in one. */
static struct milter_answer ask(struct smtp_session *s, struct milter *milter, struct milter_message *message)
{
	struct milter_answer answer = {.verdict = MILTER_GO_ON};

	if (!s->filter->has_asked_data)
		answer = milter_data(milter, s->env->command_arena, &s->filter->macros);
	if (answer.verdict != MILTER_GO_ON)
		return answer;
	return milter_message(milter, s->env->command_arena, message, &s->filter->macros);
}

static bool ask_all(struct smtp_session *s, struct milter_message *message, struct deliver_verdict *verdict)
{
	for (size_t i = 0; i < s->filter->count && !s->filter->is_discarded; i++) {
		struct milter_answer answer = ask(s, &s->filter->milters[i], message);

		s->filter->is_discarded |= answer.verdict == MILTER_DISCARDED;
		if (answer.verdict == MILTER_HELD)
			filter_hold(s, answer.text);
		*verdict = verdict_of(&answer);
		if (answer.verdict == MILTER_REFUSED)
			return false;
	}
	return true;
}

/* ---- out ---- */

static bool put_back(struct incoming *incoming, const struct milter_message *message)
{
	struct buf header;

	if (!milter_message_is_changed(message))
		return true;
	buf_init(&header, incoming->arena, 0);
	buf_reserve(&header, message->header.bytes + 2);
	edit_write(&message->header, &header);
	buf_add_literal(&header, "\r\n");
	return buf_ok(&header) && header.len + message->body.len <= incoming->limit + ADDED_MAX &&
	       incoming_replace(incoming, buf_slice(&header), message->body);
}

static bool thrown_away(struct smtp_session *s, struct deliver_verdict *verdict)
{
	const struct deliver_envelope *envelope = &s->transaction.envelope;

	LOG_INFO(s->log, "smtp.discarded", LOG_STR("id", envelope->queue_id), LOG_STR("from", envelope->sender.address),
		 LOG_INT("recipients", envelope->recipient_count), LOG_STR("peer", s->peer));
	*verdict = (struct deliver_verdict){STATUS_OK, 250, SLICE("2.0.0"), SLICE_EMPTY};
	return false;
}

static bool run(struct smtp_session *s, struct incoming *incoming, struct slice bytes, struct milter_message *message,
		struct deliver_verdict *verdict)
{
	*verdict = verdict_of_reply(REPLY_TOO_LARGE);
	if (!load(message, incoming, bytes) || !prepend(message, s->filter->prepended))
		return false;
	if (!ask_all(s, message, verdict))
		return false;
	if (s->filter->is_discarded)
		return thrown_away(s, verdict);
	if (!filter_redirect(s, verdict) || !filter_apply_envelope(s, s->filter->changes, verdict) ||
	    !filter_apply_envelope(s, message->changes, verdict))
		return false;
	if (s->transaction.envelope.recipient_count == 0)
		return thrown_away(s, verdict);
	if (message->is_held)
		filter_hold(s, message->held_why);
	s->transaction.envelope.is_held = s->filter->is_held;
	s->transaction.envelope.held_why = s->filter->held_why;
	s->transaction.envelope.body_8bit |= message->body_map && !slice_is_ascii(message->body);
	*verdict = verdict_of_reply(REPLY_STORAGE);
	return put_back(incoming, message);
}

bool smtp_filter_message(struct smtp_session *s, struct incoming *incoming, struct deliver_verdict *verdict)
{
	struct ipc_body body = {.bytes = buf_slice(&incoming->head)};
	struct milter_message message;
	bool goes_on;

	if (!s->filter)
		return true;
	if (!s->filter->is_discarded && !filter_policy_message(s, incoming->size, s->filter->has_asked_data, verdict)) {
		smtp_set_time_limit(s, LINE_TIMEOUT_MS);
		return false;
	}
	if (s->filter->is_discarded)
		return thrown_away(s, verdict);
	*verdict = verdict_of_reply(REPLY_STORAGE);
	if (incoming->fd >= 0 && !ipc_body_map(incoming->fd, incoming->limit + INCOMING_HEADER_MAX, &body))
		return false;
	filter_macros_message(s, incoming);
	milter_message_init(&message, s->env->command_arena);
	goes_on = run(s, incoming, body.bytes, &message, verdict);
	milter_message_free(&message);
	ipc_body_unmap(&body);
	smtp_set_time_limit(s, LINE_TIMEOUT_MS); /* for the answer, however long that took */
	return goes_on;
}
