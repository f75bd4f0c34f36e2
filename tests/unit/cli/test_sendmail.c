/* What the sendmail command makes of its input, before it says a word to the server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "cli/sendmail.h"

static void check(struct slice seen, const char *expected)
{
	if (!slice_eq(seen, slice_from_cstr(expected)))
		fail_msg("\"%.*s\" instead of \"%s\"", SLICE_ARG(seen), expected);
}

static void test_message(void **state)
{
	static const struct {
		const char *input, *wire, *recipients;
		bool ignores_dots;
	} examples[] = {
		{"Subject: x\n\nbody\n", "From: me\r\nSubject: x\r\n\r\nbody\r\n.\r\n", "", true},
		/* Line ends of all kinds; the last line may have none. */
		{"Subject: x\r\n\r\na\rb\nc", "From: me\r\nSubject: x\r\n\r\na\r\nb\r\nc\r\n.\r\n", "", true},
		/* Dots: doubled on their way, and the end where they mean that. */
		{"\n.\n..\n.x\n", "From: me\r\n\r\n..\r\n...\r\n..x\r\n.\r\n", "", true},
		{"S: x\n\na\n.\nb\n", "From: me\r\nS: x\r\n\r\na\r\n.\r\n", "", false},
		{".\nb\n", "From: me\r\n\r\n.\r\n", "", false},
		/* No header at all, as scripts write. */
		{"just words\n", "From: me\r\n\r\njust words\r\n.\r\n", "", true},
		{"", "From: me\r\n\r\n.\r\n", "", true},
		{"From alice Tue Nov 24\nSubject: x\n\ny\n", "From: me\r\nSubject: x\r\n\r\ny\r\n.\r\n", "", true},
		{"From: root\nX: 1\n\n", "From: root\r\nX: 1\r\n\r\n.\r\n", "", true},
		{"To: a@x.test,\n\tb@x.test\nbcc: c@x.test,\n d@x.test\nSubject: x\nCC: e\n\ny\n",
		 "From: me\r\nTo: a@x.test,\r\n\tb@x.test\r\nSubject: x\r\nCC: e\r\n\r\ny\r\n.\r\n",
		 " a@x.test, \tb@x.test ,  c@x.test,  d@x.test ,  e ", true},
		{"To: a@x.test\nResent-To: r@x.test\nResent-Bcc: s\n\n",
		 "From: me\r\nTo: a@x.test\r\nResent-To: r@x.test\r\n\r\n.\r\n", " r@x.test ,  s ", true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
		struct arena arena SCOPED_ARENA;
		struct sendmail_message message;
		struct buf recipients, wire;

		arena_init(&arena, 0);
		buf_init(&recipients, &arena, 0);
		buf_init(&wire, &arena, 0);
		sendmail_parse(&arena, slice_from_cstr(examples[i].input), examples[i].ignores_dots, &message, &recipients);
		sendmail_write_data(&wire, &message, SLICE("From: me\r\n"));
		check(buf_slice(&wire), examples[i].wire);
		check(buf_slice(&recipients), examples[i].recipients);
	}
}

static void test_addresses(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct buf out;

	(void)state;
	arena_init(&arena, 0);
	buf_init(&out, &arena, 0);
	assert_true(sendmail_addresses(&arena, SLICE("root, Alice <A@X.Test>, \"b c\"@x.test, team: d@x.test, e;"),
				       SLICE("here.test"), &out));
	assert_true(slice_eq(buf_slice(&out), SLICE("root@here.test\0A@x.test\0\"b c\"@x.test\0d@x.test\0e@here.test\0")));
	assert_true(sendmail_addresses(&arena, SLICE(" "), SLICE("here.test"), &out));
	assert_false(sendmail_addresses(&arena, SLICE("a@b..c"), SLICE("here.test"), &out));
	assert_false(sendmail_addresses(&arena, SLICE("a@x.test, a@-"), SLICE("here.test"), &out));
}

static void test_names(void **state)
{
	(void)state;
	assert_true(sendmail_is_name("/usr/sbin/sendmail"));
	assert_true(sendmail_is_name("mailq"));
	assert_true(sendmail_is_name("./newaliases"));
	assert_false(sendmail_is_name("/usr/bin/posthorn"));
	assert_false(sendmail_is_name("sendmail/posthorn"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_message),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
