/* What is deleted comes back; what is imported comes once, and under its uids wherever that is safe. */
#include <stdio.h>

#include "store/deleted.h"
#include "store/expiry.h"
#include "store/import.h"
#include "store_fixture.h"

static void execute_sql(struct fixture *fixture, const char *sql)
{
	struct db *db = db_acquire(fixture->store->pool);

	assert_non_null(db);
	db_execute(db, sql);
	assert_int_equal(db_status(db), STATUS_OK);
	db_release(db);
}

static struct store *keeping(struct fixture *fixture)
{
	db_pool_keep_deleted(fixture->store->pool, true);
	return fixture->store;
}

static void expunge(struct fixture *fixture, int64_t mailbox, const uint32_t *uids, size_t count)
{
	struct flag_request request = {
		.uids = uids, .uid_count = count, .change = FLAGS_ADD, .flags = FLAG_DELETED, .unchanged_since = UINT64_MAX};
	uint32_t *expunged;
	size_t expunged_count;

	assert_int_equal(
		mailbox_change_flags(fixture->store, &fixture->arena, fixture->alice, mailbox, &request, NULL, NULL, NULL),
		STATUS_OK);
	assert_int_equal(mailbox_expunge(fixture->store, &fixture->arena, fixture->alice, mailbox, uids, count, &expunged,
					 &expunged_count),
			 STATUS_OK);
	assert_int_equal(expunged_count, count);
}

static int64_t used(struct fixture *fixture)
{
	return fixture_number(fixture, "SELECT used_bytes FROM account WHERE id = 1");
}

static void test_expunged_comes_back(void **state)
{
	struct fixture *fixture = *state;
	struct store *store = keeping(fixture);
	struct slice message = fixture_message(&fixture->arena, "precious", 300000);
	uint32_t uid = fixture_deliver(fixture, fixture->alice, message);
	struct deleted_message *messages;
	size_t count;

	expunge(fixture, 1, &uid, 1);
	fixture_check_invariants(fixture);
	assert_int_equal(used(fixture), 0);
	assert_int_equal(fixture_mailbox(fixture, fixture->alice, "INBOX").messages, 0);
	assert_int_equal(deleted_messages(store, &fixture->arena, fixture->alice, 10, &messages, &count), STATUS_OK);
	assert_int_equal(count, 1);
	assert_int_equal(messages[0].uid, uid);
	assert_true(slice_eq(messages[0].subject, SLICE("precious")));
	assert_true(slice_eq(messages[0].mailbox_name, SLICE("INBOX")));
	assert_false(messages[0].mailbox_is_deleted);

	struct undelete_request request = {
		.account = fixture->alice, .mailbox = 1, .uids = &uid, .uid_count = 1, .into = SLICE("INBOX")};

	assert_int_equal(undelete_messages(store, &request, &count), STATUS_OK);
	assert_int_equal(count, 1);
	fixture_check_invariants(fixture);
	assert_true(slice_eq(fixture_read(fixture, fixture->alice, 1, uid + 1), message));
	assert_int_equal(fixture_mailbox(fixture, fixture->alice, "INBOX").deleted, 0);
	assert_int_equal(undelete_messages(store, &request, &count), STATUS_NOT_FOUND);
}

static void test_nothing_is_kept_when_off(void **state)
{
	struct fixture *fixture = *state;
	uint32_t uid = fixture_deliver(fixture, fixture->alice, fixture_message(&fixture->arena, "x", 300));

	expunge(fixture, 1, &uid, 1);
	assert_int_equal(fixture_number(fixture, "SELECT count(*) FROM deleted_email"), 0);
	assert_int_equal(fixture_number(fixture, "SELECT count(*) FROM blob"), 0);
}

static void test_quota_holds_for_what_comes_back(void **state)
{
	struct fixture *fixture = *state;
	struct store *store = keeping(fixture);
	uint32_t uid = fixture_deliver(fixture, fixture->alice, fixture_message(&fixture->arena, "x", 5000));
	struct undelete_request request = {.account = fixture->alice, .mailbox = 1, .into = SLICE("INBOX")};
	size_t count;

	expunge(fixture, 1, &uid, 1);
	assert_int_equal(directory_set_quota(store, SLICE("alice@example.test"), 1000, 0), STATUS_OK);
	assert_int_equal(undelete_messages(store, &request, &count), STATUS_LIMIT);
	fixture_check_invariants(fixture);
	assert_int_equal(fixture_number(fixture, "SELECT count(*) FROM deleted_email"), 1);
}

