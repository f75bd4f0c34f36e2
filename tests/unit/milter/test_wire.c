#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "milter/lines.h"
#include "milter/wire.h"

static struct arena arena;

#define ASSERT_SLICE(got, wanted)                                                          \
	do {                                                                               \
		struct slice got_ = (got), wanted_ = (wanted);                             \
		assert_int_equal(got_.len, wanted_.len);                                   \
		assert_memory_equal(got_.len ? got_.data : "", wanted_.data, wanted_.len); \
	} while (0)

static enum status parse(char kind, struct slice data, struct milter_reply *reply)
{
	return milter_parse_reply(&arena, kind, data, reply);
}

static void test_packets(void **state)
{
	struct buf out SCOPED_BUF;
	size_t begun;

	(void)state;
	buf_init(&out, NULL, 0);
	begun = milter_packet_begin(&out, MILTER_HELO);
	milter_put_text(&out, SLICE("mx\0forged"));
	milter_packet_end(&out, begun);
	begun = milter_packet_begin(&out, MILTER_CONNECT);
	milter_put_u16(&out, 0x1234);
	milter_put_u32(&out, 0x01020304);
	milter_packet_end(&out, begun);
	ASSERT_SLICE(buf_slice(&out), SLICE("\0\0\0\4Hmx\0\0\0\0\7C\x12\x34\1\2\3\4"));
}

static void test_plain_answers(void **state)
{
	static const struct {
		char kind;
		enum milter_reply_kind reply;
	} rows[] = {{'c', MILTER_REPLY_CONTINUE}, {'a', MILTER_REPLY_ACCEPT},   {'r', MILTER_REPLY_REJECT},
		    {'t', MILTER_REPLY_TEMPFAIL}, {'d', MILTER_REPLY_DISCARD},  {'4', MILTER_REPLY_SHUTDOWN},
		    {'s', MILTER_REPLY_SKIP},     {'p', MILTER_REPLY_PROGRESS}, {'f', MILTER_REPLY_CONN_FAIL}};
	struct milter_reply reply;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		assert_int_equal(parse(rows[i].kind, SLICE_EMPTY, &reply), STATUS_OK);
		assert_int_equal(reply.kind, rows[i].reply);
		assert_int_equal(parse(rows[i].kind, SLICE("x"), &reply), STATUS_PEER);
	}
	assert_int_equal(parse('Z', SLICE_EMPTY, &reply), STATUS_PEER);
	assert_int_equal(parse('\0', SLICE_EMPTY, &reply), STATUS_PEER);
}

static void test_codes(void **state)
{
	static const struct slice wrong[] = {SLICE("250 2.0.0 fine\0"),
					     SLICE("600 no\0"),
					     SLICE("55\0"),
					     SLICE("550 no end"),
					     SLICE("550-a\r\n551 b\0"),
					     SLICE("abc def\0"),
					     SLICE("\0"),
					     SLICE("550x\0"),
					     SLICE("550 a\0"
						   "550 b\0"),
					     SLICE("550-a\r\n\r\n550 b\0"),
					     SLICE("99 a\0")};
	struct milter_reply reply;

	(void)state;
	assert_int_equal(parse('y', SLICE("550 5.7.9 no 100%% way\0"), &reply), STATUS_OK);
	assert_int_equal(reply.code, 550);
	ASSERT_SLICE(reply.enhanced, SLICE("5.7.9"));
	ASSERT_SLICE(reply.text, SLICE("no 100% way"));
	assert_int_equal(parse('y', SLICE("451-4.7.1 one\r\n451-4.7.1 two\r\n451 4.7.1 three\0"), &reply), STATUS_OK);
	ASSERT_SLICE(reply.enhanced, SLICE("4.7.1"));
	ASSERT_SLICE(reply.text, SLICE("one\ntwo\nthree"));
	/* An enhanced code of another class is text; so is what isn't one. */
	assert_int_equal(parse('y', SLICE("451 5.7.1 one\0"), &reply), STATUS_OK);
	ASSERT_SLICE(reply.enhanced, SLICE(""));
	ASSERT_SLICE(reply.text, SLICE("5.7.1 one"));
	assert_int_equal(parse('y', SLICE("550 5.7 one%\0"), &reply), STATUS_OK);
	ASSERT_SLICE(reply.text, SLICE("5.7 one"));
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		assert_int_equal(parse('y', wrong[i], &reply), STATUS_PEER);
}

