/* The codec: commands taken apart, messages as multi-line responses, whole and cut at every byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "pop3/parse.h"
#include "pop3/text.h"

static struct slice as_sent(struct buf *out, struct slice message, size_t cut, uint32_t lines)
{
	struct pop3_text text = pop3_text_begin(lines);

	buf_clear(out);
	pop3_text_add(&text, slice_sub(message, 0, cut), out);
	pop3_text_add(&text, slice_skip(message, cut), out);
	pop3_text_end(&text, out);
	return buf_slice(out);
}

static void test_messages(void **state)
{
	static const struct {
		struct slice message;
		uint32_t lines;
		struct slice sent;
	} cases[] = {
		{SLICE("A: b\r\n\r\nc\r\n"), POP3_ALL_LINES, SLICE("A: b\r\n\r\nc\r\n.\r\n")},
		{SLICE(""), POP3_ALL_LINES, SLICE(".\r\n")},
		{SLICE("."), POP3_ALL_LINES, SLICE("..\r\n.\r\n")},
		{SLICE(".\r\n"), POP3_ALL_LINES, SLICE("..\r\n.\r\n")},
		{SLICE("..\r\n.a\r\nb.\r\n"), POP3_ALL_LINES, SLICE("...\r\n..a\r\nb.\r\n.\r\n")},
		{SLICE("no end"), POP3_ALL_LINES, SLICE("no end\r\n.\r\n")},
		{SLICE("a\r\n\r\n.\r\nQUIT\r\n"), POP3_ALL_LINES, SLICE("a\r\n\r\n..\r\nQUIT\r\n.\r\n")},
		/* what others take for a line end */
		{SLICE("a\n.\nb\n\n."), POP3_ALL_LINES, SLICE("a\r\n..\r\nb\r\n\r\n..\r\n.\r\n")},
		{SLICE("a\r.\r\r\nb\r"), POP3_ALL_LINES, SLICE("a\r.\r\r\nb\r\r\n.\r\n")},
		/* TOP */
		{SLICE("A: b\r\n\r\nc\r\nd\r\n"), 0, SLICE("A: b\r\n\r\n.\r\n")},
		{SLICE("A: b\r\n\r\nc\r\nd\r\n"), 1, SLICE("A: b\r\n\r\nc\r\n.\r\n")},
		{SLICE("A: b\r\n\r\nc\r\nd\r\n"), 2, SLICE("A: b\r\n\r\nc\r\nd\r\n.\r\n")},
		{SLICE("A: b\r\n\r\nc\r\nd\r\n"), 99, SLICE("A: b\r\n\r\nc\r\nd\r\n.\r\n")},
		{SLICE("A: b\r\n\r\n\r\n\r\n.d\r\n"), 3, SLICE("A: b\r\n\r\n\r\n\r\n..d\r\n.\r\n")},
		{SLICE("A: b\r\nB: c"), 0, SLICE("A: b\r\nB: c\r\n.\r\n")},
		{SLICE("\r\nx\r\n"), 0, SLICE("\r\n.\r\n")},
	};
	struct buf out SCOPED_BUF;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (size_t cut = 0; cut <= cases[i].message.len; cut++) {
			struct slice sent = as_sent(&out, cases[i].message, cut, cases[i].lines);

			if (!slice_eq(sent, cases[i].sent))
				fail_msg("case %zu cut at %zu: %.*s", i, cut, SLICE_ARG(sent));
		}
	}
}

static void test_arguments(void **state)
{
	static const struct {
		enum pop3_form form;
		struct slice rest;
		bool valid;
		uint32_t message, lines;
	} cases[] = {
		{POP3_NOTHING, SLICE(""), true, 0, 0},
		{POP3_NOTHING, SLICE("  "), true, 0, 0},
		{POP3_NOTHING, SLICE("1"), false, 0, 0},
		{POP3_MESSAGE, SLICE("1"), true, 1, 0},
		{POP3_MESSAGE, SLICE("4294967295 "), true, 4294967295, 0},
		{POP3_MESSAGE, SLICE("4294967296"), false, 0, 0},
		{POP3_MESSAGE, SLICE("0"), false, 0, 0},
		{POP3_MESSAGE, SLICE("-1"), false, 0, 0},
		{POP3_MESSAGE, SLICE("+1"), false, 0, 0},
		{POP3_MESSAGE, SLICE("1 2"), false, 0, 0},
		{POP3_MESSAGE, SLICE(""), false, 0, 0},
		{POP3_MESSAGE_OR_NOTHING, SLICE(""), true, 0, 0},
		{POP3_MESSAGE_OR_NOTHING, SLICE("7"), true, 7, 0},
		{POP3_MESSAGE_OR_NOTHING, SLICE("x"), false, 0, 0},
		{POP3_MESSAGE_AND_LINES, SLICE("7 0"), true, 7, 0},
		{POP3_MESSAGE_AND_LINES, SLICE("7  10 "), true, 7, 10},
		{POP3_MESSAGE_AND_LINES, SLICE("7 99999999999999999999999"), true, 7, UINT32_MAX},
		{POP3_MESSAGE_AND_LINES, SLICE("7"), false, 0, 0},
		{POP3_MESSAGE_AND_LINES, SLICE("7 -1"), false, 0, 0},
		{POP3_TEXT, SLICE(""), false, 0, 0},
		{POP3_TEXT, SLICE(" a b "), true, 0, 0},
		{POP3_TEXT_OR_NOTHING, SLICE(""), true, 0, 0},
	};
	struct pop3_arguments arguments;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool valid = pop3_parse_arguments(cases[i].form, cases[i].rest, &arguments);

		if (valid != cases[i].valid ||
		    (valid && (arguments.message != cases[i].message || arguments.lines != cases[i].lines)))
			fail_msg("case %zu", i);
		assert_true(slice_eq(arguments.text, cases[i].rest));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_messages), cmocka_unit_test(test_arguments)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
