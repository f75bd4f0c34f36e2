/* RFC 5321 command by command: each in each state, each limit, each way to be malformed, each way to hide a message in another, with the
 * code and the enhanced code that answer it. Everything is said whole and byte by byte: what is said must not depend on how it is cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>
#include <stdio.h>

#include "fake_roles.h"
#include "memory_conn.h"
#include "smtp/smtp.h"

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

/* ---- a conversation ---- */

struct talk {
	struct arena arena;
	struct log log;
	struct smtp_context context;
	struct listener listener;
	struct conn conn;
	struct slice said;
	bool whole_said;
};

static bool say_all(void *context, struct conn *conn)
{
	struct talk *talk = context;

	if (talk->whole_said)
		return false;
	talk->whole_said = true;
	buf_add(&conn->input, talk->said);
	return talk->said.len > 0;
}

/* All the server says to all that; `tls`: the listener has a certificate. */
static struct slice hear(struct talk *talk, struct slice said, size_t piece, const char *listener)
{
	arena_init(&talk->arena, 0);
	fake_roles_reset();
	log_init(&talk->log, -1, LOG_FORMAT_LOGFMT, LOG_LEVEL_ERROR, SLICE("test"));
	talk->context = (struct smtp_context){.options = {.hostname = SLICE("mx.example.test"), .max_errors = 1000,
							  .max_message_size = 5000, .max_recipients = 3},
					      .log = &talk->log};
	talk->listener = (struct listener){.name = listener, .protocol = &smtp_protocol, .context = &talk->context,
					   .tls = (struct tls_context *)talk};
	talk->said = said;
	talk->whole_said = false;
	memory_conn_init(&talk->conn, say_all, talk);
	talk->conn.piece = piece;
	memory_conn_run(&talk->conn, &smtp_protocol, &talk->listener);
	struct slice heard = slice_dup(&talk->arena, buf_slice(&talk->conn.output));

	memory_conn_free(&talk->conn);
	return heard;
}

static void hang_up(struct talk *talk)
{
	arena_free(&talk->arena);
	fake_roles_reset();
}

/* Replies, one after the other: their last lines. */
static struct slice next_reply(struct slice *heard)
{
	struct slice line;

	do {
		line = slice_cut(heard, '\n');
		if (!slice_ends_with(line, SLICE("\r")))
			return SLICE_EMPTY;
		line.len--;
	} while (line.len > 3 && line.data[3] == '-');
	return line;
}

static unsigned count_replies(struct slice heard)
{
	unsigned count = 0;

	while (next_reply(&heard).len > 0)
		count++;
	return count;
}

/* "250 2.1.0", or "250" where no enhanced code belongs. */
static bool is_reply(struct slice line, const char *expected)
{
	struct slice start = slice_from_cstr(expected);

	return slice_starts_with(line, start) && (line.len == start.len || line.data[start.len] == ' ');
}

static const size_t pieces[] = {0, 1, 3};

/* After `before`, whose replies don't matter, `command` gets `expected`, and the session goes on in step unless that ends it. */
static void check(const char *listener, const char *before, struct slice command, const char *expected)
{
	for (size_t i = 0; i < ROWS(pieces); i++) {
		struct talk talk;
		struct buf said SCOPED_BUF;

		buf_init(&said, NULL, 0);
		buf_add(&said, slice_from_cstr(before));
		unsigned skip = count_replies(hear(&talk, buf_slice(&said), pieces[i], listener));

		hang_up(&talk);
		buf_add(&said, command);
		buf_add_literal(&said, "NOOP\r\n");
		struct slice heard = hear(&talk, buf_slice(&said), pieces[i], listener), reply = SLICE_EMPTY;

		for (unsigned j = 0; j <= skip; j++)
			reply = next_reply(&heard);
		if (!is_reply(reply, expected))
			fail_msg("%s[%s] %.*s: expected %s, found %.*s", listener, before, SLICE_ARG(command), expected,
				 SLICE_ARG(reply));
		bool ends = expected[0] == '2' && expected[1] == '2' && expected[2] == '1';

		ends |= slice_starts_with(slice_from_cstr(expected), SLICE("421"));
		if (!ends && !slice_starts_with(reply, SLICE("3")) && !slice_starts_with(reply, SLICE("220")) &&
		    !is_reply(next_reply(&heard), "250 2.0.0"))
			fail_msg("%s[%s] %.*s: out of step", listener, before, SLICE_ARG(command));
		if (!slice_starts_with(reply, SLICE("3")) && !slice_starts_with(reply, SLICE("220")) && heard.len > 0)
			fail_msg("%s[%s] %.*s: says more: %.*s", listener, before, SLICE_ARG(command), SLICE_ARG(heard));
		hang_up(&talk);
	}
}

