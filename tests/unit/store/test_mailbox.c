/* Mailboxes by name, subscriptions, keywords, schema versions. */
#include <stdio.h>

#include "store/schema.h"
#include "store_fixture.h"

static int64_t create(struct fixture *fixture, const char *name)
{
	int64_t id = 0;

	assert_int_equal(mailbox_create(fixture->store, fixture->alice, slice_from_cstr(name), SLICE_EMPTY, &id), STATUS_OK);
	return id;
}

static enum status find(struct fixture *fixture, const char *name, struct mailbox *mailbox)
{
	return mailbox_find(fixture->store, &fixture->arena, fixture->alice, slice_from_cstr(name), mailbox);
}

static void test_create(void **state)
{
	struct fixture *fixture = *state;
	struct mailbox mailbox, above;
	int64_t id = create(fixture, "Work/2026/Spring \xe2\x98\x80");

	assert_int_equal(find(fixture, "Work/2026/Spring \xe2\x98\x80", &mailbox), STATUS_OK);
	assert_int_equal(mailbox.id, id);
	assert_int_equal(mailbox.uid_next, 1);
	assert_int_equal(mailbox.messages, 0);
	assert_true(mailbox.selectable);
	assert_true(mailbox.mailbox_id.len > 0);
	/* RFC 9051 section 6.3.4: the levels above come with it. */
	assert_int_equal(find(fixture, "Work/2026", &above), STATUS_OK);
	assert_int_equal(find(fixture, "Work", &above), STATUS_OK);
	assert_int_not_equal(above.uid_validity, mailbox.uid_validity);
	assert_int_equal(mailbox_create(fixture->store, fixture->alice, SLICE("Work"), SLICE_EMPTY, &id), STATUS_EXISTS);
	assert_int_equal(mailbox_create(fixture->store, fixture->alice, SLICE("inbox"), SLICE_EMPTY, &id), STATUS_EXISTS);
	assert_int_equal(mailbox_create(fixture->store, 999, SLICE("Work"), SLICE_EMPTY, &id), STATUS_NOT_FOUND);
	assert_int_equal(find(fixture, "iNbOx", &mailbox), STATUS_OK);
	assert_true(slice_eq(mailbox.name, SLICE("INBOX")));
	create(fixture, "inbox/below");
	assert_int_equal(find(fixture, "INBOX/below", &mailbox), STATUS_OK);
}

static void test_bad_names(void **state)
{
	struct fixture *fixture = *state;
	static const char *const names[] = {"", "/", "a/", "/a", "a//b", "a\nb", "\xff", "a/\x7f",
					    "1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18/19/20/21/22/23/24/25/26/27/28/29/30/31/32/33"};
	char large[1100];
	int64_t id;

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		assert_int_equal(mailbox_create(fixture->store, fixture->alice, slice_from_cstr(names[i]), SLICE_EMPTY, &id),
				 STATUS_REFUSED);
	memset(large, 'x', sizeof large);
	assert_int_equal(mailbox_create(fixture->store, fixture->alice, slice_of(large, 1001), SLICE_EMPTY, &id), STATUS_REFUSED);
	assert_int_equal(mailbox_create(fixture->store, fixture->alice, slice_of(large, 1000), SLICE_EMPTY, &id), STATUS_OK);
}

/* RFC 9051 section 2.3.1.1: the same name again must not look like the old mailbox. */
static void test_uid_validity_grows(void **state)
{
	struct fixture *fixture = *state;
	uint32_t last = 0;

	for (int i = 0; i < 5; i++) {
		int64_t id = create(fixture, "Again");
		uint32_t uid_validity = fixture_mailbox(fixture, fixture->alice, "Again").uid_validity;

		assert_true(uid_validity > last);
		last = uid_validity;
		assert_int_equal(mailbox_delete(fixture->store, fixture->alice, id), STATUS_OK);
	}
}