static void test_no_more_is_kept_than_a_quota(void **state)
{
	struct fixture *fixture = *state;
	struct store *store = keeping(fixture);
	struct deleted_message *messages;
	struct deleted_excess *excesses;
	uint32_t uids[6];
	size_t count;

	for (int i = 0; i < 6; i++)
		uids[i] = fixture_deliver(fixture, fixture->alice, fixture_message(&fixture->arena, "x", 10000));
	for (int i = 0; i < 6; i++)
		expunge(fixture, 1, &uids[i], 1);
	execute_sql(fixture, "UPDATE deleted_email SET deleted_ms = uid");
	assert_int_equal(deleted_excesses(store, &fixture->arena, &excesses, &count), STATUS_OK);
	assert_int_equal(count, 0); /* there is no quota */
	assert_int_equal(directory_set_quota(store, SLICE("alice@example.test"), 25000, 0), STATUS_OK);
	assert_int_equal(deleted_excesses(store, &fixture->arena, &excesses, &count), STATUS_OK);
	assert_int_equal(count, 1);
	assert_int_equal(excesses[0].account, fixture->alice);
	for (size_t steps = 0; steps < 2; steps++) {
		assert_true(excesses[0].bytes > 0);
		assert_int_equal(deleted_bound(store, &excesses[0], 2, &count), STATUS_OK);
		assert_int_equal(count, 2);
	}
	assert_int_equal(excesses[0].bytes, 0);
	assert_int_equal(deleted_excesses(store, &fixture->arena, &excesses, &count), STATUS_OK);
	assert_int_equal(count, 0);
	assert_int_equal(deleted_messages(store, &fixture->arena, fixture->alice, 10, &messages, &count), STATUS_OK);
	assert_int_equal(count, 2);
	assert_int_equal(messages[0].uid, uids[5]);
	assert_int_equal(messages[1].uid, uids[4]);
	fixture_check_invariants(fixture);
}

/* ---- what has been there for long enough ---- */

/* The places where something is expunged before `before_ms`, in steps of two. */
static size_t expire(struct fixture *fixture, const char *mailbox, int64_t before_ms, size_t *removed)
{
	struct expiry_rule rules[] = {{SLICE("No such"), INT64_MAX}, {slice_from_cstr(mailbox), before_ms}};
	struct expiry_place place = {0};
	enum status status;
	size_t places = 0, step;
	int64_t before;

	*removed = 0;
	while ((status = expiry_next(fixture->store, rules, 2, &place, &before)) == STATUS_OK) {
		places++;
		assert_int_equal(before, before_ms);
		do {
			assert_int_equal(expiry_expunge(fixture->store, place, before, 2, &step), STATUS_OK);
			*removed += step;
		} while (step == 2);
	}
	assert_int_equal(status, STATUS_NOT_FOUND);
	return places;
}

static void test_messages_expire(void **state)
{
	struct fixture *fixture = *state;
	char sql[200];
	size_t removed;

	(void)keeping(fixture);
	for (int i = 0; i < 5; i++)
		fixture_deliver(fixture, fixture->alice, fixture_message(&fixture->arena, "x", 300));
	fixture_deliver(fixture, fixture->bob, fixture_message(&fixture->arena, "x", 300));
	/* As old as their uids say; the second from before the moment of saving was noted. */
	snprintf(sql, sizeof sql, "UPDATE mailbox_email SET saved_ms = 1000 * uid, received_ms = 2000 WHERE account = %lld",
		 (long long)fixture->alice);
	execute_sql(fixture, sql);
	execute_sql(fixture, "UPDATE mailbox_email SET saved_ms = 0 WHERE uid = 2");
	assert_int_equal(expire(fixture, "INBOX", 4000, &removed), 2);
	assert_int_equal(removed, 3);
	assert_int_equal(fixture_mailbox(fixture, fixture->alice, "INBOX").messages, 2);
	assert_int_equal(fixture_mailbox(fixture, fixture->bob, "INBOX").messages, 1);
	assert_int_equal(fixture_number(fixture, "SELECT count(*) FROM deleted_email"), 3);
	fixture_check_invariants(fixture);
	assert_int_equal(expire(fixture, "INBOX", 4000, &removed), 2);
	assert_int_equal(removed, 0);
	assert_int_equal(expire(fixture, "Nothing", INT64_MAX, &removed), 0);
}

