/* What lies between MAIL and the answer to the message. */
#include "base/clock.h"
#include "base/metrics.h"
#include "base/random.h"
#include "smtp/filter.h"
#include "smtp/received.h"
#include "smtp/session.h"

#define ENVELOPE_USUAL 16384

void smtp_transaction_begin(struct smtp_session *s, const struct smtp_mail *mail, const struct envelope_timing *timing)
{
	struct smtp_transaction *t = &s->transaction;

	*t = (struct smtp_transaction){.declared_size = mail->size, .has_priority = mail->timing.has_priority, .incoming.fd = -1, .is_binary = mail->body_binary};
	t->envelope = (struct deliver_envelope){
		.queue_id = random_queue_id(&s->arena),
		.sender = {.address = slice_dup(&s->arena, mail->path.address),
			   .account = s->account,
			   .login = s->login,
			   .may_relay = s->account != 0 || (s->is_trusted && !s->is_lmtp && !s->policy.no_relay),
			   .peer = *conn_peer(s->conn)},
		.envelope_id = slice_dup(&s->arena, mail->envelope_id),
		.dsn_return = mail->dsn_return,
		.requires_tls = mail->requires_tls,
		.needs_utf8 = mail->smtputf8,
		.body_8bit = mail->body_8bit,
		.trace_from = SLICE_EMPTY,
		.timing = *timing,
	};
	t->envelope.timing.release_request = slice_dup(&s->arena, timing->release_request);
	t->envelope.timing.verp = slice_dup(&s->arena, timing->verp);
	s->state = STATE_MAIL;
}

void smtp_transaction_end(struct smtp_session *s)
{
	smtp_filter_end(s);
	incoming_close(&s->transaction.incoming);
	s->transaction = (struct smtp_transaction){.incoming.fd = -1};
	s->forwarded = (struct client_info){0};
	/* Most envelopes are small; a chunked message isn't to be paid for by the idle session behind it. */
	if (s->arena.used > ENVELOPE_USUAL)
		arena_free(&s->arena);
	else
		arena_reset(&s->arena);
	if (s->state != STATE_START)
		s->state = STATE_READY;
}

/* ---- the message ---- */

static struct slice trace_header(struct smtp_session *s, struct arena *arena, int64_t wall_ms)
{
	const struct deliver_envelope *envelope = &s->transaction.envelope;
	struct received received = {
		.helo = s->helo,
		.client_name = s->client_name,
		.peer_is_unknown = s->told && !xclient_peer_is_known(s),
		.peer = *conn_peer(s->conn),
		.hostname = s->options.hostname,
		.queue_id = envelope->queue_id,
		.tls_version = conn_tls_version(s->conn),
		.tls_cipher = conn_tls_cipher(s->conn),
		.extended = s->is_extended,
		.lmtp = s->is_lmtp,
		.local_peer = s->is_local ? s->peer : SLICE_EMPTY,
		.authenticated = s->account != 0,
		.smtputf8 = envelope->needs_utf8,
		.recipient = envelope->recipient_count == 1 ? envelope->recipients[0].address : SLICE_EMPTY,
		.has_priority = s->transaction.has_priority,
		.priority = envelope->timing.priority,
		.wall_ms = wall_ms,
	};
	struct buf out;

	buf_init(&out, arena, 0);
	buf_reserve(&out, 512);
	received_write(&out, &received);
	return buf_slice(&out);
}

/* Whose message it is if it doesn't say so itself. Nothing in UTF-8 where that wasn't declared. */
static struct slice author(const struct smtp_session *s)
{
	const struct deliver_envelope *envelope = &s->transaction.envelope;

	if (envelope->sender.address.len > 0)
		return envelope->sender.address;
	return envelope->needs_utf8 || slice_is_ascii(s->login) ? s->login : SLICE_EMPTY;
}

void smtp_message_begin(struct smtp_session *s, struct arena *arena, struct incoming *incoming)
{
	const struct deliver_envelope *envelope = &s->transaction.envelope;
	bool is_raw = s->transaction.is_binary;
	struct incoming plan = {
		.is_raw = is_raw,
		.limit = s->options.max_message_size,
		.memory = s->options.memory,
		.max_received = s->options.max_received_hops,
		.add_missing = s->is_submission || s->is_local,
		.origin = {.wall_ms = clock_wall_ms(),
			   .queue_id = envelope->queue_id,
			   .hostname = s->options.hostname,
			   .author = author(s)},
	};

	incoming_begin(incoming, arena, &plan, is_raw ? SLICE_EMPTY : trace_header(s, arena, plan.origin.wall_ms));
}

