/* Golden transcripts, replayed through real sessions: as they stand, and a byte at a time.
 *
 *     # a comment
 *     C: a1 NOOP          the client sends a line; C2: is the second session's, opened when it is first named
 *     S: a1 OK {{*}}      the server's next line, {{*}} standing for anything
 *     D: text             a message with that subject is delivered by another role
 *     E:                  the server closes the connection
 *     T:                  the change log is trimmed to nothing
 *     O: 3                an option, before the first session: the messages that one command works on; "3 saving": that APPEND and COPY
 *                         do; "surrogates": no UTF-8 in headers for who hasn't said he takes it
 *
 * {{UIDVALIDITY}} in a line of the client's is what the server last told, {{URL}} what it last authorised.
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/budget.h"
#include "base/clock.h"
#include "harness.h"
#include "imap/url_service.h"
#include "ipc/urls.h"
#include "store/directory.h"
#include "store/mailbox_view.h"
#include "store/queue.h"

#define TRANSCRIPTS_MAX 64
#define WILDCARD        SLICE("{{*}}")

struct replay {
	struct harness *h;
	const char *file;
	int line;
	bool drip;
	bool connected[HARNESS_SESSIONS];
	struct slice uid_validity;
	char uid_validity_text[12];
	struct slice url;
	char url_text[1024];
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

static void note_uid_validity(struct replay *r, struct slice line)
{
	size_t at = slice_find(line, SLICE("[UIDVALIDITY "));
	struct slice rest = at == SLICE_NOT_FOUND ? SLICE_EMPTY : slice_skip(line, at + 13), number = slice_cut(&rest, ']');

	if (number.len == 0 || number.len > sizeof(r->uid_validity_text))
		return;
	memcpy(r->uid_validity_text, number.data, number.len);
	r->uid_validity = slice_of(r->uid_validity_text, number.len);
}

static void note_url(struct replay *r, struct slice line)
{
	struct slice rest = slice_skip(line, SLICE("* GENURLAUTH \"").len), url = slice_cut(&rest, '"');

	if (!slice_starts_with(line, SLICE("* GENURLAUTH \"")) || url.len > sizeof(r->url_text))
		return;
	memcpy(r->url_text, url.data, url.len);
	r->url = slice_of(r->url_text, url.len);
}

static void expect(struct replay *r, int session, struct slice pattern)
{
	struct slice line;

	if (!harness_read_line(r->h, session, &line))
		fail_msg("%s:%d: nothing came instead of \"%.*s\"", r->file, r->line, SLICE_ARG(pattern));
	if (!matches(pattern, line))
		fail_msg("%s:%d: \"%.*s\" instead of \"%.*s\"", r->file, r->line, SLICE_ARG(line), SLICE_ARG(pattern));
	note_uid_validity(r, line);
	note_url(r, line);
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
	size_t at;

	buf_init(&line, NULL, 0);
	while ((at = slice_find(text, SLICE("{{"))) != SLICE_NOT_FOUND) {
		bool is_url = slice_starts_with(slice_skip(text, at), SLICE("{{URL}}"));

		buf_add(&line, slice_sub(text, 0, at));
		buf_add(&line, is_url ? r->url : r->uid_validity);
		text = slice_skip(text, slice_find(text, SLICE("}}")) + 2);
	}
	buf_add(&line, text);
	buf_add_literal(&line, "\r\n");
	harness_send(r->h, session, buf_slice(&line), r->drip);
}

static void trim_log(struct replay *r)
{
	size_t removed;

	assert_int_equal(change_log_trim(harness_store(r->h), clock_wall_ms() + 1000, 100000, &removed), STATUS_OK);
}

static void set_option(struct replay *r, struct slice text)
{
	if (slice_eq(text, SLICE("surrogates"))) {
		harness_context(r->h)->options.surrogates = true;
		return;
	}
	struct slice number = slice_cut(&text, ' ');

	assert_true(slice_to_u32(number, UINT32_MAX, &harness_context(r->h)->options.message_limit));
	harness_context(r->h)->options.limits_saving_only = slice_eq(text, SLICE("saving"));
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
	if (head.data[0] == 'O') {
		set_option(r, text);
		return;
	}
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
	case 'T':
		trim_log(r);
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
	expect_line(h, SLICE("b BAD {{*}}"));
	expect_line(h, SLICE("c OK{{*}}"));
	/* what it brings isn't taken for commands, though another such line follow */
	line.len -= sizeof("\r\nc NOOP\r\n") - 1;
	buf_add_literal(&line, " SUBJECT {8+}\r\nx NOOP\r\n SUBJECT ");
	for (int i = 0; i < 100 * 1024; i++)
		buf_add_byte(&line, 'a');
	buf_add_literal(&line, " SUBJECT {8+}\r\ny NOOP\r\n\r\nc NOOP\r\n");
	harness_send(h, 0, buf_slice(&line), false);
	expect_line(h, SLICE("b BAD {{*}}"));
	expect_line(h, SLICE("c OK{{*}}"));
	/* a literal that is waited for isn't asked for */
	line.len = 80 * 1024;
	buf_add_literal(&line, " SUBJECT {8}\r\nd NOOP\r\n");
	harness_send(h, 0, buf_slice(&line), false);
	expect_line(h, SLICE("b BAD {{*}}"));
	expect_line(h, SLICE("d OK{{*}}"));
	line.len = 80 * 1024;
	buf_add_literal(&line, " SUBJECT {9999999+}\r\nd NOOP\r\n");
	harness_send(h, 0, buf_slice(&line), false);
	expect_line(h, SLICE("* BYE [TOOBIG]{{*}}"));
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