static void test_who_expires(void **state)
{
	struct expiry_rule use = {SLICE("\\Trash"), 0}, name = {SLICE("Trash"), 0}, below = {SLICE("Lists/*"), 0};

	(void)state;
	assert_true(expiry_rule_fits(&use, SLICE("Papierkorb"), SLICE("trash")));
	assert_false(expiry_rule_fits(&use, SLICE("Trash"), SLICE_EMPTY));
	assert_false(expiry_rule_fits(&use, SLICE("\\Trash"), SLICE_EMPTY));
	assert_true(expiry_rule_fits(&name, SLICE("Trash"), SLICE_EMPTY));
	assert_false(expiry_rule_fits(&name, SLICE("Trash/Old"), SLICE_EMPTY));
	assert_true(expiry_rule_fits(&below, SLICE("Lists/Old"), SLICE_EMPTY));
	assert_false(expiry_rule_fits(&below, SLICE("Lists"), SLICE_EMPTY));
}

static void test_inbox_expires_in_any_case(void **state)
{
	struct expiry_rule inbox = {SLICE("inbox"), 0}, below = {SLICE("Inbox/*"), 0}, front = {SLICE("inbox*"), 0};

	(void)state;
	assert_true(expiry_rule_fits(&inbox, SLICE("INBOX"), SLICE("inbox")));
	assert_false(expiry_rule_fits(&inbox, SLICE("INBOX/Old"), SLICE_EMPTY));
	assert_false(expiry_rule_fits(&inbox, SLICE("INBOXES"), SLICE_EMPTY));
	assert_true(expiry_rule_fits(&below, SLICE("INBOX/Old"), SLICE_EMPTY));
	assert_false(expiry_rule_fits(&below, SLICE("INBOX"), SLICE_EMPTY));
	assert_true(expiry_rule_fits(&front, SLICE("INBOX"), SLICE_EMPTY));
	assert_true(expiry_rule_fits(&front, SLICE("inboxes"), SLICE_EMPTY));
	assert_false(expiry_rule_fits(&front, SLICE("INBOXES"), SLICE_EMPTY));
}

static void append(struct fixture *fixture, int64_t mailbox, const char *subject)
{
	struct email_facts facts;
	uint32_t uid, validity;

	email_facts(&fixture->arena, fixture_message(&fixture->arena, subject, 400), &facts);
	struct append_request request = {
		.account = fixture->alice, .mailbox = mailbox, .facts = &facts, .flags = FLAG_SEEN, .received_ms = 77000};

	assert_int_equal(store_append(fixture->store, &request, 1, &uid, &validity), STATUS_OK);
}

static void test_a_mailbox_comes_back(void **state)
{
	struct fixture *fixture = *state;
	struct store *store = keeping(fixture);
	struct deleted_mailbox *mailboxes;
	uint32_t first = 1;
	int64_t id;
	size_t count;

	assert_int_equal(mailbox_create(store, fixture->alice, SLICE("Work/2026"), SLICE_EMPTY, &id), STATUS_OK);
	append(fixture, id, "expunged long before");
	append(fixture, id, "one");
	append(fixture, id, "two");
	expunge(fixture, id, &first, 1);
	/* It was before the mailbox was deleted: it doesn't come back with it. */
	execute_sql(fixture, "UPDATE deleted_email SET deleted_ms = 5");
	assert_int_equal(mailbox_delete(store, fixture->alice, id), STATUS_OK);
	fixture_check_invariants(fixture);
	assert_int_equal(deleted_mailboxes(store, &fixture->arena, fixture->alice, &mailboxes, &count), STATUS_OK);
	assert_int_equal(count, 1);
	assert_true(slice_eq(mailboxes[0].name, SLICE("Work/2026")));

	assert_int_equal(mailbox_create(store, fixture->alice, SLICE("Work/2026"), SLICE_EMPTY, &id), STATUS_OK);
	assert_int_equal(undelete_mailbox(store, fixture->alice, SLICE("Work/2026"), SLICE("Work/2026"), &count),
			 STATUS_EXISTS);
	assert_int_equal(undelete_mailbox(store, fixture->alice, SLICE("Work/2026"), SLICE("Back"), &count), STATUS_OK);
	assert_int_equal(count, 2);
	fixture_check_invariants(fixture);
	struct mailbox back = fixture_mailbox(fixture, fixture->alice, "Back");

	assert_int_equal(back.messages, 2);
	assert_int_equal(back.unseen, 0);
	assert_int_equal(undelete_mailbox(store, fixture->alice, SLICE("Work/2026"), SLICE("Again"), &count), STATUS_NOT_FOUND);
}

