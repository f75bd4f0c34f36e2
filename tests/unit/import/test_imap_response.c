#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "import/imap_response.h"

static void check_text(struct slice got, const char *wanted)
{
	if (!slice_eq(got, slice_from_cstr(wanted)))
		fail_msg("\"%.*s\" is not \"%s\"", SLICE_ARG(got), wanted);
}

static struct imap_response parse(struct arena *arena, const char *text)
{
	struct imap_response response;

	if (!imap_response_parse(arena, slice_from_cstr(text), &response))
		fail_msg("not understood: %s", text);
	return response;
}

/* RFC 9051 section 7, 8: a server's side of a session. */
static void test_conditions(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct imap_response response = parse(&arena, "* OK [CAPABILITY IMAP4rev2 AUTH=PLAIN] ready");

	(void)state;
	assert_int_equal(response.kind, IMAP_RESPONSE_CONDITION);
	check_text(response.code, "CAPABILITY IMAP4rev2 AUTH=PLAIN");
	check_text(response.text, "ready");
	response = parse(&arena, "a12 no [AUTHENTICATIONFAILED]  sorry ]");
	assert_int_equal(response.kind, IMAP_RESPONSE_TAGGED);
	check_text(response.tag, "a12");
	check_text(response.name, "no");
	check_text(response.code, "AUTHENTICATIONFAILED");
	check_text(response.text, "sorry ]");
	response = parse(&arena, "+ idling");
	assert_int_equal(response.kind, IMAP_RESPONSE_GO_ON);
	check_text(response.text, "idling");
	response = parse(&arena, "a1 OK");
	check_text(response.text, "");
}

static void test_list(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct imap_response response = parse(&arena, "* LIST (\\HasNoChildren \\Sent) \".\" \"INBOX.a \\\"b\\\\\"");
	const struct imap_value *value = response.values;

	(void)state;
	check_text(response.name, "LIST");
	check_text(value->values->text, "\\HasNoChildren");
	check_text(value->values->next->text, "\\Sent");
	check_text(value->next->text, ".");
	check_text(value->next->next->text, "INBOX.a \"b\\");
	response = parse(&arena, "* LIST () NIL {3}\r\na(b");
	assert_int_equal(response.values->kind, IMAP_LIST);
	assert_null(response.values->values);
	assert_int_equal(response.values->next->kind, IMAP_NIL);
	check_text(response.values->next->next->text, "a(b");
}

static void test_fetch(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct imap_response response =
		parse(&arena, "* 12 FETCH (UID 7 FLAGS (\\Seen $A) INTERNALDATE \"17-Jul-1996 02:44:25 -0700\" RFC822.SIZE 4286"
			      " BODY[HEADER.FIELDS (DATE FROM)] {4}\r\nab\r\n BODY[] ~{3}\r\n)\"( X NIL)");
	const struct imap_value *pairs = response.values->values;

	(void)state;
	assert_int_equal(response.number, 12);
	check_text(response.name, "FETCH");
	check_text(imap_value_find(pairs, SLICE("uid"))->text, "7");
	check_text(imap_value_find(pairs, SLICE("FLAGS"))->values->next->text, "$A");
	check_text(imap_value_find(pairs, SLICE("RFC822.SIZE"))->text, "4286");
	check_text(imap_value_find(pairs, SLICE("BODY[HEADER.FIELDS (DATE FROM)]"))->text, "ab\r\n");
	check_text(imap_value_find(pairs, SLICE("BODY[]"))->text, ")\"(");
	assert_int_equal(imap_value_find(pairs, SLICE("X"))->kind, IMAP_NIL);
	assert_null(imap_value_find(pairs, SLICE("Y")));
}

static void test_refused(void **state)
{
	static const char *const texts[] = {
		"",          "* ",          "* LIST (", "* LIST )", "* 3 FETCH (UID", "* LIST \"a", "* X {5}\r\nabc",
		"* X \"a\\", "a1 WHAT ever"};
	struct arena arena SCOPED_ARENA;
	struct imap_response response;
	char deep[200];

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		if (imap_response_parse(&arena, slice_from_cstr(texts[i]), &response))
			fail_msg("understood: %s", texts[i]);
	memset(deep, '(', sizeof deep);
	memcpy(deep, "* X ", 4);
	assert_false(imap_response_parse(&arena, slice_of(deep, sizeof deep), &response));
}

static void test_literals_announced(void **state)
{
	uint64_t size = 0;

	(void)state;
	assert_true(imap_line_announces(SLICE("* 1 FETCH (BODY[] {310}"), &size));
	assert_int_equal(size, 310);
	assert_true(imap_line_announces(SLICE("{7+}"), &size));
	assert_int_equal(size, 7);
	assert_false(imap_line_announces(SLICE("{7} "), &size));
	assert_false(imap_line_announces(SLICE("{}"), &size));
	assert_false(imap_line_announces(SLICE("{99999999999}"), &size));
	assert_false(imap_line_announces(SLICE("7}"), &size));
}

static void test_dates(void **state)
{
	int64_t ms;

	(void)state;
	assert_true(imap_date_parse(SLICE("17-Jul-1996 02:44:25 -0700"), &ms));
	assert_int_equal(ms, 837596665000);
	assert_true(imap_date_parse(SLICE(" 1-Jan-2026 00:00:00 +0000"), &ms));
	assert_int_equal(ms, 1767225600000);
	assert_false(imap_date_parse(SLICE("17-Jux-1996 02:44:25 -0700"), &ms));
	assert_false(imap_date_parse(SLICE("17-Jul-1996 02:44:25"), &ms));
	assert_false(imap_date_parse(SLICE("0-Jul-1996 02:44:25 -0700"), &ms));
	assert_false(imap_date_parse(SLICE_EMPTY, &ms));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_conditions),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_fetch),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_literals_announced),
		cmocka_unit_test(test_dates),
	};

	return cmocka_run_group_tests_name("import/imap_response", tests, NULL, NULL);
}