static void test_changes(void **state)
{
	struct milter_reply reply;

	(void)state;
	assert_int_equal(parse('h', SLICE("X-A\0value\0"), &reply), STATUS_OK);
	ASSERT_SLICE(reply.name, SLICE("X-A"));
	ASSERT_SLICE(reply.value, SLICE("value"));
	assert_int_equal(parse('m', SLICE("\0\0\0\2X-A\0\0"), &reply), STATUS_OK);
	assert_int_equal(reply.index, 2);
	assert_int_equal(reply.value.len, 0);
	assert_int_equal(parse('i', SLICE("\x80\0\0\0X-A\0v\0"), &reply), STATUS_PEER);
	assert_int_equal(parse('h', SLICE("X A\0value\0"), &reply), STATUS_PEER);
	assert_int_equal(parse('h', SLICE("X-A:\0value\0"), &reply), STATUS_PEER);
	assert_int_equal(parse('h', SLICE("\0value\0"), &reply), STATUS_PEER);
	assert_int_equal(parse('h', SLICE("X-A\0value"), &reply), STATUS_PEER);
	assert_int_equal(parse('2', SLICE("<a@b>\0NOTIFY=NEVER\0"), &reply), STATUS_OK);
	assert_int_equal(reply.kind, MILTER_REPLY_ADD_RCPT);
	ASSERT_SLICE(reply.value, SLICE("NOTIFY=NEVER"));
	assert_int_equal(parse('2', SLICE("<a@b>\0"), &reply), STATUS_OK);
	assert_int_equal(parse('+', SLICE("<a@b>\0x\0"), &reply), STATUS_PEER);
	assert_int_equal(parse('e', SLICE("<>\0RET=HDRS\0"), &reply), STATUS_OK);
	assert_int_equal(reply.kind, MILTER_REPLY_CHANGE_FROM);
	assert_int_equal(parse('-', SLICE("<a@b>"), &reply), STATUS_PEER);
	assert_int_equal(parse('b', SLICE("a\0b"), &reply), STATUS_OK);
	assert_int_equal(reply.text.len, 3);
	assert_int_equal(parse('q', SLICE("why\0"), &reply), STATUS_OK);
	ASSERT_SLICE(reply.text, SLICE("why"));
}

static void test_negotiation(void **state)
{
	struct slice rest, names;
	struct milter_reply reply;
	uint32_t step;

	(void)state;
	assert_int_equal(parse('O', SLICE("\0\0\0\6\0\0\0\x1f\0\x10\0\1\0\0\0\2i j\0\0\0\0\5\0"), &reply), STATUS_OK);
	assert_int_equal(reply.version, 6);
	assert_int_equal(reply.rights, 0x1f);
	assert_int_equal(reply.steps, MILTER_LEADING_SPACE | MILTER_NO_CONNECT);
	rest = reply.macros;
	assert_true(milter_next_macros(&rest, &step, &names));
	assert_int_equal(step, 2);
	ASSERT_SLICE(names, SLICE("i j"));
	assert_true(milter_next_macros(&rest, &step, &names));
	assert_int_equal(step, 5);
	assert_false(milter_next_macros(&rest, &step, &names));
	assert_int_equal(parse('O', SLICE("\0\0\0\6\0\0\0\x1f\0\0\0"), &reply), STATUS_PEER);
	/* Older versions know less. */
	assert_int_equal(milter_steps_of_version(2) & (MILTER_NO_DATA | MILTER_NO_UNKNOWN | MILTER_QUIET_MAIL), 0);
	assert_int_equal(milter_steps_of_version(3) & MILTER_NO_UNKNOWN, MILTER_NO_UNKNOWN);
	assert_int_equal(milter_steps_of_version(4) & MILTER_NO_DATA, MILTER_NO_DATA);
	assert_int_equal(milter_steps_of_version(6), MILTER_STEPS);
}

/* However the text is cut into pieces. */
static void test_lines(void **state)
{
	static const struct {
		struct slice in, out;
	} rows[] = {{SLICE("a\r\nb\r\n"), SLICE("a\r\nb\r\n")},
		    {SLICE("a\nb"), SLICE("a\r\nb\r\n")},
		    {SLICE("a\rb\n"), SLICE("a\r\nb\r\n")},
		    {SLICE("\r"), SLICE("\r\n")},
		    {SLICE("\n\n"), SLICE("\r\n\r\n")},
		    {SLICE("\r\r\n"), SLICE("\r\n\r\n")},
		    {SLICE(""), SLICE("")},
		    {SLICE("a\r\r"), SLICE("a\r\n\r\n")},
		    {SLICE("a\n\rb"), SLICE("a\r\n\r\nb\r\n")}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		for (size_t piece = 1; piece <= rows[i].in.len + 1; piece++) {
			struct lines lines = {0};
			struct buf out SCOPED_BUF;

			buf_init(&out, NULL, 0);
			for (size_t at = 0; at < rows[i].in.len; at += piece)
				lines_add(&lines, slice_sub(rows[i].in, at, at + piece), &out);
			lines_end(&lines, &out);
			ASSERT_SLICE(buf_slice(&out), rows[i].out);
		}
	}
}

static int free_arena(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_packets, free_arena),
		cmocka_unit_test_teardown(test_plain_answers, free_arena),
		cmocka_unit_test_teardown(test_codes, free_arena),
		cmocka_unit_test_teardown(test_changes, free_arena),
		cmocka_unit_test_teardown(test_negotiation, free_arena),
		cmocka_unit_test_teardown(test_lines, free_arena),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
