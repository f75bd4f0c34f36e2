/* What commands cost in a mailbox ten times as large, and among ten times as many mailboxes, in steps of SQLite's virtual machine: those
 * don't depend on the machine or what else it does. And that no command needs memory for all rows, or one transaction for all of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "base/clock.h"
#include "harness.h"
#include "store/db.h"
#include "store/mailbox_remove.h"
#include "store/store_internal.h"

#define SMALL        1500
#define LARGE        (10 * SMALL)
#define AT_ONCE      500
#define COMMAND_ROOM (600 * 1000) /* LARGE rows of messages need as much alone */

/* ---- steps ---- */

static _Atomic uint64_t steps;   /* of statements that have ended */
static _Atomic uint64_t longest; /* in one transaction */
static _Atomic uint64_t began;

int __real_sqlite3_reset(sqlite3_stmt *statement);
int __wrap_sqlite3_reset(sqlite3_stmt *statement);

/* In place of SQLite's: the linker sees to it. */
int __wrap_sqlite3_reset(sqlite3_stmt *statement)
{
	const char *sql = sqlite3_sql(statement);
	uint64_t more = (uint64_t)sqlite3_stmt_status(statement, SQLITE_STMTSTATUS_VM_STEP, 1);
	uint64_t now = atomic_fetch_add(&steps, more) + more;

	if (sql && strncmp(sql, "BEGIN IMMEDIATE", 15) == 0)
		began = now;
	if (sql && strncmp(sql, "COMMIT", 6) == 0 && now - began > longest)
		longest = now - began;
	return __real_sqlite3_reset(statement);
}

/* ---- an account ---- */

static void append_many(struct harness *h, int first, int count)
{
	struct arena arena SCOPED_ARENA;
	struct append_request *requests = ARENA_ARRAY(&arena, struct append_request, (size_t)count);
	uint32_t *uids = ARENA_ARRAY(&arena, uint32_t, (size_t)count), uid_validity;

	for (int i = 0; i < count; i++) {
		struct email_facts *facts = ARENA_NEW(&arena, struct email_facts);
		struct buf message;

		buf_init(&message, &arena, 0);
		buf_printf(&message, "Subject: number %d\r\nMessage-ID: <%d@x>\r\nReferences: <%d@x>\r\n\r\ntext\r\n", first + i, first + i,
			   (first + i) / 10);
		email_facts(&arena, buf_slice(&message), facts);
		requests[i] = (struct append_request){
			.account = harness_account(h), .mailbox = MAILBOX_INBOX_ID, .facts = facts, .received_ms = clock_wall_ms()};
	}
	assert_int_equal(store_append(harness_store(h), requests, (size_t)count, uids, &uid_validity), STATUS_OK);
}

static void execute(struct harness *h, const char *sql)
{
	struct db *db SCOPED_DB = db_acquire(harness_store(h)->pool);

	assert_non_null(db);
	db_execute(db, sql);
	assert_int_equal(db_status(db), STATUS_OK);
}

/* As if they had been made one by one, each with a synced commit of its own. */
static void make_mailboxes(struct harness *h, int count)
{
	char sql[1000];

	snprintf(sql, sizeof(sql),
		 "INSERT INTO mailbox (account, id, uid_validity, uid_next, highest_modseq, messages, unseen, deleted, size_bytes,"
		 " selectable, role, name) WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
		 " SELECT a.id, a.next_mailbox + i, 1, 1, 1, 0, 0, 0, 0, 1, '', CASE WHEN i %% 10 = 0 THEN 'parent/child' ELSE 'flat' END || i"
		 " FROM n, account a WHERE a.address = '" HARNESS_USER "'; UPDATE account SET next_mailbox = next_mailbox + %d",
		 count - 1, count);
	execute(h, sql);
}

/* A command's steps; its answer is OK. */
static uint64_t steps_of(struct harness *h, const char *format, ...)
{
	struct buf line SCOPED_BUF;
	struct slice got = SLICE_EMPTY;
	va_list args;
	uint64_t before;

	buf_add_literal(&line, "a ");
	va_start(args, format);
	buf_vprintf(&line, format, args);
	va_end(args);
	buf_add_literal(&line, "\r\n");
	before = steps;
	harness_send(h, 0, buf_slice(&line), false);
	do {
		assert_true(harness_read_line(h, 0, &got));
	} while (!slice_starts_with(got, SLICE("a ")));
	if (!slice_starts_with(got, SLICE("a OK")))
		fail_msg("%.*s%.*s", SLICE_ARG(buf_slice(&line)), SLICE_ARG(got));
	return steps - before;
}