/* ---- each command in each state ---- */

#define EHLO  "EHLO c.test\r\n"
#define MAIL  EHLO "MAIL FROM:<a@b.test>\r\n"
#define RCPT  MAIL "RCPT TO:<ok@example.test>\r\n"
#define CHUNK RCPT "BDAT 3\r\nab\n"

static const char *const states[] = {"", EHLO, MAIL, RCPT, RCPT "BDAT 2\r\nab"};

static void each_command_in_each_state(void **state)
{
	static const struct {
		const char *command;
		const char *expected[ROWS(states)];
	} rows[] = {
		{"HELO c.test", {"250", "250", "250", "250", "250"}},
		{"EHLO c.test", {"250", "250", "250", "250", "250"}},
		{"ehlo c.test", {"250", "250", "250", "250", "250"}},
		{"EHLO", {"501", "501", "501", "501", "501"}},
		{"HELO a b", {"501", "501", "501", "501", "501"}},
		{"LHLO c.test", {"500 5.5.1", "500 5.5.1", "500 5.5.1", "500 5.5.1", "500 5.5.1"}},
		{"MAIL FROM:<a@b.test>", {"503 5.5.1", "250 2.1.0", "503 5.5.1", "503 5.5.1", "503 5.5.1"}},
		{"RCPT TO:<ok@example.test>", {"503 5.5.1", "503 5.5.1", "250 2.1.5", "250 2.1.5", "503 5.5.1"}},
		{"RCPT TO:<unknown@example.test>", {"503 5.5.1", "503 5.5.1", "550 5.1.1", "550 5.1.1", "503 5.5.1"}},
		{"RCPT TO:<x@elsewhere.test>", {"503 5.5.1", "503 5.5.1", "550 5.7.1", "550 5.7.1", "503 5.5.1"}},
		{"DATA", {"503 5.5.1", "503 5.5.1", "554 5.5.1", "354", "503 5.5.1"}},
		{"DATA x", {"501 5.5.4", "501 5.5.4", "501 5.5.4", "501 5.5.4", "501 5.5.4"}},
		{"BDAT 0", {"503 5.5.1", "503 5.5.1", "554 5.5.1", "250 2.0.0", "250 2.0.0"}},
		{"BDAT 0 LAST", {"503 5.5.1", "503 5.5.1", "554 5.5.1", "250 2.0.0", "250 2.0.0"}},
		{"BDAT", {"421", "421", "421", "421", "421"}},
		{"BURL imap://x LAST", {"500 5.5.1", "500 5.5.1", "500 5.5.1", "500 5.5.1", "500 5.5.1"}},
		{"RSET", {"250 2.0.0", "250 2.0.0", "250 2.0.0", "250 2.0.0", "250 2.0.0"}},
		{"RSET x", {"501 5.5.4", "501 5.5.4", "501 5.5.4", "501 5.5.4", "501 5.5.4"}},
		{"NOOP", {"250 2.0.0", "250 2.0.0", "250 2.0.0", "250 2.0.0", "250 2.0.0"}},
		{"NOOP x y", {"250 2.0.0", "250 2.0.0", "250 2.0.0", "250 2.0.0", "250 2.0.0"}},
		{"HELP", {"214 2.0.0", "214 2.0.0", "214 2.0.0", "214 2.0.0", "214 2.0.0"}},
		{"HELP MAIL", {"214 2.0.0", "214 2.0.0", "214 2.0.0", "214 2.0.0", "214 2.0.0"}},
		{"VRFY", {"501 5.5.4", "501 5.5.4", "501 5.5.4", "501 5.5.4", "501 5.5.4"}},
		{"VRFY ok@example.test", {"252 2.0.0", "252 2.0.0", "252 2.0.0", "252 2.0.0", "252 2.0.0"}},
		{"EXPN list", {"502 5.5.1", "502 5.5.1", "502 5.5.1", "502 5.5.1", "502 5.5.1"}},
		{"QUIT", {"221 2.0.0", "221 2.0.0", "221 2.0.0", "221 2.0.0", "221 2.0.0"}},
		{"QUIT x", {"501 5.5.4", "501 5.5.4", "501 5.5.4", "501 5.5.4", "501 5.5.4"}},
		{"STARTTLS", {"503 5.5.1", "220 2.0.0", "503 5.5.1", "503 5.5.1", "503 5.5.1"}},
		{"STARTTLS x", {"501 5.5.4", "501 5.5.4", "501 5.5.4", "501 5.5.4", "501 5.5.4"}},
		{"AUTH PLAIN", {"503 5.5.1", "502 5.5.1", "503 5.5.1", "503 5.5.1", "503 5.5.1"}},
		{"XCLIENT ADDR=192.0.2.1", {"550 5.7.0", "550 5.7.0", "503 5.5.1", "503 5.5.1", "503 5.5.1"}},
		{"XFORWARD ADDR=192.0.2.1", {"550 5.7.0", "550 5.7.0", "503 5.5.1", "503 5.5.1", "503 5.5.1"}},
		/* Obsolete, of other protocols, or nobody's (RFC 5321 appendix F). */
		{"TURN", {"500 5.5.1", "500 5.5.1", "500 5.5.1", "500 5.5.1", "500 5.5.1"}},
		{"SEND FROM:<a@b.test>", {"500 5.5.1", "500 5.5.1", "500 5.5.1", "500 5.5.1", "500 5.5.1"}},
		{"MAILFROM:<a@b.test>", {"500 5.5.1", "500 5.5.1", "500 5.5.1", "500 5.5.1", "500 5.5.1"}},
		{"", {"500 5.5.1", "500 5.5.1", "500 5.5.1", "500 5.5.1", "500 5.5.1"}},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++)
		for (size_t j = 0; j < ROWS(states); j++) {
			char command[100];

			snprintf(command, sizeof(command), "%s\r\n", rows[i].command);
			const char *expected = strcmp(rows[i].expected[j], "421") == 0 ? "501 5.5.4" : rows[i].expected[j];

			/* Without a size nobody knows where the next command is: that ends the session. */
			if (strcmp(rows[i].expected[j], "421") == 0) {
				struct talk talk;
				char all[300];

				snprintf(all, sizeof(all), "%s%sNOOP\r\n", states[j], command);
				struct slice heard = hear(&talk, slice_from_cstr(all), 0, "smtp"), last = SLICE_EMPTY, one;

				while ((one = next_reply(&heard)).len > 0)
					last = one;
				if (!is_reply(last, expected))
					fail_msg("[%s] %s: %.*s", states[j], command, SLICE_ARG(last));
				hang_up(&talk);
			} else {
				check("smtp", states[j], slice_from_cstr(command), expected);
			}
		}
}

