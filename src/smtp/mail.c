/* MAIL and RCPT: the envelope. */
#include "smtp/filter.h"

#define RECIPIENTS_FIRST 4

static enum next refuse_verdict(struct smtp_session *s, const struct deliver_verdict *verdict, struct slice recipient)
{
	smtp_log_refused(s, verdict->code, verdict->text, recipient);
	return smtp_answer_verdict(s, verdict);
}

/* RFC 6710 section 4.1: who asked for another priority than he gets is told so. */
static enum next answer_sender(struct smtp_session *s, const struct smtp_mail *mail)
{
	int priority = s->transaction.envelope.timing.priority;
	struct deliver_verdict verdict = {STATUS_OK, 250, SLICE("2.3.6"), SLICE_EMPTY};
	struct buf text;

	if (priority == mail->timing.priority)
		return smtp_answer(s, REPLY_SENDER_OK);
	buf_init(&text, s->env->command_arena, 0);
	buf_printf(&text, "%d is the priority of the message, higher ones are not yours", priority);
	verdict.text = buf_slice(&text);
	return smtp_answer_verdict(s, &verdict);
}

/* RFC 5321 section 4.1.1.2: what was refused hasn't begun. */
static enum next filter_sender(struct smtp_session *s, struct slice argument, const struct smtp_mail *mail)
{
	enum next next;

	if (smtp_filter_sender(s, argument, &next))
		return answer_sender(s, mail);
	smtp_transaction_end(s);
	return next;
}

/* RFC 5321 section 4.1.1.2 */
enum next cmd_mail(struct smtp_session *s, struct slice argument)
{
	struct deliver_verdict verdict;
	struct smtp_mail mail;
	struct envelope_timing timing;
	enum reply_id fault = smtp_parse_mail(s->env->command_arena, argument, &mail);
	enum next next;

	if (fault != REPLY_NONE)
		return smtp_answer(s, fault);
	/* RFC 8689 section 4.1: offered over TLS only. */
	if (mail.requires_tls && !conn_is_tls(s->conn))
		return smtp_answer(s, REPLY_PARAMETER_UNKNOWN);
	fault = smtp_timing_judge(s, s->env->command_arena, &mail, &timing);
	if (fault != REPLY_NONE)
		return smtp_answer(s, fault);
	/* RFC 1870 section 6.1 */
	if (mail.size > s->options.max_message_size)
		return smtp_answer(s, REPLY_TOO_LARGE);
	if (s->is_local && !local_may_send_as(s, mail.path.address)) {
		smtp_log_refused(s, 553, SLICE("sender is not the local user's"), mail.path.address);
		return smtp_answer(s, REPLY_SENDER_NOT_YOURS);
	}
	if (!smtp_door_sender(s, mail.path.address, &next))
		return next;
	smtp_transaction_begin(s, &mail, &timing);
	if (s->account == 0)
		return filter_sender(s, argument, &mail);
	verdict = deliver_check_sender(s->ipc, s->env->command_arena, &s->transaction.envelope.sender);
	if (verdict.status == STATUS_OK)
		return filter_sender(s, argument, &mail);
	next = refuse_verdict(s, &verdict, SLICE_EMPTY);
	smtp_transaction_end(s);
	return next;
}

static bool make_room(struct smtp_session *s)
{
	struct smtp_transaction *t = &s->transaction;
	size_t room = t->room ? 2 * t->room : RECIPIENTS_FIRST, size = sizeof(*t->recipients);
	void *grown;

	if (t->envelope.recipient_count < t->room)
		return true;
	grown = arena_try_grow(&s->arena, t->recipients, t->room * size, room * size);
	if (!grown)
		return false;
	t->envelope.recipients = t->recipients = grown;
	t->room = room;
	return true;
}

static void add_recipient(struct smtp_session *s, const struct deliver_recipient *recipient)
{
	struct smtp_transaction *t = &s->transaction;

	t->recipients[t->envelope.recipient_count++] = (struct deliver_recipient){
		.address = slice_dup(&s->arena, recipient->address),
		.original = slice_dup(&s->arena, recipient->original),
		.notify = recipient->notify,
		.is_added = recipient->is_added,
	};
	t->weight += deliver_recipient_weight(recipient);
	s->state = STATE_RCPT;
}

static bool has_room(struct smtp_session *s, const struct deliver_recipient *recipient)
{
	const struct smtp_transaction *t = &s->transaction;

	return t->envelope.recipient_count < s->options.max_recipients &&
	       t->weight + deliver_recipient_weight(recipient) <= DELIVER_ENVELOPE_MAX && make_room(s);
}

bool smtp_transaction_add(struct smtp_session *s, const struct deliver_recipient *recipient)
{
	if (!has_room(s, recipient))
		return false;
	add_recipient(s, recipient);
	return true;
}

static enum next refuse_recipient(struct smtp_session *s, struct slice argument, const struct deliver_verdict *verdict,
				  struct slice recipient)
{
	smtp_filter_refused(s, argument, verdict);
	return refuse_verdict(s, verdict, recipient);
}

/* RFC 5321 section 4.1.1.3 */
enum next cmd_rcpt(struct smtp_session *s, struct slice argument)
{
	struct smtp_transaction *t = &s->transaction;
	struct deliver_verdict verdict;
	struct smtp_rcpt rcpt;
	enum reply_id fault = smtp_parse_rcpt(s->env->command_arena, argument, &rcpt);
	enum next next;

	if (fault != REPLY_NONE)
		return smtp_answer(s, fault);
	/* RFC 6531 section 3.4: the whole transaction was declared, or no address of it may need it. */
	if (rcpt.path.needs_utf8 && !t->envelope.needs_utf8)
		return smtp_answer(s, REPLY_NEEDS_SMTPUTF8);
	struct deliver_recipient recipient = {rcpt.path.address, rcpt.original, rcpt.notify};

	/* RFC 5321 section 4.5.3.1.10: the client sends the rest in another transaction. */
	if (!has_room(s, &recipient))
		return smtp_answer(s, REPLY_TOO_MANY_RECIPIENTS);
	if (!smtp_door_recipient(s, recipient.address, &next))
		return next;
	verdict = deliver_check_recipient(s->ipc, s->env->command_arena, &t->envelope.sender, recipient.address,
					  t->declared_size);
	if (!smtp_door_judged(s, recipient.address, &verdict, &next))
		return next;
	if (verdict.status != STATUS_OK)
		return refuse_recipient(s, argument, &verdict, recipient.address);
	if (!smtp_filter_recipient(s, argument, recipient.address, &next))
		return next;
	add_recipient(s, &recipient);
	return smtp_answer_verdict(s, &verdict);
}