static struct harness *begin(size_t command_room)
{
	struct harness *h = harness_new();

	harness_limit_command(h, command_room);
	harness_connect(h, 0);
	harness_read_until(h, 0, SLICE("* OK"));
	steps_of(h, "LOGIN %s %s", HARNESS_USER, HARNESS_PASSWORD);
	return h;
}

/* ---- one mailbox ---- */

struct cost {
	uint64_t steps[20];
	size_t count;
};

static void add(struct cost *cost, uint64_t count)
{
	cost->steps[cost->count++] = count;
}

/* Commands about one message: the cost may not depend on the others. */
static void measure_one(struct harness *h, int n, struct cost *cost)
{
	add(cost, steps_of(h, "SELECT INBOX"));
	add(cost, steps_of(h, "STATUS INBOX (MESSAGES UNSEEN SIZE)"));
	add(cost, steps_of(h, "UID FETCH %d (FLAGS ENVELOPE BODY.PEEK[])", n / 2));
	add(cost, steps_of(h, "UID SEARCH UID %d TEXT text", n / 2));
	add(cost, steps_of(h, "UID STORE %d +FLAGS (\\Deleted)", n / 2));
	add(cost, steps_of(h, "UID COPY %d Some", n / 2));
	add(cost, steps_of(h, "UID EXPUNGE %d", n / 2));
	add(cost, steps_of(h, "UID MOVE %d Some", n / 2 + 1));
	add(cost, steps_of(h, "APPEND INBOX {12+}\r\nSubject: x\r\n"));
	add(cost, steps_of(h, "EXPUNGE"));
	add(cost, steps_of(h, "GETQUOTAROOT INBOX"));
}

/* Commands about all messages. */
static void measure_all(struct harness *h, struct cost *cost)
{
	add(cost, steps_of(h, "UID FETCH 1:* (FLAGS ENVELOPE)"));
	add(cost, steps_of(h, "SEARCH BODY nowhere"));
	add(cost, steps_of(h, "SORT (SUBJECT) UTF-8 ALL"));
	add(cost, steps_of(h, "THREAD REFERENCES UTF-8 ALL"));
	add(cost, steps_of(h, "UID FETCH 1:* (THREADID)"));
	add(cost, steps_of(h, "UID FETCH 1:* (BODY[])"));
	add(cost, steps_of(h, "STORE 1:* +FLAGS ($kept)"));
	add(cost, steps_of(h, "COPY 1:* Other"));
	add(cost, steps_of(h, "STORE 1:* +FLAGS.SILENT (\\Deleted)"));
	add(cost, steps_of(h, "EXPUNGE"));
	add(cost, steps_of(h, "SELECT Other"));
	add(cost, steps_of(h, "MOVE 1:* INBOX"));
	add(cost, steps_of(h, "RENAME INBOX Last"));
	add(cost, steps_of(h, "DELETE Last"));
}

static void measure_mailbox(int n, struct cost *one, struct cost *all)
{
	struct harness *h = begin(COMMAND_ROOM);

	for (int i = 0; i < n; i += AT_ONCE)
		append_many(h, i, AT_ONCE);
	steps_of(h, "CREATE Some");
	steps_of(h, "CREATE Other");
	/* The first SELECT reads it all, and statements are compiled. */
	steps_of(h, "SELECT INBOX");
	steps_of(h, "UNSELECT");
	measure_one(h, n, one);
	measure_all(h, all);
	harness_free(h);
}

static void check(const struct cost *small, const struct cost *large, double times)
{
	assert_int_equal(small->count, large->count);
	for (size_t i = 0; i < small->count; i++)
		if ((double)large->steps[i] > times * (double)small->steps[i] + 300)
			fail_msg("command %zu took %llu steps, and %llu where there is ten times as much", i,
				 (unsigned long long)small->steps[i], (unsigned long long)large->steps[i]);
}

static void test_messages(void **state)
{
	struct cost one_small = {0}, one_large = {0}, all_small = {0}, all_large = {0};

	(void)state;
	measure_mailbox(SMALL, &one_small, &all_small);
	measure_mailbox(LARGE, &one_large, &all_large);
	check(&one_small, &one_large, 1.2);
	check(&all_small, &all_large, 12);
}

/* ---- parts: what may be done in parts keeps others waiting for one of 5,000 messages only ---- */