/* What a greeting, RSET and the end of a message leave: no transaction. */
static void what_ends_a_transaction(void **state)
{
	static const char *const ends[] = {"RSET\r\n", "EHLO c.test\r\n", "HELO c.test\r\n", "DATA\r\nSubject: x\r\n\r\ny\r\n.\r\n",
					   "DATA\r\nFAIL\r\n.\r\n", "BDAT 0 LAST\r\n", "BDAT 3 LAST\r\na\nb"};

	(void)state;
	for (size_t i = 0; i < ROWS(ends); i++) {
		char before[300];

		snprintf(before, sizeof(before), RCPT "%s", ends[i]);
		check("smtp", before, SLICE("RCPT TO:<ok@example.test>\r\n"), "503 5.5.1");
		check("smtp", before, SLICE("MAIL FROM:<a@b.test>\r\n"), "250 2.1.0");
	}
	/* And these leave it as it was. */
	static const char *const others[] = {"NOOP\r\n", "VRFY a@b.test\r\n", "HELP\r\n", "BOGUS\r\n", "MAIL FROM:<x@y.test>\r\n",
					     "RCPT TO:<unknown@example.test>\r\n", "EHLO\r\n", "RSET x\r\n", "DATA x\r\n", "STARTTLS\r\n"};

	for (size_t i = 0; i < ROWS(others); i++) {
		char before[300];

		snprintf(before, sizeof(before), RCPT "%s", others[i]);
		check("smtp", before, SLICE("DATA\r\n"), "354");
	}
}

/* ---- what is malformed ---- */

