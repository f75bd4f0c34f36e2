#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "import/mbox.h"
#include "store/mailbox.h"

static void check_text(struct slice got, const char *wanted)
{
	if (!slice_eq(got, slice_from_cstr(wanted)))
		fail_msg("\"%.*s\" is not \"%s\"", SLICE_ARG(got), wanted);
}

static void check_restored(const struct mbox_message *message, const char *wanted)
{
	struct buf out SCOPED_BUF;

	buf_init(&out, NULL, 0);
	mbox_restore(&out, message);
	check_text(buf_slice(&out), wanted);
}

static void test_from_lines(void **state)
{
	static const struct {
		const char *line;
		int64_t ms;
	} good[] = {
		{"From a@b.c Sat Jan  3 01:05:34 1996", 820631134000},
		{"From MAILER-DAEMON Tue Nov 24 15:00:00 2026", 1795532400000},
		{"From a@b.c Tue Nov 24 15:00 2026", 1795532400000},
		{"From a@b.c Tue Nov 24 15:00:00 2026 +0100", 1795528800000},
		{"From a@b.c Tue Nov 24 15:00:00 -0100 2026\r", 1795536000000},
		{"From  Tue Nov 24 15:00:00 2026", 1795532400000},
		{"From \"May Day\"@x Tue Nov 24 15:00:00 2026", 1795532400000},
	};
	static const char *const bad[] = {"From here on all is well",
					  "From a May 5 party",
					  "from a@b Sat Jan 3 01:05:34 1996",
					  "From a@b Sat Jan 3 25:05:34 1996",
					  "From a@b Sat Jan 32 01:05:34 1996",
					  ">From a@b Sat Jan 3 01:05:34 1996",
					  ""};
	int64_t ms;

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		if (!mbox_is_from_line(slice_from_cstr(good[i].line), &ms))
			fail_msg("%s", good[i].line);
		assert_int_equal(ms, good[i].ms);
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		if (mbox_is_from_line(slice_from_cstr(bad[i]), &ms))
			fail_msg("%s", bad[i]);
}

#define LINE "From a@b.c Tue Nov 24 15:00:00 2026\n"

static void test_cutting(void **state)
{
	struct mbox mbox = {
		.rest = SLICE("rubbish before\n\n" LINE "Subject: one\nStatus: RO\nX-Status: AF\nX-Keywords: $Work  $Home\n"
			      "X-UID: 7\nX-IMAPbase: 4711 99 $Work\n\n>From quoted\n>>From twice\nFrom here on\n\n" LINE
			      "Subject: two\n\nbody\n\n" LINE "Subject: three\r\n\r\ncrlf\r\n")};
	struct mbox_message message;

	(void)state;
	assert_true(mbox_next(&mbox, &message));
	assert_int_equal(message.flags, FLAG_SEEN | FLAG_ANSWERED | FLAG_FLAGGED);
	check_text(message.keywords, "$Work  $Home");
	assert_int_equal(message.uid, 7);
	assert_int_equal(mbox.uid_validity, 4711);
	assert_int_equal(mbox.last_uid, 99);
	assert_false(message.is_internal);
	check_restored(&message, "Subject: one\r\n\r\nFrom quoted\r\n>From twice\r\nFrom here on\r\n");
	assert_true(mbox_next(&mbox, &message));
	check_restored(&message, "Subject: two\r\n\r\nbody\r\n");
	assert_true(mbox_next(&mbox, &message));
	check_restored(&message, "Subject: three\r\n\r\ncrlf\r\n");
	assert_false(mbox_next(&mbox, &message));
}

/* A Content-Length counts where a message begins behind it, and only there. */
static void test_content_length(void **state)
{
	struct mbox mbox = {.rest = SLICE(LINE "Content-Length: 45\n\nx\n\n" LINE ">From\n\n" LINE
					       "Content-Length: 9999\n\nb\n\n" LINE "Content-Length: 0\n\n\n" LINE
					       "Subject: last\n\nc\n")};
	struct mbox_message message;

	(void)state;
	assert_true(mbox_next(&mbox, &message));
	check_restored(&message, "\r\nx\r\n\r\nFrom a@b.c Tue Nov 24 15:00:00 2026\r\n>From\r\n");
	assert_true(mbox_next(&mbox, &message));
	check_restored(&message, "\r\nb\r\n");
	assert_true(mbox_next(&mbox, &message));
	check_restored(&message, "\r\n");
	assert_true(mbox_next(&mbox, &message));
	check_restored(&message, "Subject: last\r\n\r\nc\r\n");
	assert_false(mbox_next(&mbox, &message));
}

static void test_internal_message(void **state)
{
	struct mbox mbox = {
		.rest = SLICE(LINE "From: Mail System Internal Data <MAILER-DAEMON@x>\nX-IMAP: 12 13\n\nDON'T DELETE\n")};
	struct mbox_message message;

	(void)state;
	assert_true(mbox_next(&mbox, &message));
	assert_true(message.is_internal);
	assert_int_equal(mbox.uid_validity, 12);
}

/* What is put comes back. */
static void test_there_and_back(void **state)
{
	static const char *const texts[] = {
		"Subject: a\r\n\r\nFrom me\r\n>From you\r\n\r\n\r\n",
		"Subject: a\r\n\r\n",
		"Subject: folded\r\n line\r\n\r\n" LINE "x\r\n",
		"Subject: a\r\n\r\nends in blank\r\n\r\n",
	};
	struct buf file SCOPED_BUF;

	(void)state;
	buf_init(&file, NULL, 0);
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		struct mbox_facts facts = {.sender = SLICE("x y@z"),
					   .received_ms = 1795532400000 + 1000 * (int64_t)i,
					   .flags = FLAG_SEEN | FLAG_DRAFT | FLAG_DELETED,
					   .keywords = SLICE("$A $B"),
					   .uid = (uint32_t)(10 + i),
					   .uid_validity = i == 0 ? 5 : 0,
					   .last_uid = 20};

		mbox_put(&file, &facts, slice_from_cstr(texts[i]));
	}
	struct mbox mbox = {.rest = buf_slice(&file)};
	struct mbox_message message;

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		char wanted[256];
		size_t length = 0;

		assert_true(mbox_next(&mbox, &message));
		assert_int_equal(message.received_ms, 1795532400000 + 1000 * (int64_t)i);
		assert_int_equal(message.flags, FLAG_SEEN | FLAG_DRAFT | FLAG_DELETED);
		assert_int_equal(message.uid, 10 + i);
		check_text(message.keywords, "$A $B");
		/* A bare LF in the text above becomes CRLF. */
		for (const char *c = texts[i]; *c; c++) {
			if (*c == '\n' && (c == texts[i] || c[-1] != '\r'))
				wanted[length++] = '\r';
			wanted[length++] = *c;
		}
		wanted[length] = 0;
		check_restored(&message, wanted);
	}
	assert_false(mbox_next(&mbox, &message));
	assert_int_equal(mbox.uid_validity, 5);
	assert_int_equal(mbox.last_uid, 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_from_lines),     cmocka_unit_test(test_cutting),
		cmocka_unit_test(test_content_length), cmocka_unit_test(test_internal_message),
		cmocka_unit_test(test_there_and_back),
	};

	return cmocka_run_group_tests_name("import/mbox", tests, NULL, NULL);
}