static enum status fail_from(void *context)
{
	unsigned *left = context;

	if (*left > 0)
		(*left)--;
	return *left > 0 ? STATUS_OK : STATUS_TEMPORARY;
}

/* Doubles the messages of a mailbox. */
static void double_messages(struct fixture *fixture, int64_t mailbox, uint32_t count)
{
	struct arena arena SCOPED_ARENA;
	uint32_t *uids = ARENA_ARRAY(&arena, uint32_t, count), *source, *target, uid_validity;
	size_t copied;

	for (uint32_t i = 0; i < count; i++)
		uids[i] = i + 1;
	assert_int_equal(mailbox_copy(fixture->store, &arena, fixture->alice, mailbox, mailbox, uids, count, false, &source, &target,
				      &copied, &uid_validity),
			 STATUS_OK);
	assert_int_equal(copied, count);
}

/* It is deleted in parts, and one of them fails: what went with the first comes back with the rest. */
static void test_a_mailbox_deleted_in_parts_comes_back(void **state)
{
	struct fixture *fixture = *state;
	struct store *store = keeping(fixture);
	unsigned statements = 13000; /* about four thirds of what the first part needs */
	uint32_t first = 1;
	int64_t id;
	size_t count;

	assert_int_equal(mailbox_create(store, fixture->alice, SLICE("Lists"), SLICE_EMPTY, &id), STATUS_OK);
	append(fixture, id, "one");
	for (uint32_t messages = 1; messages < 8192; messages *= 2)
		double_messages(fixture, id, messages);
	expunge(fixture, id, &first, 1);
	execute_sql(fixture, "UPDATE deleted_email SET deleted_ms = 5");

	fixture_set_fault(fixture, fail_from, &statements);
	assert_int_equal(mailbox_delete(store, fixture->alice, id), STATUS_TEMPORARY);
	fixture_set_fault(fixture, NULL, NULL);
	assert_int_equal(fixture_mailbox(fixture, fixture->alice, "Lists").messages, 8191 - 5000);
	assert_int_equal(undelete_mailbox(store, fixture->alice, SLICE("Lists"), SLICE("Back"), &count), STATUS_NOT_FOUND);
	/* The next one begins later than what was removed. */
	execute_sql(fixture, "UPDATE deleted_email SET deleted_ms = 2000 WHERE deleted_ms > 5");
	execute_sql(fixture, "UPDATE mailbox SET deleting_ms = 1000 WHERE deleting_ms > 0");
	assert_int_equal(mailbox_delete(store, fixture->alice, id), STATUS_OK);
	fixture_check_invariants(fixture);
	assert_int_equal(undelete_mailbox(store, fixture->alice, SLICE("Lists"), SLICE("Lists"), &count), STATUS_OK);
	assert_int_equal(count, 8191);
	assert_int_equal(fixture_mailbox(fixture, fixture->alice, "Lists").messages, 8191);
	fixture_check_invariants(fixture);
}

static void test_purge(void **state)
{
	struct fixture *fixture = *state;
	struct store *store = keeping(fixture);
	uint32_t uids[] = {1, 2, 3};
	size_t removed;

	for (unsigned i = 0; i < 3; i++)
		fixture_deliver(fixture, fixture->alice, fixture_message(&fixture->arena, "x", 300));
	expunge(fixture, 1, uids, 3);
	execute_sql(fixture, "UPDATE deleted_email SET deleted_ms = uid * 1000");
	assert_int_equal(deleted_purge(store, 3000, 1, &removed), STATUS_OK);
	assert_int_equal(removed, 1);
	assert_int_equal(deleted_purge(store, 3000, 100, &removed), STATUS_OK);
	assert_int_equal(removed, 1);
	assert_int_equal(fixture_number(fixture, "SELECT count(*) FROM blob"), 1);
	fixture_check_invariants(fixture);
	assert_int_equal(directory_remove_account(store, SLICE("alice@example.test")), STATUS_OK);
	assert_int_equal(fixture_number(fixture, "SELECT count(*) FROM deleted_email"), 0);
	fixture_check_invariants(fixture);
}

