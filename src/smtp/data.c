/* DATA (RFC 5321 section 4.1.1.4) and BDAT (RFC 3030): the message. Lines of it may be of any length: peers send longer ones than RFC
 * 5321 section 4.5.3.1.6 allows, and nothing here holds a line. */
#include "base/clock.h"
#include "smtp/filter.h"

/* A message may take five minutes and what it needs at 4 KB a second, however it drips. */
#define DATA_GRACE_MS  300000
#define SLOWEST_PER_MS 4
/* What is too large is read to its end, so that the client hears why; unless it is far too large. */
#define FAR_TOO_LARGE(limit) (2 * (limit))

struct pace {
	struct smtp_session *session;
	int64_t start_ms;
};

static void begin_pace(struct smtp_session *s, struct pace *pace)
{
	*pace = (struct pace){s, clock_monotonic_ms()};
	conn_set_timeout(s->conn, s->options.data_timeout_ms);
}

static void keep_pace(const struct pace *pace, uint64_t size)
{
	int64_t until_ms = pace->start_ms + DATA_GRACE_MS + (int64_t)(size / SLOWEST_PER_MS);
	int64_t ends_ms = pace->session->ends_ms;

	conn_set_deadline(pace->session->conn, until_ms < ends_ms ? until_ms : ends_ms);
}

static void end_pace(const struct pace *pace)
{
	conn_set_timeout(pace->session->conn, pace->session->options.command_timeout_ms);
	smtp_set_time_limit(pace->session, LINE_TIMEOUT_MS);
}

static enum next lost(struct smtp_session *s)
{
	LOG_INFO(s->log, "smtp.lost", LOG_STR("id", s->transaction.envelope.queue_id), LOG_STR("peer", s->peer),
		 LOG_STR("reason", conn_error(s->conn) == CONN_TIMED_OUT ? SLICE("too slow") : SLICE("connection lost")));
	return NEXT_CLOSE;
}

/* ---- DATA ---- */

static bool read_dotted(struct smtp_session *s, struct dots *dots, struct incoming *incoming)
{
	struct slice chunk, rest, run;
	struct pace pace;

	begin_pace(s, &pace);
	while (!dots->ended && incoming->size <= FAR_TOO_LARGE(incoming->limit)) {
		keep_pace(&pace, incoming->size);
		if (!conn_read_some(s->conn, &chunk))
			return false;
		rest = chunk;
		while (dots_next(dots, &rest, &run))
			incoming_add(incoming, run);
		conn_consume(s->conn, chunk.len - rest.len);
	}
	end_pace(&pace);
	return true;
}

enum next cmd_data(struct smtp_session *s, struct slice argument)
{
	struct dots dots = {.state = DOTS_START};
	struct incoming incoming;
	enum next next;

	(void)argument;
	if (s->state != STATE_RCPT)
		return smtp_answer(s, s->is_lmtp ? REPLY_LMTP_NEED_RCPT : REPLY_NEED_RCPT);
	/* RFC 3030 section 3: lines can't carry what isn't lines. */
	if (s->transaction.is_binary)
		return smtp_answer(s, REPLY_BINARY_DATA);
	if (!smtp_filter_data(s, &next))
		return next;
	smtp_message_begin(s, s->env->command_arena, &incoming);
	smtp_answer(s, REPLY_GO_AHEAD);
	conn_flush(s->conn);
	if (!read_dotted(s, &dots, &incoming)) {
		incoming_close(&incoming);
		return lost(s);
	}
	next = smtp_message_finish(s, &incoming, dots_has_bare(&dots));
	return dots.ended ? next : NEXT_CLOSE;
}

/* ---- BDAT ---- */