static void malformed_commands(void **state)
{
	static const struct {
		const char *before, *command, *expected;
	} rows[] = {
		/* paths */
		{EHLO, "MAIL", "501 5.5.2"},
		{EHLO, "MAIL FROM", "501 5.5.2"},
		{EHLO, "MAIL FROM:", "501 5.5.2"},
		{EHLO, "MAIL TO:<a@b.test>", "501 5.5.2"},
		{EHLO, "MAIL FROM <a@b.test>", "501 5.5.2"},
		{EHLO, "MAIL FROM:<a@b.test", "501 5.5.2"},
		{EHLO, "MAIL FROM:<a@b.test>x", "501 5.5.2"},
		{EHLO, "MAIL FROM:<\"a@b.test>", "501 5.5.2"},
		{EHLO, "MAIL FROM:<>", "250 2.1.0"},
		{EHLO, "mail from:<a@b.test>", "250 2.1.0"},
		{EHLO, "MAIL FROM:<@x.test,@y.test:a@b.test>", "250 2.1.0"},
		{EHLO, "MAIL FROM:<@x.test:>", "501 5.1.7"},
		{EHLO, "MAIL FROM:<a>", "501 5.1.7"},
		{EHLO, "MAIL FROM:<@b.test>", "501 5.1.7"},
		{EHLO, "MAIL FROM:<a@>", "501 5.1.7"},
		{EHLO, "MAIL FROM:<a@b@c.test>", "501 5.1.7"},
		{EHLO, "MAIL FROM:<a..b@c.test>", "250 2.1.0"}, /* Lenient: there are such addresses */
		{EHLO, "MAIL FROM:<.a@c.test>", "250 2.1.0"},
		{EHLO, "MAIL FROM:<a.@c.test>", "250 2.1.0"},
		{EHLO, "MAIL FROM:<a b@c.test>", "501 5.1.7"},
		{EHLO, "MAIL FROM:<a(b)@c.test>", "501 5.1.7"},
		{EHLO, "MAIL FROM:<\"a b\"@c.test>", "250 2.1.0"},
		{EHLO, "MAIL FROM:<\"a\\\"b\"@c.test>", "250 2.1.0"},
		{EHLO, "MAIL FROM:<\"\"@c.test>", "501 5.1.7"},
		{EHLO, "MAIL FROM:<a@-b.test>", "501 5.1.7"},
		{EHLO, "MAIL FROM:<a@b-.test>", "501 5.1.7"},
		{EHLO, "MAIL FROM:<a@b..test>", "501 5.1.7"},
		{EHLO, "MAIL FROM:<a@.b.test>", "501 5.1.7"},
		{EHLO, "MAIL FROM:<a@b!c.test>", "501 5.1.7"},
		{EHLO, "MAIL FROM:<a@[192.0.2.1]>", "250 2.1.0"},
		{EHLO, "MAIL FROM:<a@[IPv6:2001:db8::1]>", "250 2.1.0"},
		{EHLO, "MAIL FROM:<a@[192.0.2.256]>", "501 5.1.7"},
		{EHLO, "MAIL FROM:<a@[192.0.2.1>", "501 5.1.7"},
		{MAIL, "RCPT", "501 5.5.2"},
		{MAIL, "RCPT TO:<>", "501 5.5.2"},
		{MAIL, "RCPT FROM:<ok@example.test>", "501 5.5.2"},
		{MAIL, "RCPT TO:<Postmaster>", "250 2.1.5"},
		{MAIL, "RCPT TO:<nobody>", "501 5.1.3"},
		{MAIL, "RCPT TO:<@relay.test:ok@example.test>", "250 2.1.5"},
		{MAIL, "RCPT TO:<ok@example.test> ", "250 2.1.5"},
		{MAIL, "RCPT TO:<ok@EXAMPLE.TEST>", "250 2.1.5"},
		{MAIL, "RCPT TO:<ok%elsewhere.test@example.test>", "250 2.1.5"},
		/* parameters of MAIL */
		{EHLO, "MAIL FROM:<a@b.test> SIZE=1", "250 2.1.0"},
		{EHLO, "MAIL FROM:<a@b.test> SIZE=5000", "250 2.1.0"},
		{EHLO, "MAIL FROM:<a@b.test> SIZE=5001", "552 5.3.4"},
		{EHLO, "MAIL FROM:<a@b.test> SIZE=99999999999999999999", "552 5.3.4"},
		{EHLO, "MAIL FROM:<a@b.test> SIZE=999999999999999999999", "501 5.5.4"},
		{EHLO, "MAIL FROM:<a@b.test> SIZE=-1", "501 5.5.4"},
		{EHLO, "MAIL FROM:<a@b.test> SIZE=", "501 5.5.4"},
		{EHLO, "MAIL FROM:<a@b.test> SIZE", "501 5.5.4"},
		{EHLO, "MAIL FROM:<a@b.test> SIZE=1 SIZE=1", "501 5.5.4"},
		{EHLO, "MAIL FROM:<a@b.test> BODY=7BIT", "250 2.1.0"},
		{EHLO, "MAIL FROM:<a@b.test> BODY=8bitMIME", "250 2.1.0"},
		{EHLO, "MAIL FROM:<a@b.test> BODY=BINARYMIME", "250 2.1.0"},
		{EHLO, "MAIL FROM:<a@b.test> BODY=9BIT", "501 5.5.4"},
		{EHLO, "MAIL FROM:<a@b.test> BODY", "501 5.5.4"},
		{EHLO, "MAIL FROM:<a@b.test> RET=FULL ENVID=x+2By", "250 2.1.0"},
		{EHLO, "MAIL FROM:<a@b.test> RET=hdrs", "250 2.1.0"},
		{EHLO, "MAIL FROM:<a@b.test> RET=NONE", "501 5.5.4"},
		{EHLO, "MAIL FROM:<a@b.test> ENVID=", "501 5.5.4"},
		{EHLO, "MAIL FROM:<a@b.test> ENVID=a+2", "501 5.5.4"},
		{EHLO, "MAIL FROM:<a@b.test> ENVID=a+0A", "501 5.5.4"},
		{EHLO, "MAIL FROM:<a@b.test> ENVID=a+2b", "501 5.5.4"},
		{EHLO, "MAIL FROM:<a@b.test> AUTH=<>", "250 2.1.0"},
		{EHLO, "MAIL FROM:<a@b.test> AUTH=e+3Dmc2@example.com", "250 2.1.0"},
		{EHLO, "MAIL FROM:<a@b.test> AUTH=", "501 5.5.4"},
		{EHLO, "MAIL FROM:<a@b.test> SMTPUTF8", "250 2.1.0"},
		{EHLO, "MAIL FROM:<a@b.test> SMTPUTF8=x", "501 5.5.4"},
		{EHLO, "MAIL FROM:<a@b.test> REQUIRETLS", "555 5.5.4"}, /* without TLS it isn't offered */
		{EHLO, "MAIL FROM:<a@b.test> NOTIFY=NEVER", "555 5.5.4"},
		{EHLO, "MAIL FROM:<a@b.test> X-UNKNOWN=1", "555 5.5.4"},
		{EHLO, "MAIL FROM:<a@b.test> =x", "501 5.5.4"},
		{EHLO, "MAIL FROM:<a@b.test> S!ZE=1", "501 5.5.4"},
		{EHLO, "MAIL FROM:<a@b.test> -SIZE=1", "501 5.5.4"},
		/* parameters of RCPT */
		{MAIL, "RCPT TO:<ok@example.test> NOTIFY=SUCCESS,FAILURE,DELAY", "250 2.1.5"},
		{MAIL, "RCPT TO:<ok@example.test> NOTIFY=never", "250 2.1.5"},
		{MAIL, "RCPT TO:<ok@example.test> NOTIFY=NEVER,DELAY", "501 5.5.4"},
		{MAIL, "RCPT TO:<ok@example.test> NOTIFY=SUCCESS,", "501 5.5.4"},
		{MAIL, "RCPT TO:<ok@example.test> NOTIFY=,", "501 5.5.4"},
		{MAIL, "RCPT TO:<ok@example.test> NOTIFY=SOMETIMES", "501 5.5.4"},
		{MAIL, "RCPT TO:<ok@example.test> NOTIFY", "501 5.5.4"},
		{MAIL, "RCPT TO:<ok@example.test> ORCPT=rfc822;bob+40example.net", "250 2.1.5"},
		{MAIL, "RCPT TO:<ok@example.test> ORCPT=rfc822;", "501 5.5.4"},
		{MAIL, "RCPT TO:<ok@example.test> ORCPT=rfc822", "501 5.5.4"},
		{MAIL, "RCPT TO:<ok@example.test> ORCPT=;bob@example.net", "501 5.5.4"},
		{MAIL, "RCPT TO:<ok@example.test> ORCPT=rfc822;a+ZZ", "501 5.5.4"},
		{MAIL, "RCPT TO:<ok@example.test> SIZE=1", "555 5.5.4"},
		/* chunks: what is refused is read (RFC 3030 section 2) */
		{EHLO, "BDAT 3\r\na\nb", "503 5.5.1"},
		{MAIL, "BDAT 6 LAST\r\nNOOP\r\n", "554 5.5.1"},
		/* lines */
		{EHLO, "NO\tOP", "500 5.5.1"},
		{EHLO, " NOOP", "500 5.5.1"},
		{EHLO, "NOOP\x01", "500 5.5.2"},
		{EHLO, "NOOP\x7f", "500 5.5.2"},
		{EHLO, "NOOP\rNOOP", "500 5.5.2"},
		{EHLO, "NOOP\nNOOP", "500 5.5.2"},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct buf command SCOPED_BUF;
		bool has_data = slice_starts_with(slice_from_cstr(rows[i].command), SLICE("BDAT"));

		buf_init(&command, NULL, 0);
		buf_add(&command, slice_from_cstr(rows[i].command));
		if (slice_eq(slice_from_cstr(rows[i].command), SLICE("NOOP\nNOOP"))) {
			/* Two lines for us: one ended by a bare LF, and one that is well. */
			check("smtp", rows[i].before, SLICE("NOOP\n"), rows[i].expected);
			continue;
		}
		if (!has_data)
			buf_add_literal(&command, "\r\n");
		check("smtp", rows[i].before, buf_slice(&command), rows[i].expected);
	}
}

