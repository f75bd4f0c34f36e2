/* What LMTP has that SMTP has not (RFC 2033): an answer for each recipient, in the order of their RCPT. */
#include "smtp/session.h"

enum next lmtp_answer_all(struct smtp_session *s, enum reply_id id)
{
	size_t count = s->transaction.envelope.recipient_count;

	smtp_log_refused(s, reply_make(id).code, reply_make(id).text, SLICE_EMPTY);
	/* One message is one error, however many were to have it. */
	for (size_t i = 0; i < count; i++) {
		smtp_answer(s, id);
		s->errors -= i > 0 && s->errors > 0;
	}
	return NEXT_PARK;
}

static void answer_one(struct smtp_session *s, const struct deliver_recipient *recipient, const struct deliver_verdict *verdict)
{
	struct deliver_verdict named = *verdict;

	if (verdict->status != STATUS_OK)
		smtp_log_refused(s, verdict->code, verdict->text, recipient->address);
	else
		named.text =
			slice_join(s->env->command_arena,
				   (const struct slice[]){SLICE("Ok: delivered as "), s->transaction.envelope.queue_id}, 2);
	smtp_answer_verdict(s, &named);
}

enum next lmtp_deliver(struct smtp_session *s, struct incoming *incoming)
{
	const struct deliver_envelope *envelope = &s->transaction.envelope;
	struct deliver_verdict *verdicts =
		ARENA_ARRAY(s->env->command_arena, struct deliver_verdict, envelope->recipient_count);
	size_t accepted = 0;

	deliver_message_to_each(s->ipc, s->env->command_arena, envelope,
				incoming->fd < 0 ? buf_slice(&incoming->head) : slice_of(NULL, 0), incoming->fd, verdicts);
	smtp_set_time_limit(s, LINE_TIMEOUT_MS); /* for the answers, however long the delivery took */
	s->errors = 0;
	for (size_t i = 0; i < envelope->recipient_count; i++) {
		answer_one(s, &envelope->recipients[i], &verdicts[i]);
		accepted += verdicts[i].status == STATUS_OK;
	}
	s->errors = s->errors > 0;
	if (accepted > 0)
		LOG_INFO(s->log, "smtp.accepted", LOG_STR("id", envelope->queue_id),
			 LOG_STR("message_id", incoming->facts.message_id), LOG_STR("from", envelope->sender.address),
			 LOG_INT("recipients", accepted), LOG_INT("size", incoming->size), LOG_STR("peer", s->peer));
	return NEXT_PARK;
}
