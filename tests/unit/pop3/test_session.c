/* Golden transcripts, replayed through real sessions: as they stand, and a byte at a time.
 *
 *     # a comment
 *     C: STAT             the client sends a line; C2: is the second session's, opened when it is first named
 *     S: +OK {{*}}        the server's next line, {{*}} standing for anything
 *     D: text             a message with that subject is delivered by another role
 *     X: 2                an IMAP session expunges the message with that uid
 *     N: 3                so many messages lie in INBOX
 *     L:                  short for the log-in, with its answers
 *     E:                  the server closes the connection
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "harness.h"
#include "pop3/login_delay.h"

#define TRANSCRIPTS_MAX 64
#define WILDCARD        SLICE("{{*}}")
#define LOG_IN          "USER " HARNESS_USER "\r\nPASS " HARNESS_PASSWORD "\r\n"

struct replay {
	struct harness *h;
	const char *file;
	int line;
	bool drip;
	bool connected[HARNESS_SESSIONS];
};

static bool matches(struct slice pattern, struct slice text)
{
	size_t at = slice_find(pattern, WILDCARD);
	struct slice rest;

	if (at == SLICE_NOT_FOUND)
		return slice_eq(pattern, text);
	if (!slice_starts_with(text, slice_sub(pattern, 0, at)))
		return false;
	rest = slice_skip(pattern, at + WILDCARD.len);
	for (text = slice_skip(text, at);; text = slice_skip(text, 1)) {
		if (matches(rest, text))
			return true;
		if (text.len == 0)
			return false;
	}
}

static void expect(struct replay *r, int session, struct slice pattern)
{
	struct slice line;

	if (!harness_read_line(r->h, session, &line))
		fail_msg("%s:%d: nothing came instead of \"%.*s\"", r->file, r->line, SLICE_ARG(pattern));
	if (!matches(pattern, line))
		fail_msg("%s:%d: \"%.*s\" instead of \"%.*s\"", r->file, r->line, SLICE_ARG(line), SLICE_ARG(pattern));
}

static void deliver(struct harness *h, struct slice subject)
{
	struct buf message SCOPED_BUF;

	buf_init(&message, NULL, 0);
	buf_printf(&message, "Subject: %.*s\r\n\r\nDelivered\r\n.\r\n", SLICE_ARG(subject));
	harness_deliver(h, buf_slice(&message));
}

static void send_line(struct replay *r, int session, struct slice text)
{
	struct buf line SCOPED_BUF;

	buf_init(&line, NULL, 0);
	buf_add(&line, text);
	buf_add_literal(&line, "\r\n");
	harness_send(r->h, session, buf_slice(&line), r->drip);
}

static void log_in(struct replay *r, int session)
{
	harness_send(r->h, session, SLICE(LOG_IN), r->drip);
	for (int i = 0; i < 3; i++)
		expect(r, session, SLICE("+OK{{*}}"));
}

static uint32_t number(struct slice text)
{
	uint32_t value;

	assert_true(slice_to_u32(text, UINT32_MAX, &value));
	return value;
}

static void connect_session(struct replay *r, int session)
{
	if (!r->connected[session])
		harness_connect(r->h, session);
	r->connected[session] = true;
}

static void replay_session_line(struct replay *r, char kind, int session, struct slice text)
{
	struct slice rest;

	connect_session(r, session);
	if (kind == 'C')
		send_line(r, session, text);
	else if (kind == 'S')
		expect(r, session, text);
	else if (kind == 'L')
		log_in(r, session);
	else if (kind != 'E')
		fail_msg("%s:%d: not a line of a transcript", r->file, r->line);
	else if (harness_read_line(r->h, session, &rest))
		fail_msg("%s:%d: \"%.*s\" instead of the end", r->file, r->line, SLICE_ARG(rest));
}

static void replay_line(struct replay *r, struct slice line)
{
	struct slice text = line, head = slice_cut(&text, ':');
	int session = head.len > 1 ? head.data[1] - '1' : 0;

	r->line++;
	if (line.len == 0 || line.data[0] == '#')
		return;
	if (head.len == 0 || head.len > 2 || session < 0 || session >= HARNESS_SESSIONS)
		fail_msg("%s:%d: not a line of a transcript", r->file, r->line);
	text = slice_skip(text, 1);
	if (head.data[0] == 'D')
		deliver(r->h, text);
	else if (head.data[0] == 'X')
		harness_expunge(r->h, number(text));
	else if (head.data[0] == 'N')
		assert_int_equal(harness_count(r->h), number(text));
	else
		replay_session_line(r, head.data[0], session, text);
}

static void replay(const char *name, bool drip)
{
	struct replay r = {.h = harness_new(), .file = name, .drip = drip};
	struct buf text SCOPED_BUF;
	struct slice rest;
	char path[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s/transcripts/%s", TEST_FOLDER, name);
	file = fopen(path, "r");
	assert_non_null(file);
	buf_advance(&text, fread(buf_reserve(&text, 256 * 1024), 1, 256 * 1024, file));
	fclose(file);
	for (rest = buf_slice(&text); rest.len > 0;)
		replay_line(&r, slice_cut(&rest, '\n'));
	harness_free(r.h);
}

static void test_transcript(void **state)
{
	const char *name = *state;

	replay(name, false);
	replay(name, true);
}

/* ---- what a transcript can't say ---- */

