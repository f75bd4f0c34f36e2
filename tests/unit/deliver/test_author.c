/* In whose name a submission may be written: by the addresses of From and Sender. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "deliver/author.h"

static enum authorship whose(void *context, struct slice address)
{
	(void)context;
	if (slice_eq_nocase(address, SLICE("alice@example.test")) || slice_eq_nocase(address, SLICE("\"a b\"@example.test")))
		return AUTHOR_OWN;
	if (slice_eq_nocase(address, SLICE("office@example.test")))
		return AUTHOR_ON_BEHALF;
	return slice_eq(address, SLICE("lost@example.test")) ? AUTHOR_UNKNOWN : AUTHOR_FOREIGN;
}

static void table(void **state)
{
	static const struct {
		const char *header;
		enum verdict_id strict, otherwise;
		bool is_added;
	} CASES[] = {
		{"From: Alice <Alice@Example.test>\r\n", VERDICT_MESSAGE_OK, VERDICT_MESSAGE_OK, false},
		{"From: \"a b\"@example.test\r\n", VERDICT_MESSAGE_OK, VERDICT_MESSAGE_OK, false},
		{"From: office@example.test\r\n", VERDICT_MESSAGE_OK, VERDICT_MESSAGE_OK, true},
		{"from: The Office\r\n <office@example.test>\r\n", VERDICT_MESSAGE_OK, VERDICT_MESSAGE_OK, true},
		{"From: alice@example.test, office@example.test\r\n", VERDICT_MESSAGE_OK, VERDICT_MESSAGE_OK, true},
		{"From: us: alice@example.test, office@example.test;\r\n", VERDICT_MESSAGE_OK, VERDICT_MESSAGE_OK, true},
		{"From: office@example.test\r\nSender: alice@example.test\r\n", VERDICT_MESSAGE_OK, VERDICT_MESSAGE_OK, false},
		{"From: office@example.test\r\nSender: bob@example.test\r\n", VERDICT_SENDER_FIELD_NOT_OWNED,
		 VERDICT_SENDER_FIELD_NOT_OWNED, false},
		{"From: office@example.test\r\nSender: office@example.test\r\n", VERDICT_SENDER_FIELD_NOT_OWNED,
		 VERDICT_SENDER_FIELD_NOT_OWNED, false},
		{"From: bob@example.test\r\n", VERDICT_FROM_NOT_OWNED, VERDICT_MESSAGE_OK, false},
		{"From: alice@example.test\r\nFrom: bob@example.test\r\n", VERDICT_FROM_NOT_OWNED, VERDICT_MESSAGE_OK, false},
		{"From: alice@example.test, bob@example.test\r\n", VERDICT_FROM_NOT_OWNED, VERDICT_MESSAGE_OK, false},
		{"From: root\r\n", VERDICT_FROM_NOT_OWNED, VERDICT_MESSAGE_OK, false},
		{"From: (bob@example.test)\r\n", VERDICT_FROM_NOT_OWNED, VERDICT_MESSAGE_OK, false},
		{"From: us:;\r\n", VERDICT_MESSAGE_OK, VERDICT_MESSAGE_OK, false},
		{"From: lost@example.test\r\n", VERDICT_TEMPORARY, VERDICT_TEMPORARY, false},
		{"Subject: nobody's\r\n", VERDICT_MESSAGE_OK, VERDICT_MESSAGE_OK, false},
		{"Subject: x\r\n\r\nFrom: bob@example.test\r\n", VERDICT_MESSAGE_OK, VERDICT_MESSAGE_OK, false},
	};

	(void)state;
	for (size_t i = 0; i < 2 * sizeof(CASES) / sizeof(*CASES); i++) {
		struct arena arena SCOPED_ARENA;
		bool strict = i % 2;

		arena_init(&arena, 0);
		struct author_check check = {
			.arena = &arena, .whose = whose, .login = SLICE("alice@example.test"), .refuses_foreign = strict};
		const struct slice parts[] = {slice_from_cstr(CASES[i / 2].header), SLICE("\r\nbody\r\n")};
		struct slice bytes = slice_join(&arena, parts, 2);
		enum verdict_id id = author_judge(&check, &bytes);

		if (id != (strict ? CASES[i / 2].strict : CASES[i / 2].otherwise))
			fail_msg("%s: verdict %d", CASES[i / 2].header, id);
		assert_int_equal(slice_starts_with(bytes, SLICE("Sender: <alice@example.test>\r\n")), CASES[i / 2].is_added);
	}
}

/* However far behind he stands. */
static void test_a_crowd(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct author_check check = {.arena = &arena, .whose = whose, .login = SLICE("alice@example.test"), .refuses_foreign = true};
	struct slice bytes;
	struct buf text;

	(void)state;
	arena_init(&arena, 0);
	buf_init(&text, &arena, 0);
	buf_add_literal(&text, "From: alice@example.test");
	for (unsigned i = 1; i < 100; i++)
		buf_add_literal(&text, ",\r\n alice@example.test");
	bytes = slice_join(&arena, (const struct slice[]){buf_slice(&text), SLICE("\r\n\r\n")}, 2);
	assert_int_equal(author_judge(&check, &bytes), VERDICT_MESSAGE_OK);
	bytes = slice_join(&arena, (const struct slice[]){buf_slice(&text), SLICE(", bob@example.test\r\n\r\n")}, 2);
	assert_int_equal(author_judge(&check, &bytes), VERDICT_FROM_NOT_OWNED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table),
		cmocka_unit_test(test_a_crowd),
	};

	return cmocka_run_group_tests_name("deliver/author", tests, NULL, NULL);
}
