#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "milter/macros.h"

static void test_written(void **state)
{
	struct milter_macros macros;
	struct milter_macro_sets sets;
	struct buf out SCOPED_BUF;

	(void)state;
	buf_init(&out, NULL, 0);
	milter_macros_clear(&macros);
	milter_macro_sets_default(&sets);
	milter_macros_write(&out, MILTER_MAIL, sets.sets[MILTER_STEP_MAIL], &macros);
	assert_int_equal(out.len, 0);
	macros.values[MACRO_QUEUE_ID] = SLICE("Q");
	macros.values[MACRO_MAIL_ADDR] = SLICE("a@b");
	macros.values[MACRO_RCPT_ADDR] = SLICE("not at this step");
	milter_macros_write(&out, MILTER_MAIL, sets.sets[MILTER_STEP_MAIL], &macros);
	assert_int_equal(out.len, 4 + sizeof("DMi\0Q\0{mail_addr}\0a@b"));
	assert_memory_equal(out.data + 4, "DMi\0Q\0{mail_addr}\0a@b", sizeof("DMi\0Q\0{mail_addr}\0a@b"));
}

static void test_chosen(void **state)
{
	uint64_t queue_id = UINT64_C(1) << MACRO_QUEUE_ID, address = UINT64_C(1) << MACRO_MAIL_ADDR;

	(void)state;
	assert_true(milter_macro_set_parse(SLICE("i {mail_addr}")) == (queue_id | address));
	assert_true(milter_macro_set_parse(SLICE(" {i},, mail_addr ")) == (queue_id | address));
	assert_true(milter_macro_set_parse(SLICE("{nobody_knows} ii")) == 0);
	assert_true(milter_macro_set_parse(SLICE_EMPTY) == 0);
}

static void test_steps(void **state)
{
	(void)state;
	assert_int_equal(milter_step_of(MILTER_CONNECT), MILTER_STEP_CONNECT);
	assert_int_equal(milter_step_of(MILTER_BODY_END), MILTER_STEP_BODY_END);
	assert_int_equal(milter_step_of(MILTER_HEADER), MILTER_STEP_COUNT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_written), cmocka_unit_test(test_chosen),
					   cmocka_unit_test(test_steps)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