static void expect_line(struct harness *h, struct slice expected)
{
	struct slice line;

	assert_true(harness_read_line(h, 0, &line));
	if (!matches(expected, line))
		fail_msg("\"%.*s\" instead of \"%.*s\"", SLICE_ARG(line), SLICE_ARG(expected));
}

static void open_session(struct harness *h)
{
	struct replay r = {.h = h, .file = "", .connected = {true}};

	harness_connect(h, 0);
	log_in(&r, 0);
}

/* A message of several of the store's chunks, with dots at the beginnings of lines and no line end at its own. */
static void test_large_message(void **state)
{
	struct harness *h = harness_new();
	struct buf text SCOPED_BUF;
	size_t lines = 0, octets = 0;
	struct slice line;

	(void)state;
	buf_add_literal(&text, "Subject: large\r\n\r\n");
	while (text.len < 1500 * 1024)
		buf_printf(&text, "%s%zu\r\n", text.len % 3 ? "." : "", text.len * 7919);
	buf_add_literal(&text, ".no end");
	harness_deliver(h, buf_slice(&text));
	open_session(h);
	harness_send(h, 0, SLICE("RETR 1\r\nTOP 1 3\r\n"), false);
	expect_line(h, SLICE("+OK {{*}} octets"));
	for (struct slice rest = buf_slice(&text); rest.len > 0; lines++) {
		struct slice expected = slice_cut(&rest, '\n');

		expected = slice_ends_with(expected, SLICE("\r")) ? slice_sub(expected, 0, expected.len - 1) : expected;
		assert_true(harness_read_line(h, 0, &line));
		octets += line.len + 2;
		if (slice_starts_with(expected, SLICE(".")))
			line = slice_skip(line, 1);
		if (!slice_eq(line, expected))
			fail_msg("line %zu: %.*s", lines, SLICE_ARG(line));
	}
	assert_in_range(octets, text.len, text.len + lines + 2);
	expect_line(h, SLICE("."));
	expect_line(h, SLICE("+OK{{*}}"));
	for (int i = 0; i < 5; i++)
		assert_true(harness_read_line(h, 0, &line));
	expect_line(h, SLICE("."));
	harness_free(h);
}

static void add_lines(struct buf *text, const char *line, size_t size)
{
	for (size_t end = text->len + size; text->len < end;)
		buf_printf(text, "%s\r\n", line);
}

