#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "mime/verp.h"

static void check(const char *sender, const char *delimiters, const char *recipient, const char *expected)
{
	struct arena arena SCOPED_ARENA;

	arena_init(&arena, 0);
	struct slice made =
		verp_sender(&arena, slice_from_cstr(sender), slice_from_cstr(delimiters), slice_from_cstr(recipient));

	if (!slice_eq(made, slice_from_cstr(expected)))
		fail_msg("%s: %.*s", expected, SLICE_ARG(made));
}

static void test_sender(void **state)
{
	(void)state;
	check("list-owner@lists.example", "+=", "bob@example.org", "list-owner+bob=example.org@lists.example");
	check("list-owner@lists.example", "-=", "bob@example.org", "list-owner-bob=example.org@lists.example");
	check("list-owner@lists.example", "", "bob@example.org", "list-owner@lists.example");
	check("list-owner@lists.example", "+@", "bob@example.org", "list-owner@lists.example");
	check("", "+=", "bob@example.org", "");
	check("owner", "+=", "bob@example.org", "owner");
	/* No address comes of it: of 65 bytes before the @, or quoted. */
	check("o@lists.example", "+=", "a23456789012345678901234567890123456789012345678901234@exampl.org", "o@lists.example");
	check("o@lists.example", "+=", "\"a b\"@example.org", "o@lists.example");
}

static void test_delimiters(void **state)
{
	(void)state;
	assert_true(verp_is_delimiters(SLICE("+=")));
	assert_true(verp_is_delimiters(SLICE("--")));
	assert_false(verp_is_delimiters(SLICE("+")));
	assert_false(verp_is_delimiters(SLICE("+==")));
	assert_false(verp_is_delimiters(SLICE("a=")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sender),
		cmocka_unit_test(test_delimiters),
	};

	return cmocka_run_group_tests_name("mime/verp", tests, NULL, NULL);
}