/* RFC 7888 section 5: LITERAL-. */
static void test_small_literals(void **state)
{
	struct harness *h = harness_new();
	struct buf bytes SCOPED_BUF;

	(void)state;
	harness_context(h)->options.small_literals = true;
	for (int i = 0; i < 4097; i++)
		buf_add_byte(&bytes, 'x');
	harness_connect(h, 0);
	expect_line(h, SLICE("* OK [CAPABILITY {{*}} LITERAL- {{*}}"));
	harness_send(h, 0, SLICE("a LOGIN {4097+}\r\n"), false);
	harness_send(h, 0, buf_slice(&bytes), false);
	harness_send(h, 0, SLICE(" x\r\na LOGIN {18+}\r\n" HARNESS_USER " " HARNESS_PASSWORD "\r\n"), false);
	expect_line(h, SLICE("a BAD [TOOBIG]{{*}}"));
	expect_line(h, SLICE("a OK{{*}}"));
	harness_send(h, 0, SLICE("b STATUS {4097+}\r\n"), false);
	harness_send(h, 0, buf_slice(&bytes), false);
	harness_send(h, 0, SLICE(" (MESSAGES)\r\nc APPEND INBOX {4097+}\r\n"), false);
	expect_line(h, SLICE("b BAD [TOOBIG]{{*}}"));
	harness_send(h, 0, buf_slice(&bytes), false);
	harness_send(h, 0, SLICE(" (\\Seen) {5+}\r\nHello\r\nd APPEND INBOX {4096+}\r\n"), false);
	expect_line(h, SLICE("c BAD [TOOBIG]{{*}}"));
	harness_send(h, 0, slice_sub(buf_slice(&bytes), 0, 4096), false);
	harness_send(h, 0, SLICE("\r\ne APPEND INBOX CATENATE (TEXT {4097+}\r\n"), false);
	expect_line(h, SLICE("d OK{{*}}"));
	harness_send(h, 0, buf_slice(&bytes), false);
	harness_send(h, 0, SLICE(")\r\nf APPEND INBOX {4097}\r\n"), false);
	expect_line(h, SLICE("e BAD [TOOBIG]{{*}}"));
	expect_line(h, SLICE("+ {{*}}"));
	harness_send(h, 0, buf_slice(&bytes), false);
	harness_send(h, 0, SLICE("\r\ng STATUS INBOX (MESSAGES)\r\n"), false);
	expect_line(h, SLICE("f OK{{*}}"));
	expect_line(h, SLICE("* STATUS \"INBOX\" (MESSAGES 2)"));
	expect_line(h, SLICE("g OK{{*}}"));
	/* what nobody would read to its end ends the connection */
	harness_send(h, 0, SLICE("h APPEND INBOX {99999999999+}\r\n"), false);
	expect_line(h, SLICE("* BYE [TOOBIG]{{*}}"));
	harness_free(h);
}

/* What the submission server is given (RFC 4468), and what it isn't. */
static void test_url_service(void **state)
{
	struct harness *h = harness_new();
	struct arena arena SCOPED_ARENA;
	struct buf reply SCOPED_BUF, payload SCOPED_BUF;
	struct slice line;
	struct url_request wanted = {.account = harness_account(h), .address = SLICE(HARNESS_USER), .max = 5};
	struct ipc_request request = {.from = ROLE_SMTP, .type = IPC_URL_FETCH, .fd = ipc_memfd_open()};
	char got[8];

	(void)state;
	log_in(h);
	harness_send(h, 0, SLICE("b APPEND INBOX {5+}\r\nHello\r\n"), false);
	assert_true(harness_read_until(h, 0, SLICE("b OK")) > 0);
	harness_send(h, 0,
		     SLICE("c GENURLAUTH \"imap://alice%40example.test@h/INBOX/;UID=1;URLAUTH=submit+alice%40example.test\" INTERNAL\r\n"),
		     false);
	assert_true(harness_read_line(h, 0, &line));
	line = slice_skip(line, SLICE("* GENURLAUTH \"").len);
	wanted.url = slice_dup(&arena, slice_cut(&line, '"'));
	url_request_pack(&payload, &wanted);
	request.payload = slice_dup(&arena, buf_slice(&payload));
	assert_int_equal(imap_url_serve(harness_context(h), &request, &arena, &reply), STATUS_OK);
	assert_int_equal(pread(request.fd, got, sizeof(got), 0), 5);
	assert_memory_equal(got, "Hello", 5);
	for (size_t i = 0; i < payload.len; i++) {
		request.payload = slice_sub(buf_slice(&payload), 0, i);
		assert_int_equal(imap_url_serve(harness_context(h), &request, &arena, &reply), STATUS_PEER);
	}
	request.payload = buf_slice(&payload);
	for (int i = 1; i < 5; i++) {
		harness_set_fault(h, i);
		assert_int_equal(imap_url_serve(harness_context(h), &request, &arena, &reply), STATUS_TEMPORARY);
	}
	harness_set_fault(h, 0);
	request.from = ROLE_METRICS;
	assert_int_equal(imap_url_serve(harness_context(h), &request, &arena, &reply), STATUS_PEER);
	request.from = ROLE_SMTP;
	buf_clear(&payload);
	wanted.max = 4;
	url_request_pack(&payload, &wanted);
	request.payload = buf_slice(&payload);
	assert_int_equal(imap_url_serve(harness_context(h), &request, &arena, &reply), STATUS_LIMIT);
	buf_clear(&payload);
	wanted.address = SLICE("bob@example.test");
	url_request_pack(&payload, &wanted);
	request.payload = buf_slice(&payload);
	assert_int_equal(imap_url_serve(harness_context(h), &request, &arena, &reply), STATUS_NOT_FOUND);
	close(request.fd);
	request.fd = -1;
	assert_int_equal(imap_url_serve(harness_context(h), &request, &arena, &reply), STATUS_PEER);
	harness_free(h);
}