static void expect_text(struct harness *h, struct slice text)
{
	struct slice line;

	expect_line(h, SLICE("+OK{{*}}"));
	while (text.len > 0) {
		struct slice expected = slice_trim(slice_cut(&text, '\n'));

		assert_true(harness_read_line(h, 0, &line));
		if (!slice_eq(slice_skip(line, slice_starts_with(line, SLICE("."))), expected))
			fail_msg("\"%.*s\" instead of \"%.*s\"", SLICE_ARG(line), SLICE_ARG(expected));
	}
	expect_line(h, SLICE("."));
}

/* Many RETRs at once, in order and not, of messages that are marked, expunged, large, or not there: each is answered for itself. */
static void test_many_at_once(void **state)
{
	static const unsigned asked[] = {1, 2, 3, 4, 5, 6, 7, 9, 8, 8, 41, 10, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24,
					 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 1};
	struct harness *h = harness_new();
	struct buf commands SCOPED_BUF, text SCOPED_BUF;

	(void)state;
	for (unsigned i = 1; i <= 40; i++) {
		buf_clear(&text);
		buf_printf(&text, "Subject: %u\r\n\r\n.dot %u\r\n", i, i);
		if (i == 20)
			add_lines(&text, "large", 300 * 1024);
		harness_deliver(h, buf_slice(&text));
	}
	open_session(h);
	harness_expunge(h, 5);
	harness_event(h, 0, EVENT_TOPIC);
	buf_add_literal(&commands, "DELE 3\r\n");
	for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++)
		buf_printf(&commands, "RETR %u\r\n", asked[i]);
	harness_send(h, 0, buf_slice(&commands), false);
	expect_line(h, SLICE("+OK{{*}}"));
	for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
		if (asked[i] == 3 || asked[i] == 5 || asked[i] == 41) {
			expect_line(h, SLICE("-ERR{{*}}"));
			continue;
		}
		buf_clear(&text);
		buf_printf(&text, "Subject: %u\r\n\r\n.dot %u\r\n", asked[i], asked[i]);
		if (asked[i] == 20)
			add_lines(&text, "large", 300 * 1024);
		expect_text(h, buf_slice(&text));
	}
	harness_free(h);
}

/* Part headers at several depths and in several of the store's chunks, with bodies between them. `global`: as it is stored. */
static void make_nested(struct buf *text, bool global)
{
	const char *subject = global ? "ö" : "=?utf-8?b?w7Y=?=",
		   *name = global ? "; filename=\"ö\"" : "; filename*=utf-8''%C3%B6";

	buf_printf(text, "%sContent-Type: multipart/mixed; boundary=b\r\nSubject: %s\r\n\r\n", global ? "X: ö\r\n" : "",
		   subject);
	buf_add_literal(text, "--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n");
	add_lines(text, ".ö", 400 * 1024);
	buf_printf(text, "--b\r\nContent-Disposition: attachment%s\r\n\r\n", name);
	add_lines(text, "x", 800 * 1024);
	buf_printf(text, "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: %s\r\nTo: x@b.example\r\n\r\n", subject);
	add_lines(text, ".y", 100);
	buf_add_literal(text, "--b--\r\n");
}

/* RFC 6856 section 4: the size that is told is that of what comes, at every depth and whatever the message's size. */
static void test_surrogates(void **state)
{
	struct harness *h = harness_new();
	struct buf stored SCOPED_BUF, given SCOPED_BUF, expected SCOPED_BUF;

	(void)state;
	make_nested(&stored, true);
	make_nested(&given, false);
	harness_deliver(h, SLICE("Subject: =?utf-8?b?w7Y=?=\r\n\r\nö\r\n"));
	harness_deliver(h, buf_slice(&stored));
	open_session(h);
	harness_send(h, 0, SLICE("LIST\r\nRETR 2\r\nRETR 1\r\n"), false);
	expect_line(h, SLICE("+OK 2 messages"));
	expect_line(h, SLICE("1 33"));
	buf_printf(&expected, "2 %zu", given.len);
	expect_line(h, buf_slice(&expected));
	expect_line(h, SLICE("."));
	expect_text(h, buf_slice(&given));
	expect_text(h, SLICE("Subject: =?utf-8?b?w7Y=?=\r\n\r\nö\r\n"));
	harness_disconnect(h, 0);
	harness_connect(h, 0);
	expect_line(h, SLICE("+OK{{*}}"));
	harness_send(h, 0, SLICE("UTF8\r\n" LOG_IN "LIST 2\r\nRETR 2\r\n"), false);
	for (int i = 0; i < 3; i++)
		expect_line(h, SLICE("+OK{{*}}"));
	buf_clear(&expected);
	buf_printf(&expected, "+OK 2 %zu", stored.len);
	expect_line(h, buf_slice(&expected));
	expect_text(h, buf_slice(&stored));
	harness_free(h);
}