enum reply_id smtp_chunk_fault(const struct smtp_session *s)
{
	if (s->state == STATE_START)
		return REPLY_SAY_HELLO;
	if (smtp_needs_tls(s))
		return REPLY_NEED_TLS;
	if (smtp_needs_auth(s))
		return REPLY_NEED_AUTH;
	if (s->state == STATE_READY)
		return REPLY_NEED_MAIL;
	if (s->state == STATE_MAIL)
		return s->is_lmtp ? REPLY_LMTP_NEED_RCPT : REPLY_NEED_RCPT;
	return s->transaction.chunk_failed ? REPLY_BDAT_FAILED : REPLY_NONE;
}

/* Reads the chunk, into the message if there is one. */
static bool read_chunk(struct smtp_session *s, uint64_t size, bool keeps)
{
	struct slice bytes;
	struct pace pace;
	uint64_t left = size;

	begin_pace(s, &pace);
	while (left > 0) {
		keep_pace(&pace, size - left);
		if (!conn_read_some(s->conn, &bytes))
			return false;
		bytes = slice_sub(bytes, 0, left < bytes.len ? (size_t)left : bytes.len);
		if (keeps)
			smtp_chunk_add(s, bytes);
		left -= bytes.len;
		conn_consume(s->conn, bytes.len);
	}
	end_pace(&pace);
	return true;
}

/* RFC 3030 section 2: what is refused is read nevertheless, and thrown away. */
static enum next refuse_chunk(struct smtp_session *s, uint64_t size, bool last, enum reply_id fault)
{
	enum next next;

	if (!read_chunk(s, size, false))
		return lost(s);
	next = last && s->is_lmtp && s->state == STATE_BDAT ? lmtp_answer_all(s, fault) : smtp_answer(s, fault);
	if (last && s->transaction.chunk_failed)
		smtp_transaction_end(s);
	return next;
}

static enum next answer_chunk(struct smtp_session *s)
{
	struct smtp_transaction *t = &s->transaction;

	t->chunk_failed = t->lines.has_bare || t->incoming.fault != INCOMING_OK;
	if (t->lines.has_bare)
		return smtp_answer(s, REPLY_BARE_IN_MESSAGE);
	if (t->incoming.fault == INCOMING_TOO_LARGE)
		return smtp_answer(s, REPLY_TOO_LARGE);
	if (t->incoming.fault == INCOMING_NUL)
		return smtp_answer(s, REPLY_NUL_IN_MESSAGE);
	return smtp_answer(s, t->chunk_failed ? REPLY_STORAGE : REPLY_CHUNK_OK);
}

void smtp_chunk_begin(struct smtp_session *s)
{
	if (s->state == STATE_BDAT)
		return;
	smtp_message_begin(s, &s->arena, &s->transaction.incoming);
	s->transaction.lines = (struct dots){.state = DOTS_START};
	s->state = STATE_BDAT;
}

void smtp_chunk_add(struct smtp_session *s, struct slice bytes)
{
	struct smtp_transaction *t = &s->transaction;

	if (!t->incoming.is_raw)
		dots_check(&t->lines, bytes);
	incoming_add(&t->incoming, bytes);
}

enum next smtp_chunk_end(struct smtp_session *s, bool last)
{
	struct smtp_transaction *t = &s->transaction;

	return last ? smtp_message_finish(s, &t->incoming, dots_has_bare(&t->lines)) : answer_chunk(s);
}

enum next cmd_bdat(struct smtp_session *s, struct slice argument)
{
	enum reply_id fault = smtp_chunk_fault(s);
	uint64_t size;
	bool last;

	/* Without a size nobody knows where the next command begins. */
	if (!smtp_parse_bdat(argument, &size, &last))
		return smtp_say_last(s, REPLY_SYNTAX_BDAT);
	if (size > FAR_TOO_LARGE(s->options.max_message_size))
		return smtp_say_last(s, REPLY_TOO_LARGE);
	if (fault != REPLY_NONE)
		return refuse_chunk(s, size, last, fault);
	smtp_chunk_begin(s);
	if (!read_chunk(s, size, true))
		return lost(s);
	return smtp_chunk_end(s, last);
}
