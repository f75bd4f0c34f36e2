/* What milters want of the envelope: read as the commands MAIL and RCPT are read. The administrator chose these programs: their
 * recipients may be anywhere, and their senders anybody. What is malformed, or leads nowhere, is left out and logged: the message isn't
 * refused for it. */
#include "smtp/filter.h"

static void log_left_out(const struct smtp_session *s, const struct envelope_change *change, struct slice reason)
{
	LOG_WARNING(s->log, "smtp.filter_change_left_out", LOG_STR("id", s->transaction.envelope.queue_id),
		    LOG_STR("address", change->address), LOG_STR("arguments", change->arguments), LOG_STR("reason", reason));
}

/* "TO:<a@example.org> NOTIFY=NEVER"; the milter's brackets may be missing. */
static struct slice as_argument(struct smtp_session *s, struct slice keyword, const struct envelope_change *change)
{
	bool is_bare = !slice_starts_with(change->address, SLICE("<"));
	struct buf out;

	buf_init(&out, s->env->command_arena, 0);
	buf_add(&out, keyword);
	if (is_bare)
		buf_add_byte(&out, '<');
	buf_add(&out, change->address);
	if (is_bare)
		buf_add_byte(&out, '>');
	if (change->arguments.len > 0) {
		buf_add_byte(&out, ' ');
		buf_add(&out, change->arguments);
	}
	return buf_slice(&out);
}

static bool add_recipient(struct smtp_session *s, const struct envelope_change *change, struct deliver_verdict *verdict)
{
	struct arena *arena = s->env->command_arena;
	struct deliver_sender anybody = s->transaction.envelope.sender;
	struct smtp_rcpt rcpt;
	enum reply_id fault = smtp_parse_rcpt(arena, as_argument(s, SLICE("TO:"), change), &rcpt);

	if (fault != REPLY_NONE || (rcpt.path.needs_utf8 && !s->transaction.envelope.needs_utf8)) {
		log_left_out(s, change, SLICE("malformed"));
		return true;
	}
	anybody.may_relay = true;
	*verdict = deliver_check_recipient(s->ipc, arena, &anybody, rcpt.path.address, 0);
	if (verdict->code < 500 && verdict->status != STATUS_OK)
		return false;
	struct deliver_recipient recipient = {rcpt.path.address, rcpt.original, rcpt.notify, .is_added = true};

	if (verdict->status != STATUS_OK)
		log_left_out(s, change, verdict->text);
	else if (!smtp_transaction_add(s, &recipient))
		log_left_out(s, change, SLICE("too many recipients"));
	return true;
}

/* However often it stands there. */
static void delete_recipient(struct smtp_session *s, const struct envelope_change *change)
{
	struct smtp_transaction *t = &s->transaction;
	struct smtp_rcpt rcpt;
	size_t kept = 0;

	if (smtp_parse_rcpt(s->env->command_arena, as_argument(s, SLICE("TO:"), change), &rcpt) != REPLY_NONE) {
		log_left_out(s, change, SLICE("malformed"));
		return;
	}
	for (size_t i = 0; i < t->envelope.recipient_count; i++) {
		if (slice_eq_nocase(t->recipients[i].address, rcpt.path.address))
			t->weight -= deliver_recipient_weight(&t->recipients[i]);
		else
			t->recipients[kept++] = t->recipients[i];
	}
	t->envelope.recipient_count = kept;
}

static void change_sender(struct smtp_session *s, const struct envelope_change *change)
{
	struct deliver_envelope *envelope = &s->transaction.envelope;
	struct smtp_mail mail;

	if (smtp_parse_mail(s->env->command_arena, as_argument(s, SLICE("FROM:"), change), &mail) != REPLY_NONE ||
	    (mail.path.needs_utf8 && !envelope->needs_utf8)) {
		log_left_out(s, change, SLICE("malformed"));
		return;
	}
	envelope->sender.address = slice_dup(&s->arena, mail.path.address);
	envelope->sender.account = 0; /* it isn't the user's word any more, and need not be the user's own address */
	if (mail.envelope_id.len > 0)
		envelope->envelope_id = slice_dup(&s->arena, mail.envelope_id);
	if (mail.dsn_return != DSN_RETURN_UNSAID)
		envelope->dsn_return = mail.dsn_return;
}

bool filter_redirect(struct smtp_session *s, struct deliver_verdict *verdict)
{
	const struct envelope_change to = {ENVELOPE_ADD_RCPT, s->filter->redirect, SLICE_EMPTY, NULL};

	if (to.address.len == 0)
		return true;
	s->transaction.envelope.recipient_count = s->transaction.weight = 0;
	if (!add_recipient(s, &to, verdict))
		return false;
	/* Who can't have it must not make it vanish. */
	*verdict = (struct deliver_verdict){STATUS_TEMPORARY, 451, SLICE("4.3.5"), SLICE("Server configuration error")};
	return s->transaction.envelope.recipient_count > 0;
}

bool filter_apply_envelope(struct smtp_session *s, const struct envelope_change *changes, struct deliver_verdict *verdict)
{
	for (const struct envelope_change *change = changes; change; change = change->next) {
		if (change->kind == ENVELOPE_CHANGE_FROM)
			change_sender(s, change);
		else if (change->kind == ENVELOPE_DELETE_RCPT)
			delete_recipient(s, change);
		else if (!add_recipient(s, change, verdict))
			return false;
	}
	return true;
}