/* Later sessions are told the same by what the first has found, and what is new is found too; an expunged message takes nothing with it. */
static void test_surrogates_are_known(void **state)
{
	struct harness *h = harness_new();

	(void)state;
	deliver(h, SLICE("ö"));
	deliver(h, SLICE("x"));
	deliver(h, SLICE("öö"));
	for (int session = 0; session < 3; session++) {
		open_session(h);
		harness_send(h, 0, SLICE("LIST 1\r\nLIST 3\r\nRETR 1\r\n"), false);
		expect_line(h, SLICE("+OK 1 43"));
		expect_line(h, SLICE("+OK 3 47"));
		expect_text(h, SLICE("Subject: =?utf-8?b?w7Y=?=\r\n\r\nDelivered\r\n.\r\n"));
		harness_disconnect(h, 0);
	}
	harness_expunge(h, 1);
	deliver(h, SLICE("ö"));
	for (int session = 0; session < 2; session++) {
		open_session(h);
		harness_send(h, 0, SLICE("LIST\r\n"), false);
		expect_line(h, SLICE("+OK 3 messages"));
		expect_line(h, SLICE("1 28"));
		expect_line(h, SLICE("2 47"));
		expect_line(h, SLICE("3 43"));
		expect_line(h, SLICE("."));
		harness_disconnect(h, 0);
	}
	harness_free(h);
}

/* Whichever statement of the store fails: log-in is refused for now, or the surrogate is known; one that is cut isn't ended. */
static void test_surrogates_and_faults(void **state)
{
	struct harness *h = harness_new();
	bool logged_in = false;
	struct slice line;

	(void)state;
	deliver(h, SLICE("ö"));
	for (int statement = 1; !logged_in; statement++) {
		assert_true(statement < 100);
		harness_connect(h, 0);
		expect_line(h, SLICE("+OK{{*}}"));
		harness_set_fault(h, statement);
		harness_send(h, 0, SLICE(LOG_IN), false);
		expect_line(h, SLICE("+OK{{*}}"));
		assert_true(harness_read_line(h, 0, &line));
		logged_in = slice_starts_with(line, SLICE("+OK Logged in: 1 messages, 43 octets"));
		if (!logged_in)
			assert_true(slice_starts_with(line, SLICE("-ERR [SYS/TEMP]")));
		harness_set_fault(h, 0);
		harness_disconnect(h, 0);
	}
	for (int statement = 1; statement < 3; statement++) {
		open_session(h);
		harness_set_fault(h, statement);
		harness_send(h, 0, SLICE("RETR 1\r\n"), false);
		assert_true(harness_read_line(h, 0, &line));
		if (slice_starts_with(line, SLICE("+OK")))
			assert_false(harness_read_line(h, 0, &line));
		else
			assert_true(slice_starts_with(line, SLICE("-ERR [SYS/TEMP]")));
		harness_set_fault(h, 0);
		harness_disconnect(h, 0);
	}
	harness_free(h);
}

static void test_line_too_long(void **state)
{
	struct harness *h = harness_new();
	struct buf line SCOPED_BUF;

	(void)state;
	open_session(h);
	while (line.len < 2000)
		buf_add_literal(&line, "NOOP ");
	buf_add_literal(&line, "\r\nNOOP\r\n");
	harness_send(h, 0, buf_slice(&line), false);
	expect_line(h, SLICE("-ERR That line is too long"));
	expect_line(h, SLICE("+OK{{*}}"));
	harness_free(h);
}