/* RFC 6531: UTF-8 in addresses, where it was asked for; domains in A-labels and U-labels are the same. */
static void internationalised_addresses(void **state)
{
	static const struct {
		const char *before, *command, *expected;
	} rows[] = {
		{EHLO, "MAIL FROM:<d\xc3\xb6rte@b.test>\r\n", "553 5.6.7"},
		{EHLO, "MAIL FROM:<d\xc3\xb6rte@b.test> SMTPUTF8\r\n", "250 2.1.0"},
		{EHLO, "MAIL FROM:<a@b\xc3\xbc" "cher.test>\r\n", "553 5.6.7"},
		{EHLO, "MAIL FROM:<a@b\xc3\xbc" "cher.test> SMTPUTF8\r\n", "250 2.1.0"},
		{EHLO, "MAIL FROM:<a@xn--bcher-kva.test>\r\n", "250 2.1.0"},
		{EHLO, "MAIL FROM:<\xff@b.test> SMTPUTF8\r\n", "501 5.1.7"},
		{EHLO, "MAIL FROM:<\xc3@b.test> SMTPUTF8\r\n", "501 5.1.7"},
		{MAIL, "RCPT TO:<d\xc3\xb6rte@example.test>\r\n", "553 5.6.7"},
		{EHLO "MAIL FROM:<a@b.test> SMTPUTF8\r\n", "RCPT TO:<d\xc3\xb6rte@example.test>\r\n", "250 2.1.5"},
		{EHLO "MAIL FROM:<a@b.test> SMTPUTF8\r\n", "RCPT TO:<ok@example.test> ORCPT=utf-8;d\xc3\xb6rte@x.test\r\n", "250 2.1.5"},
		{MAIL, "RCPT TO:<ok@example.test> ORCPT=rfc822;d\xc3\xb6rte@x.test\r\n", "501 5.5.4"},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++)
		check("smtp", rows[i].before, slice_from_cstr(rows[i].command), rows[i].expected);
}

