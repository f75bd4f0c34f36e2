/* SEARCH answers the same without the full-text index, with it, and with one that lags behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "harness.h"
#include "store/text_index.h"

#define COUNT 230

static const char *const searches[] = {
	"SEARCH TEXT needle",
	"SEARCH BODY needle",
	"SEARCH NOT BODY needle SUBJECT 7",
	"SEARCH OR TEXT subject55 BODY 5half",
	"SEARCH TEXT subject5",
	"SEARCH BODY subject5",
	"SEARCH TEXT ne",
	"SEARCH TEXT \"\"",
	"SEARCH CHARSET UTF-8 BODY \"STRA\303\237E 17\"",
	"SEARCH CHARSET UTF-8 TEXT \"\xe6\x9c\xac\"",
	"SEARCH BODY \"sold & bought\"",
	"SEARCH TEXT report7.pdf",
	/* its triples are there, the text isn't */
	"SEARCH BODY \"abcabd\"",
	"SORT (REVERSE SUBJECT) UTF-8 BODY needle",
	"SEARCH FUZZY TEXT needles",
	"SEARCH FUZZY OR TEXT nedle BODY \"sold bought\"",
};
#define SEARCHES (sizeof(searches) / sizeof(searches[0]))

static void deliver(struct harness *h, int i)
{
	struct buf message SCOPED_BUF;

	buf_printf(
		&message,
		"Subject: subject%d\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
		"Content-Type: text/html; charset=utf-8\r\n\r\nStra\xc3\x9f"
		"e %d <b>%s</b> \xe6\x97\xa5\xe6\x9c\xac sold &amp; bought"
		" abcab bcabd %d<i>half</i>\r\n--b\r\nContent-Type: application/pdf; name=report%d.pdf\r\n\r\nx\r\n--b--\r\n",
		i, i, i % 9 == 0 ? "Needle" : "hay", i, i);
	harness_deliver(h, buf_slice(&message));
}

static void command(struct harness *h, const char *text, char *answer, size_t size)
{
	struct buf line SCOPED_BUF;
	struct slice got;

	buf_printf(&line, "a %s\r\n", text);
	harness_send(h, 0, buf_slice(&line), false);
	answer[0] = '\0';
	for (;;) {
		assert_true(harness_read_line(h, 0, &got));
		if (slice_starts_with(got, SLICE("a ")))
			break;
		if (slice_starts_with(got, SLICE("* S")))
			snprintf(answer, size, "%.*s", SLICE_ARG(got));
	}
	if (!slice_starts_with(got, SLICE("a OK")))
		fail_msg("%s: %.*s", text, SLICE_ARG(got));
}

static void ask_all(struct harness *h, char (*answers)[4096])
{
	char unused[4096];

	command(h, "NOOP", unused, sizeof(unused));
	for (size_t i = 0; i < SEARCHES; i++)
		command(h, searches[i], answers[i], sizeof(answers[i]));
}

static size_t index_all(struct harness *h)
{
	int64_t account = 1;
	size_t indexed = 0, all = 0;

	do {
		assert_int_equal(text_index_step(harness_store(h), NULL, &account, &indexed), STATUS_OK);
		all += indexed;
	} while (indexed);
	return all;
}

static void assert_same(char (*before)[4096], char (*after)[4096])
{
	for (size_t i = 0; i < SEARCHES; i++) {
		if (strcmp(before[i], after[i]) != 0)
			fail_msg("%s: %s\ninstead of %s", searches[i], after[i], before[i]);
	}
}

static void test_same_answers(void **state)
{
	static char before[SEARCHES][4096], after[SEARCHES][4096];
	struct harness *h = harness_new();

	(void)state;
	harness_connect(h, 0);
	command(h, "LOGIN " HARNESS_USER " " HARNESS_PASSWORD, after[0], sizeof(after[0]));
	for (int i = 0; i < COUNT; i++)
		deliver(h, i);
	command(h, "SELECT INBOX", after[0], sizeof(after[0]));
	ask_all(h, before);
	assert_string_equal(before[11], "* SEARCH 8");
	assert_string_equal(before[12], "* SEARCH");
	assert_int_equal(index_all(h), COUNT);
	ask_all(h, after);
	assert_same(before, after);
	/* some more, which the index doesn't know */
	for (int i = 0; i < 20; i++)
		deliver(h, COUNT + i);
	ask_all(h, before);
	assert_string_not_equal(before[0], after[0]);
	for (int i = 20; i < COUNT; i++)
		deliver(h, COUNT + i);
	ask_all(h, before);
	assert_int_equal(index_all(h), COUNT);
	ask_all(h, after);
	assert_same(before, after);
	/* and without those that are gone */
	command(h, "STORE 1:100 +FLAGS.SILENT (\\Deleted)", after[0], sizeof(after[0]));
	command(h, "EXPUNGE", after[0], sizeof(after[0]));
	ask_all(h, after);
	assert_string_not_equal(before[0], after[0]);
	assert_true(strlen(after[0]) > strlen("* SEARCH"));
	harness_free(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_same_answers)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