/* ---- imports ---- */

static struct import_source open_source(struct fixture *fixture, const char *name, uint32_t uid_validity, const char *mailbox)
{
	struct import_request request = {.account = fixture->alice,
					 .source = slice_from_cstr(name),
					 .uid_validity = uid_validity,
					 .mailbox = slice_from_cstr(mailbox)};
	struct import_source source;

	assert_int_equal(import_open(fixture->store, &request, &source), STATUS_OK);
	return source;
}

static struct slice bring_text(struct fixture *fixture, uint32_t uid)
{
	char subject[32];

	snprintf(subject, sizeof subject, "source %u", uid);
	return fixture_message(&fixture->arena, subject, 300);
}

static size_t bring(struct fixture *fixture, const struct import_source *source, const uint32_t *uids, size_t count,
		    uint32_t next_uid)
{
	struct import_message *messages = ARENA_ARRAY(&fixture->arena, struct import_message, count);
	size_t added;

	for (size_t i = 0; i < count; i++) {
		struct email_facts *facts = ARENA_NEW(&fixture->arena, struct email_facts);

		email_facts(&fixture->arena, bring_text(fixture, uids[i]), facts);
		messages[i] =
			(struct import_message){.item = uids[i], .uid = uids[i], .received_ms = 1000 * uids[i], .facts = facts};
	}
	assert_int_equal(import_add(fixture->store, source, messages, count, next_uid, &added), STATUS_OK);
	return added;
}

/* The uid of the message with that subject. */
static uint32_t uid_of(struct fixture *fixture, const char *subject)
{
	struct buf sql; /* statements are known by their address */

	buf_init(&sql, &fixture->arena, 0);
	buf_printf(&sql,
		   "SELECT m.uid FROM mailbox_email m JOIN email e ON e.id = m.email AND e.account = m.account"
		   " WHERE m.account = 1 AND m.mailbox = 1 AND e.subject = CAST('%s' AS %s)",
		   subject, fixture->is_postgresql ? "BYTEA" : "BLOB");
	buf_add_byte(&sql, 0);
	return (uint32_t)fixture_number(fixture, sql.data);
}

static void test_uids_are_kept(void **state)
{
	struct fixture *fixture = *state;
	struct import_source source = open_source(fixture, "there", 4711, "INBOX");
	const uint32_t uids[] = {3, 7, 900};

	assert_true(source.keeps_uids);
	assert_int_equal(bring(fixture, &source, uids, 3, 1000), 3);
	assert_int_equal(bring(fixture, &source, uids, 3, 1000), 0);
	assert_int_equal(import_settle(fixture->store, &source, 1000), STATUS_OK);
	struct mailbox inbox = fixture_mailbox(fixture, fixture->alice, "INBOX");

	assert_int_equal(inbox.uid_validity, 4711);
	assert_int_equal(inbox.uid_next, 1000);
	assert_int_equal(inbox.messages, 3);
	for (size_t i = 0; i < 3; i++)
		assert_true(slice_eq(fixture_read(fixture, fixture->alice, 1, uids[i]), bring_text(fixture, uids[i])));
	fixture_check_invariants(fixture);
	/* The next run finds its source again. */
	source = open_source(fixture, "there", 4711, "elsewhere");
	assert_int_equal(source.mailbox, 1);
	assert_true(source.keeps_uids);

	struct import_request request = {.account = fixture->alice,
					 .source = SLICE("there"),
					 .uid_validity = 4712,
					 .items_are_uids = true,
					 .mailbox = SLICE("INBOX")};

	assert_int_equal(import_open(fixture->store, &request, &source), STATUS_REFUSED);
}

