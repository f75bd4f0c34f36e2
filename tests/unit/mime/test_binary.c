/* Binary parts become base64 (RFC 2045 section 6): each byte of them survives, and nothing else changes. */
#include "fixture.h"

#include "mime/binary.h"
#include "mime/message.h"

static void add(void *out, struct slice bytes)
{
	buf_add(out, bytes);
}

static void rewritten(struct arena *arena, struct slice message, struct buf *out)
{
	char *copy = exact_copy(message);

	buf_init(out, arena, 0);
	binary_to_lines(slice_of(copy, message.len), add, out);
	free(copy);
}

#define CTE "Content-Transfer-Encoding: "

static void test_rewriting(void **state)
{
	static const struct {
		struct slice message;
		const char *expected;
	} rows[] = {
		{{"", 0}, ""},
		{SLICE("Subject: x\r\n\r\ny\r\n"), "Subject: x\r\n\r\ny\r\n"},
		{SLICE(CTE "8bit\r\n\r\n\xff\r\n"), CTE "8bit\r\n\r\n\xff\r\n"},
		{SLICE("A: b\r\n" CTE "binary\r\nC: d\r\n\r\n\0\n"), "A: b\r\nC: d\r\n" CTE "base64\r\n\r\nAAo=\r\n"},
		{SLICE(CTE " (why) binary \r\n\r\n\0"), CTE "base64\r\n\r\nAA==\r\n"},
		{SLICE(CTE "\r\n BiNaRy\r\nA: b"), "A: b\r\n" CTE "base64\r\n\r\n"},
		{SLICE(CTE "binary\r\n\r\n"), CTE "base64\r\n\r\n"},
		{SLICE(CTE "binary\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b\r\n" CTE
			   "binary\r\n\r\n\r\n\r\n--b--\r\nend"),
		 "Content-Type: multipart/mixed; boundary=b\r\n" CTE "8bit\r\n\r\n--b\r\n\r\nx\r\n--b\r\n" CTE
		 "base64\r\n\r\nDQo=\r\n\r\n--b--\r\nend"},
		{SLICE("Content-Type: message/rfc822\r\n\r\nSubject: in\r\n" CTE "binary\r\n\r\n\n"),
		 "Content-Type: message/rfc822\r\n\r\nSubject: in\r\n" CTE "base64\r\n\r\nCg==\r\n"},
	};
	struct arena arena SCOPED_ARENA;
	struct buf out;

	(void)state;
	arena_init(&arena, 0);
	for (size_t i = 0; i < ROWS(rows); i++) {
		rewritten(&arena, rows[i].message, &out);
		assert_slice(&arena, buf_slice(&out), rows[i].expected);
	}
}

/* Of any length, and longer than what is written at once; lines of 76 characters. */
static void test_every_byte_survives(void **state)
{
	static const size_t lengths[] = {1, 56, 57, 58, 114, 12000, 12345, 100000};
	struct arena arena SCOPED_ARENA;

	(void)state;
	arena_init(&arena, 0);
	for (size_t i = 0; i < ROWS(lengths); i++) {
		struct buf message, out, back;

		buf_init(&message, &arena, 0);
		buf_add_literal(&message, CTE "binary\r\n\r\n");
		size_t body = message.len;
		for (size_t j = 0; j < lengths[i]; j++)
			buf_add_byte(&message, (char)(j * 7 + j / 256));
		rewritten(&arena, buf_slice(&message), &out);
		for (struct slice rest = buf_slice(&out); rest.len > 0;) {
			struct slice line = slice_cut(&rest, '\n');

			assert_true(line.len <= 77 && slice_ends_with(line, SLICE("\r")));
		}
		buf_init(&back, &arena, 0);
		message_decode_body(&back, slice_skip(buf_slice(&out), body), SLICE("base64"));
		assert_true(slice_eq(buf_slice(&back), slice_skip(buf_slice(&message), body)));
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rewriting),
		cmocka_unit_test(test_every_byte_survives),
	};

	return cmocka_run_group_tests_name("binary", tests, NULL, NULL);
}
