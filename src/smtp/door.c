/* What the guard says, in the session's terms: every question to it stands here. */
#include "guard/door.h"

#include "smtp/session.h"

static bool says_nothing(struct smtp_session *s, const struct door_answer *answer, struct slice recipient, enum next *next)
{
	struct deliver_verdict verdict = {STATUS_REFUSED, answer->code, answer->enhanced, answer->text};

	if (answer->code == 0)
		return true;
	smtp_log_refused(s, answer->code, answer->text, recipient);
	smtp_answer_verdict(s, &verdict);
	*next = answer->ends ? NEXT_CLOSE : NEXT_PARK;
	return false;
}

bool smtp_door_connect(struct smtp_session *s)
{
	struct door_answer answer = door_connect(s->door, &s->visitor, conn_peer(s->conn), s->is_trusted || s->policy.is_unscreened);
	struct reply reply = {.code = answer.code, .enhanced = answer.enhanced, .text = answer.text};

	if (answer.code == 0)
		return true;
	reply_write(conn_output(s->conn), &reply);
	return false;
}

/* Others are our own users' programs. */
static bool is_for_strangers(const struct smtp_session *s)
{
	return slice_eq(slice_from_cstr(s->env->listener->name), SLICE("smtp"));
}

int smtp_door_wait(const struct smtp_session *s)
{
	return is_for_strangers(s) ? door_greeting_wait(&s->visitor) : 0;
}

void smtp_door_hello(struct smtp_session *s)
{
	if (is_for_strangers(s))
		door_hello(&s->visitor, s->helo, s->reverse);
}

void smtp_door_leave(struct smtp_session *s)
{
	door_leave(&s->visitor);
}

bool smtp_door_sender(struct smtp_session *s, struct slice sender, enum next *next)
{
	struct door_answer answer = door_sender(&s->visitor, s->account, sender);

	return says_nothing(s, &answer, SLICE_EMPTY, next);
}

bool smtp_door_recipient(struct smtp_session *s, struct slice recipient, enum next *next)
{
	struct door_answer answer = door_recipient(&s->visitor, s->account, recipient);

	return says_nothing(s, &answer, recipient, next);
}

bool smtp_door_judged(struct smtp_session *s, struct slice recipient, const struct deliver_verdict *verdict, enum next *next)
{
	struct door_answer answer = {0};

	if (verdict->status == STATUS_OK)
		answer = door_known_recipient(&s->visitor, s->env->command_arena, s->account,
					      s->transaction.envelope.sender.address, recipient);
	else if (slice_eq(verdict->enhanced, SLICE("5.1.1")))
		answer = door_unknown_recipient(&s->visitor, s->account);
	return says_nothing(s, &answer, recipient, next);
}

bool smtp_door_message(struct smtp_session *s, struct deliver_verdict *verdict)
{
	struct door_answer answer =
		door_message(&s->visitor, s->env->command_arena, s->account, s->login, s->transaction.envelope.recipient_count);

	if (answer.code == 0)
		return true;
	*verdict = (struct deliver_verdict){STATUS_REFUSED, answer.code, answer.enhanced, answer.text};
	return false;
}

bool smtp_door_failures(struct smtp_session *s, unsigned count, enum next *next)
{
	struct door_answer answer = {0};

	while (count-- > 0 && answer.code == 0)
		answer = door_failure(&s->visitor, s->account);
	return says_nothing(s, &answer, SLICE_EMPTY, next);
}