/* RFC 6858: also of what is larger than a scan holds; and the store may fail. */
static void test_large_surrogate(void **state)
{
	struct harness *h = harness_new();
	struct buf text SCOPED_BUF, command SCOPED_BUF;

	(void)state;
	harness_context(h)->options.surrogates = true;
	log_in(h);
	buf_add_literal(&text, "X-Note: gr\xc3\xbcn\r\nSubject: gr\xc3\xbcn\r\n\r\n");
	while (text.len < 2 * 1024 * 1024)
		buf_add_literal(&text, "A line of text that goes on.\r\n");
	buf_printf(&command, "b APPEND INBOX {%zu+}\r\n", text.len);
	harness_send(h, 0, buf_slice(&command), false);
	harness_send(h, 0, buf_slice(&text), false);
	harness_send(h, 0, SLICE("\r\nc SELECT INBOX\r\n"), false);
	assert_true(harness_read_until(h, 0, SLICE("c OK")) > 0);
	harness_send(h, 0, SLICE("d FETCH 1 (BODY.PEEK[HEADER] BODY.PEEK[TEXT]<30.6>)\r\n"), false);
	expect_line(h, SLICE("* 1 FETCH (BODY[HEADER] {33}"));
	expect_line(h, SLICE("Subject: =?utf-8?b?Z3LDvG4=?="));
	expect_line(h, SLICE(""));
	expect_line(h, SLICE(" BODY[TEXT]<30> {6}"));
	expect_line(h, SLICE("A line)"));
	expect_line(h, SLICE("d OK [DOWNGRADED 1]{{*}}"));
	harness_send(h, 0, SLICE("e FETCH 1 (BODY.PEEK[])\r\n"), false);
	assert_in_range(harness_read_until(h, 0, SLICE("e OK")), text.len - 40, text.len + 120);
	for (int i = 1; i < 5; i++) {
		harness_set_fault(h, i);
		harness_send(h, 0, SLICE("f FETCH 1 (BODY.PEEK[HEADER])\r\n"), false);
		assert_true(harness_read_until(h, 0, SLICE("f NO [UNAVAILABLE]")) > 0);
	}
	harness_set_fault(h, 0);
	harness_free(h);
}

/* Large messages that are coming in have so much memory together; small ones always find room. */
static void test_message_memory(void **state)
{
	struct budget memory = {.limit = 150 * 1000};
	struct harness *h = harness_new();
	struct buf bytes SCOPED_BUF;

	(void)state;
	for (int i = 0; i < 100 * 1000; i++)
		buf_add(&bytes, i % 70 ? SLICE("x") : SLICE("\n"));
	harness_context(h)->options.memory = &memory;
	harness_connect(h, 0);
	expect_line(h, SLICE("* OK {{*}}"));
	harness_send(h, 0, SLICE("a LOGIN " HARNESS_USER " " HARNESS_PASSWORD "\r\nb APPEND INBOX {100000}\r\n"), false);
	expect_line(h, SLICE("a OK{{*}}"));
	expect_line(h, SLICE("+ {{*}}"));
	assert_int_equal(memory.taken, 100000);
	harness_send(h, 0, buf_slice(&bytes), false);
	harness_send(h, 0, SLICE(" {100000}\r\n"), false);
	expect_line(h, SLICE("b NO [UNAVAILABLE] {{*}}"));
	assert_int_equal(memory.taken, 0);
	harness_send(h, 0, SLICE("c APPEND INBOX {160000+}\r\n"), false);
	harness_send(h, 0, buf_slice(&bytes), false);
	harness_send(h, 0, slice_sub(buf_slice(&bytes), 0, 60000), false);
	harness_send(h, 0, SLICE("\r\nd APPEND INBOX {100000}\r\n"), false);
	expect_line(h, SLICE("c NO [UNAVAILABLE] {{*}}"));
	expect_line(h, SLICE("+ {{*}}"));
	harness_send(h, 0, buf_slice(&bytes), false);
	harness_send(h, 0, SLICE(" {5+}\r\nsmall\r\n"), false);
	expect_line(h, SLICE("d OK [APPENDUID {{*}}"));
	/* what stands for another message takes as much */
	harness_send(h, 0, SLICE("e APPEND INBOX CATENATE (URL \"/INBOX/;UID=1\" URL \"/INBOX/;UID=1\")\r\n"), false);
	expect_line(h, SLICE("e NO [UNAVAILABLE] {{*}}"));
	harness_send(h, 0, SLICE("f NOOP\r\n"), false);
	expect_line(h, SLICE("f OK{{*}}"));
	assert_int_equal(memory.taken, 0);
	harness_free(h);
}

/* RFC 4467 section 3: submit+ is for the server that the options name. */
static void test_submitter(void **state)
{
	struct harness *h = harness_new();

	(void)state;
	harness_context(h)->options.submitter = SLICE(HARNESS_USER);
	log_in(h);
	harness_send(h, 0, SLICE("b APPEND INBOX {5+}\r\nHello\r\n"), false);
	assert_true(harness_read_until(h, 0, SLICE("b OK")) > 0);
	harness_send(h, 0, SLICE("c GENURLAUTH \"imap://alice%40example.test@h/INBOX/;UID=1;URLAUTH=submit+bob\" INTERNAL\r\n"), false);
	struct slice line, url;
	struct buf fetch SCOPED_BUF;

	assert_true(harness_read_line(h, 0, &line));
	url = slice_skip(line, SLICE("* GENURLAUTH ").len);
	buf_printf(&fetch, "d URLFETCH %.*s\r\n", SLICE_ARG(url));
	expect_line(h, SLICE("c OK{{*}}"));
	harness_send(h, 0, buf_slice(&fetch), false);
	expect_line(h, SLICE("* URLFETCH {{*}} {5}"));
	expect_line(h, SLICE("Hello"));
	expect_line(h, SLICE("d OK{{*}}"));
	harness_free(h);
}

/* A message, and what authorises a part of it, in quotes. */
static void authorise(struct harness *h, struct slice text, const char *section, struct buf *url)
{
	struct buf command SCOPED_BUF;
	struct slice line;

	buf_printf(&command, "b APPEND INBOX {%zu+}\r\n", text.len);
	buf_add(&command, text);
	buf_printf(&command, "\r\nc GENURLAUTH \"imap://alice%%40example.test@h/INBOX/;UID=1%s;URLAUTH=authuser\" INTERNAL\r\n", section);
	harness_send(h, 0, buf_slice(&command), false);
	assert_true(harness_read_until(h, 0, SLICE("b OK")) > 0);
	assert_true(harness_read_line(h, 0, &line));
	buf_add(url, slice_skip(line, SLICE("* GENURLAUTH ").len));
	expect_line(h, SLICE("c OK{{*}}"));
}

/* True: it was fetched. Else the command has failed. */
static bool fetch_with_fault(struct harness *h, struct slice fetch, int statement)
{
	struct slice line;
	bool is_missing = false, is_ok;

	harness_set_fault(h, statement);
	harness_send(h, 0, fetch, false);
	do {
		assert_true(harness_read_line(h, 0, &line));
		is_missing |= slice_ends_with(line, SLICE(" NIL"));
	} while (!slice_starts_with(line, SLICE("e ")));
	is_ok = slice_starts_with(line, SLICE("e OK"));
	assert_true(is_ok ? !is_missing : slice_starts_with(line, SLICE("e NO [UNAVAILABLE]")));
	return is_ok;
}