/* ---- limits (RFC 5321 section 4.5.3.1) ---- */

static struct slice repeated(struct arena *arena, const char *before, char c, size_t count, const char *after)
{
	struct buf out;

	buf_init(&out, arena, 0);
	buf_add(&out, slice_from_cstr(before));
	for (size_t i = 0; i < count; i++)
		buf_add_byte(&out, c);
	buf_add(&out, slice_from_cstr(after));
	return buf_slice(&out);
}

static void limits(void **state)
{
	/* Four labels of 61 and a dot each come to 248. */
#define L61     "a234567890123456789012345678901234567890123456789012345678901."
#define L248    L61 L61 L61 L61
	static const struct {
		const char *state, *before;
		size_t count;
		const char *after, *expected;
	} rows[] = {
		{EHLO, "MAIL FROM:<", 64, "@b.test>\r\n", "250 2.1.0"},
		{EHLO, "MAIL FROM:<", 65, "@b.test>\r\n", "501 5.1.7"},
		{EHLO, "MAIL FROM:<a@", 63, ".test>\r\n", "250 2.1.0"},
		{EHLO, "MAIL FROM:<a@", 64, ".test>\r\n", "501 5.1.7"},
		{EHLO, "MAIL FROM:<a@" L248, 4, ">\r\n", "250 2.1.0"},  /* a path of 256 with its brackets */
		{EHLO, "MAIL FROM:<a@" L248, 8, ">\r\n", "501 5.1.7"},
		{MAIL, "RCPT TO:<", 64, "@example.test>\r\n", "250 2.1.5"},
		{MAIL, "RCPT TO:<", 65, "@example.test>\r\n", "501 5.1.3"},
		/* A command line of 2,048 with its end; what is longer is read to its end. */
		{EHLO, "NOOP ", 2041, "\r\n", "250 2.0.0"},
		{EHLO, "NOOP ", 2042, "\r\n", "500 5.5.2"},
		{EHLO, "NOOP ", 20000, "\r\n", "500 5.5.2"},
		{EHLO, "", 512, "\r\n", "500 5.5.1"},
		{"", "EHLO ", 255, "\r\n", "250"},
		{"", "EHLO ", 256, "\r\n", "501"},
		{EHLO, "MAIL FROM:<a@b.test> ENVID=", 100, "\r\n", "250 2.1.0"},
		{EHLO, "MAIL FROM:<a@b.test> ENVID=", 101, "\r\n", "501 5.5.4"},
		{MAIL, "RCPT TO:<ok@example.test> ORCPT=rfc822;", 493, "\r\n", "250 2.1.5"},
		{MAIL, "RCPT TO:<ok@example.test> ORCPT=rfc822;", 494, "\r\n", "501 5.5.4"},
		/* Text lines of a thousand (section 4.5.3.1.6), and longer ones. */
		{RCPT "DATA\r\n", "Subject: x\r\n\r\n", 998, "\r\n.\r\n", "250 2.0.0"},
		{RCPT "DATA\r\n", "Subject: x\r\n\r\n", 4000, "\r\n.\r\n", "250 2.0.0"},
		{RCPT "DATA\r\n", "Subject: x\r\n\r\n", 5000, "\r\n.\r\n", "552 5.3.4"},
		{RCPT, "BDAT 5001 LAST\r\n", 5001, "", "552 5.3.4"},
		{RCPT, "BDAT 4990 LAST\r\n", 4990, "", "250 2.0.0"},
		/* The fourth recipient of three. */
		{RCPT "RCPT TO:<b@example.test>\r\n", "RCPT TO:<", 1, "@example.test>\r\n", "250 2.1.5"},
		{RCPT "RCPT TO:<b@example.test>\r\nRCPT TO:<c@example.test>\r\n", "RCPT TO:<", 1, "@example.test>\r\n", "452 4.5.3"},
	};
	struct arena arena SCOPED_ARENA;

	(void)state;
	arena_init(&arena, 0);
	for (size_t i = 0; i < ROWS(rows); i++)
		check("smtp", rows[i].state, repeated(&arena, rows[i].before, 'x', rows[i].count, rows[i].after), rows[i].expected);
}

