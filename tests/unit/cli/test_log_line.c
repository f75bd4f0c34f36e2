/* Lines of the log as they are written are read back; points in time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <unistd.h>

#include "base/log.h"
#include "cli/log_line.h"
#include "cli/when.h"

static void assert_value(const struct log_line *line, const char *key, struct slice expected)
{
	struct slice value = log_line_value(line, slice_from_cstr(key));

	if (!slice_eq(value, expected))
		fail_msg("%s: got <%.*s>, expected <%.*s>", key, SLICE_ARG(value), SLICE_ARG(expected));
}

static const struct slice values[] = {
	{"plain", 5}, {"", 0}, {"two words", 9}, {"a=\"b\\c\"", 8}, {"line\r\n\tend", 10}, {"\x01\x7f", 2}, {"b\xc3\xbc" "cher", 7}, {"{\"time\":", 8},
};

/* What log writes, log_line reads: both forms, whole and with syslog's words in front. */
static void test_round_trip(void **state)
{
	static const char *const fronts[] = {"", "Nov 25 10:53:14 mx posthorn[12]: "};
	char bytes[9000];

	(void)state;
	for (int format = LOG_FORMAT_LOGFMT; format <= LOG_FORMAT_JSON; format++)
		for (size_t i = 0; i < sizeof(values) / sizeof(values[0]) * 2; i++) {
			struct arena arena SCOPED_ARENA;
			struct slice value = values[i / 2], front = slice_from_cstr(fronts[i % 2]);
			struct log_line line;
			struct log log;
			int ends[2];

			assert_int_equal(pipe(ends), 0);
			log_init(&log, ends[1], (enum log_format)format, LOG_LEVEL_INFO, SLICE("smtp"));
			LOG_INFO(&log, "smtp.accepted", LOG_STR("from", value), LOG_INT("size", -12));
			memcpy(bytes, front.data, front.len);
			ssize_t got = read(ends[0], bytes + front.len, sizeof(bytes) - front.len);

			close(ends[0]);
			close(ends[1]);
			assert_true(got > 0);
			assert_true(log_line_parse(&arena, slice_of(bytes, front.len + (size_t)got), &line));
			assert_int_equal(line.count, 6);
			assert_value(&line, "event", SLICE("smtp.accepted"));
			assert_value(&line, "role", SLICE("smtp"));
			assert_value(&line, "from", value);
			assert_value(&line, "size", SLICE("-12"));
		}
}

static void test_no_lines(void **state)
{
	static const char *const texts[] = {
		"",          "hello",         "xtime=1",        "time=1 b",        "time=\"1",          "time=1 =2",          "time=1 a b=c",
		"{\"time\":", "{\"time\":\"1\"", "{\"time\":1,}", "{\"time\":\"\\u00\"}", "{\"time\":1}x", "{\"time\":[1]}garbage", "time=\"\\q\"",
	};
	struct log_line line;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct arena arena SCOPED_ARENA;

		if (log_line_parse(&arena, slice_from_cstr(texts[i]), &line))
			fail_msg("taken: %s", texts[i]);
	}
}

static void test_when(void **state)
{
	static const struct {
		const char *text;
		int64_t at_ms; /* -1: none */
	} cases[] = {
		{"90s", 1000000 - 90000}, {"1970-01-02", 86400000}, {"1970-01-02T00:01", 86460000}, {"1970-01-02 00:01:02Z", 86462000},
		{"1970-01-02T00:01:02.345Z", 86462345}, {"yesterday", -1}, {"1970-13-01", -1}, {"1970-01-02T25:00", -1},
		{"1970-01-02Tx", -1}, {"1970-01-02Z5", -1}, {"", -1}, {"-5m", -1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t at_ms = -1;
		bool ok = when_parse(slice_from_cstr(cases[i].text), 1000000, &at_ms);

		if (ok != (cases[i].at_ms >= 0) || (ok && at_ms != cases[i].at_ms))
			fail_msg("%s: %d, %lld", cases[i].text, ok, (long long)at_ms);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_round_trip), cmocka_unit_test(test_no_lines), cmocka_unit_test(test_when)};

	return cmocka_run_group_tests_name("cli/log_line", tests, NULL, NULL);
}
