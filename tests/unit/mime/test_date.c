#include "fixture.h"

#include "mime/words.h"

static void understood(void **state)
{
	static const struct {
		const char *text;
		int64_t seconds;
		int zone;
	} table[] = {
		/* RFC 5322 appendix A.1.1 and its likes */
		{"Fri, 21 Nov 1997 09:55:06 -0600", 880127706, -360},
		{"Tue, 1 Jul 2003 10:52:37 +0200", 1057049557, 120},
		{"Thu, 13 Feb 1969 23:32:54 -0330", -27723426, -210},
		/* A.5: white space and comments */
		{"Thu,\r\n      13\r\n        Feb\r\n          1969\r\n      23:32\r\n               -0330 (Newfoundland Time)",
		 -27723480, -210},
		/* A.6.2: obsolete */
		{"21 Nov 97 09:55:06 GMT", 880106106, 0},
		/* A.6.3 */
		{"Fri, 21 Nov 1997 09(comment):   55  :  06 -0600", 880127706, -360},
		/* RFC 5322 section 4.3: years */
		{"1 Jan 00 00:00:00 +0000", 946684800, 0},
		{"1 Jan 49 00:00:00 +0000", 2493072000, 0},
		{"1 Jan 50 00:00:00 +0000", -631152000, 0},
		{"1 Jan 100 00:00:00 +0000", 946684800, 0},
		/* zones */
		{"1 Jan 2026 00:00:00 UT", 1767225600, 0},
		{"1 Jan 2026 00:00:00 EST", 1767243600, -300},
		{"1 Jan 2026 00:00:00 edt", 1767240000, -240},
		{"1 Jan 2026 00:00:00 PDT", 1767250800, -420},
		{"1 Jan 2026 00:00:00 Z", 1767225600, 0},
		{"1 Jan 2026 00:00:00 A", 1767225600, 0},
		{"1 Jan 2026 00:00:00 nowhere", 1767225600, 0},
		{"1 Jan 2026 00:00:00", 1767225600, 0},
		{"1 Jan 2026 00:00:00 -0000", 1767225600, 0},
		{"1 Jan 2026 00:00:00 GMT+0100", 1767222000, 60},
		{"1 Jan 2026 00:00:00 +01:00", 1767222000, 60},
		{"1 Jan 2026 00:00:00 +01", 1767222000, 60},
		{"1 Jan 2026 00:00:00 +1400", 1767175200, 840},
		/* the wild */
		{"Thu Jan  1 00:00:00 2026", 1767225600, 0},
		{"Thu Jan  1 00:00:00 CET 2026", 1767222000, 60},
		{"Thursday, 1-January-2026 00:00:00 GMT", 1767225600, 0},
		{"1 JANUARY 2026 00.00.00 GMT", 1767225600, 0},
		{"1 Jan 2026 00:00:00.123 +0000", 1767225600, 0},
		{"31 Dec 2016 23:59:60 +0000", 1483228799, 0}, /* a leap second */
		{"29 Feb 2024 12:00 +0000", 1709208000, 0},
		{"  1 Jan 2026 00:00  ", 1767225600, 0},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(table); i++) {
		int64_t at = 0;
		int zone = 0;

		print_message("%s\n", table[i].text);
		assert_true(date_parse(slice_from_cstr(table[i].text), &at, &zone));
		assert_int_equal(at, table[i].seconds * 1000);
		assert_int_equal(zone, table[i].zone);
	}
}

static void refused(void **state)
{
	static const char *const table[] = {
		"",
		" ",
		"yesterday",
		"1 Jan",
		"1 Jan 2026",
		"Jan 2026",
		"1 Foo 2026 00:00:00 +0000",
		"0 Jan 2026 00:00",
		"32 Jan 2026 00:00",
		"29 Feb 2023 00:00",
		"31 Apr 2026 00:00",
		"1 Jan 2026 24:00",
		"1 Jan 2026 00:60",
		"1 Jan 2026 00:00:61",
		"100 Jan 2026 00:00",
		"1 Jan 20261 00:00",
		"1 Jan 1899 00:00",
		"Thu",
		"Thu,",
		"Thu, ,",
		"(((",
		"1 Jan 2026 000:00",
		"Thu Jan 1 00:00:00",
	};

	(void)state;
	for (size_t i = 0; i < ROWS(table); i++) {
		int64_t at = 7;
		int zone = 7;

		print_message("%s\n", table[i]);
		assert_false(date_parse(slice_from_cstr(table[i]), &at, &zone));
		assert_int_equal(at, 7);
	}
}

static void formatted(void **state)
{
	static const struct {
		int64_t ms;
		int zone;
		const char *text;
	} table[] = {
		{880127706000, -360, "Fri, 21 Nov 1997 09:55:06 -0600"},
		{1057049557999, 120, "Tue, 1 Jul 2003 10:52:37 +0200"},
		{-27723426000, -210, "Thu, 13 Feb 1969 23:32:54 -0330"},
		{0, 0, "Thu, 1 Jan 1970 00:00:00 +0000"},
	};
	struct arena arena SCOPED_ARENA;

	(void)state;
	for (size_t i = 0; i < ROWS(table); i++) {
		struct buf out;

		buf_init(&out, &arena, 0);
		date_format(&out, table[i].ms, table[i].zone);
		assert_slice(&arena, buf_slice(&out), table[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(understood),
		cmocka_unit_test(refused),
		cmocka_unit_test(formatted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