/* Both gave out uid 10 and 11: whoever knows the one or the other finds neither under these uids. */
static void test_no_uid_stands_for_two_messages(void **state)
{
	struct fixture *fixture = *state;
	struct import_source source = open_source(fixture, "there", 4711, "INBOX");
	const uint32_t before[] = {8, 9}, after[] = {10, 12};

	bring(fixture, &source, before, 2, 10);
	assert_int_equal(import_settle(fixture->store, &source, 10), STATUS_OK);
	assert_int_equal(fixture_deliver(fixture, fixture->alice, fixture_message(&fixture->arena, "local a", 300)), 10);
	assert_int_equal(fixture_deliver(fixture, fixture->alice, fixture_message(&fixture->arena, "local b", 300)), 11);
	assert_int_equal(bring(fixture, &source, after, 2, 14), 2);
	assert_int_equal(import_settle(fixture->store, &source, 14), STATUS_OK);
	fixture_check_invariants(fixture);
	assert_int_equal(uid_of(fixture, "source 8"), 8);
	assert_int_equal(uid_of(fixture, "source 9"), 9);
	assert_true(uid_of(fixture, "local a") >= 14);
	assert_true(uid_of(fixture, "local b") >= 14);
	assert_true(uid_of(fixture, "source 10") >= 14);
	assert_true(uid_of(fixture, "source 12") >= 14);
	assert_int_equal(fixture_mailbox(fixture, fixture->alice, "INBOX").messages, 6);
	/* What had to move is still known: the source's next uids come, these don't come again. */
	const uint32_t later[] = {8, 9, 10, 12, 30};

	assert_int_equal(bring(fixture, &source, later, 5, 31), 1);
	assert_int_equal(import_settle(fixture->store, &source, 31), STATUS_OK);
	assert_int_equal(uid_of(fixture, "source 30"), 30);
	/* Those at 14 and above had uids that the source has given out since. */
	assert_true(uid_of(fixture, "source 10") >= 31);
	fixture_check_invariants(fixture);
	struct import_item flags = {.item = 10, .flags = FLAG_SEEN};

	assert_int_equal(import_flags(fixture->store, &source, &flags, 1), STATUS_OK);
	assert_int_equal(fixture_mailbox(fixture, fixture->alice, "INBOX").unseen, 6);
}

static void test_a_used_mailbox_is_taken_over_when_empty(void **state)
{
	struct fixture *fixture = *state;
	uint32_t uid = fixture_deliver(fixture, fixture->alice, fixture_message(&fixture->arena, "a test", 300));
	uint64_t before = fixture_mailbox(fixture, fixture->alice, "INBOX").highest_modseq;
	const uint32_t uids[] = {1, 2};
	struct mailbox_changes changes;

	keeping(fixture);
	expunge(fixture, 1, &uid, 1);
	struct import_source source = open_source(fixture, "there", 99, "INBOX");

	assert_true(source.keeps_uids);
	bring(fixture, &source, uids, 2, 3);
	assert_int_equal(uid_of(fixture, "source 1"), 1);
	assert_int_equal(mailbox_changes_since(fixture->store, &fixture->arena, fixture->alice, 1, before, &changes),
			 STATUS_OK);
	assert_true(changes.too_old);
	uid = 1;
	expunge(fixture, 1, &uid, 1);
	fixture_check_invariants(fixture);
	assert_int_equal(fixture_number(fixture, "SELECT count(*) FROM deleted_email"), 2);
}

static void test_a_mailbox_with_messages_keeps_its_uids(void **state)
{
	struct fixture *fixture = *state;
	const uint32_t uids[] = {1, 2};
	uint32_t validity;

	fixture_deliver(fixture, fixture->alice, fixture_message(&fixture->arena, "here", 300));
	validity = fixture_mailbox(fixture, fixture->alice, "INBOX").uid_validity;
	struct import_source source = open_source(fixture, "there", 99, "INBOX");

	assert_false(source.keeps_uids);
	bring(fixture, &source, uids, 2, 3);
	assert_int_equal(uid_of(fixture, "here"), 1);
	assert_int_equal(uid_of(fixture, "source 1"), 2);
	assert_int_equal(fixture_mailbox(fixture, fixture->alice, "INBOX").uid_validity, validity);
	fixture_check_invariants(fixture);
}

