/* The checker finds what is wrong: each claim is broken in a sound store, is told, and nothing is found when it is mended. */
#include "store/deleted.h"
#include "store/invariants.h"
#include "store_fixture.h"

struct breakage {
	const char *claim; /* a part of what is told */
	const char *damage, *repair;
};

#define IN_INBOX " WHERE account = 1 AND id = 1"

static const struct breakage breakages[] = {
	{"counts its messages", "UPDATE mailbox SET messages = messages + 1" IN_INBOX,
	 "UPDATE mailbox SET messages = messages - 1" IN_INBOX},
	{"counts its unseen", "UPDATE mailbox SET unseen = unseen + 1" IN_INBOX,
	 "UPDATE mailbox SET unseen = unseen - 1" IN_INBOX},
	{"counts its deleted", "UPDATE mailbox SET deleted = deleted + 1" IN_INBOX,
	 "UPDATE mailbox SET deleted = deleted - 1" IN_INBOX},
	{"a mailbox sums up", "UPDATE mailbox SET size_bytes = size_bytes - 1" IN_INBOX,
	 "UPDATE mailbox SET size_bytes = size_bytes + 1" IN_INBOX},
	{"next uid", "UPDATE mailbox SET uid_next = uid_next - 1" IN_INBOX,
	 "UPDATE mailbox SET uid_next = uid_next + 1" IN_INBOX},
	{"a mailbox's modseq", "UPDATE mailbox SET highest_modseq = highest_modseq - 1" IN_INBOX,
	 "UPDATE mailbox SET highest_modseq = highest_modseq + 1" IN_INBOX},
	{"only a level", "UPDATE mailbox SET selectable = 0" IN_INBOX, "UPDATE mailbox SET selectable = 1" IN_INBOX},
	{"a mailbox has an account", "UPDATE account SET next_mailbox = 1 WHERE id = 2",
	 "UPDATE account SET next_mailbox = 50 WHERE id = 2"},
	{"has an INBOX", "UPDATE mailbox SET name = 'Inbox'" IN_INBOX, "UPDATE mailbox SET name = 'INBOX'" IN_INBOX},
	{"in a domain", "UPDATE account SET domain = 'gone.test' WHERE id = 2",
	 "UPDATE account SET domain = 'example.test' WHERE id = 2"},
	{"an account counts", "UPDATE account SET used_messages = used_messages - 1 WHERE id = 1",
	 "UPDATE account SET used_messages = used_messages + 1 WHERE id = 1"},
	{"an account sums up", "UPDATE account SET used_bytes = used_bytes + 1 WHERE id = 2",
	 "UPDATE account SET used_bytes = used_bytes - 1 WHERE id = 2"},
	{"an account's modseq", "UPDATE account SET modseq = modseq - 1 WHERE id = 1",
	 "UPDATE account SET modseq = modseq + 1 WHERE id = 1"},
	{"numbers of its messages", "UPDATE account SET next_email = next_email - 1 WHERE id = 1",
	 "UPDATE account SET next_email = next_email + 1 WHERE id = 1"},
	{"numbers of its bodies", "UPDATE account SET next_email = next_email - 1 WHERE id = 1",
	 "UPDATE account SET next_email = next_email + 1 WHERE id = 1"},
	{"numbers of its recipients", "UPDATE account SET next_email = next_email - 1 WHERE id = 0",
	 "UPDATE account SET next_email = next_email + 1 WHERE id = 0"},
	{"in as many mailboxes", "UPDATE email SET copies = copies + 1 WHERE account = 1",
	 "UPDATE email SET copies = copies - 1 WHERE account = 1"},
	{"as large as it is said", "UPDATE mailbox_email SET size = size + 1 WHERE account = 1",
	 "UPDATE mailbox_email SET size = size - 1 WHERE account = 1"},
	{"a mailbox that is there", "UPDATE mailbox_email SET mailbox = 77 WHERE account = 1 AND mailbox = 1",
	 "UPDATE mailbox_email SET mailbox = 1 WHERE account = 1 AND mailbox = 77"},
	{"may come back is there",
	 "INSERT INTO deleted_email (account, mailbox, uid, email, flags, size, received_ms, deleted_ms) VALUES (1, 1, 9, 9, "
	 "0, 0, 0, 0)",
	 "DELETE FROM deleted_email"},
	{"an import brought",
	 "INSERT INTO import_item (account, source, item, uid, local_uid, flags) VALUES (1, 1, 1, 1, 1, 0)",
	 "DELETE FROM import_item"},
	{"a message has its body", "UPDATE blob SET size = size + 1 WHERE account = 1",
	 "UPDATE blob SET size = size - 1 WHERE account = 1"},
	{"a queued message has its body", "UPDATE queue_message SET size = size + 1",
	 "UPDATE queue_message SET size = size - 1"},
	{"a body belongs",
	 "INSERT INTO blob (account, id, encoding, size, bytes) SELECT account, id + 1000, encoding, size, bytes FROM blob"
	 " WHERE account = 1",
	 "DELETE FROM blob WHERE account = 1 AND id > 4294968290"},
	{"in the log", "UPDATE change SET kind = 2 WHERE account = 1 AND kind = 1",
	 "UPDATE change SET kind = 1 WHERE account = 1 AND kind = 2"},
	{"a message in a thread", "INSERT INTO email_thread (account, email, thread) VALUES (1, 4294967999, 4294967297)",
	 "DELETE FROM email_thread WHERE account = 1"},
	{"threads are made of", "INSERT INTO thread_state (account, up_to) VALUES (1, 8589934591)",
	 "DELETE FROM thread_state WHERE account = 1"},
	{"threads are made of", "INSERT INTO thread_state (account, up_to) VALUES (99, 0)",
	 "DELETE FROM thread_state WHERE account = 99"},
	{"keywords and", "INSERT INTO keyword VALUES (99, 6, 'x')", "DELETE FROM keyword WHERE account = 99"},
	{"keywords and", "INSERT INTO subscription VALUES (99, 'x')", "DELETE FROM subscription WHERE account = 99"},
	{"counts its recipients", "UPDATE queue_message SET recipients = recipients - 1",
	 "UPDATE queue_message SET recipients = recipients + 1"},
	{"a queued recipient has", "UPDATE queue_recipient SET message = message - 1",
	 "UPDATE queue_recipient SET message = message + 1"},
};