static void test_url_message_faults(void **state)
{
	struct harness *h = harness_new();
	struct buf url SCOPED_BUF, fetch SCOPED_BUF;
	int statement = 1;

	(void)state;
	log_in(h);
	authorise(h, SLICE("Hello"), "", &url);
	buf_printf(&fetch, "e URLFETCH (%.*s BODYPARTSTRUCTURE)\r\n", SLICE_ARG(buf_slice(&url)));
	while (!fetch_with_fault(h, buf_slice(&fetch), statement))
		assert_in_range(++statement, 1, 50);
	assert_in_range(statement, 6, 50);
	harness_set_fault(h, 0);
	harness_free(h);
}

/* As many numbers as there are levels of messages. */
static void test_url_depth(void **state)
{
	struct harness *h = harness_new();
	struct buf text SCOPED_BUF, section SCOPED_BUF, url SCOPED_BUF, fetch SCOPED_BUF;

	(void)state;
	log_in(h);
	buf_add_literal(&section, "/;SECTION=");
	for (int i = 0; i < 50; i++) {
		buf_add_literal(&text, "Content-Type: message/rfc822\r\n\r\n");
		buf_add_literal(&section, "1.");
	}
	buf_add_literal(&text, "Content-Transfer-Encoding: base64\r\n\r\nSGVsbG8=\r\n");
	buf_add_literal(&section, "TEXT\0");
	authorise(h, buf_slice(&text), section.data, &url);
	buf_printf(&fetch, "d URLFETCH (%.*s BINARY)\r\n", SLICE_ARG(buf_slice(&url)));
	harness_send(h, 0, buf_slice(&fetch), false);
	expect_line(h, SLICE("* URLFETCH {{*}} (BINARY {5}"));
	expect_line(h, SLICE("Hello)"));
	harness_free(h);
}

/* A key that another process has set: there is an announcement of it, and no more. */
static void test_key_of_another_process(void **state)
{
	struct harness *h = harness_new();
	struct slice line;
	bool is_told = false;

	(void)state;
	log_in(h);
	harness_send(h, 0, SLICE("b RESETKEY INBOX\r\nc SELECT INBOX\r\n"), false);
	assert_true(harness_read_until(h, 0, SLICE("c OK")) > 0);
	harness_execute(h, "UPDATE url_key SET reset_ms = reset_ms + 60000");
	harness_deliver(h, SLICE("Subject: x\r\n\r\n"));
	harness_send(h, 0, SLICE("d NOOP\r\n"), false);
	do {
		assert_true(harness_read_line(h, 0, &line));
		is_told |= slice_starts_with(line, SLICE("* OK [URLMECH"));
	} while (!slice_starts_with(line, SLICE("d OK")));
	assert_true(is_told);
	harness_free(h);
}

/* How many statements the command takes. */
static int count_statements(struct harness *h, const char *command)
{
	harness_set_fault(h, 1000);
	harness_send(h, 0, slice_from_cstr(command), false);
	assert_true(harness_read_until(h, 0, SLICE("e ")) > 0);
	return 1000 - harness_until_fault(h);
}

/* Of what one may not see, the store is asked the same whether it is there or not. */
static void test_hidden_mailboxes(void **state)
{
	static const char *const pairs[][2] = {
		{"e STATUS \"Other Users/bob@example.test/INBOX\" (MESSAGES)\r\n",
		 "e STATUS \"Other Users/bob@example.test/None\" (MESSAGES)\r\n"},
		{"e SELECT \"Other Users/bob@example.test/INBOX\"\r\n", "e SELECT \"Other Users/nobody@example.test/INBOX\"\r\n"},
		{"e URLFETCH \"imap://bob%40example.test@h/INBOX/;UID=1;URLAUTH=anonymous:INTERNAL:01\"\r\n",
		 "e URLFETCH \"imap://bob%40example.test@h/None/;UID=1;URLAUTH=anonymous:INTERNAL:01\"\r\n"},
		{"e URLFETCH \"imap://bob%40example.test@h/Other%20Users/alice@example.test/INBOX/;UID=1;URLAUTH=anonymous:INTERNAL:01\"\r\n",
		 "e URLFETCH \"imap://bob%40example.test@h/Other%20Users/alice@example.test/None/;UID=1;URLAUTH=anonymous:INTERNAL:01\"\r\n"},
		{"e URLFETCH \"imap://bob%40example.test@h/Other%20Users/carol@example.test/INBOX/;UID=1;URLAUTH=anonymous:INTERNAL:01\"\r\n",
		 "e URLFETCH \"imap://no%40example.test@h/Other%20Users/no@example.test/None/;UID=1;URLAUTH=anonymous:INTERNAL:01\"\r\n"},
	};
	struct harness *h = harness_new();

	(void)state;
	log_in(h);
	harness_send(h, 0, SLICE("b SETACL INBOX bob@example.test lr\r\n"), false);
	assert_true(harness_read_until(h, 0, SLICE("b OK")) > 0);
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		assert_int_equal(count_statements(h, pairs[i][0]), count_statements(h, pairs[i][1]));
	harness_set_fault(h, 0);
	harness_free(h);
}

/* RFC 9738 section 3: APPEND takes as many messages as are announced. */
static void test_append_to_limit(void **state)
{
	struct harness *h = harness_new();
	struct buf command SCOPED_BUF;

	(void)state;
	harness_context(h)->options.message_limit = 1001;
	log_in(h);
	buf_add_literal(&command, "b APPEND INBOX");
	for (int i = 0; i < 1001; i++)
		buf_add_literal(&command, " {1+}\r\na");
	buf_add_literal(&command, "\r\n");
	harness_send(h, 0, buf_slice(&command), false);
	expect_line(h, SLICE("b OK [APPENDUID {{*}} 1:1001]{{*}}"));
	command.len -= SLICE("\r\n").len;
	buf_add_literal(&command, " {1+}\r\na\r\n");
	harness_send(h, 0, buf_slice(&command), false);
	expect_line(h, SLICE("b NO [MESSAGELIMIT 1001]{{*}}"));
	harness_free(h);
}

