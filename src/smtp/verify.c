/* VRFY and EXPN (RFC 5321 section 3.5): who exists, and where an alias leads. RFC 5321 section 7.3: that is told at RCPT only, unless the
 * administrator says otherwise. */
#include "smtp/session.h"

static bool may_ask(const struct smtp_session *s, enum smtp_vrfy policy)
{
	return policy == SMTP_VRFY_ALWAYS || (policy == SMTP_VRFY_TRUSTED && (s->account != 0 || s->is_trusted));
}

/* RFC 6531 section 3.7.4.2: "SMTPUTF8" behind the argument says that the client understands UTF-8 in the answer. */
static bool cut_utf8(struct slice *argument)
{
	size_t space = slice_find_last_byte(*argument, ' ');

	if (space == SLICE_NOT_FOUND || !slice_eq_nocase(slice_skip(*argument, space + 1), SLICE("SMTPUTF8")))
		return false;
	*argument = slice_trim(slice_sub(*argument, 0, space));
	return true;
}

/* The mailbox, with or without its brackets. */
static enum reply_id parse_mailbox(struct smtp_session *s, struct slice argument, struct smtp_rcpt *rcpt)
{
	struct arena *arena = s->env->command_arena;
	bool has_brackets = slice_starts_with(argument, SLICE("<"));
	const struct slice parts[] = {has_brackets ? SLICE("TO:") : SLICE("TO:<"), argument, has_brackets ? SLICE_EMPTY : SLICE(">")};

	return smtp_parse_rcpt(arena, slice_join(arena, parts, 3), rcpt) == REPLY_NONE ? REPLY_NONE : REPLY_BAD_RECIPIENT;
}

/* RFC 6531 section 3.7.4.2: 252 or 550 where the answer can't be said in ASCII. */
static enum next answer_utf8_needed(struct smtp_session *s)
{
	return smtp_answer(s, REPLY_REPLY_NEEDS_SMTPUTF8);
}

static bool may_say(struct slice address, bool utf8)
{
	return utf8 || slice_is_ascii(address);
}

static enum next say_address(struct smtp_session *s, struct slice address, bool is_last)
{
	struct reply reply = {250, SLICE("2.1.5"), .utf8 = true, .goes_on = !is_last};

	reply.text = slice_join(s->env->command_arena, (const struct slice[]){SLICE("<"), address, SLICE(">")}, 3);
	return smtp_answer_reply(s, &reply);
}

/* ---- VRFY ---- */

/* RFC 5321 section 3.5.1: the mailbox, in brackets. What is elsewhere, or can't be told now, is 252 (section 3.5.3). */
static enum next verify(struct smtp_session *s, struct slice address, bool utf8)
{
	const struct deliver_sender nobody = {.address = SLICE_EMPTY, .login = SLICE_EMPTY, .peer = *conn_peer(s->conn)};
	struct deliver_verdict verdict = deliver_check_recipient(s->ipc, s->env->command_arena, &nobody, address, 0);
	enum next next;

	if (verdict.status == STATUS_OK)
		return may_say(address, utf8) ? say_address(s, address, true) : answer_utf8_needed(s);
	/* Who asks for many that don't exist is after addresses, by this command as by RCPT. */
	if (!smtp_door_judged(s, address, &verdict, &next))
		return next;
	return verdict.status == STATUS_NOT_FOUND ? smtp_answer_verdict(s, &verdict) : smtp_answer(s, REPLY_CANNOT_VERIFY);
}

enum next cmd_vrfy(struct smtp_session *s, struct slice argument)
{
	bool utf8 = cut_utf8(&argument);
	struct smtp_rcpt rcpt;

	if (argument.len == 0)
		return smtp_answer(s, REPLY_ARGUMENT_MISSING);
	if (!may_ask(s, s->options.vrfy) || slice_find_byte(argument, '@') == SLICE_NOT_FOUND)
		return smtp_answer(s, REPLY_CANNOT_VERIFY);
	enum reply_id fault = parse_mailbox(s, argument, &rcpt);

	return fault != REPLY_NONE ? smtp_answer(s, fault) : verify(s, rcpt.path.address, utf8);
}

/* ---- EXPN ---- */

/* RFC 5321 section 3.5.2: one member a line. */
static enum next list_members(struct smtp_session *s, const struct deliver_who *who, bool utf8)
{
	for (size_t i = 0; i < who->target_count; i++)
		if (!may_say(who->targets[i], utf8))
			return answer_utf8_needed(s);
	for (size_t i = 0; i < who->target_count; i++)
		say_address(s, who->targets[i], i + 1 == who->target_count);
	return NEXT_PARK;
}

static enum next expand(struct smtp_session *s, struct slice address, bool utf8)
{
	const struct deliver_verdict unknown = {STATUS_NOT_FOUND, 550, SLICE("5.1.1"), SLICE("No such user here")};
	struct deliver_who who;
	enum next next;

	if (deliver_look_up(s->ipc, s->env->command_arena, address, &who) != STATUS_OK)
		return smtp_answer(s, REPLY_CANNOT_VERIFY);
	if (who.kind == DIRECTORY_ALIAS && who.target_count > 0)
		return list_members(s, &who, utf8);
	if (who.kind == DIRECTORY_ACCOUNT)
		return may_say(address, utf8) ? say_address(s, address, true) : answer_utf8_needed(s);
	if (who.kind != DIRECTORY_UNKNOWN)
		return smtp_answer(s, REPLY_CANNOT_VERIFY);
	return smtp_door_judged(s, address, &unknown, &next) ? smtp_answer_verdict(s, &unknown) : next;
}

enum next cmd_expn(struct smtp_session *s, struct slice argument)
{
	bool utf8 = cut_utf8(&argument);
	struct smtp_rcpt rcpt;

	if (s->options.expn == SMTP_VRFY_NEVER)
		return smtp_answer(s, REPLY_NO_EXPN);
	if (argument.len == 0)
		return smtp_answer(s, REPLY_ARGUMENT_MISSING);
	if (!may_ask(s, s->options.expn))
		return smtp_answer(s, REPLY_EXPN_DENIED);
	if (slice_find_byte(argument, '@') == SLICE_NOT_FOUND)
		return smtp_answer(s, REPLY_CANNOT_VERIFY);
	enum reply_id fault = parse_mailbox(s, argument, &rcpt);

	return fault != REPLY_NONE ? smtp_answer(s, fault) : expand(s, rcpt.path.address, utf8);
}
