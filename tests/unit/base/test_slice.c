#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/slice.h"

static struct slice text(const char *s)
{
	return slice_from_cstr(s);
}

static void comparison(void **state)
{
	(void)state;
	assert_true(slice_eq(SLICE("abc"), text("abc")));
	assert_false(slice_eq(SLICE("abc"), SLICE("abd")));
	assert_true(slice_eq(SLICE_EMPTY, slice_from_cstr(NULL)));
	assert_true(slice_eq_nocase(SLICE("MAIL From"), SLICE("mail fROM")));
	assert_false(slice_eq_nocase(SLICE("a["), SLICE("a{")));
	assert_false(slice_eq_nocase(SLICE("\xC3\x84"), SLICE("\xC3\xA4")));
	assert_true(slice_compare(SLICE("ab"), SLICE("abc")) < 0);
	assert_true(slice_compare(SLICE("\xff"), SLICE("a")) > 0);
	assert_true(slice_compare_nocase(SLICE("B"), SLICE("a")) > 0);
	assert_int_equal(slice_compare_nocase(SLICE("INBOX"), SLICE("inbox")), 0);
	assert_true(slice_starts_with(SLICE("STARTTLS"), SLICE("START")));
	assert_false(slice_starts_with(SLICE("START"), SLICE("STARTTLS")));
	assert_true(slice_starts_with_nocase(SLICE("starttls"), SLICE("START")));
	assert_true(slice_ends_with(SLICE("a.test"), SLICE(".test")));
	assert_true(slice_ends_with_nocase(SLICE("a.TEST"), SLICE(".test")));
	assert_false(slice_ends_with(SLICE("test"), SLICE("a.test")));
}

static void searching(void **state)
{
	(void)state;
	assert_int_equal(slice_find_byte(SLICE("a@b@c"), '@'), 1);
	assert_int_equal(slice_find_last_byte(SLICE("a@b@c"), '@'), 3);
	assert_int_equal(slice_find_byte(SLICE_EMPTY, '@'), SLICE_NOT_FOUND);
	assert_int_equal(slice_find(SLICE("hello world"), SLICE("o w")), 4);
	assert_int_equal(slice_find(SLICE("hello"), SLICE("hello!")), SLICE_NOT_FOUND);
	assert_int_equal(slice_find(SLICE("hello"), SLICE_EMPTY), 0);
	assert_int_equal(slice_find_nocase(SLICE("Subject: Hello"), SLICE("hELLO")), 9);
	assert_int_equal(slice_find_nocase(SLICE("xAbAbAc"), SLICE("abac")), 3);
	assert_int_equal(slice_find_nocase(SLICE("aaaa"), SLICE("b")), SLICE_NOT_FOUND);
}

/* Horspool's jumps against the plain loop, over all short texts of two letters. */
static void searching_agrees_with_the_plain_loop(void **state)
{
	(void)state;
	for (unsigned pattern = 0; pattern < 1u << 14; pattern++) {
		char hay[9], needle[5];
		size_t expected = SLICE_NOT_FOUND;

		for (int i = 0; i < 9; i++)
			hay[i] = pattern >> i & 1 ? 'A' : 'b';
		for (int i = 0; i < 5; i++)
			needle[i] = pattern >> (9 + i) & 1 ? 'a' : 'B';
		for (size_t at = 0; at <= 4 && expected == SLICE_NOT_FOUND; at++) {
			if (slice_eq_nocase(slice_of(hay + at, 5), slice_of(needle, 5)))
				expected = at;
		}
		assert_int_equal(slice_find_nocase(slice_of(hay, 9), slice_of(needle, 5)), expected);
	}
}

static void cutting(void **state)
{
	struct slice rest = SLICE("a,,b");

	(void)state;
	assert_true(slice_eq(slice_cut(&rest, ','), SLICE("a")));
	assert_true(slice_eq(slice_cut(&rest, ','), SLICE_EMPTY));
	assert_true(slice_eq(slice_cut(&rest, ','), SLICE("b")));
	assert_int_equal(rest.len, 0);
	assert_true(slice_eq(slice_trim(SLICE(" \t a b \r\n")), SLICE("a b")));
	assert_int_equal(slice_trim(SLICE(" \r\n")).len, 0);
	assert_true(slice_eq(slice_sub(SLICE("abc"), 1, 99), SLICE("bc")));
	assert_int_equal(slice_sub(SLICE("abc"), 5, 2).len, 0);
}