/* Want of memory is no limit of messages. Under AddressSanitizer an arena's pieces are larger: so little room doesn't hold a command. */
static void test_search_memory(void **state)
{
	(void)state;
#ifdef __SANITIZE_ADDRESS__
	skip();
#endif
	struct harness *h = harness_new();

	harness_context(h)->options.message_limit = 1000;
	harness_limit_command(h, 2000);
	log_in(h);
	harness_send(h, 0, SLICE("b SELECT INBOX\r\n"), false);
	assert_true(harness_read_until(h, 0, SLICE("b OK")) > 0);
	harness_send(h, 0, SLICE("c ESEARCH IN (selected) ALL\r\n"), false);
	expect_line(h, SLICE("c NO [LIMIT] {{*}}"));
	harness_free(h);
}

/* A large message's part is streamed, and a store that fails is no answer. */
static void test_url_faults(void **state)
{
	struct harness *h = harness_new();
	struct buf text SCOPED_BUF, command SCOPED_BUF, fetch SCOPED_BUF;
	struct slice line;

	(void)state;
	log_in(h);
	buf_add_literal(&text, "Subject: large\r\nContent-Transfer-Encoding: base64\r\n\r\n");
	while (text.len < 3 * 1024 * 1024)
		buf_add_literal(&text, "VGhpcyBpcyBhIGxvbmcgbGluZSBvZiB0ZXh0LCBhZ2FpbiBhbmQgYWdhaW4=\r\n");
	buf_printf(&command, "b APPEND INBOX {%zu+}\r\n", text.len);
	harness_send(h, 0, buf_slice(&command), false);
	harness_send(h, 0, buf_slice(&text), false);
	harness_send(h, 0, SLICE("\r\nc GENURLAUTH \"imap://alice%40example.test@h/INBOX/;UID=1/;SECTION=TEXT;URLAUTH=authuser\" INTERNAL\r\n"),
		     false);
	assert_true(harness_read_until(h, 0, SLICE("b OK")) > 0);
	assert_true(harness_read_line(h, 0, &line));
	line = slice_skip(line, SLICE("* GENURLAUTH ").len);
	buf_printf(&fetch, "(%.*s BODYPARTSTRUCTURE BINARY) %.*s\r\n", SLICE_ARG(line), SLICE_ARG(line));
	expect_line(h, SLICE("c OK{{*}}"));
	harness_send(h, 0, SLICE("d URLFETCH "), false);
	harness_send(h, 0, buf_slice(&fetch), false);
	assert_in_range(harness_read_until(h, 0, SLICE("d OK")), text.len / 62 * 106, text.len / 62 * 106 + 800);
	for (int i = 1; i < 5; i++) {
		harness_set_fault(h, i);
		harness_send(h, 0, SLICE("e URLFETCH "), false);
		harness_send(h, 0, buf_slice(&fetch), false);
		expect_line(h, SLICE("e NO [UNAVAILABLE]{{*}}"));
	}
	harness_set_fault(h, 0);
	harness_free(h);
}

/* RFC 9051 section 6.2.1: what came before TLS is thrown away; RFC 9051 section 11.1: no password in the clear. */
static void test_starttls(void **state)
{
	struct harness *h = harness_new();

	(void)state;
	harness_context(h)->options.plaintext = IMAP_PLAINTEXT_NEVER;
	harness_offer_tls(h);
	harness_connect(h, 0);
	expect_line(h, SLICE("* OK [CAPABILITY {{*}} STARTTLS LOGINDISABLED AUTH=SCRAM-SHA-256 AUTH=SCRAM-SHA-1] {{*}}"));
	harness_send(h, 0, SLICE("a LOGIN " HARNESS_USER " " HARNESS_PASSWORD "\r\n"), false);
	expect_line(h, SLICE("a NO [PRIVACYREQUIRED]{{*}}"));
	harness_send(h, 0, SLICE("b AUTHENTICATE PLAIN =\r\n"), false);
	expect_line(h, SLICE("b NO{{*}}"));
	harness_send(h, 0, SLICE("c STARTTLS\r\nd NOOP\r\n"), false);
	expect_line(h, SLICE("c OK{{*}}"));
	harness_send(h, 0, SLICE("e CAPABILITY\r\n"), false);
	expect_line(h, SLICE("* CAPABILITY {{*}} AUTH=SCRAM-SHA-256 AUTH=SCRAM-SHA-1 AUTH=PLAIN AUTH=LOGIN"));
	expect_line(h, SLICE("e OK{{*}}"));
	harness_send(h, 0, SLICE("f STARTTLS\r\ng LOGIN " HARNESS_USER " " HARNESS_PASSWORD "\r\nh STARTTLS\r\n"), false);
	expect_line(h, SLICE("f BAD{{*}}"));
	expect_line(h, SLICE("g OK{{*}}"));
	expect_line(h, SLICE("h BAD{{*}}"));
	harness_free(h);
}

static void test_quota(void **state)
{
	struct harness *h = harness_new();

	(void)state;
	assert_int_equal(directory_set_quota(harness_store(h), SLICE(HARNESS_USER), 0, 2), STATUS_OK);
	log_in(h);
	harness_send(h, 0, SLICE("b APPEND INBOX {5+}\r\nHello\r\nc SELECT INBOX\r\n"), false);
	assert_true(harness_read_until(h, 0, SLICE("c OK")) > 0);
	harness_send(h, 0, SLICE("d COPY 1 Archive\r\n"), false);
	expect_line(h, SLICE("d OK [COPYUID {{*}}"));
	harness_send(h, 0, SLICE("e COPY 1 Archive\r\n"), false);
	expect_line(h, SLICE("e NO [OVERQUOTA]{{*}}"));
	harness_send(h, 0, SLICE("f APPEND INBOX {5+}\r\nHello\r\n"), false);
	expect_line(h, SLICE("f NO [OVERQUOTA]{{*}}"));
	harness_send(h, 0, SLICE("q GETQUOTAROOT INBOX\r\n"), false);
	expect_line(h, SLICE("* QUOTAROOT \"INBOX\" \"\""));
	expect_line(h, SLICE("* QUOTA \"\" (MESSAGE 2 2)"));
	expect_line(h, SLICE("q OK{{*}}"));
	assert_int_equal(directory_set_quota(harness_store(h), SLICE(HARNESS_USER), 2000, 2), STATUS_OK);
	harness_send(h, 0, SLICE("r GETQUOTA \"\"\r\n"), false);
	expect_line(h, SLICE("* QUOTA \"\" (STORAGE 1 2 MESSAGE 2 2)"));
	expect_line(h, SLICE("r OK{{*}}"));
	/* it is the same mail somewhere else */
	harness_send(h, 0, SLICE("g MOVE 1 Archive\r\n"), false);
	expect_line(h, SLICE("* OK [COPYUID {{*}}"));
	expect_line(h, SLICE("* 1 EXPUNGE"));
	expect_line(h, SLICE("g OK{{*}}"));
	harness_free(h);
}