static uint64_t longest_of(struct harness *h, const char *command)
{
	longest = 0;
	steps_of(h, "%s", command);
	return longest;
}

/* As POP3's QUIT does it. */
static void remove_all(struct harness *h)
{
	struct arena arena SCOPED_ARENA;
	struct mailbox_entry *entries;
	struct mailbox mailbox;
	uint32_t *uids;
	size_t count, removed;

	assert_int_equal(mailbox_load(harness_store(h), &arena, harness_account(h), MAILBOX_INBOX_ID, &mailbox, &entries, &count), STATUS_OK);
	assert_int_equal(count, LARGE);
	uids = ARENA_ARRAY(&arena, uint32_t, count);
	for (size_t i = 0; i < count; i++)
		uids[i] = entries[i].uid;
	free(entries);
	assert_int_equal(mailbox_remove(harness_store(h), harness_account(h), MAILBOX_INBOX_ID, uids, count, &removed), STATUS_OK);
	assert_int_equal(removed, LARGE);
}

static void test_parts(void **state)
{
	struct harness *h = begin(COMMAND_ROOM);
	uint64_t part;

	(void)state;
	for (int i = 0; i < LARGE; i += AT_ONCE)
		append_many(h, i, AT_ONCE);
	steps_of(h, "CREATE Other");
	steps_of(h, "SELECT INBOX");
	part = longest_of(h, "STORE 1:5000 +FLAGS.SILENT (\\Seen)");
	assert_true(longest_of(h, "STORE 1:* +FLAGS.SILENT (\\Flagged)") < part + part / 4);
	part = longest_of(h, "MOVE 1:5000 Other");
	assert_true(longest_of(h, "MOVE 1:* Other") < part + part / 4);
	steps_of(h, "SELECT Other");
	steps_of(h, "STORE 1:* +FLAGS.SILENT (\\Deleted)");
	part = longest_of(h, "UID EXPUNGE 1:1000") * 5;
	assert_true(longest_of(h, "EXPUNGE") < part + part / 4);
	for (int i = 0; i < LARGE; i += AT_ONCE)
		append_many(h, i, AT_ONCE);
	steps_of(h, "SELECT INBOX");
	steps_of(h, "MOVE 1:* Other");
	assert_true(longest_of(h, "DELETE Other") < part + part / 4);
	for (int i = 0; i < LARGE; i += AT_ONCE)
		append_many(h, i, AT_ONCE);
	steps_of(h, "SELECT INBOX");
	longest = 0;
	remove_all(h);
	assert_true(longest < part + part / 4);
	harness_free(h);
}

/* ---- many mailboxes ---- */

static void measure_mailboxes(int n, struct cost *one, struct cost *all)
{
	struct harness *h = begin(0);

	make_mailboxes(h, n);
	steps_of(h, "CREATE warm");
	add(one, steps_of(h, "CREATE new"));
	add(one, steps_of(h, "SUBSCRIBE new"));
	add(one, steps_of(h, "LIST \"\" new RETURN (STATUS (MESSAGES))"));
	add(one, steps_of(h, "LIST (SUBSCRIBED) \"\" \"new/%%\""));
	add(one, steps_of(h, "LSUB \"\" \"new*\""));
	add(one, steps_of(h, "STATUS new (MESSAGES)"));
	add(one, steps_of(h, "SELECT new"));
	add(one, steps_of(h, "RENAME new newer"));
	add(one, steps_of(h, "DELETE newer"));
	add(one, steps_of(h, "CREATE parent"));
	add(one, steps_of(h, "DELETE parent"));
	add(one, steps_of(h, "CREATE parent"));
	add(all, steps_of(h, "LIST \"\" *"));
	add(all, steps_of(h, "LIST \"\" \"%%\" RETURN (SUBSCRIBED STATUS (MESSAGES UNSEEN))"));
	add(all, steps_of(h, "LSUB \"\" *"));
	add(all, steps_of(h, "RENAME parent other"));
	harness_free(h);
}

static void test_mailboxes(void **state)
{
	struct cost one_small = {0}, one_large = {0}, all_small = {0}, all_large = {0};

	(void)state;
	measure_mailboxes(400, &one_small, &all_small);
	measure_mailboxes(4000, &one_large, &all_large);
	check(&one_small, &one_large, 1.2);
	check(&all_small, &all_large, 12);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_mailboxes),
	};

	return cmocka_run_group_tests_name("imap/scale", tests, NULL, NULL);
}