static void execute(struct fixture *fixture, const char *sql)
{
	struct db *db = db_acquire(fixture->store->pool);

	assert_non_null(db);
	db_execute(db, sql);
	if (db_status(db) != STATUS_OK)
		fail_msg("%s: %.*s", sql, SLICE_ARG(db_error_text(db)));
	db_release(db);
}

static bool is_told(struct fixture *fixture, const char *claim)
{
	struct store_violation *violations;
	size_t count;

	assert_int_equal(store_check_invariants(fixture->store, &fixture->arena, &violations, &count), STATUS_OK);
	for (size_t i = 0; i < count; i++)
		if (slice_find(violations[i].claim, slice_from_cstr(claim)) != SLICE_NOT_FOUND && violations[i].rows != 0)
			return true;
	return false;
}

/* A message in alice's INBOX, one of several chunks for bob, one in the queue. */
static void fill(struct fixture *fixture)
{
	struct delivery_target targets[] = {{.account = fixture->alice}, {.account = fixture->bob, .mailbox = SLICE("Lists")}};
	struct queue_target queue = {.recipient = SLICE("x@remote.example"), .next_hop = SLICE("remote.example")};
	struct delivery delivery = {.queue_id = SLICE("Q1"),
				    .received_ms = 1,
				    .bytes = fixture_message(&fixture->arena, "sound", 600000),
				    .targets = targets,
				    .target_count = 2,
				    .queue = &queue,
				    .queue_count = 1,
				    .all_or_nothing = true};

	assert_int_equal(fixture->alice, 1);
	assert_int_equal(fixture->bob, 2);
	assert_int_equal(store_deliver(fixture->store, &delivery), STATUS_OK);
}

static void test_each_claim(void **state)
{
	struct fixture *fixture = *state;

	fill(fixture);
	fixture_check_invariants(fixture);
	for (size_t i = 0; i < sizeof breakages / sizeof breakages[0]; i++) {
		execute(fixture, breakages[i].damage);
		if (!is_told(fixture, breakages[i].claim))
			fail_msg("not told: %s", breakages[i].claim);
		execute(fixture, breakages[i].repair);
		fixture_check_invariants(fixture);
	}
}