static void read_mailbox_id(struct harness *h, struct slice name, char *id, size_t size)
{
	struct slice line;
	struct buf command SCOPED_BUF;

	buf_printf(&command, "s STATUS %.*s (MAILBOXID)\r\n", SLICE_ARG(name));
	harness_send(h, 0, buf_slice(&command), false);
	assert_true(harness_read_line(h, 0, &line));
	line = slice_skip(line, slice_find(line, SLICE("MAILBOXID")));
	assert_true(line.len > 12 && line.len < size);
	memcpy(id, line.data, line.len);
	id[line.len] = '\0';
	expect_line(h, SLICE("s OK{{*}}"));
}

/* RFC 8474 section 4.1: kept by RENAME, not by DELETE and CREATE, even where the level of the hierarchy has stayed. */
static void test_mailbox_ids(void **state)
{
	struct harness *h = harness_new();
	char before[100], after[100];

	(void)state;
	log_in(h);
	harness_send(h, 0, SLICE("b CREATE a/b\r\n"), false);
	expect_line(h, SLICE("b OK{{*}}"));
	read_mailbox_id(h, SLICE("a"), before, sizeof(before));
	harness_send(h, 0, SLICE("c RENAME a c\r\n"), false);
	expect_line(h, SLICE("c OK{{*}}"));
	read_mailbox_id(h, SLICE("c"), after, sizeof(after));
	assert_string_equal(before, after);
	harness_send(h, 0, SLICE("d DELETE c\r\ne CREATE c\r\n"), false);
	expect_line(h, SLICE("d OK{{*}}"));
	expect_line(h, SLICE("e OK{{*}}"));
	read_mailbox_id(h, SLICE("c"), after, sizeof(after));
	assert_string_not_equal(before, after);
	harness_free(h);
}

static void expect_end(struct harness *h, enum event_kind kind, struct slice bye)
{
	struct slice line;

	harness_event(h, 0, kind);
	expect_line(h, bye);
	assert_false(harness_read_line(h, 0, &line));
	harness_disconnect(h, 0);
}

static void test_ends(void **state)
{
	struct harness *h = harness_new();

	(void)state;
	log_in(h);
	expect_end(h, EVENT_DEADLINE, SLICE("* BYE Idle{{*}}"));
	log_in(h);
	harness_send(h, 0, SLICE("b IDLE\r\n"), false);
	expect_line(h, SLICE("+ idling"));
	expect_end(h, EVENT_SHUTDOWN, SLICE("* BYE [UNAVAILABLE]{{*}}"));
	harness_free(h);
}

/* A set as long as a line may be; and a literal that nobody waits for is passed over with the rest of its command. */
static void test_long_commands(void **state)
{
	struct harness *h = harness_new();
	struct buf line SCOPED_BUF;

	(void)state;
	log_in(h);
	buf_add_literal(&line, "b SELECT INBOX\r\nc UID FETCH 1");
	for (unsigned uid = 3; line.len < 64 * 1024 - 30; uid += 2)
		buf_printf(&line, ",%u", uid);
	buf_add_literal(&line, " FLAGS\r\n");
	harness_send(h, 0, buf_slice(&line), false);
	assert_true(harness_read_until(h, 0, SLICE("c OK")) > 0);
	harness_send(h, 0, SLICE("d SEARCH TEXT {1048577+}\r\n"), false);
	expect_line(h, SLICE("* BYE [TOOBIG]{{*}}"));
	harness_disconnect(h, 0);
	harness_connect(h, 0);
	expect_line(h, SLICE("* OK{{*}}"));
	buf_clear(&line);
	buf_add_literal(&line, "a LOGIN {5000+}\r\n");
	for (int i = 0; i < 500; i++)
		buf_add_literal(&line, "b NOOP  \r\n");
	buf_add_literal(&line, " {3+}\r\nabc\r\nc NOOP\r\n");
	harness_send(h, 0, buf_slice(&line), false);
	expect_line(h, SLICE("a BAD{{*}}"));
	expect_line(h, SLICE("c OK{{*}}"));
	/* RFC 2971 section 3.1: thirty fields of a thousand bytes, before log-in too */
	buf_clear(&line);
	buf_add_literal(&line, "d ID (");
	for (int i = 0; i < 30; i++) {
		buf_printf(&line, "%s\"field%02d\" \"", i > 0 ? " " : "", i);
		for (int j = 0; j < 1024; j++)
			buf_add_byte(&line, 'x');
		buf_add_byte(&line, '"');
	}
	buf_add_literal(&line, ")\r\n");
	harness_send(h, 0, buf_slice(&line), false);
	expect_line(h, SLICE("* ID{{*}}"));
	expect_line(h, SLICE("d OK{{*}}"));
	harness_free(h);
}

/* The tagged answer to a command while the store's statement of that number fails. */
static struct slice answer_with_fault(struct harness *h, const char *command, int statement)
{
	struct slice line;

	harness_set_fault(h, statement);
	harness_send(h, 0, SLICE("f "), false);
	harness_send(h, 0, slice_from_cstr(command), false);
	do {
		assert_true(harness_read_line(h, 0, &line));
	} while (!slice_starts_with(line, SLICE("f ")));
	return line;
}

