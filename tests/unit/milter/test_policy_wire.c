#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "milter/policy_wire.h"

static void test_actions(void **state)
{
	static const struct {
		struct slice text;
		enum policy_action action;
		unsigned code;
		const char *enhanced, *rest;
	} rows[] = {
		{SLICE("DUNNO"), POLICY_DUNNO, 0, "", ""},
		{SLICE("dunno whatever"), POLICY_DUNNO, 0, "", "whatever"},
		{SLICE("OK"), POLICY_OK, 0, "", ""},
		{SLICE("1234567890"), POLICY_OK, 0, "", ""},
		{SLICE("REJECT"), POLICY_REFUSE, 554, "5.7.1", "Access denied"},
		{SLICE("reject  no"), POLICY_REFUSE, 554, "5.7.1", "no"},
		{SLICE("REJECT 5.1.8 no"), POLICY_REFUSE, 554, "5.1.8", "no"},
		{SLICE("REJECT 4.1.8 no"), POLICY_REFUSE, 554, "5.7.1", "4.1.8 no"},
		{SLICE("DEFER later"), POLICY_REFUSE, 450, "4.7.1", "later"},
		{SLICE("421 4.7.0 bye"), POLICY_REFUSE, 421, "4.7.0", "bye"},
		{SLICE("599 x"), POLICY_REFUSE, 599, "5.7.1", "x"},
		{SLICE("600 x"), POLICY_MISTAKEN, 0, "", "x"},
		{SLICE("250 x"), POLICY_MISTAKEN, 0, "", "x"},
		{SLICE("DEFER_IF_PERMIT"), POLICY_DEFER_IF_PERMIT, 450, "4.7.1", "Service unavailable"},
		{SLICE("defer_if_reject 4.2.0 x"), POLICY_DEFER_IF_REJECT, 450, "4.2.0", "x"},
		{SLICE("PREPEND X-A: b c"), POLICY_PREPEND, 0, "", "X-A: b c"},
		{SLICE("PREPEND X A: b"), POLICY_MISTAKEN, 0, "", "X A: b"},
		{SLICE("PREPEND"), POLICY_MISTAKEN, 0, "", ""},
		{SLICE("REDIRECT a@b"), POLICY_REDIRECT, 0, "", "a@b"},
		{SLICE("REDIRECT a"), POLICY_MISTAKEN, 0, "", "a"},
		{SLICE("BCC a@b"), POLICY_BCC, 0, "", "a@b"},
		{SLICE("HOLD"), POLICY_HOLD, 0, "", ""},
		{SLICE("DISCARD why"), POLICY_DISCARD, 0, "", "why"},
		{SLICE("WARN x"), POLICY_NOTE, 0, "", "x"},
		{SLICE("FILTER smtp:[127.0.0.1]"), POLICY_MISTAKEN, 0, "", "smtp:[127.0.0.1]"},
		{SLICE("reject_unknown_client"), POLICY_MISTAKEN, 0, "", ""},
		{SLICE(""), POLICY_MISTAKEN, 0, "", ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct policy_verdict verdict = policy_parse_action(rows[i].text);

		assert_int_equal(verdict.action, rows[i].action);
		assert_int_equal(verdict.code, rows[i].code);
		assert_true(slice_eq(verdict.enhanced, slice_from_cstr(rows[i].enhanced)));
		if (rows[i].action != POLICY_DUNNO)
			assert_true(slice_eq(verdict.text, slice_from_cstr(rows[i].rest)));
	}
}

static void test_lines(void **state)
{
	struct slice action;
	struct buf out SCOPED_BUF;

	(void)state;
	assert_true(policy_parse_line(SLICE("action= REJECT no \r"), &action));
	assert_true(slice_eq(action, SLICE("REJECT no")));
	assert_false(policy_parse_line(SLICE("Action=OK"), &action));
	assert_false(policy_parse_line(SLICE("reaction=OK"), &action));
	buf_init(&out, NULL, 0);
	policy_put(&out, "sender", SLICE("a\nrequest=forged"));
	policy_put_number(&out, "size", 12);
	assert_true(slice_eq(buf_slice(&out), SLICE("sender=a?request=forged\nsize=12\n")));
}

static void test_stages(void **state)
{
	(void)state;
	assert_int_equal(policy_stage_parse(SLICE("connect")), POLICY_CONNECT);
	assert_int_equal(policy_stage_parse(SLICE("end-of-message")), POLICY_MESSAGE);
	assert_int_equal(policy_stage_parse(SLICE("vrfy")), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_actions), cmocka_unit_test(test_lines),
					   cmocka_unit_test(test_stages)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
