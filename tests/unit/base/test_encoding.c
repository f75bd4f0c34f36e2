/* base64, hex, clock, random, error */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/base64.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/random.h"

static void assert_slice(struct slice got, struct slice expected)
{
	if (!slice_eq(got, expected))
		fail_msg("got \"%.*s\", expected \"%.*s\"", SLICE_ARG(got), SLICE_ARG(expected));
}

/* RFC 4648 section 10 */
static void base64_vectors(void **state)
{
	static const struct {
		struct slice plain, encoded;
	} cases[] = {
		{{"", 0}, {"", 0}},
		{{"f", 1}, {"Zg==", 4}},
		{{"fo", 2}, {"Zm8=", 4}},
		{{"foo", 3}, {"Zm9v", 4}},
		{{"foob", 4}, {"Zm9vYg==", 8}},
		{{"fooba", 5}, {"Zm9vYmE=", 8}},
		{{"foobar", 6}, {"Zm9vYmFy", 8}},
		{{"\xff\xef\xbe", 3}, {"/+++", 4}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf out SCOPED_BUF;

		base64_encode(&out, cases[i].plain);
		assert_slice(buf_slice(&out), cases[i].encoded);
		buf_clear(&out);
		assert_true(base64_decode(&out, cases[i].encoded));
		assert_slice(buf_slice(&out), cases[i].plain);
		buf_clear(&out);
		base64_decode_lenient(&out, cases[i].encoded);
		assert_slice(buf_slice(&out), cases[i].plain);
	}
}

static void base64_is_strict(void **state)
{
	static const char *const wrong[] = {"Z",      "Zg", "Zg=",  "Zg===",    "Zh==", "Zm9",  "Zm9=x",   "Zm 9v",
					    "Zm9v\n", "=",  "====", "Zm9v====", "Z===", "Zm,v", "Zg==Zg=="};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct buf out SCOPED_BUF;

		if (base64_decode(&out, slice_from_cstr(wrong[i])))
			fail_msg("\"%s\" was taken", wrong[i]);
	}
}

static void base64_lenient_and_imap(void **state)
{
	struct buf out SCOPED_BUF;

	(void)state;
	base64_decode_lenient(&out, SLICE("Zm 9v\r\nYg==!!Zm9v"));
	assert_slice(buf_slice(&out), SLICE("foobfoo"));
	buf_clear(&out);
	base64_decode_lenient(&out, SLICE("Zm9vYg"));
	assert_slice(buf_slice(&out), SLICE("foob"));
	buf_clear(&out);
	base64_imap_encode(&out, SLICE("\xff\xff\xff\x80"));
	assert_slice(buf_slice(&out), SLICE(",,,,gA"));
	buf_clear(&out);
	assert_true(base64_imap_decode(&out, SLICE(",,,,gA")));
	assert_slice(buf_slice(&out), SLICE("\xff\xff\xff\x80"));
	assert_false(base64_imap_decode(&out, SLICE("/")));
	assert_false(base64_imap_decode(&out, SLICE("gA==")));
	buf_clear(&out);
	hex_encode(&out, SLICE("\x00\xab"));
	assert_slice(buf_slice(&out), SLICE("00ab"));
	buf_clear(&out);
	assert_true(hex_decode(&out, SLICE("00AB")));
	assert_slice(buf_slice(&out), SLICE("\x00\xab"));
	assert_false(hex_decode(&out, SLICE("0")));
	assert_false(hex_decode(&out, SLICE("0g")));
}

static void dates(void **state)
{
	static const struct {
		int64_t wall_ms;
		const char *text;
		int weekday;
	} cases[] = {
		{0, "1970-01-01T00:00:00.000Z", 4},
		{951782400123, "2000-02-29T00:00:00.123Z", 2},
		{-1, "1969-12-31T23:59:59.999Z", 3},
		{1795532400000, "2026-11-24T15:00:00.000Z", 2},
		{4107542400000, "2100-03-01T00:00:00.000Z", 1},
		{-62135596800000, "0001-01-01T00:00:00.000Z", 1},
		{253402300799000, "9999-12-31T23:59:59.000Z", 5},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf out SCOPED_BUF;
		struct civil_time civil = clock_civil(cases[i].wall_ms, 0);
		int64_t seconds = cases[i].wall_ms / 1000 - (cases[i].wall_ms % 1000 < 0);

		clock_format_rfc3339(&out, cases[i].wall_ms);
		assert_slice(buf_slice(&out), slice_from_cstr(cases[i].text));
		assert_int_equal(civil.weekday, cases[i].weekday);
		assert_true(clock_from_civil(&civil) == seconds * 1000);
		civil = clock_civil(cases[i].wall_ms, -330);
		assert_true(clock_from_civil(&civil) == seconds * 1000);
	}
	assert_true(clock_monotonic_ms() > 0);
	assert_true(clock_wall_ms() > INT64_C(1700000000000));
}

static void queue_ids_sort_by_age_and_differ(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct slice last = random_queue_id(&arena);

	(void)state;
	for (int i = 0; i < 1000; i++) {
		struct slice id = random_queue_id(&arena);

		assert_int_equal(id.len, QUEUE_ID_LENGTH);
		assert_true(slice_compare(slice_sub(id, 0, 10), slice_sub(last, 0, 10)) >= 0);
		assert_false(slice_eq(id, last));
		last = id;
	}
	assert_int_equal(random_token(&arena, 26).len, 26);
	assert_true(random_u64() != random_u64());
}

/* The vectors of the SipHash paper's reference implementation: key 00..0f, message 00, 01, ... */
static void siphash_vectors(void **state)
{
	static const uint64_t expected[] = {
		UINT64_C(0x726fdb47dd0e0e31), UINT64_C(0x74f839c593dc67fd), UINT64_C(0x0d6c8009d9a94f5a),
		UINT64_C(0x85676696d7fb7e2d), UINT64_C(0xcf2794e0277187b7), UINT64_C(0x18765564cd99a68d),
		UINT64_C(0xcbc9466e58fee3ce), UINT64_C(0xab0200f58b01d137), UINT64_C(0x93f5f5799a932462)};
	uint8_t key[16];

	(void)state;
	for (uint8_t i = 0; i < 16; i++)
		key[i] = i;
	for (size_t len = 0; len < sizeof(expected) / sizeof(expected[0]); len++)
		assert_true(siphash(key, slice_of((const char *)key, len)) == expected[len]);
}

static void errors(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct error error;

	(void)state;
	assert_int_equal(error_set(&error, &arena, STATUS_LIMIT, "%d is too many", 7), STATUS_LIMIT);
	assert_int_equal(error.status, STATUS_LIMIT);
	assert_slice(error.text, SLICE("7 is too many"));
	assert_int_equal(error_set(NULL, &arena, STATUS_BUG, "x"), STATUS_BUG);
	assert_slice(status_name(STATUS_TEMPORARY), SLICE("temporary"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base64_vectors),
		cmocka_unit_test(base64_is_strict),
		cmocka_unit_test(base64_lenient_and_imap),
		cmocka_unit_test(dates),
		cmocka_unit_test(queue_ids_sort_by_age_and_differ),
		cmocka_unit_test(siphash_vectors),
		cmocka_unit_test(errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