/* RFC 2595 section 4: what came before TLS is thrown away, and the name with it; no password in the clear. */
static void test_stls(void **state)
{
	struct harness *h = harness_new();

	(void)state;
	harness_context(h)->options.plaintext = POP3_PLAINTEXT_NEVER;
	harness_offer_tls(h);
	harness_connect(h, 0);
	harness_send(h, 0, SLICE("CAPA\r\nUSER " HARNESS_USER "\r\nAUTH PLAIN =\r\nAUTH\r\n"), false);
	expect_line(h, SLICE("+OK mail.example.test{{*}}"));
	for (int i = 0; i < 8; i++)
		expect_line(h, SLICE("{{*}}"));
	expect_line(h, SLICE("UTF8"));
	expect_line(h, SLICE("SASL SCRAM-SHA-256 SCRAM-SHA-1"));
	expect_line(h, SLICE("STLS"));
	expect_line(h, SLICE("."));
	expect_line(h, SLICE("-ERR Passwords are taken over TLS only"));
	expect_line(h, SLICE("-ERR That mechanism isn't offered here"));
	expect_line(h, SLICE("+OK{{*}}"));
	expect_line(h, SLICE("SCRAM-SHA-256"));
	expect_line(h, SLICE("SCRAM-SHA-1"));
	expect_line(h, SLICE("."));
	harness_send(h, 0, SLICE("STLS\r\nQUIT\r\n"), false);
	expect_line(h, SLICE("+OK Begin TLS"));
	harness_send(h, 0, SLICE("PASS " HARNESS_PASSWORD "\r\nSTLS\r\n" LOG_IN "STLS\r\n"), false);
	expect_line(h, SLICE("-ERR USER comes first"));
	expect_line(h, SLICE("-ERR TLS is not to be had here"));
	expect_line(h, SLICE("+OK{{*}}"));
	expect_line(h, SLICE("+OK Logged in{{*}}"));
	expect_line(h, SLICE("-ERR Not after log-in"));
	harness_free(h);
}

/* RFC 2449 section 6.5, 6.7, 8.1.1: who comes too soon is told so, but only with the right password. */
static void test_policy(void **state)
{
	struct harness *h = harness_new();
	struct pop3_context *context = harness_context(h);

	(void)state;
	context->options.expire_days = 30;
	context->options.login_delay_s = 3600;
	context->logins = pop3_logins_new();
	harness_connect(h, 0);
	/* who wasn't let in hasn't come */
	harness_set_fault(h, 1);
	harness_send(h, 0, SLICE(LOG_IN), false);
	expect_line(h, SLICE("+OK{{*}}"));
	expect_line(h, SLICE("+OK{{*}}"));
	expect_line(h, SLICE("-ERR [SYS/TEMP]{{*}}"));
	harness_disconnect(h, 0);
	harness_connect(h, 0);
	harness_send(h, 0, SLICE("CAPA\r\nUSER " HARNESS_USER "\r\nPASS wrong\r\n" LOG_IN "QUIT\r\n"), false);
	for (int i = 0; i < 7; i++)
		expect_line(h, SLICE("{{*}}"));
	expect_line(h, SLICE("EXPIRE 30"));
	expect_line(h, SLICE("LOGIN-DELAY 3600"));
	for (int i = 0; i < 6; i++)
		expect_line(h, SLICE("{{*}}"));
	expect_line(h, SLICE("-ERR [AUTH]{{*}}"));
	expect_line(h, SLICE("+OK{{*}}"));
	expect_line(h, SLICE("+OK Logged in{{*}}"));
	expect_line(h, SLICE("+OK{{*}}"));
	harness_disconnect(h, 0);
	harness_connect(h, 0);
	harness_send(h, 0, SLICE("USER " HARNESS_USER "\r\nPASS wrong\r\n" LOG_IN "STAT\r\n"), false);
	expect_line(h, SLICE("+OK{{*}}"));
	expect_line(h, SLICE("+OK{{*}}"));
	expect_line(h, SLICE("-ERR [AUTH]{{*}}"));
	expect_line(h, SLICE("+OK{{*}}"));
	expect_line(h, SLICE("-ERR [LOGIN-DELAY]{{*}}"));
	expect_line(h, SLICE("-ERR Log in first"));
	assert_true(pop3_may_log_in(context->logins, 65536 + harness_account(h), 3600, 1));
	pop3_note_login(context->logins, 65536 + harness_account(h), 1);
	assert_false(pop3_may_log_in(context->logins, 65536 + harness_account(h), 3600, 3600000));
	assert_true(pop3_may_log_in(context->logins, 65536 + harness_account(h), 3600, 3600001));
	pop3_logins_free(context->logins);
	harness_free(h);
}