static void test_delete(void **state)
{
	struct fixture *fixture = *state;
	struct mailbox mailbox;
	int64_t parent = create(fixture, "P"), child = create(fixture, "P/child"), neighbour = create(fixture, "P-2");
	uint64_t modseq;

	assert_int_equal(mailbox_delete(fixture->store, fixture->alice, MAILBOX_INBOX_ID), STATUS_REFUSED);
	assert_int_equal(mailbox_delete(fixture->store, fixture->alice, 999), STATUS_NOT_FOUND);
	assert_int_equal(find(fixture, "P", &mailbox), STATUS_OK);
	uint32_t before = mailbox.uid_validity;

	/* RFC 9051 section 6.3.5: with a child it stays as a level. */
	assert_int_equal(mailbox_delete(fixture->store, fixture->alice, parent), STATUS_OK);
	assert_int_equal(find(fixture, "P", &mailbox), STATUS_OK);
	assert_false(mailbox.selectable);
	assert_int_equal(mailbox_delete(fixture->store, fixture->alice, parent), STATUS_REFUSED);
	assert_int_equal(mailbox_create(fixture->store, fixture->alice, SLICE("P"), SLICE_EMPTY, &parent), STATUS_OK);
	assert_int_equal(find(fixture, "P", &mailbox), STATUS_OK);
	assert_true(mailbox.selectable);
	assert_true(mailbox.uid_validity > before);
	assert_int_equal(mailbox_delete(fixture->store, fixture->alice, child), STATUS_OK);
	assert_int_equal(mailbox_delete(fixture->store, fixture->alice, parent), STATUS_OK);
	assert_int_equal(find(fixture, "P", &mailbox), STATUS_NOT_FOUND);
	assert_int_equal(mailbox_highest_modseq(fixture->store, fixture->alice, parent, &modseq), STATUS_NOT_FOUND);
	assert_int_equal(modseq, 0);
	assert_int_equal(mailbox_get(fixture->store, &fixture->arena, fixture->alice, neighbour, &mailbox), STATUS_OK);
	fixture_check_invariants(fixture);
}

static void test_delete_with_messages(void **state)
{
	struct fixture *fixture = *state;
	uint32_t uids[3], *source, *target, uid_validity;
	int64_t copies = create(fixture, "Copies");
	size_t count;

	for (int i = 0; i < 3; i++)
		uids[i] = fixture_deliver(fixture, fixture->alice, fixture_message(&fixture->arena, "m", 1000));
	assert_int_equal(mailbox_copy(fixture->store, &fixture->arena, fixture->alice, MAILBOX_INBOX_ID, copies, uids, 3, false,
				      &source, &target, &count, &uid_validity),
			 STATUS_OK);
	assert_int_equal(mailbox_delete(fixture->store, fixture->alice, copies), STATUS_OK);
	fixture_check_invariants(fixture);
	assert_int_equal(fixture_number(fixture, "SELECT count(*) FROM email"), 3);
	assert_true(fixture_read(fixture, fixture->alice, MAILBOX_INBOX_ID, uids[0]).len > 0);
}

static void test_rename(void **state)
{
	struct fixture *fixture = *state;
	struct mailbox mailbox, moved;
	int64_t parent = create(fixture, "Old");

	create(fixture, "Old/a/b");
	create(fixture, "Older");
	assert_int_equal(find(fixture, "Old/a/b", &mailbox), STATUS_OK);
	assert_int_equal(mailbox_rename(fixture->store, fixture->alice, parent, SLICE("Old/inside")), STATUS_REFUSED);
	assert_int_equal(mailbox_rename(fixture->store, fixture->alice, parent, SLICE("Older")), STATUS_EXISTS);
	assert_int_equal(mailbox_rename(fixture->store, fixture->alice, 999, SLICE("X")), STATUS_NOT_FOUND);
	assert_int_equal(mailbox_rename(fixture->store, fixture->alice, parent, SLICE("New/Deep/Name")), STATUS_OK);
	assert_int_equal(find(fixture, "New/Deep/Name/a/b", &moved), STATUS_OK);
	assert_int_equal(moved.id, mailbox.id);
	assert_int_equal(moved.uid_validity, mailbox.uid_validity);
	assert_int_equal(find(fixture, "New/Deep", &moved), STATUS_OK);
	assert_int_equal(find(fixture, "Old", &moved), STATUS_NOT_FOUND);
	assert_int_equal(find(fixture, "Older", &moved), STATUS_OK);
	fixture_check_invariants(fixture);
}

/* RFC 9051 section 6.3.6: INBOX's messages move, INBOX stays. */
static void test_rename_inbox(void **state)
{
	struct fixture *fixture = *state;
	struct mailbox mailbox;

	fixture_deliver(fixture, fixture->alice, fixture_message(&fixture->arena, "one", 1000));
	fixture_deliver(fixture, fixture->alice, fixture_message(&fixture->arena, "two", 1000));
	create(fixture, "INBOX/child");
	assert_int_equal(mailbox_rename(fixture->store, fixture->alice, MAILBOX_INBOX_ID, SLICE("Archive")), STATUS_EXISTS);
	assert_int_equal(mailbox_rename(fixture->store, fixture->alice, MAILBOX_INBOX_ID, SLICE("Past/2025")), STATUS_OK);
	assert_int_equal(find(fixture, "Past/2025", &mailbox), STATUS_OK);
	assert_int_equal(mailbox.messages, 2);
	assert_int_equal(find(fixture, "INBOX", &mailbox), STATUS_OK);
	assert_int_equal(mailbox.id, MAILBOX_INBOX_ID);
	assert_int_equal(mailbox.messages, 0);
	assert_int_equal(mailbox.uid_next, 3);
	assert_int_equal(find(fixture, "INBOX/child", &mailbox), STATUS_OK);
	fixture_check_invariants(fixture);
}

