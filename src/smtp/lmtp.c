/* What LMTP has that SMTP has not (RFC 2033): an answer for each recipient, in the order of their RCPT. */
#include "smtp/session.h"

void lmtp_note_recipients(struct smtp_session *s)
{
	struct smtp_transaction *t = &s->transaction;

	t->named_count = t->envelope.recipient_count;
	t->named = ARENA_ARRAY(s->env->command_arena, struct slice, t->named_count);
	for (size_t i = 0; i < t->named_count; i++)
		t->named[i] = t->recipients[i].address;
}

enum next lmtp_answer_all_with(struct smtp_session *s, const struct deliver_verdict *verdict)
{
	size_t count = s->transaction.named ? s->transaction.named_count : s->transaction.envelope.recipient_count;

	if (verdict->status != STATUS_OK)
		smtp_log_refused(s, verdict->code, verdict->text, SLICE_EMPTY);
	/* One message is one error, however many were to have it. */
	for (size_t i = 0; i < count; i++) {
		smtp_answer_verdict(s, verdict);
		s->errors -= i > 0 && s->errors > 0 && verdict->code >= 500;
	}
	return NEXT_PARK;
}

enum next lmtp_answer_all(struct smtp_session *s, enum reply_id id)
{
	struct reply reply = reply_make(id);

	return lmtp_answer_all_with(s, &(struct deliver_verdict){STATUS_REFUSED, reply.code, reply.enhanced, reply.text});
}

static void answer_one(struct smtp_session *s, struct slice recipient, const struct deliver_verdict *verdict)
{
	struct deliver_verdict named = *verdict;

	if (verdict->status != STATUS_OK)
		smtp_log_refused(s, verdict->code, verdict->text, recipient);
	else
		named.text =
			slice_join(s->env->command_arena,
				   (const struct slice[]){SLICE("Ok: delivered as "), s->transaction.envelope.queue_id}, 2);
	smtp_answer_verdict(s, &named);
}

/* One that a filter has taken away got what the filter wanted it to have; unless those that the filter added didn't get it: nobody else
 * would try again for them. */
static const struct deliver_verdict *verdict_for(const struct smtp_session *s, struct slice named,
						 const struct deliver_verdict *verdicts)
{
	static const struct deliver_verdict taken_away = {STATUS_OK, 250, {"2.0.0", 5}, {"", 0}};
	const struct deliver_envelope *envelope = &s->transaction.envelope;
	const struct deliver_verdict *instead = &taken_away;

	for (size_t i = 0; i < envelope->recipient_count; i++) {
		if (envelope->recipients[i].address.data == named.data)
			return &verdicts[i];
		if (envelope->recipients[i].is_added && verdicts[i].status != STATUS_OK &&
		    (instead == &taken_away || verdicts[i].code < 500))
			instead = &verdicts[i];
	}
	return instead;
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
	for (size_t i = 0; i < s->transaction.named_count; i++)
		answer_one(s, s->transaction.named[i], verdict_for(s, s->transaction.named[i], verdicts));
	for (size_t i = 0; i < envelope->recipient_count; i++)
		accepted += verdicts[i].status == STATUS_OK;
	s->errors = s->errors > 0;
	if (accepted > 0)
		LOG_INFO(s->log, "smtp.accepted", LOG_STR("id", envelope->queue_id),
			 LOG_STR("message_id", incoming->facts.message_id), LOG_STR("from", envelope->sender.address),
			 LOG_INT("recipients", accepted), LOG_INT("size", incoming->size), LOG_STR("peer", s->peer));
	return NEXT_PARK;
}