/* RFC 1939 section 3: a session that ends otherwise than by QUIT removes nothing, and says nothing. */
static void test_ends(void **state)
{
	static const enum event_kind kinds[] = {EVENT_DEADLINE, EVENT_SHUTDOWN};
	struct harness *h = harness_new();
	struct slice line;

	(void)state;
	deliver(h, SLICE("one"));
	for (size_t i = 0; i < 2; i++) {
		open_session(h);
		harness_send(h, 0, SLICE("DELE 1\r\n"), false);
		expect_line(h, SLICE("+OK{{*}}"));
		harness_event(h, 0, kinds[i]);
		assert_false(harness_read_line(h, 0, &line));
		harness_disconnect(h, 0);
	}
	open_session(h);
	harness_send(h, 0, SLICE("DELE 1\r\n"), false);
	expect_line(h, SLICE("+OK{{*}}"));
	harness_disconnect(h, 0);
	assert_int_equal(harness_count(h), 1);
	harness_free(h);
}

static void test_limits(void **state)
{
	struct harness *h = harness_new();
	struct slice line;

	(void)state;
	open_session(h);
	for (int i = 0; i < 20; i++)
		harness_send(h, 0, SLICE("XYZ\r\n"), false);
	for (int i = 0; i < 20; i++)
		expect_line(h, SLICE("-ERR Unknown command"));
	assert_false(harness_read_line(h, 0, &line));
	harness_disconnect(h, 0);
	/* who makes a mistake now and then isn't one */
	open_session(h);
	for (int i = 0; i < 50; i++) {
		harness_send(h, 0, SLICE("XYZ\r\nNOOP\r\n"), false);
		expect_line(h, SLICE("-ERR Unknown command"));
		expect_line(h, SLICE("+OK{{*}}"));
	}
	harness_disconnect(h, 0);
	harness_connect(h, 0);
	expect_line(h, SLICE("+OK{{*}}"));
	for (int i = 0; i < 5; i++) {
		harness_send(h, 0, SLICE("USER " HARNESS_USER "\r\nPASS wrong\r\n"), false);
		expect_line(h, SLICE("+OK{{*}}"));
		expect_line(h, SLICE("-ERR [AUTH]{{*}}"));
	}
	assert_false(harness_read_line(h, 0, &line));
	harness_free(h);
}

/* The numbers of 3,000 messages, more than are taken from the view at once; every third goes. */
static void test_many(void **state)
{
	struct harness *h = harness_new();
	struct buf expected SCOPED_BUF;
	struct slice line;

	(void)state;
	for (int i = 0; i < 3000; i++)
		deliver(h, SLICE("many"));
	open_session(h);
	harness_send(h, 0, SLICE("STAT\r\n"), false);
	expect_line(h, SLICE("+OK 3000 93000"));
	for (int i = 3; i <= 3000; i += 3) {
		char command[32];

		snprintf(command, sizeof(command), "DELE %d\r\n", i);
		harness_send(h, 0, slice_from_cstr(command), false);
		expect_line(h, SLICE("+OK{{*}}"));
	}
	harness_send(h, 0, SLICE("STAT\r\nLIST\r\n"), false);
	expect_line(h, SLICE("+OK 2000 62000"));
	expect_line(h, SLICE("+OK 2000 messages"));
	for (int i = 1; i <= 3000; i++) {
		if (i % 3 == 0)
			continue;
		buf_clear(&expected);
		buf_printf(&expected, "%d 31", i);
		expect_line(h, buf_slice(&expected));
	}
	expect_line(h, SLICE("."));
	unsigned announced = harness_announcements(h);

	harness_send(h, 0, SLICE("QUIT\r\n"), false);
	expect_line(h, SLICE("+OK{{*}}"));
	assert_false(harness_read_line(h, 0, &line));
	assert_int_equal(harness_count(h), 2000);
	assert_int_equal(harness_announcements(h), announced + 1);
	harness_free(h);
}