/* ---- a message hidden in another ---- */

/* Whatever somebody might take for the end of the text, what follows it is text. */
static void nothing_is_smuggled(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} ends[] = {
#define END(text) {text, sizeof(text) - 1}
		END("\n.\n"),     END("\n.\r\n"),     END("\r\n.\n"),     END("\r.\r"),         END("\r.\r\n"),   END("\r\n.\r"),
		END("\r\n.\r\r\n"), END("\r\r\n.\n"),   END("\n.\r"),       END("\r.\n"),         END("\r\n.\0\r\n"), END("\r\n\0.\r\n"),
		END("\r\n.\n\r\n"), END("\n\n.\n\n"),   END("\r\n.\r.\r\n"), END("\x85.\x85"),     END("\x0b.\x0b"), END("\r\n..\r\n"),
		END("\r\n. \r\n"),  END("\r\n.\t\r\n"), END("\xe2\x80\xa8.\xe2\x80\xa8"),
#undef END
	};
	static const char hidden[] = "MAIL FROM:<evil@b.test>\r\nRCPT TO:<ok@example.test>\r\nDATA\r\nSubject: evil\r\n\r\nx\r\n";
	static const char real_end[] = "\r\n.\r\nQUIT\r\n";
	static const size_t cuts[] = {0, 1, 2, 3, 5, 7};

	(void)state;
	for (size_t i = 0; i < ROWS(ends); i++)
		for (size_t j = 0; j < ROWS(cuts); j++) {
			struct buf said SCOPED_BUF;
			struct talk talk;

			buf_init(&said, NULL, 0);
			buf_add_literal(&said, RCPT "DATA\r\nSubject: x\r\n\r\none");
			buf_add(&said, slice_of(ends[i].bytes, ends[i].len));
			buf_add(&said, slice_from_cstr(hidden));
			buf_add(&said, slice_from_cstr(real_end));
			struct slice heard = hear(&talk, buf_slice(&said), cuts[j], "smtp");

			/* Greeting, EHLO, MAIL, RCPT, DATA, the end, QUIT. */
			if (count_replies(heard) != 7 || fake_roles.messages > 1)
				fail_msg("end %zu, cut %zu: %.*s", i, cuts[j], SLICE_ARG(heard));
			/* What has no bare CR or LF in it is one message, all of it. */
			if (fake_roles.messages == 1)
				assert_true(slice_find(fake_roles.last.body, SLICE("\r\nSubject: evil\r\n")) != SLICE_NOT_FOUND);
			hang_up(&talk);
		}
}

