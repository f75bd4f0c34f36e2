/* The answers of LMTP where filters have changed the recipients. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fake_roles.h"
#include "memory_conn.h"
#include "smtp/session.h"

#define ALICE {"alice@example.test", 18}
#define BOB   {"bob@example.test", 16}
#define LATE  {"late@example.test", 17} /* whose mailbox is full */

/* The client has named alice and bob; what is left of them, and was added. */
static void answers(struct deliver_recipient *recipients, size_t count, struct slice body, const char *expected)
{
	struct slice named[] = {ALICE, BOB};
	struct arena session_arena SCOPED_ARENA, command_arena SCOPED_ARENA;
	struct conn conn;
	struct session_env env = {.conn = &conn, .session_arena = &session_arena, .command_arena = &command_arena};
	struct smtp_session s = {.env = &env, .conn = &conn, .is_lmtp = true, .ends_ms = INT64_MAX, .login = SLICE_EMPTY, .peer = SLICE_EMPTY};
	struct incoming incoming = {.fd = -1};
	struct log log;
	char codes[16] = "";

	arena_init(&session_arena, 0);
	arena_init(&command_arena, 0);
	log_init(&log, -1, LOG_FORMAT_LOGFMT, LOG_LEVEL_ERROR, SLICE("test"));
	memory_conn_init(&conn, NULL, NULL);
	s.log = &log;
	s.transaction = (struct smtp_transaction){.named = named, .named_count = 2, .recipients = recipients};
	s.transaction.envelope = (struct deliver_envelope){.queue_id = SLICE("4F2A"), .recipients = recipients, .recipient_count = count,
							   .sender.address = SLICE("a@remote.test"), .envelope_id = SLICE_EMPTY};
	for (size_t i = 0; i < count; i++) {
		if (!recipients[i].is_added)
			recipients[i].address = slice_eq(recipients[i].address, named[0]) ? named[0] : named[1];
		recipients[i].original = SLICE_EMPTY;
	}
	buf_init(&incoming.head, &command_arena, 0);
	buf_add(&incoming.head, body);
	assert_int_equal(lmtp_deliver(&s, &incoming), NEXT_PARK);
	struct slice said = buf_slice(&conn.output);

	for (size_t at = 0; said.len > 0 && at + 4 < sizeof(codes); at += 4) {
		memcpy(codes + at, slice_cut(&said, '\n').data, 3);
		codes[at + 3] = ' ';
	}
	assert_string_equal(codes, expected);
	memory_conn_free(&conn);
}

static void test_who_stays(void **state)
{
	struct deliver_recipient both[] = {{.address = ALICE}, {.address = BOB}}, one[] = {{.address = BOB}};

	(void)state;
	answers(both, 2, SLICE("text\r\n"), "250 250 ");
	answers(both, 2, SLICE("FAIL\r\n"), "451 451 ");
	answers(one, 1, SLICE("text\r\n"), "250 250 ");
	answers(one, 1, SLICE("FAIL\r\n"), "250 451 ");
}

/* What goes to others in their place is tried again, or it would be lost. */
static void test_who_was_added(void **state)
{
	struct deliver_recipient elsewhere[] = {{.address = SLICE("quarantine@example.test"), .is_added = true}};
	struct deliver_recipient late[] = {{.address = BOB}, {.address = LATE, .is_added = true}};

	(void)state;
	answers(elsewhere, 1, SLICE("text\r\n"), "250 250 ");
	answers(elsewhere, 1, SLICE("FAIL\r\n"), "451 451 ");
	/* Who has got it isn't sent it again. */
	answers(late, 2, SLICE("text\r\n"), "452 250 ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_stays),
		cmocka_unit_test(test_who_was_added),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