static enum reply_id fault_of(const struct incoming *incoming, bool has_bare)
{
	if (has_bare)
		return REPLY_BARE_IN_MESSAGE;
	switch (incoming->fault) {
	case INCOMING_OK:
		return REPLY_NONE;
	case INCOMING_TOO_LARGE:
		return REPLY_TOO_LARGE;
	case INCOMING_LOOP:
		return REPLY_LOOP;
	case INCOMING_NUL:
		return REPLY_NUL_IN_MESSAGE;
	case INCOMING_STORAGE:
		break;
	}
	return REPLY_STORAGE;
}

/* "submission 192.0.2.1 client.example.org", "smtp 127.0.0.1 filter.example.org for client.example.org[192.0.2.1]" */
static struct slice trace_from(const struct smtp_session *s)
{
	struct arena *arena = s->env->command_arena;
	struct slice forwarded = xforward_text(s, arena);

	return slice_join(arena,
			  (const struct slice[]){slice_from_cstr(s->env->listener->name), SLICE(" "), s->peer, SLICE(" "), s->helo,
						 forwarded.len ? SLICE(" for ") : SLICE_EMPTY, forwarded},
			  7);
}

static enum next answer_accepted(struct smtp_session *s, const struct incoming *incoming, const struct deliver_verdict *verdict)
{
	const struct deliver_envelope *envelope = &s->transaction.envelope;
	struct deliver_verdict named = *verdict;

	named.text = slice_join(s->env->command_arena, (const struct slice[]){SLICE("Ok: queued as "), envelope->queue_id}, 2);
	LOG_INFO(s->log, "smtp.accepted", LOG_STR("id", envelope->queue_id), LOG_STR("message_id", incoming->facts.message_id),
		 LOG_STR("from", envelope->sender.address), LOG_INT("recipients", envelope->recipient_count),
		 LOG_INT("size", incoming->size), LOG_STR("peer", s->peer), LOG_STR("login", s->login),
		 LOG_STR("tls", conn_tls_version(s->conn)), LOG_INT("priority", envelope->timing.priority),
		 LOG_STR("forwarded", xforward_text(s, s->env->command_arena)));
	METRIC_ADD(s->log, METRIC_SMTP_BYTES, 0, (int64_t)incoming->size);
	METRIC_ADD(s->log, METRIC_SMTP_RECIPIENTS, 0, (int64_t)envelope->recipient_count);
	s->errors = 0;
	return smtp_answer_verdict(s, &named);
}

static enum next answer_refused(struct smtp_session *s, const struct deliver_verdict *verdict)
{
	smtp_log_refused(s, verdict->code, verdict->text, SLICE_EMPTY);
	return smtp_answer_verdict(s, verdict);
}

/* May it be delivered? Else *verdict is the answer; which may be 250, for what filters throw away. */
static bool is_let_in(struct smtp_session *s, struct incoming *incoming, bool has_bare, struct deliver_verdict *verdict)
{
	enum reply_id fault = fault_of(incoming, has_bare);
	struct reply reply = reply_make(fault);

	*verdict = (struct deliver_verdict){STATUS_REFUSED, reply.code, reply.enhanced, reply.text};
	return fault == REPLY_NONE && (s->is_lmtp || smtp_door_message(s, verdict)) &&
	       smtp_filter_message(s, incoming, verdict);
}

static enum next finish_lmtp(struct smtp_session *s, struct incoming *incoming, bool has_bare)
{
	struct deliver_verdict verdict;

	lmtp_note_recipients(s);
	return is_let_in(s, incoming, has_bare, &verdict) ? lmtp_deliver(s, incoming) : lmtp_answer_all_with(s, &verdict);
}

static enum next finish_smtp(struct smtp_session *s, struct incoming *incoming, bool has_bare)
{
	struct deliver_verdict verdict;

	if (is_let_in(s, incoming, has_bare, &verdict))
		verdict = deliver_message(s->ipc, s->env->command_arena, &s->transaction.envelope,
					  incoming->fd < 0 ? buf_slice(&incoming->head) : slice_of(NULL, 0), incoming->fd);
	smtp_set_time_limit(s, LINE_TIMEOUT_MS); /* for the answer, however long the delivery took */
	METRIC_ADD(s->log, METRIC_SMTP_MESSAGES, metrics_label_number(METRIC_SMTP_MESSAGES, verdict.code), 1);
	return verdict.status == STATUS_OK ? answer_accepted(s, incoming, &verdict) : answer_refused(s, &verdict);
}

enum next smtp_message_finish(struct smtp_session *s, struct incoming *incoming, bool has_bare)
{
	enum next next;

	if (s->transaction.is_binary)
		has_bare = smtp_binary_finish(s, incoming);
	incoming_end(incoming);
	s->transaction.envelope.trace_from = trace_from(s);
	next = s->is_lmtp ? finish_lmtp(s, incoming, has_bare) : finish_smtp(s, incoming, has_bare);
	incoming_close(incoming);
	smtp_transaction_end(s);
	return next;
}
