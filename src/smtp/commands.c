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
	{"BDAT", cmd_bdat, 0, .before_tls = true},
	{"BURL", cmd_burl, 0},
	{"RSET", cmd_rset, 0, .takes_no_argument = true, .before_tls = true},
	{"QUIT", cmd_quit, 0, .takes_no_argument = true, .before_tls = true},
	{"EHLO", cmd_ehlo, 0, .before_tls = true},
	{"HELO", cmd_helo, 0, .before_tls = true},
	{"STARTTLS", cmd_starttls, STATE_READY, .takes_no_argument = true, .before_tls = true},
	{"AUTH", cmd_auth, STATE_READY},
	{"LHLO", cmd_lhlo, 0, .before_tls = true},
	{"NOOP", cmd_noop, 0, .before_tls = true},
	{"XCLIENT", cmd_xclient, STATE_START | STATE_READY},
	{"XFORWARD", cmd_xforward, STATE_START | STATE_READY},
	{"VRFY", cmd_vrfy, 0},
	{"EXPN", cmd_expn, 0},
	{"ETRN", cmd_etrn, STATE_READY},
	{"HELP", cmd_help, 0, .before_tls = true},
};

const struct smtp_command_entry *smtp_command_find(struct slice verb)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		if (slice_eq_nocase(verb, slice_from_cstr(commands[i].name)))
			return &commands[i];
	return NULL;
}