/* Whichever statement fails, the command is answered, the session goes on, and the next try succeeds. */
static void test_faults_of_the_store(void **state)
{
	static const char *const commands[] = {
		"SELECT INBOX\r\n",
		"APPEND INBOX ($a) {14+}\r\nSubject: s\r\n\r\n\r\n",
		"FETCH 1:* (FLAGS ENVELOPE BODY[TEXT])\r\n",
		"STORE 1 +FLAGS (\\Answered $b)\r\n",
		"SEARCH OR BODY \"x\" KEYWORD $c\r\n",
		"APPEND INBOX CATENATE (URL \"/INBOX/;UID=1/;SECTION=HEADER\" URL \"/INBOX/;UID=1/;SECTION=TEXT\")\r\n",
		"COPY 1 Archive\r\n",
		"LIST (SUBSCRIBED) \"\" * RETURN (STATUS (MESSAGES))\r\n",
		"STATUS Archive (MESSAGES)\r\n",
		"SUBSCRIBE Archive\r\n",
		"CREATE one/two\r\n",
		"RENAME one three\r\n",
		"DELETE three/two\r\n",
		"MOVE 1 Trash\r\n",
		"STORE 1 +FLAGS.SILENT (\\Deleted)\r\n",
		"EXPUNGE\r\n",
		"CLOSE\r\n",
	};
	struct harness *h = harness_new();

	(void)state;
	for (int i = 0; i < 40; i++)
		harness_deliver(h, SLICE("Subject: x\r\n\r\ntext\r\n"));
	log_in(h);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		bool failed = false;

		for (int statement = 1; statement < 100; statement++) {
			struct slice answer = answer_with_fault(h, commands[i], statement);

			if (!slice_starts_with(answer, SLICE("f OK")) &&
			    !slice_starts_with(answer, SLICE("f NO [UNAVAILABLE]")))
				fail_msg("%s, statement %d: %.*s", commands[i], statement, SLICE_ARG(answer));
			failed = !slice_starts_with(answer, SLICE("f OK"));
			if (!failed)
				break;
		}
		assert_false(failed);
		/* the news may have failed, not the command */
		(void)answer_with_fault(h, "NOOP\r\n", 0);
	}
	harness_free(h);
}

/* RFC 9585: a search that takes long says how far it is. */
static void test_progress(void **state)
{
	struct harness *h = harness_new();
	struct buf command SCOPED_BUF;

	(void)state;
	harness_context(h)->options.progress_ms = -1;
	log_in(h);
	for (int i = 0; i < 2; i++) {
		buf_clear(&command);
		buf_add_literal(&command, "b APPEND INBOX");
		for (int j = 0; j < 1000; j++)
			buf_add_literal(&command, " {18+}\r\nSubject: a\r\n\r\nxx\r\n");
		buf_add_literal(&command, "\r\n");
		harness_send(h, 0, buf_slice(&command), false);
		assert_true(harness_read_until(h, 0, SLICE("b OK")) > 0);
	}
	harness_send(h, 0, SLICE("c SELECT INBOX\r\n"), false);
	assert_true(harness_read_until(h, 0, SLICE("c OK")) > 0);
	harness_send(h, 0, SLICE("d SEARCH BODY nothing\r\n"), false);
	expect_line(h, SLICE("* OK [INPROGRESS (\"d\" 0 {{*}})] {{*}}"));
	assert_true(harness_read_until(h, 0, SLICE("d OK")) > 0);
	harness_send(h, 0, SLICE("d] SEARCH BODY nothing\r\n"), false);
	expect_line(h, SLICE("* OK [INPROGRESS (NIL 0 {{*}})] {{*}}"));
	assert_true(harness_read_until(h, 0, SLICE("d] OK")) > 0);
	harness_free(h);
}

/* RFC 5267 section 4.3.1: there is a limit, and it is told. */
/* Mailboxes Many/... as no client would have the patience to make them. */
static void make_many(struct harness *h, int count, const char *suffix)
{
	struct buf sql SCOPED_BUF;

	buf_init(&sql, NULL, 0);
	buf_printf(&sql,
		   "WITH RECURSIVE n(i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM n WHERE i < %d) INSERT INTO mailbox (account, id,"
		   " uid_validity, uid_next, highest_modseq, messages, unseen, deleted, size_bytes, selectable, role, name)"
		   " SELECT %lld, i, i, 1, 1, 0, 0, 0, 0, 1, '', 'Many/' || i || '%s' FROM n",
		   count + 99, (long long)harness_account(h), suffix);
	buf_add_byte(&sql, 0);
	harness_execute(h, buf_slice(&sql).data);
	buf_clear(&sql);
	buf_printf(&sql, "UPDATE account SET next_mailbox = 200000, next_uid_validity = 200000 WHERE id = %lld",
		   (long long)harness_account(h));
	buf_add_byte(&sql, 0);
	harness_execute(h, buf_slice(&sql).data);
}

/* All that an account may have are watched, if their names aren't all as long as they may be. */
static void test_notify_of_many_mailboxes(void **state)
{
	struct harness *h = harness_new();
	char long_name[900] = {0};

	(void)state;
	make_many(h, 20000, ""); /* more than NOTIFY took once, and so many that what is quadratic never ends */
	log_in(h);
	harness_send(h, 0, SLICE("b CREATE Many\r\n"), false);
	expect_line(h, SLICE("b OK{{*}}"));
	harness_send(h, 0, SLICE("c NOTIFY SET (personal (MailboxName))\r\n"), false);
	expect_line(h, SLICE("c OK{{*}}"));
	harness_send(h, 0, SLICE("d CREATE Many/100/1\r\n"), false);
	expect_line(h, SLICE("* LIST (\\HasNoChildren) \"/\" \"Many/100/1\""));
	expect_line(h, SLICE("* LIST (\\HasChildren) \"/\" \"Many/100\""));
	expect_line(h, SLICE("d OK{{*}}"));
	harness_send(h, 0, SLICE("e RENAME Many Few\r\n"), false);
	expect_line(h, SLICE("* LIST (\\HasChildren) \"/\" \"Few\" (\"OLDNAME\" (\"Many\"))"));
	expect_line(h, SLICE("e OK{{*}}"));
	harness_free(h);

	h = harness_new();
	memset(long_name, 'x', sizeof long_name - 1);
	make_many(h, 20000, long_name);
	log_in(h);
	harness_send(h, 0, SLICE("c NOTIFY SET (personal (MailboxName))\r\n"), false);
	expect_line(h, SLICE("c NO [NOTIFICATIONOVERFLOW] {{*}}"));
	harness_free(h);
}

