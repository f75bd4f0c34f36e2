/* Golden transcripts, replayed through real sessions: as they stand, and a byte at a time.
 *
 *     # a comment
 *     C: a1 NOOP          the client sends a line; C2: is the second session's, opened when it is first named
 *     S: a1 OK {{*}}      the server's next line, {{*}} standing for anything
 *     D: text             a message with that subject is delivered by another role
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

#define TRANSCRIPTS_MAX 64
#define WILDCARD        SLICE("{{*}}")

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

static void deliver(struct replay *r, struct slice subject)
{
	struct buf message SCOPED_BUF;

	buf_init(&message, NULL, 0);
	buf_printf(&message, "Subject: %.*s\r\n\r\nDelivered\r\n", SLICE_ARG(subject));
	harness_deliver(r->h, buf_slice(&message));
}

static void connect_session(struct replay *r, int session)
{
	if (r->connected[session])
		return;
	r->connected[session] = true;
	harness_connect(r->h, session);
}

static void send_line(struct replay *r, int session, struct slice text)
{
	struct buf line SCOPED_BUF;

	buf_init(&line, NULL, 0);
	buf_add(&line, text);
	buf_add_literal(&line, "\r\n");
	harness_send(r->h, session, buf_slice(&line), r->drip);
}

static void replay_line(struct replay *r, struct slice line)
{
	struct slice text = line, head = slice_cut(&text, ':'), rest;
	int session = head.len > 1 ? head.data[1] - '1' : 0;

	r->line++;
	if (line.len == 0 || line.data[0] == '#')
		return;
	if (head.len == 0 || head.len > 2 || session < 0 || session >= HARNESS_SESSIONS)
		fail_msg("%s:%d: not a line of a transcript", r->file, r->line);
	text = slice_skip(text, 1);
	connect_session(r, session);
	switch (head.data[0]) {
	case 'C':
		send_line(r, session, text);
		break;
	case 'S':
		expect(r, session, text);
		break;
	case 'D':
		deliver(r, text);
		break;
	case 'E':
		if (harness_read_line(r->h, session, &rest))
			fail_msg("%s:%d: \"%.*s\" instead of the end", r->file, r->line, SLICE_ARG(rest));
		break;
	default:
		fail_msg("%s:%d: not a line of a transcript", r->file, r->line);
	}
}

static void replay(const char *name, bool drip)
{
	struct replay r = {.h = harness_new(), .file = name, .drip = drip};
	struct buf text SCOPED_BUF;
	char path[512];
	struct slice rest;
	FILE *file;

	snprintf(path, sizeof(path), "%s/transcripts/%s", TEST_FOLDER, name);
	file = fopen(path, "r");
	assert_non_null(file);
	buf_init(&text, NULL, 0);
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

static void log_in(struct harness *h)
{
	harness_connect(h, 0);
	harness_send(h, 0, SLICE("a LOGIN " HARNESS_USER " " HARNESS_PASSWORD "\r\n"), false);
	assert_true(harness_read_until(h, 0, SLICE("a OK")) > 0);
}

static void expect_line(struct harness *h, struct slice expected)
{
	struct slice line;

	assert_true(harness_read_line(h, 0, &line));
	if (!matches(expected, line))
		fail_msg("\"%.*s\" instead of \"%.*s\"", SLICE_ARG(line), SLICE_ARG(expected));
}

static void test_line_too_long(void **state)
{
	struct harness *h = harness_new();
	struct buf line SCOPED_BUF;

	(void)state;
	log_in(h);
	buf_add_literal(&line, "b SEARCH UID 1");
	while (line.len < 100 * 1024)
		buf_add_literal(&line, ",1");
	buf_add_literal(&line, "\r\nc NOOP\r\n");
	harness_send(h, 0, buf_slice(&line), false);
	expect_line(h, SLICE("* BAD {{*}}"));
	expect_line(h, SLICE("c OK{{*}}"));
	harness_free(h);
}

/* A message that is larger than what is held in memory is streamed, also decoded and in parts. */
static void test_large_message(void **state)
{
	struct harness *h = harness_new();
	struct buf text SCOPED_BUF, command SCOPED_BUF;
	size_t size;

	(void)state;
	log_in(h);
	buf_add_literal(&text, "Subject: large\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n");
	while (text.len < 3 * 1024 * 1024)
		buf_add_literal(&text, "VGhpcyBpcyBhIGxvbmcgbGluZSBvZiB0ZXh0LCBhZ2FpbiBhbmQgYWdhaW4=\r\n");
	size = text.len;
	buf_printf(&command, "b APPEND INBOX {%zu+}\r\n", size);
	harness_send(h, 0, buf_slice(&command), false);
	harness_send(h, 0, buf_slice(&text), false);
	harness_send(h, 0, SLICE("\r\nc SELECT INBOX\r\n"), false);
	assert_true(harness_read_until(h, 0, SLICE("c OK")) > 0);
	harness_send(h, 0, SLICE("d FETCH 1 (BODY.PEEK[] UID)\r\n"), false);
	assert_in_range(harness_read_until(h, 0, SLICE("d OK")), size + 40, size + 100);
	harness_send(h, 0, SLICE("e FETCH 1 (BINARY.SIZE[1])\r\n"), false);
	buf_clear(&command);
	buf_printf(&command, "* 1 FETCH (BINARY.SIZE[1] %zu)", (size - 79) / 62 * 44);
	expect_line(h, buf_slice(&command));
	expect_line(h, SLICE("e OK FETCH completed"));
	harness_send(h, 0, SLICE("f FETCH 1 (BINARY.PEEK[1]<44000.10> BODY.PEEK[TEXT]<62000.8>)\r\n"), false);
	expect_line(h, SLICE("* 1 FETCH (BINARY[1]<44000> {10}"));
	expect_line(h, SLICE("This is a  BODY[TEXT]<62000> {8}"));
	expect_line(h, SLICE("VGhpcyBp)"));
	expect_line(h, SLICE("f OK FETCH completed"));
	harness_send(h, 0, SLICE("g SEARCH BODY \"line of text, again and\"\r\n"), false);
	expect_line(h, SLICE("* SEARCH 1"));
	harness_free(h);
}

