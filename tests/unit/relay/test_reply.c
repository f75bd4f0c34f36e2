/* Replies and EHLO answers: RFC 5321 section 4.2, RFC 2034, RFC 3463. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "relay/capabilities.h"
#include "relay/reply.h"

static void assert_slice(struct slice got, const char *expected)
{
	char text[8192];

	assert_true(got.len < sizeof(text));
	memcpy(text, got.data, got.len);
	text[got.len] = '\0';
	assert_string_equal(text, expected);
}

static void lines(void **state)
{
	static const struct {
		const char *line;
		bool ok;
		unsigned code;
		bool is_last;
		const char *text;
	} TABLE[] = {
		{"250 OK", true, 250, true, "OK"}, {"250-first", true, 250, false, "first"},
		{"250", true, 250, true, ""},      {"250 ", true, 250, true, ""},
		{"250-", true, 250, false, ""},    {"354 go", true, 354, true, "go"},
		{"599 x", true, 599, true, "x"},   {"150 x", false, 0, false, NULL},
		{"650 x", false, 0, false, NULL},  {"25", false, 0, false, NULL},
		{"", false, 0, false, NULL},       {"2a0 x", false, 0, false, NULL},
		{"250x", false, 0, false, NULL},   {"250\tx", false, 0, false, NULL},
		{" 250 x", false, 0, false, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(TABLE) / sizeof(TABLE[0]); i++) {
		struct reply_line parsed;

		assert_int_equal(reply_line_parse(slice_from_cstr(TABLE[i].line), &parsed), TABLE[i].ok);
		if (!TABLE[i].ok)
			continue;
		assert_int_equal(parsed.code, TABLE[i].code);
		assert_int_equal(parsed.is_last, TABLE[i].is_last);
		assert_slice(parsed.text, TABLE[i].text);
	}
}

static void enhanced_codes(void **state)
{
	static const struct {
		const char *text;
		unsigned code;
		const char *enhanced, *rest;
	} TABLE[] = {
		{"5.1.1 no such user", 550, "5.1.1", "no such user"},
		{"2.0.0", 250, "2.0.0", ""},
		{"4.7.128 wait", 450, "4.7.128", "wait"},
		{"5.1.1 x", 450, "", "5.1.1 x"}, /* another class than the code's */
		{"5.1.1000 x", 550, "", "5.1.1000 x"},
		{"5.1 x", 550, "", "5.1 x"},
		{"5..1 x", 550, "", "5..1 x"},
		{"5.1.1x", 550, "", "5.1.1x"},
		{"", 550, "", ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(TABLE) / sizeof(TABLE[0]); i++) {
		struct slice text = slice_from_cstr(TABLE[i].text);

		assert_slice(reply_take_enhanced(&text, TABLE[i].code), TABLE[i].enhanced);
		assert_slice(text, TABLE[i].rest);
	}
}

static void whole_replies(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct reply_builder builder;

	(void)state;
	reply_begin(&builder, &arena);
	assert_int_equal(reply_add_line(&builder, SLICE("550-5.7.1 first")), STATUS_NEED_MORE);
	assert_int_equal(reply_add_line(&builder, SLICE("550-5.7.1 second")), STATUS_NEED_MORE);
	assert_int_equal(reply_add_line(&builder, SLICE("550 5.7.1 last")), STATUS_OK);
	assert_int_equal(builder.reply.code, 550);
	assert_slice(builder.reply.enhanced, "5.7.1");
	assert_slice(builder.reply.text, "550-5.7.1 first\n550-5.7.1 second\n550 5.7.1 last");
	assert_true(reply_is_permanent(&builder.reply));

	/* RFC 5321 section 4.2.1: the code is the same on every line. */
	reply_begin(&builder, &arena);
	assert_int_equal(reply_add_line(&builder, SLICE("250-a")), STATUS_NEED_MORE);
	assert_int_equal(reply_add_line(&builder, SLICE("550 b")), STATUS_PEER);
}

static void endless_replies(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct reply_builder builder;
	char line[1000];
	unsigned count = 0;

	(void)state;
	memset(line, 'x', sizeof(line));
	memcpy(line, "250-", 4);
	reply_begin(&builder, &arena);
	while (reply_add_line(&builder, slice_of(line, sizeof(line))) == STATUS_NEED_MORE)
		count++;
	assert_int_equal(count, REPLY_LINES_MAX);
	assert_true(builder.text.len <= REPLY_TEXT_MAX);
}

static void own_replies(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct reply reply = reply_ours(&arena, 451, "4.4.1", "host %s\r\ngone", "x"), bare = {.code = 450};

	(void)state;
	assert_slice(reply.text, "host x  gone");
	assert_slice(reply_status(&arena, &reply), "4.4.1");
	assert_slice(reply_status(&arena, &bare), "4.0.0");
	assert_true(reply.is_ours);
}

static void capabilities(void **state)
{
	struct capabilities parsed = capabilities_parse(
		SLICE("250-mx.example.org greets you\n250-PIPELINING\n250-SIZE 52428800\n250-8bitmime\n250-AUTH PLAIN "
		      "LOGIN\n250-SMTPUTF8\n250-X-UNKNOWN a b\n250 dsn"));

	(void)state;
	assert_slice(parsed.host, "mx.example.org");
	assert_int_equal(parsed.offered, CAPABILITY_PIPELINING | CAPABILITY_SIZE | CAPABILITY_8BITMIME | CAPABILITY_AUTH |
						 CAPABILITY_SMTPUTF8 | CAPABILITY_DSN);
	assert_int_equal(parsed.mechanisms, MECHANISM_PLAIN | MECHANISM_LOGIN);
	assert_int_equal(parsed.size_limit, 52428800);

	parsed = capabilities_parse(SLICE("250-h\n250-SIZE\n250-AUTH=SCRAM-SHA-256\n250 STARTTLS"));
	assert_int_equal(parsed.size_limit, 0);
	assert_int_equal(parsed.mechanisms, MECHANISM_SCRAM_SHA_256);
	assert_int_equal(parsed.offered, CAPABILITY_SIZE | CAPABILITY_AUTH | CAPABILITY_STARTTLS);

	parsed = capabilities_parse(SLICE("250 PIPELINING")); /* the first line is the name, whatever it says */
	assert_int_equal(parsed.offered, 0);
	parsed = capabilities_parse(SLICE("250-h\n250 SIZE 99999999999999999999999"));
	assert_int_equal(parsed.size_limit, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines),           cmocka_unit_test(enhanced_codes), cmocka_unit_test(whole_replies),
		cmocka_unit_test(endless_replies), cmocka_unit_test(own_replies),    cmocka_unit_test(capabilities),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