/* A UIDVALIDITY near the end of the numbers would leave none for mailboxes that are made later. */
static void test_huge_uid_validity(void **state)
{
	struct fixture *fixture = *state;

	assert_false(open_source(fixture, "a", UINT32_MAX, "A").keeps_uids);
	assert_true(open_source(fixture, "b", 4000000000u, "B").keeps_uids);
	int64_t id;

	assert_int_equal(mailbox_create(fixture->store, fixture->alice, SLICE("C"), SLICE_EMPTY, &id), STATUS_OK);
	assert_true(fixture_mailbox(fixture, fixture->alice, "C").uid_validity > 4000000000u);
	fixture_check_invariants(fixture);
}

static void test_flags_and_removals_follow(void **state)
{
	struct fixture *fixture = *state;
	struct import_source source = open_source(fixture, "there", 99, "INBOX");
	const uint32_t uids[] = {1, 2, 3};
	uint32_t local = 1;
	struct flag_request mine = {
		.uids = &local, .uid_count = 1, .change = FLAGS_ADD, .flags = FLAG_FLAGGED, .unchanged_since = UINT64_MAX};
	struct import_item seen[] = {{1, FLAG_SEEN}, {2, FLAG_SEEN | FLAG_ANSWERED}, {50, FLAG_SEEN}}, unseen = {1, 0}, *items;
	const int64_t gone[] = {3, 2, 50};
	size_t count;

	bring(fixture, &source, uids, 3, 4);
	assert_int_equal(mailbox_change_flags(fixture->store, &fixture->arena, fixture->alice, 1, &mine, NULL, NULL, NULL),
			 STATUS_OK);
	assert_int_equal(import_flags(fixture->store, &source, seen, 3), STATUS_OK);
	assert_int_equal(fixture_number(fixture, "SELECT flags FROM mailbox_email WHERE uid = 1"), FLAG_SEEN | FLAG_FLAGGED);
	assert_int_equal(import_flags(fixture->store, &source, &unseen, 1), STATUS_OK);
	assert_int_equal(fixture_number(fixture, "SELECT flags FROM mailbox_email WHERE uid = 1"), FLAG_FLAGGED);
	assert_int_equal(import_items(fixture->store, &fixture->arena, &source, &items, &count), STATUS_OK);
	assert_int_equal(count, 3);
	assert_int_equal(items[1].flags, FLAG_SEEN | FLAG_ANSWERED);
	fixture_check_invariants(fixture);
	assert_int_equal(import_remove(fixture->store, &source, gone, 3, &count), STATUS_OK);
	assert_int_equal(count, 2);
	assert_int_equal(fixture_mailbox(fixture, fixture->alice, "INBOX").messages, 1);
	fixture_check_invariants(fixture);
}

/* Another must come for what a deleted mailbox held. */
static void test_a_deleted_mailbox_is_forgotten(void **state)
{
	struct fixture *fixture = *state;
	struct import_source source = open_source(fixture, "there", 99, "Old");
	const uint32_t uids[] = {1, 2, 3};

	bring(fixture, &source, uids, 3, 4);
	assert_int_equal(mailbox_delete(fixture->store, fixture->alice, source.mailbox), STATUS_OK);
	source = open_source(fixture, "there", 99, "Old");
	assert_int_equal(bring(fixture, &source, uids, 3, 4), 3);
	fixture_check_invariants(fixture);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(test_expunged_comes_back),
		FIXTURE_TEST(test_no_more_is_kept_than_a_quota), FIXTURE_TEST(test_messages_expire), FIXTURE_TEST(test_who_expires),
		FIXTURE_TEST(test_inbox_expires_in_any_case),
		FIXTURE_TEST(test_nothing_is_kept_when_off),
		FIXTURE_TEST(test_quota_holds_for_what_comes_back),
		FIXTURE_TEST(test_a_mailbox_comes_back),
		FIXTURE_TEST(test_a_mailbox_deleted_in_parts_comes_back),
		FIXTURE_TEST(test_purge),
		FIXTURE_TEST(test_uids_are_kept),
		FIXTURE_TEST(test_no_uid_stands_for_two_messages),
		FIXTURE_TEST(test_a_used_mailbox_is_taken_over_when_empty),
		FIXTURE_TEST(test_a_mailbox_with_messages_keeps_its_uids),
		FIXTURE_TEST(test_huge_uid_validity),
		FIXTURE_TEST(test_flags_and_removals_follow),
		FIXTURE_TEST(test_a_deleted_mailbox_is_forgotten),
	};

	return FIXTURE_MAIN(argc, argv, "store/moving", tests);
}