static void numbers(void **state)
{
	static const struct {
		const char *text;
		uint64_t max, value;
		bool valid;
	} cases[] = {
		{"0", 0, 0, true},
		{"18446744073709551615", UINT64_MAX, UINT64_MAX, true},
		{"18446744073709551616", UINT64_MAX, 0, false},
		{"99999999999999999999", UINT64_MAX, 0, false},
		{"4294967295", UINT32_MAX, UINT32_MAX, true},
		{"4294967296", UINT32_MAX, 0, false},
		{"007", 9, 7, true},
		{"", 9, 0, false},
		{"+1", 9, 0, false},
		{" 1", 9, 0, false},
		{"1 ", 9, 0, false},
		{"1a", 9, 0, false},
	};
	int64_t number;
	uint64_t hex;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t value = 77;

		assert_int_equal(slice_to_u64(text(cases[i].text), cases[i].max, &value), cases[i].valid);
		assert_int_equal(value, cases[i].valid ? cases[i].value : 77);
	}
	assert_true(slice_to_i64(SLICE("-9223372036854775808"), &number) && number == INT64_MIN);
	assert_true(slice_to_i64(SLICE("9223372036854775807"), &number) && number == INT64_MAX);
	assert_false(slice_to_i64(SLICE("9223372036854775808"), &number));
	assert_false(slice_to_i64(SLICE("-"), &number));
	assert_true(slice_hex_to_u64(SLICE("fFfFffffFFFFffff"), &hex) && hex == UINT64_MAX);
	assert_false(slice_hex_to_u64(SLICE("10000000000000000"), &hex));
	assert_false(slice_hex_to_u64(SLICE("g"), &hex));
}

/* RFC 3629 section 3 and 4, and the well-known wrong forms. */
static void utf8(void **state)
{
	static const struct {
		const char *bytes;
		bool valid;
	} cases[] = {
		{"", true},
		{"plain ascii, longer than eight bytes", true},
		{"plain ascii, then \xE2\x82\xAC and more ascii after it", true},
		{"\xC2\x80", true},
		{"\xDF\xBF", true},
		{"\xE0\xA0\x80", true},
		{"\xEF\xBF\xBF", true},
		{"\xF0\x90\x80\x80", true},
		{"\xF4\x8F\xBF\xBF", true},
		{"\xC0\x80", false},
		{"\xC1\xBF", false},
		{"\xE0\x9F\xBF", false},
		{"\xED\xA0\x80", false},
		{"\xED\xBF\xBF", false},
		{"\xF0\x8F\xBF\xBF", false},
		{"\xF4\x90\x80\x80", false},
		{"\xF5\x80\x80\x80", false},
		{"\x80", false},
		{"ascii of eight.\xFF", false},
		{"\xE2\x82", false},
		{"\xE2\x82"
		 "a",
		 false},
		{"\xF0\x9F\x98", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(slice_is_utf8(text(cases[i].bytes)), cases[i].valid);
	assert_true(slice_is_ascii(SLICE("123456789")));
	assert_false(slice_is_ascii(SLICE("123456789\x80")));
	assert_false(slice_is_ascii(SLICE("\x80"
					  "12345678")));
}

static void copies(void **state)
{
	const struct slice parts[] = {SLICE("a"), SLICE_EMPTY, SLICE("bc")};
	struct arena arena SCOPED_ARENA;

	(void)state;
	assert_string_equal(slice_cstr(&arena, SLICE("abc")), "abc");
	assert_true(slice_eq(slice_lower(&arena, SLICE("Example.TEST")), SLICE("example.test")));
	assert_true(slice_eq(slice_join(&arena, parts, 3), SLICE("abc")));
	assert_true(slice_eq(slice_dup(&arena, SLICE_EMPTY), SLICE_EMPTY));
	assert_int_not_equal(slice_hash(SLICE("a")), slice_hash(SLICE("b")));
	assert_true(slice_hash(SLICE("foobar")) == UINT64_C(0x85944171f73967e8)); /* FNV's published vector */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comparison),
		cmocka_unit_test(searching),
		cmocka_unit_test(searching_agrees_with_the_plain_loop),
		cmocka_unit_test(cutting),
		cmocka_unit_test(numbers),
		cmocka_unit_test(utf8),
		cmocka_unit_test(copies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
