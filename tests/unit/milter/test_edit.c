#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "milter/edit.h"

static struct arena arena;
static struct edit edit;

static int begin(void **state)
{
	(void)state;
	edit_init(&edit, &arena);
	edit_load(&edit, SLICE("Received: ours\r\n\tby us\r\n"), true);
	edit_load(&edit, SLICE("Received: theirs\r\nA: 1\r\nB:  2\r\n x\r\nA : 3\r\n"), false);
	return 0;
}

static int end(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

#define OURS "Received: ours\r\n\tby us\r\n"

static void assert_text(const char *wanted)
{
	struct buf out SCOPED_BUF;

	buf_init(&out, NULL, 0);
	edit_write(&edit, &out);
	buf_add_byte(&out, '\0');
	assert_string_equal(out.data, wanted);
	assert_int_equal(edit.bytes, out.len - 1);
}

static void test_nothing_changed(void **state)
{
	(void)state;
	assert_text(OURS "Received: theirs\r\nA: 1\r\nB:  2\r\n x\r\nA : 3\r\n");
	assert_false(edit.is_changed);
	assert_true(edit_change(&edit, 1, SLICE("None"), SLICE_EMPTY, false));
	assert_false(edit.is_changed);
}

static void test_values(void **state)
{
	const struct edit_field *folded = edit.first->next->next->next;

	(void)state;
	assert_true(slice_eq(edit_value(&arena, folded, false), SLICE(" 2\n x")));
	assert_true(slice_eq(edit_value(&arena, folded, true), SLICE("  2\n x")));
	assert_true(slice_eq(edit_value(&arena, folded->next, false), SLICE("3")));
	assert_true(slice_eq(folded->next->name, SLICE("A")));
}

static void test_add_and_insert(void **state)
{
	(void)state;
	assert_true(edit_add(&edit, SLICE("Z"), SLICE("z"), false));
	assert_true(edit_insert(&edit, 0, SLICE("T"), SLICE("t"), false));
	assert_true(edit_insert(&edit, 2, SLICE("U"), SLICE(" u"), true));
	assert_true(edit_insert(&edit, 99, SLICE("V"), SLICE("v"), true));
	assert_true(edit_prepend(&edit, SLICE("P: p")));
	assert_text("P: p\r\nT: t\r\n" OURS "U: u\r\nReceived: theirs\r\nA: 1\r\nB:  2\r\n x\r\nA : 3\r\nZ: z\r\nV:v\r\n");
	assert_true(edit.is_changed);
}

static void test_change(void **state)
{
	(void)state;
	assert_true(edit_change(&edit, 2, SLICE("a"), SLICE("second"), false));
	assert_true(edit_change(&edit, 1, SLICE("Received"), SLICE("changed"), false));
	assert_true(edit_change(&edit, 0, SLICE("B"), SLICE_EMPTY, false));
	assert_true(edit_change(&edit, 3, SLICE("A"), SLICE("third"), false));
	assert_text(OURS "Received: changed\r\nA: 1\r\na: second\r\nA: third\r\n");
}

/* Whatever a milter gives: no field of another name, no end of the header. */
static void test_lines_stay_in_the_field(void **state)
{
	(void)state;
	assert_true(edit_change(&edit, 1, SLICE("B"), SLICE_EMPTY, false));
	assert_true(edit_change(&edit, 1, SLICE("A"), SLICE_EMPTY, false));
	assert_true(edit_change(&edit, 1, SLICE("A"), SLICE_EMPTY, false));
	assert_true(edit_change(&edit, 1, SLICE("Received"), SLICE_EMPTY, false));
	assert_true(edit_add(&edit, SLICE("X"), SLICE("1\nY: 2\r\n\r\n\n \n3\r4"), false));
	assert_text(OURS "X: 1\r\n\tY: 2\r\n\t34\r\n");
}

static void test_limit(void **state)
{
	struct buf large SCOPED_BUF;

	(void)state;
	buf_init(&large, NULL, 0);
	for (unsigned i = 0; i < 700000; i++)
		buf_add_byte(&large, 'x');
	assert_true(edit_add(&edit, SLICE("X"), buf_slice(&large), false));
	assert_false(edit_add(&edit, SLICE("X"), buf_slice(&large), false));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_nothing_changed, begin, end),
		cmocka_unit_test_setup_teardown(test_values, begin, end),
		cmocka_unit_test_setup_teardown(test_add_and_insert, begin, end),
		cmocka_unit_test_setup_teardown(test_change, begin, end),
		cmocka_unit_test_setup_teardown(test_lines_stay_in_the_field, begin, end),
		cmocka_unit_test_setup_teardown(test_limit, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