/* What was broken is put right, or is a body that is lost; and a second repair finds nothing to do. */
static void test_each_repair(void **state)
{
	struct store_violation *done;
	size_t count;

	for (size_t i = 0; i < sizeof breakages / sizeof breakages[0]; i++) {
		struct fixture *fixture = *state;

		fill(fixture);
		assert_int_equal(store_repair(fixture->store, &fixture->arena, INVARIANTS_ALL, &done, &count), STATUS_OK);
		assert_int_equal(count, 0);
		execute(fixture, breakages[i].damage);
		assert_int_equal(store_repair(fixture->store, &fixture->arena, INVARIANTS_ALL, &done, &count), STATUS_OK);
		if (strstr(breakages[i].claim, "has its body"))
			execute(fixture, breakages[i].repair);
		else if (count == 0)
			fail_msg("not repaired: %s", breakages[i].claim);
		fixture_check_invariants(fixture);
		assert_int_equal(store_repair(fixture->store, &fixture->arena, INVARIANTS_ALL, &done, &count), STATUS_OK);
		assert_int_equal(count, 0);
		fixture_teardown(state);
		fixture_setup(state);
	}
}

/* One account's troubles are found, and put right, in it alone. */
static void test_one_account(void **state)
{
	struct fixture *fixture = *state;
	struct store_violation *rows;
	size_t count;

	fill(fixture);
	execute(fixture, "UPDATE mailbox SET messages = messages + 1 WHERE account = 1 AND id = 1");
	assert_int_equal(store_check_account(fixture->store, &fixture->arena, fixture->bob, &rows, &count), STATUS_OK);
	assert_int_equal(count, 0);
	assert_int_equal(store_repair(fixture->store, &fixture->arena, fixture->bob, &rows, &count), STATUS_OK);
	assert_int_equal(count, 0);
	assert_int_equal(store_check_account(fixture->store, &fixture->arena, fixture->alice, &rows, &count), STATUS_OK);
	assert_int_equal(count, 1);
	assert_int_equal(store_repair(fixture->store, &fixture->arena, fixture->alice, &rows, &count), STATUS_OK);
	assert_int_equal(count, 1);
	assert_int_equal(rows[0].rows, 1);
	fixture_check_invariants(fixture);
}

/* A message that nothing refers to comes back like one that was deleted. */
static void test_what_was_nowhere_comes_back(void **state)
{
	struct fixture *fixture = *state;
	struct undelete_request request = {.account = fixture->bob, .mailbox = 1, .into = SLICE("INBOX")};
	struct store_violation *rows;
	size_t count;

	fill(fixture);
	execute(fixture, "DELETE FROM mailbox_email WHERE account = 2");
	assert_int_equal(store_repair(fixture->store, &fixture->arena, fixture->bob, &rows, &count), STATUS_OK);
	fixture_check_invariants(fixture);
	assert_int_equal(undelete_messages(fixture->store, &request, &count), STATUS_OK);
	assert_int_equal(count, 1);
	fixture_check_invariants(fixture);
	assert_int_equal(fixture_mailbox(fixture, fixture->bob, "INBOX").messages, 1);
}

/* What is being removed is no damage. */
static void test_removal(void **state)
{
	struct fixture *fixture = *state;

	fill(fixture);
	execute(fixture, "INSERT INTO removal (account) VALUES (2); DELETE FROM account WHERE id = 2; DELETE FROM mailbox "
			 "WHERE account = 2;"
			 " DELETE FROM subscription WHERE account = 2");
	fixture_check_invariants(fixture);
	assert_int_equal(directory_finish_removals(fixture->store), STATUS_OK);
	fixture_check_invariants(fixture);
	assert_int_equal(fixture_number(fixture, "SELECT count(*) FROM email"), 1);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(test_each_claim),  FIXTURE_TEST(test_each_repair),
		FIXTURE_TEST(test_one_account), FIXTURE_TEST(test_what_was_nowhere_comes_back),
		FIXTURE_TEST(test_removal),
	};

	return FIXTURE_MAIN(argc, argv, "store/invariants", tests);
}
