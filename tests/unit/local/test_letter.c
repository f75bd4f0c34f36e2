/* A letter as it is written for programs, and circles. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "local/letter.h"

static const struct local_request request = {.sender = {"a@b.test", 8}, .recipient = {"al@c.test", 9},
					     .original_recipient = {"rfc822;old@c.test", 17}};

static void test_lines(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct buf out;

	(void)state;
	buf_init(&out, &arena, 0);
	letter_write(&out, &request, 0, LETTER_QUOTED, SLICE("Subject: x\r\n\r\nFrom me\r\n>From you\r\n>> From\r\nFromage\r\nlast"));
	const struct slice wanted = SLICE("Return-Path: <a@b.test>\nX-Original-To: old@c.test\nDelivered-To: al@c.test\nSubject: x\n\n"
					  ">From me\n>>From you\n>> From\nFromage\nlast\n");

	assert_true(slice_eq(buf_slice(&out), wanted));
}

static void test_envelope_line(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct local_request from = request;
	struct buf out;

	(void)state;
	buf_init(&out, &arena, 0);
	from.sender = SLICE("\"x\nFrom \"@b.test");
	letter_write(&out, &from, 1764000000000, LETTER_FROM, SLICE("S: x\r\n\r\n"));
	assert_true(slice_starts_with(buf_slice(&out), SLICE("From \"x_From_\"@b.test  ")));
	buf_clear(&out);
	from.sender = SLICE_EMPTY;
	letter_write(&out, &from, 1764000000000, LETTER_FROM, SLICE("S: x\r\n\r\n"));
	assert_true(slice_starts_with(buf_slice(&out), SLICE("From MAILER-DAEMON  ")));
	assert_int_not_equal(slice_find(buf_slice(&out), SLICE("\nReturn-Path: <>\n")), 0);
}

static void test_circle(void **state)
{
	(void)state;
	assert_true(letter_was_here(SLICE("A: b\r\ndelivered-to:  AL@c.test \r\n\r\nbody"), SLICE("al@c.test")));
	assert_false(letter_was_here(SLICE("A: b\r\nDelivered-To: al@c.test.org\r\n\r\nbody"), SLICE("al@c.test")));
	assert_false(letter_was_here(SLICE("A: b\r\n\r\nDelivered-To: al@c.test\r\n"), SLICE("al@c.test")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_lines), cmocka_unit_test(test_envelope_line),
					   cmocka_unit_test(test_circle)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
