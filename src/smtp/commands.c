/* The table of commands, and those that need no file of their own. */
#include "smtp/session.h"

/* RFC 5321 section 4.1.1.5 */
static enum next cmd_rset(struct smtp_session *s, struct slice argument)
{
	(void)argument;
	smtp_transaction_end(s);
	return smtp_answer(s, REPLY_OK);
}

static enum next cmd_noop(struct smtp_session *s, struct slice argument)
{
	(void)argument;
	return smtp_answer(s, REPLY_OK);
}

static enum next cmd_help(struct smtp_session *s, struct slice argument)
{
	(void)argument;
	return smtp_answer(s, REPLY_HELP);
}

static bool may_verify(const struct smtp_session *s)
{
	return s->options.vrfy == SMTP_VRFY_ALWAYS ||
	       (s->options.vrfy == SMTP_VRFY_TRUSTED && (s->account != 0 || s->is_trusted));
}

/* RFC 5321 section 3.5.1: the mailbox, in brackets. What is elsewhere, or can't be told now, is 252 (section 3.5.3). */
static enum next verify(struct smtp_session *s, struct slice address)
{
	const struct deliver_sender nobody = {.address = SLICE_EMPTY, .login = SLICE_EMPTY, .peer = *conn_peer(s->conn)};
	struct arena *arena = s->env->command_arena;
	struct deliver_verdict verdict = deliver_check_recipient(s->ipc, arena, &nobody, address, 0);
	enum next next;

	/* Who asks for many that don't exist is after addresses, by this command as by RCPT. */
	if (verdict.status != STATUS_OK && !smtp_door_judged(s, address, &verdict, &next))
		return next;
	if (verdict.status == STATUS_OK)
		verdict.text = slice_join(arena, (const struct slice[]){SLICE("<"), address, SLICE(">")}, 3);
	else if (verdict.status != STATUS_NOT_FOUND)
		return smtp_answer(s, REPLY_CANNOT_VERIFY);
	return smtp_answer_verdict(s, &verdict);
}

/* RFC 5321 section 7.3: who exists is told at RCPT only, unless the administrator says otherwise. */
static enum next cmd_vrfy(struct smtp_session *s, struct slice argument)
{
	struct slice open = slice_starts_with(argument, SLICE("<")) ? SLICE("TO:") : SLICE("TO:<");
	struct slice end = open.len == 3 ? SLICE_EMPTY : SLICE(">");
	struct smtp_rcpt rcpt;

	if (argument.len == 0)
		return smtp_answer(s, REPLY_ARGUMENT_MISSING);
	if (!may_verify(s) || slice_find_byte(argument, '@') == SLICE_NOT_FOUND)
		return smtp_answer(s, REPLY_CANNOT_VERIFY);
	enum reply_id fault =
		smtp_parse_rcpt(s->env->command_arena,
				slice_join(s->env->command_arena, (const struct slice[]){open, argument, end}, 3), &rcpt);

	return fault != REPLY_NONE ? smtp_answer(s, REPLY_BAD_RECIPIENT) : verify(s, rcpt.path.address);
}

static enum next cmd_expn(struct smtp_session *s, struct slice argument)
{
	(void)argument;
	return smtp_answer(s, REPLY_NO_EXPN);
}

static enum next cmd_quit(struct smtp_session *s, struct slice argument)
{
	(void)argument;
	return smtp_say_last(s, REPLY_BYE);
}

enum { IN_MAIL = STATE_MAIL | STATE_RCPT };

/* By how often they come. BDAT judges the state itself: its bytes must be read whatever is wrong. */
static const struct smtp_command_entry commands[] = {
	{"MAIL", cmd_mail, STATE_READY, .needs_auth = true},
	{"RCPT", cmd_rcpt, IN_MAIL, .needs_auth = true},
	{"DATA", cmd_data, IN_MAIL, .needs_auth = true, .takes_no_argument = true},
	{"BDAT", cmd_bdat, 0},
	{"RSET", cmd_rset, 0, .takes_no_argument = true},
	{"QUIT", cmd_quit, 0, .takes_no_argument = true},
	{"EHLO", cmd_ehlo, 0},
	{"HELO", cmd_helo, 0},
	{"STARTTLS", cmd_starttls, STATE_READY, .takes_no_argument = true},
	{"AUTH", cmd_auth, STATE_READY},
	{"LHLO", cmd_lhlo, 0},
	{"NOOP", cmd_noop, 0},
	{"VRFY", cmd_vrfy, 0},
	{"EXPN", cmd_expn, 0},
	{"HELP", cmd_help, 0},
};

const struct smtp_command_entry *smtp_command_find(struct slice verb)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		if (slice_eq_nocase(verb, slice_from_cstr(commands[i].name)))
			return &commands[i];
	return NULL;
}
