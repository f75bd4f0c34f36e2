/* The table of commands, and those that take a few lines each: CAPA (RFC 2449 section 5), LANG and UTF8 (RFC 6856), NOOP. */
#include "pop3/session.h"

#include "auth/auth.h"

static enum next noop(struct pop3_session *s, const struct pop3_arguments *arguments)
{
	(void)arguments;
	return pop3_ok(s, SLICE("Nothing done"));
}

static void put_mechanisms(struct pop3_session *s, struct buf *out)
{
	struct auth_offer offer = pop3_auth_offer(s);
	struct slice mechanisms = auth_mechanisms(pop3_arena(s), &offer);

	if (mechanisms.len == 0)
		return;
	buf_add_literal(out, "SASL ");
	buf_add(out, mechanisms);
	buf_add_literal(out, "\r\n");
}

/* RFC 2449 section 6.5, 6.7. */
static void put_policy(struct pop3_session *s, struct buf *out)
{
	const struct pop3_options *options = &s->context->options;

	if (options->expire_days > 0)
		buf_printf(out, "EXPIRE %u\r\n", options->expire_days);
	else
		buf_add_literal(out, "EXPIRE NEVER\r\n");
	if (options->login_delay_s > 0)
		buf_printf(out, "LOGIN-DELAY %u\r\n", options->login_delay_s);
}

/* What may differ before and after log-in, and what must not: RFC 2449 section 6. */
static enum next capa(struct pop3_session *s, const struct pop3_arguments *arguments)
{
	struct buf *out = pop3_output(s);

	(void)arguments;
	(void)pop3_ok(s, SLICE("Capability list follows"));
	buf_add_literal(out, "TOP\r\nUIDL\r\nPIPELINING\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\n");
	put_policy(s, out);
	buf_add_literal(out, "LANG\r\n");
	if (pop3_plaintext_allowed(s))
		buf_add_literal(out, "USER\r\nUTF8 USER\r\n");
	else
		buf_add_literal(out, "UTF8\r\n");
	put_mechanisms(s, out);
	if (pop3_may_start_tls(s))
		buf_add_literal(out, "STLS\r\n");
	if (s->state == POP3_TRANSACTION)
		buf_add_literal(out, "IMPLEMENTATION Posthorn\r\n");
	return pop3_end_list(s);
}

/* RFC 6856 section 2.1. Lenient: names and passwords in UTF-8 are taken without it too. */
static enum next utf8(struct pop3_session *s, const struct pop3_arguments *arguments)
{
	(void)arguments;
	s->utf8 = true;
	return pop3_ok(s, SLICE("UTF-8 it is"));
}

/* RFC 6856 section 3. There is one language; "*" is the server's choice. */
static enum next lang(struct pop3_session *s, const struct pop3_arguments *arguments)
{
	struct slice range = slice_trim(arguments->text);

	if (range.len == 0) {
		(void)pop3_ok(s, SLICE("Languages follow"));
		buf_add_literal(pop3_output(s), "i-default Default language\r\nen English\r\n");
		return pop3_end_list(s);
	}
	if (slice_eq(range, SLICE("*")) || slice_eq_nocase(range, SLICE("en")))
		return pop3_ok(s, SLICE("en English it is"));
	if (slice_eq_nocase(range, SLICE("i-default")))
		return pop3_ok(s, SLICE("i-default English it is"));
	return pop3_err(s, SLICE_EMPTY, SLICE("That language isn't spoken here"));
}

/* A row is read better as it stands. */
/* clang-format off */
static const struct pop3_command commands[] = {
	/* name, handler, states, arguments, usage */
	{{"RETR", 4}, pop3_retr, POP3_TRANSACTION, POP3_MESSAGE, {"RETR needs a message's number", 29}},
	{{"DELE", 4}, pop3_dele, POP3_TRANSACTION, POP3_MESSAGE, {"DELE needs a message's number", 29}},
	{{"TOP", 3}, pop3_top, POP3_TRANSACTION, POP3_MESSAGE_AND_LINES, {"TOP needs a message's number and a number of lines", 50}},
	{{"UIDL", 4}, pop3_uidl, POP3_TRANSACTION, POP3_MESSAGE_OR_NOTHING, {"UIDL takes a message's number or nothing", 40}},
	{{"LIST", 4}, pop3_list, POP3_TRANSACTION, POP3_MESSAGE_OR_NOTHING, {"LIST takes a message's number or nothing", 40}},
	{{"STAT", 4}, pop3_stat, POP3_TRANSACTION, POP3_NOTHING, {"STAT takes nothing", 18}},
	{{"NOOP", 4}, noop, POP3_TRANSACTION, POP3_NOTHING, {"NOOP takes nothing", 18}},
	{{"RSET", 4}, pop3_rset, POP3_TRANSACTION, POP3_NOTHING, {"RSET takes nothing", 18}},
	{{"QUIT", 4}, pop3_quit, POP3_ANY, POP3_NOTHING, {"QUIT takes nothing", 18}},
	{{"CAPA", 4}, capa, POP3_ANY, POP3_NOTHING, {"CAPA takes nothing", 18}},
	{{"LANG", 4}, lang, POP3_ANY, POP3_TEXT_OR_NOTHING, {"", 0}},
	{{"UTF8", 4}, utf8, POP3_AUTHORIZATION, POP3_NOTHING, {"UTF8 takes nothing", 18}},
	{{"USER", 4}, pop3_user, POP3_AUTHORIZATION, POP3_TEXT, {"USER needs a name", 17}},
	{{"PASS", 4}, pop3_pass, POP3_AUTHORIZATION, POP3_TEXT, {"PASS needs a password", 21}},
	{{"AUTH", 4}, pop3_auth, POP3_AUTHORIZATION, POP3_TEXT_OR_NOTHING, {"", 0}},
	{{"STLS", 4}, pop3_stls, POP3_AUTHORIZATION, POP3_NOTHING, {"STLS takes nothing", 18}},
};
/* clang-format on */

const struct pop3_command *pop3_command_find(struct slice name)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (slice_eq_nocase(name, commands[i].name))
			return &commands[i];
	}
	return NULL;
}