/* The same in a chunk, whose length alone says where it ends: and bare CR and LF are refused, also when the next chunk would mend them. */
static void nothing_is_smuggled_in_chunks(void **state)
{
	static const struct {
		const char *said, *expected;
	} rows[] = {
		{"BDAT 5 LAST\r\na\n.\nb", "550 5.6.0"},
		{"BDAT 7 LAST\r\na\r\n.\r\nb", "250 2.0.0"},
		{"BDAT 5 LAST\r\na\r.\rb", "550 5.6.0"},
		{"BDAT 2 LAST\r\na\r", "550 5.6.0"},
		{"BDAT 27 LAST\r\nx\r\nBDAT 0 LAST\r\nMAIL FROM:<", "250 2.0.0"},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++)
		check("smtp", RCPT, slice_from_cstr(rows[i].said), rows[i].expected);
	check("smtp", RCPT "BDAT 2\r\na\r", SLICE("BDAT 2 LAST\r\n\nb"), "250 2.0.0");
	check("smtp", RCPT "BDAT 2\r\na\r", SLICE("BDAT 1 LAST\r\nb"), "550 5.6.0");
	check("smtp", RCPT "BDAT 1\r\na", SLICE("BDAT 1 LAST\r\n\n"), "550 5.6.0");
}

/* ---- other listeners ---- */

static void submission_wants_authentication(void **state)
{
	static const struct {
		const char *command, *expected;
	} rows[] = {
		{"MAIL FROM:<a@b.test>\r\n", "530 5.7.0"}, {"RCPT TO:<a@b.test>\r\n", "503 5.5.1"}, {"DATA\r\n", "503 5.5.1"},
		{"BDAT 1 LAST\r\nx", "530 5.7.0"},         {"NOOP\r\n", "250 2.0.0"},               {"RSET\r\n", "250 2.0.0"},
		{"AUTH PLAIN\r\n", "530 5.7.0"}, {"BURL imap://x LAST\r\n", "530 5.7.0"},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++)
		check("submission", EHLO, slice_from_cstr(rows[i].command), rows[i].expected);
	check("submission", "", SLICE("AUTH PLAIN\r\n"), "503 5.5.1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_command_in_each_state),
		cmocka_unit_test(what_ends_a_transaction),
		cmocka_unit_test(malformed_commands),
		cmocka_unit_test(internationalised_addresses),
		cmocka_unit_test(limits),
		cmocka_unit_test(nothing_is_smuggled),
		cmocka_unit_test(nothing_is_smuggled_in_chunks),
		cmocka_unit_test(submission_wants_authentication),
	};

	return cmocka_run_group_tests_name("smtp/conformance", tests, NULL, NULL);
}