/* Whichever statement of the store fails: log-in and RETR are answered, and QUIT removes all or nothing, as it says. */
static void test_faults_of_the_store(void **state)
{
	struct harness *h = harness_new();
	bool removed = false;
	struct slice line;

	(void)state;
	for (int i = 0; i < 3; i++)
		deliver(h, SLICE("one"));
	for (int statement = 1; !removed; statement++) {
		assert_true(statement < 100);
		open_session(h);
		harness_send(h, 0, SLICE("DELE 1\r\nDELE 3\r\n"), false);
		expect_line(h, SLICE("+OK{{*}}"));
		expect_line(h, SLICE("+OK{{*}}"));
		harness_set_fault(h, statement);
		harness_send(h, 0, SLICE("QUIT\r\n"), false);
		assert_true(harness_read_line(h, 0, &line));
		removed = slice_starts_with(line, SLICE("+OK"));
		if (!removed)
			assert_true(slice_starts_with(line, SLICE("-ERR [SYS/TEMP]")));
		harness_disconnect(h, 0);
		harness_set_fault(h, 0);
		assert_int_equal(harness_count(h), removed ? 1 : 3);
	}
	open_session(h);
	harness_set_fault(h, 1);
	harness_send(h, 0, SLICE("RETR 1\r\nRETR 1\r\n"), false);
	expect_line(h, SLICE("-ERR [SYS/TEMP]{{*}}"));
	expect_line(h, SLICE("+OK{{*}}"));
	harness_disconnect(h, 0);
	harness_connect(h, 0);
	harness_set_fault(h, 1);
	harness_send(h, 0, SLICE(LOG_IN LOG_IN), false);
	expect_line(h, SLICE("+OK{{*}}"));
	expect_line(h, SLICE("+OK{{*}}"));
	expect_line(h, SLICE("-ERR [SYS/TEMP]{{*}}"));
	expect_line(h, SLICE("+OK{{*}}"));
	expect_line(h, SLICE("+OK Logged in{{*}}"));
	harness_free(h);
}

static int is_visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

int main(void)
{
	static const struct CMUnitTest others[] = {
		cmocka_unit_test(test_large_message),
		cmocka_unit_test(test_many_at_once),
		cmocka_unit_test(test_surrogates),
		cmocka_unit_test(test_surrogates_are_known),
		cmocka_unit_test(test_surrogates_and_faults),
		cmocka_unit_test(test_line_too_long),
		cmocka_unit_test(test_stls),
		cmocka_unit_test(test_policy),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_faults_of_the_store),
	};
	struct CMUnitTest tests[TRANSCRIPTS_MAX + sizeof(others) / sizeof(others[0])];
	struct dirent **files;
	int found = scandir(TEST_FOLDER "/transcripts", &files, is_visible, alphasort), failures;
	size_t count = 0;

	if (found < 1 || found > TRANSCRIPTS_MAX)
		abort();
	for (; count < (size_t)found; count++)
		tests[count] = (struct CMUnitTest){files[count]->d_name, test_transcript, NULL, NULL, files[count]->d_name};
	memcpy(tests + count, others, sizeof(others));
	failures = _cmocka_run_group_tests("session", tests, count + sizeof(others) / sizeof(others[0]), NULL, NULL);
	while (found-- > 0)
		free(files[found]);
	free(files);
	return failures;
}
