/* .forward as people write it, and what is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "local/forward.h"

/* The targets with '\n' between them; "no" where it isn't one. */
static struct slice parse(struct arena *arena, const char *text)
{
	struct slice *targets;
	size_t count;
	struct buf out;

	buf_init(&out, arena, 0);
	if (!forward_parse(arena, slice_from_cstr(text), SLICE("/home/al"), &targets, &count))
		return SLICE("no");
	for (size_t i = 0; i < count; i++) {
		buf_add(&out, targets[i]);
		buf_add_byte(&out, '\n');
	}
	return buf_slice(&out);
}

static void test_forms(void **state)
{
	static const struct {
		const char *text, *targets;
	} cases[] = {
		{"", ""},
		{"\n# only a comment\n  \n", ""},
		{"bob@example.org", "bob@example.org\n"},
		{"\\al, bob@example.org\r\ncarol\n", "\\al\nbob@example.org\ncarol\n"},
		{"\"|/usr/bin/vacation -a x, y\"\n", "|/usr/bin/vacation -a x, y\n"},
		{"|\"/usr/bin/vacation al\"", "|/usr/bin/vacation al\n"},
		{"\"|IFS=' ' && exec /usr/bin/procmail -f- || exit 75 #al\"", "|IFS=' ' && exec /usr/bin/procmail -f- || exit 75 #al\n"},
		{"\"|say \\\"it\\\" \\\\ now\"", "|say \"it\" \\ now\n"},
		{"~/Maildir/, /var/mail/al", "/home/al/Maildir/\n/var/mail/al\n"},
		{"bob,\n carol,\n\t# no\n dave", "bob\ncarol\ndave\n"},
		/* none */
		{"\"|not closed", "no"},
		{"|", "no"},
		{"two words", "no"},
		{"\\two words", "no"},
		{":include:/etc/list", "no"},
		{"Bob <bob@example.org>", "no"},
		{"\"|a\nb\"", "no"},
	};
	struct arena arena SCOPED_ARENA;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct slice got = parse(&arena, cases[i].text);

		if (!slice_eq(got, slice_from_cstr(cases[i].targets)))
			fail_msg("%s: %.*s", cases[i].text, SLICE_ARG(got));
	}
}

static void test_too_many(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct slice *targets;
	struct buf text;
	size_t count;

	(void)state;
	buf_init(&text, &arena, 0);
	for (size_t i = 0; i < LOCAL_TARGETS_MAX; i++)
		buf_printf(&text, "a%zu\n", i);
	assert_true(forward_parse(&arena, buf_slice(&text), SLICE("/"), &targets, &count));
	assert_int_equal(count, LOCAL_TARGETS_MAX);
	buf_add_literal(&text, "one more");
	assert_false(forward_parse(&arena, buf_slice(&text), SLICE("/"), &targets, &count));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_forms), cmocka_unit_test(test_too_many)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
