#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>
#include <unistd.h>

#include "base/log.h"

/* What one event writes, without its time. */
struct capture {
	int pipe[2];
	struct log log;
	char bytes[20000];
	struct slice line;
};

static void start(struct capture *c, enum log_format format)
{
	assert_int_equal(pipe(c->pipe), 0);
	log_init(&c->log, c->pipe[1], format, LOG_LEVEL_INFO, SLICE("smtp"));
}

static void finish(struct capture *c, struct slice before_level)
{
	ssize_t got;
	size_t at;

	close(c->pipe[1]);
	got = read(c->pipe[0], c->bytes, sizeof(c->bytes));
	close(c->pipe[0]);
	c->line = slice_of(c->bytes, got > 0 ? (size_t)got : 0);
	at = slice_find(c->line, before_level);
	if (at != SLICE_NOT_FOUND)
		c->line = slice_skip(c->line, at);
}

static void assert_line(const struct capture *c, struct slice expected)
{
	if (!slice_eq(c->line, expected))
		fail_msg("got %.*s expected %.*s", SLICE_ARG(c->line), SLICE_ARG(expected));
}

static void logfmt(void **state)
{
	struct capture c;

	(void)state;
	start(&c, LOG_FORMAT_LOGFMT);
	LOG_INFO(&c.log, "smtp.accepted", LOG_CSTR("id", "4XYZ"), LOG_STR("from", SLICE("a b=\"c\"\r\n\x01\xff")),
		 LOG_INT("size", -5), LOG_STR("none", SLICE_EMPTY));
	finish(&c, SLICE("level="));
	assert_line(&c, SLICE("level=info role=smtp event=smtp.accepted id=4XYZ from=\"a b=\\\"c\\\"\\r\\n\\x01\\xff\" size=-5 "
			      "none=\"\"\n"));
}

static void json(void **state)
{
	struct capture c;

	(void)state;
	start(&c, LOG_FORMAT_JSON);
	LOG_WARNING(&c.log, "x.y", LOG_STR("text", SLICE("\xE2\x82\xAC \"q\"\n")), LOG_INT("n", 7));
	finish(&c, SLICE("\"level\""));
	assert_line(&c, SLICE("\"level\":\"warning\",\"role\":\"smtp\",\"event\":\"x.y\",\"text\":\"\xE2\x82\xAC "
			      "\\\"q\\\"\\n\",\"n\":7}\n"));
	assert_int_equal(c.bytes[0], '{');
}

static void below_the_level_nothing_is_written(void **state)
{
	struct capture c;

	(void)state;
	start(&c, LOG_FORMAT_LOGFMT);
	LOG_DEBUG(&c.log, "x.y");
	finish(&c, SLICE("level="));
	assert_int_equal(c.line.len, 0);
}

/* A peer can neither forge a line nor break the form by sending much. */
static void long_lines_are_cut_and_stay_whole(void **state)
{
	static char letters[30000];
	static const enum log_format formats[] = {LOG_FORMAT_LOGFMT, LOG_FORMAT_JSON};

	(void)state;
	for (size_t i = 0; i + 2 < sizeof(letters); i += 3)
		memcpy(letters + i, i % 7 ? "\xE2\x82\xAC" : "a \"", 3);
	for (size_t len = 29000; len < 29012; len++) {
		for (size_t i = 0; i < 2; i++) {
			struct capture c;

			start(&c, formats[i]);
			LOG_ERROR(&c.log, "x.y", LOG_STR("text", slice_of(letters, len / 3 * 3)), LOG_INT("n", 7));
			finish(&c, SLICE("level"));
			assert_true(c.line.len > 7000 && c.line.len < 8192);
			assert_true(slice_is_utf8(c.line));
			assert_int_equal(slice_find_byte(c.line, '\n'), c.line.len - 1);
			assert_true(slice_ends_with(c.line, i ? SLICE("\",\"cut\":1}\n") : SLICE("\" cut=1\n")));
		}
	}
}

static void levels_have_names(void **state)
{
	enum log_level level;

	(void)state;
	assert_true(log_level_parse(SLICE("error"), &level) && level == LOG_LEVEL_ERROR);
	assert_false(log_level_parse(SLICE("ERROR"), &level));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(logfmt),
		cmocka_unit_test(json),
		cmocka_unit_test(below_the_level_nothing_is_written),
		cmocka_unit_test(long_lines_are_cut_and_stay_whole),
		cmocka_unit_test(levels_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