static void test_append_limit(void **state)
{
	struct harness *h = harness_new();

	(void)state;
	harness_context(h)->options.append_limit = 100;
	log_in(h);
	harness_send(h, 0, SLICE("b APPEND INBOX {101}\r\n"), false);
	expect_line(h, SLICE("b NO [TOOBIG]{{*}}"));
	/* a literal that nobody waits for is read and thrown away */
	harness_send(h, 0,
		     SLICE("c APPEND INBOX {104+}\r\n"
			   "12345678901234567890123456789012345678901234567890"
			   "12345678901234567890123456789012345678901234567890\r\nd \r\nd NOOP\r\n"),
		     false);
	expect_line(h, SLICE("c NO [TOOBIG]{{*}}"));
	expect_line(h, SLICE("d OK{{*}}"));
	/* one that is much too large ends the connection */
	harness_send(h, 0, SLICE("e APPEND INBOX {1000000+}\r\n"), false);
	expect_line(h, SLICE("* BYE [TOOBIG]{{*}}"));
	harness_free(h);
}

static int is_visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

int main(void)
{
	struct CMUnitTest tests[TRANSCRIPTS_MAX + 8] = {0};
	struct dirent **files;
	int found = scandir(TEST_FOLDER "/transcripts", &files, is_visible, alphasort), failures;
	size_t count = 0;

	if (found <= 0 || found > TRANSCRIPTS_MAX)
		return 1;
	for (; count < (size_t)found; count++)
		tests[count] = (struct CMUnitTest){files[count]->d_name, test_transcript, NULL, NULL, files[count]->d_name};
	tests[count++] = (struct CMUnitTest)cmocka_unit_test(test_line_too_long);
	tests[count++] = (struct CMUnitTest)cmocka_unit_test(test_large_message);
	tests[count++] = (struct CMUnitTest)cmocka_unit_test(test_append_limit);
	failures = _cmocka_run_group_tests("imap sessions", tests, count, NULL, NULL);
	for (int i = 0; i < found; i++)
		free(files[i]);
	free(files);
	return failures;
}