static void test_subscriptions(void **state)
{
	struct fixture *fixture = *state;
	struct slice *names;
	size_t count;

	assert_int_equal(mailbox_subscribe(fixture->store, fixture->alice, SLICE("Not/There"), true), STATUS_OK);
	assert_int_equal(mailbox_subscribe(fixture->store, fixture->alice, SLICE("Not/There"), true), STATUS_OK);
	assert_int_equal(mailbox_subscribe(fixture->store, fixture->alice, SLICE("Junk"), false), STATUS_OK);
	assert_int_equal(mailbox_subscriptions(fixture->store, &fixture->arena, fixture->alice, SLICE_EMPTY, &names, &count), STATUS_OK);
	assert_int_equal(count, 6);
	assert_false(fixture_mailbox(fixture, fixture->alice, "Junk").subscribed);
	assert_true(fixture_mailbox(fixture, fixture->alice, "Sent").subscribed);
}

static void test_keywords(void **state)
{
	struct fixture *fixture = *state;
	struct keyword_table table;
	unsigned bit, again;
	char name[32];

	assert_int_equal(keyword_find(fixture->store, fixture->alice, SLICE("$Forwarded"), false, &bit), STATUS_NOT_FOUND);
	assert_int_equal(keyword_find(fixture->store, fixture->alice, SLICE("$Forwarded"), true, &bit), STATUS_OK);
	assert_int_equal(bit, FLAG_KEYWORD_FIRST);
	assert_int_equal(keyword_find(fixture->store, fixture->alice, SLICE("$FORWARDED"), true, &again), STATUS_OK);
	assert_int_equal(again, bit);
	assert_int_equal(keyword_find(fixture->store, fixture->bob, SLICE("$Forwarded"), false, &bit), STATUS_NOT_FOUND);
	for (int i = FLAG_KEYWORD_FIRST + 1; i <= FLAG_KEYWORD_LAST; i++) {
		snprintf(name, sizeof name, "keyword%d", i);
		assert_int_equal(keyword_find(fixture->store, fixture->alice, slice_from_cstr(name), true, &bit), STATUS_OK);
		assert_int_equal(bit, i);
	}
	assert_int_equal(keyword_find(fixture->store, fixture->alice, SLICE("one-too-many"), true, &bit), STATUS_LIMIT);
	assert_int_equal(keyword_list(fixture->store, &fixture->arena, fixture->alice, &table), STATUS_OK);
	assert_true(slice_eq(table.names[FLAG_KEYWORD_FIRST], SLICE("$Forwarded")));
	assert_int_equal(table.names[0].len, 0);
}

static enum status pretend_newer(struct db *db, void *context)
{
	(void)context;
	struct db_query query = db_query(db, "INSERT INTO schema_version (version) VALUES (1000)");

	db_run(&query);
	return db_status(db);
}

static enum status forget_version(struct db *db, void *context)
{
	(void)context;
	struct db_query query = db_query(db, "DELETE FROM schema_version");

	db_run(&query);
	return db_status(db);
}

static void check_refused(struct fixture *fixture, bool migrate)
{
	struct error error = {0};
	struct store_options options = {.url = fixture->url};

	assert_null(store_open(&options, migrate, &fixture->log, &fixture->arena, &error));
	assert_int_equal(error.status, STATUS_REFUSED);
	assert_true(error.text.len > 0);
}

static void test_schema_versions(void **state)
{
	struct fixture *fixture = *state;
	struct error error = {0};
	struct store_options options = {.url = fixture->url};
	struct store *store = store_open(&options, false, &fixture->log, &fixture->arena, &error);

	assert_non_null(store);
	assert_int_equal(store_check(store, &fixture->arena, &error), STATUS_OK);
	store_close(store);
	assert_int_equal(db_write(fixture->store->pool, pretend_newer, NULL), STATUS_OK);
	check_refused(fixture, false);
	check_refused(fixture, true);
	assert_int_equal(db_write(fixture->store->pool, forget_version, NULL), STATUS_OK);
	check_refused(fixture, false);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(test_create),
		FIXTURE_TEST(test_bad_names),
		FIXTURE_TEST(test_uid_validity_grows),
		FIXTURE_TEST(test_delete),
		FIXTURE_TEST(test_delete_with_messages),
		FIXTURE_TEST(test_rename),
		FIXTURE_TEST(test_rename_inbox),
		FIXTURE_TEST(test_subscriptions),
		FIXTURE_TEST(test_keywords),
		FIXTURE_TEST(test_schema_versions),
	};

	return FIXTURE_MAIN(argc, argv, "store/mailbox", tests);
}
