/* The message on its way in: header, trace field, memory and memfd. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "ipc/ipc.h"
#include "smtp/incoming.h"
#include "smtp/received.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))
#define LOOK         (16 * 1024)            /* a long header is looked at now and then only */
#define WALL_MS      INT64_C(1795536123000) /* Tue, 24 Nov 2026 16:02:03 */

static void equal(struct slice found, struct slice expected)
{
	if (!slice_eq(found, expected))
		fail_msg("expected \"%.*s\", found \"%.*s\"", SLICE_ARG(expected), SLICE_ARG(found));
}

static void test_header(void **state)
{
	static const struct {
		const char *text;
		size_t end;
		bool is_whole, has_blank, has_date, has_message_id;
		unsigned received;
	} cases[] = {
		{"", 0, false, false, false, false, 0},
		{"\r\nbody\r\n", 0, true, true, false, false, 0},
		{"A: b\r\n\r\nReceived: x\r\n", 6, true, true, false, false, 0},
		{"A: b\r\n", 6, false, false, false, false, 0},
		{"A: b", 0, false, false, false, false, 0},
		{"Date: x\r\n \r\nMessage-Id:\r\n\r\n", 25, true, true, true, true, 0},
		{"Received: x\r\n\tReceived: y\r\nRECEIVED\t: z\r\n\r\n", 41, true, true, false, false, 2},
		{"body\r\nA: b\r\n", 0, true, false, false, false, 0},
		{" folded\r\n", 0, true, false, false, false, 0},
		{"A: b\r\nbody: or is it\r\nno\r\n", 22, true, false, false, false, 0},
		{": x\r\n", 0, true, false, false, false, 0},
		{"From a@b Tue\r\n", 0, true, false, false, false, 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct header_facts facts = header_look(slice_from_cstr(cases[i].text));

		if (facts.end != cases[i].end || facts.is_whole != cases[i].is_whole)
			fail_msg("case %zu: ends at %zu, whole %d", i, facts.end, facts.is_whole);
		assert_int_equal(facts.has_blank, cases[i].has_blank);
		assert_int_equal(facts.has_date, cases[i].has_date);
		assert_int_equal(facts.has_message_id, cases[i].has_message_id);
		assert_int_equal(facts.received, cases[i].received);
	}
	equal(header_look(SLICE("Message-ID:  <a@b> \r\n\r\n")).message_id, SLICE("<a@b>"));
}

/* RFC 3848; RFC 6531 section 4.3 */
static void test_protocol_names(void **state)
{
	struct received received = {.extended = true};

	(void)state;
	equal(received_protocol(&received), SLICE("ESMTP"));
	received.authenticated = true;
	equal(received_protocol(&received), SLICE("ESMTPA"));
	received.tls_version = SLICE("TLSv1.3");
	equal(received_protocol(&received), SLICE("ESMTPSA"));
	received.smtputf8 = true;
	equal(received_protocol(&received), SLICE("UTF8SMTPSA"));
	received.authenticated = false;
	equal(received_protocol(&received), SLICE("UTF8SMTPS"));
	received.tls_version = SLICE_EMPTY;
	equal(received_protocol(&received), SLICE("UTF8SMTP"));
	received.extended = false;
	equal(received_protocol(&received), SLICE("SMTP"));
}

static void test_date(void **state)
{
	struct buf out SCOPED_BUF;

	(void)state;
	header_write_date(&out, WALL_MS);
	equal(buf_slice(&out), SLICE("Tue, 24 Nov 2026 16:02:03 +0000"));
}

struct result {
	struct arena arena;
	struct incoming incoming;
	struct slice bytes;
};

static void take(struct result *r, bool add_missing, size_t piece, struct slice text)
{
	struct incoming plan = {.limit = 10 << 20,
				.max_received = 5,
				.add_missing = add_missing,
				.origin = {WALL_MS, SLICE("ID"), SLICE("mx.test"), SLICE("me@mx.test")}};
	struct ipc_body body;

	incoming_begin(&r->incoming, &r->arena, &plan, SLICE("Received: us\r\n"));
	for (size_t at = 0; at < text.len; at += piece)
		incoming_add(&r->incoming, slice_sub(text, at, at + piece));
	incoming_end(&r->incoming);
	r->bytes = buf_slice(&r->incoming.head);
	if (r->incoming.fd < 0)
		return;
	assert_true(ipc_body_map(r->incoming.fd, 20 << 20, &body));
	r->bytes = slice_dup(&r->arena, body.bytes);
	ipc_body_unmap(&body);
}

static void drop(struct result *r)
{
	incoming_close(&r->incoming);
	arena_free(&r->arena);
}

static void test_completion(void **state)
{
	static const struct {
		const char *text, *expected;
		bool add_missing;
	} cases[] = {
		{"A: b\r\n\r\nx\r\n", "A: b\r\n\r\nx\r\n", false},
		{"x\r\n", "\r\nx\r\n", false},
		{"A: b\r\n\r\nx", "A: b\r\n\r\nx\r\n", false},
		{"", "", false},
		{"A: b\r\n\r\nx\r\n",
		 "A: b\r\nDate: Tue, 24 Nov 2026 16:02:03 +0000\r\nFrom: <me@mx.test>\r\nMessage-ID: <ID@mx.test>\r\n\r\nx\r\n",
		 true},
		{"Date: y\r\nFROM: a\r\n\r\nx\r\n", "Date: y\r\nFROM: a\r\nMessage-ID: <ID@mx.test>\r\n\r\nx\r\n", true},
		{"Message-ID: <y>\r\nDate: z\r\n", "Message-ID: <y>\r\nDate: z\r\nFrom: <me@mx.test>\r\n", true},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		for (size_t piece = 1; piece < 20; piece++) {
			struct result r = {0};

			take(&r, cases[i].add_missing, piece, slice_from_cstr(cases[i].text));
			assert_int_equal(r.incoming.fault, INCOMING_OK);
			equal(slice_sub(r.bytes, 0, 14), SLICE("Received: us\r\n"));
			equal(slice_skip(r.bytes, 14), slice_from_cstr(cases[i].expected));
			drop(&r);
		}
	}
}

/* A message of each size around the limits comes out as it went in. */
static void test_sizes(void **state)
{
	static const size_t sizes[] = {
		INCOMING_INLINE_MAX - 20, INCOMING_INLINE_MAX - 14, INCOMING_INLINE_MAX, 200000, INCOMING_HEADER_MAX, 1000000};
	static char text[1000000];

	(void)state;
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)('a' + i % 23);
	for (size_t head = 0; head < 2; head++) {
		/* head: all of it is one header field that doesn't end */
		memcpy(text, head ? "A: x" : "\r\n\r\n", 4);
		for (size_t i = 0; i < COUNT(sizes); i++) {
			struct result r = {0};

			memcpy(text + sizes[i] - 2, "\r\n", 2);
			take(&r, false, 5000, slice_of(text, sizes[i]));
			assert_int_equal(r.incoming.fault, INCOMING_OK);
			assert_int_equal(r.incoming.size, sizes[i]);
			assert_int_equal(r.incoming.fd >= 0,
					 sizes[i] + 14 > (head ? INCOMING_HEADER_MAX + LOOK : INCOMING_INLINE_MAX));
			equal(slice_skip(r.bytes, 14), slice_of(text, sizes[i]));
			drop(&r);
			memset(text + sizes[i] - 2, 'y', 2);
		}
	}
}