static void test_contexts_max(void **state)
{
	struct harness *h = harness_new();
	struct buf command SCOPED_BUF;

	(void)state;
	log_in(h);
	harness_send(h, 0, SLICE("b SELECT INBOX\r\n"), false);
	assert_true(harness_read_until(h, 0, SLICE("b OK")) > 0);
	for (int i = 0; i < 16; i++) {
		buf_clear(&command);
		buf_printf(&command, "c%d SEARCH RETURN (UPDATE) ALL\r\n", i);
		harness_send(h, 0, buf_slice(&command), false);
		expect_line(h, SLICE("* ESEARCH{{*}}"));
		expect_line(h, SLICE("c{{*}} OK{{*}}"));
	}
	harness_send(h, 0, SLICE("d SEARCH RETURN (UPDATE COUNT) ALL\r\n"), false);
	expect_line(h, SLICE("* ESEARCH (TAG \"d\") COUNT 0"));
	expect_line(h, SLICE("* NO [NOUPDATE \"d\"]{{*}}"));
	expect_line(h, SLICE("d OK{{*}}"));
	harness_send(h, 0, SLICE("e CANCELUPDATE \"c3\"\r\n"), false);
	expect_line(h, SLICE("e OK{{*}}"));
	harness_send(h, 0, SLICE("f SORT RETURN (UPDATE) (SIZE) UTF-8 ALL\r\n"), false);
	expect_line(h, SLICE("* ESEARCH{{*}}"));
	expect_line(h, SLICE("f OK{{*}}"));
	harness_free(h);
}

static uint32_t stored_recent_uid(struct harness *h)
{
	struct arena arena SCOPED_ARENA;
	struct mailbox mailbox;

	assert_int_equal(mailbox_find(harness_store(h), &arena, harness_account(h), SLICE("INBOX"), &mailbox), STATUS_OK);
	return mailbox.recent_uid;
}

/* A session of its own that opens INBOX; then the process ends, as far as views are concerned. */
static void open_and_end(struct harness *h, int number, struct slice command, struct slice recent)
{
	struct imap_context *context = harness_context(h);
	struct slice line;

	harness_connect(h, number);
	harness_send(h, number, SLICE("a LOGIN " HARNESS_USER " " HARNESS_PASSWORD "\r\n"), false);
	assert_true(harness_read_until(h, number, SLICE("a OK")) > 0);
	harness_send(h, number, command, false);
	do {
		assert_true(harness_read_line(h, number, &line));
	} while (!slice_ends_with(line, SLICE("RECENT")));
	if (!slice_eq(line, recent))
		fail_msg("%.*s", SLICE_ARG(line));
	assert_true(harness_read_until(h, number, SLICE("b OK")) > 0);
	harness_disconnect(h, number);
	mailbox_view_cache_free(context->views);
	context->views = mailbox_view_cache_new(harness_store(h), 0);
}

/* RFC 3501 section 2.3.2: who has claimed \Recent has it for good, also after the process ended. */
static void test_recent_is_kept(void **state)
{
	struct harness *h = harness_new();

	(void)state;
	harness_deliver(h, SLICE("Subject: one\r\n\r\n"));
	open_and_end(h, 0, SLICE("b EXAMINE INBOX\r\n"), SLICE("* 1 RECENT"));
	assert_int_equal(stored_recent_uid(h), 1);
	open_and_end(h, 1, SLICE("b SELECT INBOX\r\n"), SLICE("* 1 RECENT"));
	assert_int_equal(stored_recent_uid(h), 2);
	open_and_end(h, 2, SLICE("b SELECT INBOX\r\n"), SLICE("* 0 RECENT"));
	harness_free(h);
}

static int is_visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

int main(void)
{
	struct CMUnitTest tests[TRANSCRIPTS_MAX + 24] = {0};
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
	tests[count++] = (struct CMUnitTest)cmocka_unit_test(test_submitter);
	tests[count++] = (struct CMUnitTest)cmocka_unit_test(test_url_service);
	tests[count++] = (struct CMUnitTest)cmocka_unit_test(test_large_surrogate);
	tests[count++] = (struct CMUnitTest)cmocka_unit_test(test_small_literals);
	tests[count++] = (struct CMUnitTest)cmocka_unit_test(test_message_memory);
	tests[count++] = (struct CMUnitTest)cmocka_unit_test(test_url_faults);
	tests[count++] = (struct CMUnitTest)cmocka_unit_test(test_append_to_limit);
	tests[count++] = (struct CMUnitTest)cmocka_unit_test(test_search_memory);
	tests[count++] = (struct CMUnitTest)cmocka_unit_test(test_key_of_another_process);
	tests[count++] = (struct CMUnitTest)cmocka_unit_test(test_hidden_mailboxes);
	tests[count++] = (struct CMUnitTest)cmocka_unit_test(test_url_message_faults);
	tests[count++] = (struct CMUnitTest)cmocka_unit_test(test_url_depth);
	tests[count++] = (struct CMUnitTest)cmocka_unit_test(test_starttls);
	tests[count++] = (struct CMUnitTest)cmocka_unit_test(test_quota);
	tests[count++] = (struct CMUnitTest)cmocka_unit_test(test_mailbox_ids);
	tests[count++] = (struct CMUnitTest)cmocka_unit_test(test_ends);
	tests[count++] = (struct CMUnitTest)cmocka_unit_test(test_long_commands);
	tests[count++] = (struct CMUnitTest)cmocka_unit_test(test_faults_of_the_store);
	tests[count++] = (struct CMUnitTest)cmocka_unit_test(test_recent_is_kept);
	tests[count++] = (struct CMUnitTest)cmocka_unit_test(test_progress);
	tests[count++] = (struct CMUnitTest)cmocka_unit_test(test_contexts_max);
	tests[count++] = (struct CMUnitTest)cmocka_unit_test(test_notify_of_many_mailboxes);
	failures = _cmocka_run_group_tests("imap sessions", tests, count, NULL, NULL);
	for (int i = 0; i < found; i++)
		free(files[i]);
	free(files);
	return failures;
}