/* A header without end that comes in single bytes: looking at all of it at each would take minutes here. */
static void test_dripping_header(void **state)
{
	static char text[INCOMING_HEADER_MAX - 100];
	struct result r = {0};

	(void)state;
	memset(text, 'x', sizeof(text));
	memcpy(text, "A: ", 3);
	for (size_t i = 70; i + 3 < sizeof(text); i += 70)
		memcpy(text + i, "\r\n\t", 3);
	take(&r, false, 1, slice_of(text, sizeof(text)));
	assert_int_equal(r.incoming.fault, INCOMING_OK);
	equal(slice_skip(r.bytes, 14),
	      slice_join(&r.arena, (const struct slice[]){slice_of(text, sizeof(text)), SLICE("\r\n")}, 2));
	drop(&r);
}

static void test_faults(void **state)
{
	struct result r = {0};
	struct incoming plan = {.limit = 10, .max_received = 5};

	(void)state;
	incoming_begin(&r.incoming, &r.arena, &plan, SLICE_EMPTY);
	incoming_add(&r.incoming, SLICE("12345678\r\n"));
	assert_int_equal(r.incoming.fault, INCOMING_OK);
	incoming_add(&r.incoming, SLICE("x"));
	assert_int_equal(r.incoming.fault, INCOMING_TOO_LARGE);
	incoming_end(&r.incoming);
	drop(&r);
	r = (struct result){0};
	take(&r, false, 100, SLICE("Received: 1\r\nReceived: 2\r\nReceived: 3\r\nReceived: 4\r\nReceived: 5\r\n\r\n"));
	assert_int_equal(r.incoming.fault, INCOMING_OK);
	drop(&r);
	r = (struct result){0};
	take(&r, false, 100,
	     SLICE("Received: 1\r\nReceived: 2\r\nReceived: 3\r\nReceived: 4\r\nReceived: 5\r\nReceived: 6\r\n\r\n"));
	assert_int_equal(r.incoming.fault, INCOMING_LOOP);
	drop(&r);
}

/* What all messages on their way in may take together: who finds no room is told so, and nothing stays taken. */
static void test_budget(void **state)
{
	static char text[100 * 1024];
	struct budget memory = {.limit = 250 * 1024};
	struct incoming plan = {.limit = 1 << 20, .max_received = 5, .memory = &memory};
	struct result r[4] = {0};

	(void)state;
	memset(text, 'x', sizeof(text));
	for (int i = 0; i < 4; i++) {
		incoming_begin(&r[i].incoming, &r[i].arena, &plan, SLICE_EMPTY);
		incoming_add(&r[i].incoming, SLICE("A: b\r\n\r\n"));
		/* a small one asks nobody */
		incoming_add(&r[i].incoming, slice_of(text, i == 3 ? 1000 : sizeof(text)));
		incoming_end(&r[i].incoming);
		assert_int_equal(r[i].incoming.fault, i == 2 ? INCOMING_STORAGE : INCOMING_OK);
	}
	assert_true(memory.taken > 2 * sizeof(text) && memory.taken <= memory.limit);
	/* another in its place takes what it takes, and the former gives back */
	assert_true(incoming_replace(&r[1].incoming, SLICE("C: d\r\n\r\n"), slice_of(text, 10)));
	assert_true(memory.taken < 2 * sizeof(text));
	for (int i = 0; i < 4; i++)
		drop(&r[i]);
	assert_int_equal(memory.taken, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_header),          cmocka_unit_test(test_protocol_names), cmocka_unit_test(test_date),
		cmocka_unit_test(test_completion),      cmocka_unit_test(test_sizes),          cmocka_unit_test(test_faults),
		cmocka_unit_test(test_dripping_header), cmocka_unit_test(test_budget),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
