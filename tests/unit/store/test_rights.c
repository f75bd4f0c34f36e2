/* Rights on others' mailboxes, groups, what each has seen, copies between accounts; annotations. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/annotation.h"
#include "store/url_key.h"
#include "store/invariants.h"
#include "store/rights.h"
#include "store/seen.h"
#include "store_fixture.h"

static int64_t create(struct fixture *fixture, const char *name)
{
	int64_t id = 0;

	assert_int_equal(mailbox_create(fixture->store, fixture->alice, slice_from_cstr(name), SLICE_EMPTY, &id), STATUS_OK);
	return id;
}

static enum status give(struct fixture *fixture, int64_t mailbox, const char *who, enum acl_change change, const char *letters)
{
	unsigned rights;

	assert_true(rights_parse(slice_from_cstr(letters), &rights));
	return acl_change(fixture->store, fixture->alice, mailbox, slice_from_cstr(who), change, rights);
}

static void assert_rights(struct fixture *fixture, int64_t viewer, int64_t mailbox, const char *letters)
{
	unsigned rights, expected;

	assert_true(rights_parse(slice_from_cstr(letters), &expected));
	assert_int_equal(rights_of(fixture->store, viewer, fixture->alice, mailbox, &rights), STATUS_OK);
	assert_int_equal(rights, expected);
}

static void test_letters(void **state)
{
	struct fixture *fixture = *state;
	struct buf text;
	unsigned rights;

	buf_init(&text, &fixture->arena, 0);
	assert_true(rights_parse(SLICE("lrswida"), &rights));
	rights_put(&text, rights);
	/* RFC 4314 section 2.1.1 */
	assert_true(slice_eq(buf_slice(&text), SLICE("lrswitead")));
	assert_true(rights_parse(SLICE("c"), &rights));
	assert_int_equal(rights, RIGHT_CREATE | RIGHT_DELETE_MAILBOX);
	assert_true(rights_parse(SLICE(""), &rights));
	assert_int_equal(rights, 0);
	assert_false(rights_parse(SLICE("lR"), &rights));
	assert_false(rights_parse(SLICE("q"), &rights));
	assert_int_equal(rights_flags(RIGHT_SEEN | RIGHT_DELETE), FLAG_SEEN | FLAG_DELETED);
	assert_true(rights_flags(RIGHTS_ALL) == UINT64_MAX);
}

static void test_entries(void **state)
{
	struct fixture *fixture = *state;
	int64_t work = create(fixture, "Work");

	assert_rights(fixture, fixture->alice, work, "lrswipkxtea");
	assert_rights(fixture, fixture->bob, work, "");
	assert_int_equal(give(fixture, work, "Bob@example.test", ACL_REPLACE, "lr"), STATUS_OK);
	assert_rights(fixture, fixture->bob, work, "lr");
	assert_int_equal(give(fixture, work, "bob@example.test", ACL_ADD, "ix"), STATUS_OK);
	assert_int_equal(give(fixture, work, "bob@example.test", ACL_REMOVE, "r"), STATUS_OK);
	assert_rights(fixture, fixture->bob, work, "lix");
	/* RFC 4314 section 2: negative rights go from what others give */
	assert_int_equal(give(fixture, work, "anyone", ACL_REPLACE, "rw"), STATUS_OK);
	assert_int_equal(give(fixture, work, "-bob@example.test", ACL_REPLACE, "wx"), STATUS_OK);
	assert_rights(fixture, fixture->bob, work, "lri");
	assert_int_equal(give(fixture, work, "-anyone", ACL_REPLACE, "l"), STATUS_OK);
	assert_rights(fixture, fixture->bob, work, "ri");
	assert_rights(fixture, fixture->alice, work, "lrswipkxtea");
	assert_int_equal(give(fixture, work, "nobody@example.test", ACL_REPLACE, "l"), STATUS_NOT_FOUND);
	assert_int_equal(give(fixture, work, "@other.test", ACL_REPLACE, "l"), STATUS_NOT_FOUND);
	assert_int_equal(give(fixture, work, "$team", ACL_REPLACE, "l"), STATUS_NOT_FOUND);
	assert_int_equal(give(fixture, work, "alice@example.test", ACL_REPLACE, "l"), STATUS_REFUSED);
	assert_int_equal(give(fixture, 999, "bob@example.test", ACL_REPLACE, "l"), STATUS_NOT_FOUND);
	assert_int_equal(give(fixture, work, "", ACL_REPLACE, "l"), STATUS_PEER);
	assert_int_equal(give(fixture, work, "-", ACL_REPLACE, "l"), STATUS_PEER);
	assert_int_equal(give(fixture, work, "a b", ACL_REPLACE, "l"), STATUS_PEER);
	assert_int_equal(give(fixture, work, "@@example.test", ACL_REPLACE, "l"), STATUS_PEER);
	fixture_check_invariants(fixture);
}

static void test_inherited(void **state)
{
	struct fixture *fixture = *state;
	int64_t work = create(fixture, "Work");
	unsigned rights;

	assert_int_equal(give(fixture, work, "bob@example.test", ACL_REPLACE, "lrk"), STATUS_OK);
	assert_rights(fixture, fixture->bob, create(fixture, "Work/a/b"), "lrk");
	assert_rights(fixture, fixture->bob, fixture_mailbox(fixture, fixture->alice, "Work/a").id, "lrk");
	assert_rights(fixture, fixture->bob, create(fixture, "Other"), "");
	assert_int_equal(give(fixture, MAILBOX_ROOT_ID, "bob@example.test", ACL_REPLACE, "l"), STATUS_OK);
	assert_rights(fixture, fixture->bob, create(fixture, "Third"), "l");
	assert_int_equal(rights_above(fixture->store, fixture->bob, fixture->alice, SLICE("Work/x/y"), &rights), STATUS_OK);
	assert_int_equal(rights, RIGHT_LOOKUP | RIGHT_READ | RIGHT_CREATE);
	assert_int_equal(rights_above(fixture->store, fixture->bob, fixture->alice, SLICE("New"), &rights), STATUS_OK);
	assert_int_equal(rights, RIGHT_LOOKUP);
	/* RFC 4314 section 4: they go with the mailbox, also when its level stays; and follow it under another name */
	assert_int_equal(mailbox_rename(fixture->store, fixture->alice, work, SLICE("Play")), STATUS_OK);
	assert_rights(fixture, fixture->bob, work, "lrk");
	assert_int_equal(mailbox_delete(fixture->store, fixture->alice, work), STATUS_OK);
	assert_rights(fixture, fixture->bob, work, "");
	assert_int_equal(create(fixture, "Play"), work);
	assert_rights(fixture, fixture->bob, work, "l");
	fixture_check_invariants(fixture);
}

static size_t shared_count(struct fixture *fixture, int64_t viewer)
{
	struct shared_mailbox *mailboxes;
	size_t count;

	assert_int_equal(rights_shared(fixture->store, &fixture->arena, viewer, &mailboxes, &count), STATUS_OK);
	for (size_t i = 0; i < count; i++) {
		assert_true(mailboxes[i].rights & RIGHT_LOOKUP);
		assert_int_equal(mailboxes[i].account, fixture->alice);
		assert_true(slice_eq(mailboxes[i].address, SLICE("alice@example.test")));
	}
	return count;
}

static void test_groups(void **state)
{
	struct fixture *fixture = *state;
	int64_t work = create(fixture, "Work"), play = create(fixture, "Play");
	struct group_entry *entries;
	size_t count;

	assert_int_equal(group_add(fixture->store, SLICE("$Team")), STATUS_OK);
	assert_int_equal(group_add(fixture->store, SLICE("$team")), STATUS_EXISTS);
	assert_int_equal(group_add(fixture->store, SLICE("team")), STATUS_REFUSED);
	assert_int_equal(group_add(fixture->store, SLICE("$a@b")), STATUS_REFUSED);
	assert_int_equal(give(fixture, work, "$team", ACL_REPLACE, "lr"), STATUS_OK);
	assert_int_equal(give(fixture, play, "-$team", ACL_REPLACE, "r"), STATUS_OK);
	assert_int_equal(give(fixture, play, "authenticated", ACL_REPLACE, "lr"), STATUS_OK);
	assert_rights(fixture, fixture->bob, work, "");
	assert_int_equal(shared_count(fixture, fixture->bob), 1);
	assert_int_equal(group_set_member(fixture->store, SLICE("$team"), fixture->bob, true), STATUS_OK);
	assert_int_equal(group_set_member(fixture->store, SLICE("$team"), fixture->bob, true), STATUS_EXISTS);
	assert_int_equal(group_set_member(fixture->store, SLICE("$none"), fixture->bob, true), STATUS_NOT_FOUND);
	assert_rights(fixture, fixture->bob, work, "lr");
	assert_rights(fixture, fixture->bob, play, "l");
	assert_int_equal(shared_count(fixture, fixture->bob), 2);
	assert_int_equal(group_list(fixture->store, &fixture->arena, SLICE_EMPTY, &entries, &count), STATUS_OK);
	assert_int_equal(count, 1);
	assert_true(slice_eq(entries[0].member, SLICE("bob@example.test")));
	assert_int_equal(group_set_member(fixture->store, SLICE("$team"), fixture->bob, false), STATUS_OK);
	assert_rights(fixture, fixture->bob, work, "");
	assert_int_equal(group_set_member(fixture->store, SLICE("$team"), fixture->bob, true), STATUS_OK);
	assert_int_equal(group_remove(fixture->store, SLICE("$team")), STATUS_OK);
	assert_int_equal(group_remove(fixture->store, SLICE("$team")), STATUS_NOT_FOUND);
	assert_rights(fixture, fixture->bob, work, "");
	assert_rights(fixture, fixture->bob, play, "lr");
	fixture_check_invariants(fixture);
}

/* Who gets an address later hasn't the rights of who had it before. */
static void test_gone(void **state)
{
	struct fixture *fixture = *state;
	int64_t work = create(fixture, "Work"), other;

	assert_int_equal(give(fixture, work, "bob@example.test", ACL_REPLACE, "lr"), STATUS_OK);
	assert_int_equal(directory_add_domain(fixture->store, SLICE("other.test")), STATUS_OK);
	assert_int_equal(give(fixture, work, "@other.test", ACL_REPLACE, "l"), STATUS_OK);
	assert_int_equal(directory_add_account(fixture->store, SLICE("x@other.test"), SLICE_EMPTY, 0, &other), STATUS_OK);
	assert_rights(fixture, other, work, "l");
	assert_int_equal(directory_remove_account(fixture->store, SLICE("bob@example.test")), STATUS_OK);
	assert_int_equal(directory_add_account(fixture->store, SLICE("bob@example.test"), SLICE_EMPTY, 0, &fixture->bob),
			 STATUS_OK);
	assert_rights(fixture, fixture->bob, work, "");
	assert_int_equal(directory_remove_account(fixture->store, SLICE("x@other.test")), STATUS_OK);
	assert_int_equal(directory_remove_domain(fixture->store, SLICE("other.test")), STATUS_OK);
	assert_int_equal(fixture_number(fixture, "SELECT count(*) FROM mailbox_right"), 0);
	assert_int_equal(give(fixture, work, "bob@example.test", ACL_REPLACE, "lr"), STATUS_OK);
	assert_int_equal(directory_remove_account(fixture->store, SLICE("alice@example.test")), STATUS_OK);
	assert_int_equal(fixture_number(fixture, "SELECT count(*) FROM mailbox_right"), 0);
	fixture_check_invariants(fixture);
}

/* Against a plain array. */
static void test_seen_sets(void **state)
{
	struct fixture *fixture = *state;
	bool model[201] = {false};
	struct seen_set set = {0};

	srand(7);
	for (int round = 0; round < 500; round++) {
		bool seen = rand() % 2;
		uint32_t uids[200];
		size_t count = 0;

		for (uint32_t uid = 1; uid <= 200; uid++) {
			if (rand() % (1 + round % 17) != 0)
				continue;
			uids[count++] = uid;
			model[uid] = seen;
		}
		seen_change(&fixture->arena, &set, uids, count, seen);
		for (uint32_t uid = 1; uid <= 200; uid++)
			assert_int_equal(seen_has(&set, uid), model[uid]);
		for (size_t i = 1; i < set.count; i++)
			assert_true(set.ranges[i].first > set.ranges[i - 1].last + 1);
	}
	seen_change(&fixture->arena, &set, (const uint32_t[]){UINT32_MAX}, 1, true);
	assert_true(seen_has(&set, UINT32_MAX));
	seen_change(&fixture->arena, &set, (const uint32_t[]){UINT32_MAX}, 1, false);
	assert_false(seen_has(&set, UINT32_MAX));
}

static void change(struct fixture *fixture, int64_t viewer, enum flag_change how, uint64_t flags, uint64_t kept, uint32_t uid)
{
	struct flag_request request = {.uids = &uid,
				       .uid_count = 1,
				       .change = how,
				       .flags = flags,
				       .unchanged_since = UINT64_MAX,
				       .kept = kept,
				       .seen_by = viewer};
	uint64_t modseq;

	assert_int_equal(
		mailbox_change_flags(fixture->store, &fixture->arena, fixture->alice, 1, &request, NULL, NULL, &modseq),
		STATUS_OK);
}

static uint32_t unseen(struct fixture *fixture, int64_t viewer)
{
	struct mailbox inbox = fixture_mailbox(fixture, fixture->alice, "INBOX");

	assert_int_equal(mailbox_unseen_by(fixture->store, fixture->alice, &inbox, viewer), STATUS_OK);
	return inbox.unseen;
}

static void test_seen_apart(void **state)
{
	struct fixture *fixture = *state;

	for (int i = 0; i < 200; i++)
		fixture_deliver(fixture, fixture->alice, fixture_message(&fixture->arena, "m", 100));
	assert_int_equal(unseen(fixture, fixture->bob), 200);
	change(fixture, fixture->bob, FLAGS_ADD, FLAG_SEEN | FLAG_FLAGGED, 0, 3);
	assert_int_equal(unseen(fixture, fixture->bob), 199);
	assert_int_equal(fixture_mailbox(fixture, fixture->alice, "INBOX").unseen, 200);
	assert_int_equal(fixture_number(fixture, "SELECT flags FROM mailbox_email WHERE uid = 3"), FLAG_FLAGGED);
	/* what one may not change stays */
	change(fixture, fixture->bob, FLAGS_REPLACE, FLAG_ANSWERED | FLAG_SEEN, (uint64_t)FLAG_SEEN | FLAG_FLAGGED, 3);
	assert_int_equal(unseen(fixture, fixture->bob), 199);
	assert_int_equal(fixture_number(fixture, "SELECT flags FROM mailbox_email WHERE uid = 3"),
			 FLAG_FLAGGED | FLAG_ANSWERED);
	change(fixture, fixture->bob, FLAGS_REPLACE, 0, 0, 3);
	assert_int_equal(unseen(fixture, fixture->bob), 200);
	/* more runs than are asked for one by one */
	for (uint32_t uid = 1; uid <= 200; uid += 2)
		change(fixture, fixture->bob, FLAGS_ADD, FLAG_SEEN, 0, uid);
	assert_int_equal(unseen(fixture, fixture->bob), 100);
	change(fixture, 0, FLAGS_ADD, FLAG_DELETED, 0, 1);
	uint32_t *expunged;
	size_t count;

	assert_int_equal(mailbox_expunge(fixture->store, &fixture->arena, fixture->alice, 1, NULL, 0, &expunged, &count),
			 STATUS_OK);
	assert_int_equal(unseen(fixture, fixture->bob), 100);
	fixture_check_invariants(fixture);
}

static void test_copy_between(void **state)
{
	struct fixture *fixture = *state;
	struct slice large = fixture_message(&fixture->arena, "large", 700000),
		     small = fixture_message(&fixture->arena, "s", 50);
	uint32_t uids[] = {fixture_deliver(fixture, fixture->alice, small), fixture_deliver(fixture, fixture->alice, large)};
	unsigned bits[64] = {0}, here, there;
	struct copy_request request = {.from_account = fixture->alice,
				       .from = 1,
				       .to_account = fixture->bob,
				       .to = 1,
				       .uids = uids,
				       .uid_count = 2,
				       .allowed = UINT64_MAX,
				       .from_seen_by = fixture->bob,
				       .bits = bits};
	struct copy_result result;

	assert_int_equal(keyword_find(fixture->store, fixture->bob, SLICE("other"), true, &there), STATUS_OK);
	assert_int_equal(keyword_find(fixture->store, fixture->alice, SLICE("work"), true, &here), STATUS_OK);
	assert_int_equal(keyword_find(fixture->store, fixture->bob, SLICE("work"), true, &there), STATUS_OK);
	assert_int_not_equal(here, there);
	bits[here] = there;
	change(fixture, fixture->bob, FLAGS_ADD, FLAG_SEEN | UINT64_C(1) << here, 0, 2);
	assert_int_equal(mailbox_copy_between(fixture->store, &fixture->arena, &request, &result), STATUS_OK);
	assert_int_equal(result.count, 2);
	assert_true(slice_eq(fixture_read(fixture, fixture->bob, 1, result.target[0]),
			     fixture_read(fixture, fixture->alice, 1, 1)));
	assert_int_equal(fixture_number(fixture, "SELECT flags FROM mailbox_email WHERE uid = 2 AND account = 2"),
			 (int64_t)(FLAG_SEEN | UINT64_C(1) << there));
	fixture_check_invariants(fixture);
	/* a copy of one's own doesn't hang on the other's */
	request.move = true;
	assert_int_equal(mailbox_copy_between(fixture->store, &fixture->arena, &request, &result), STATUS_OK);
	assert_int_equal(fixture_mailbox(fixture, fixture->alice, "INBOX").messages, 0);
	assert_int_equal(fixture_mailbox(fixture, fixture->bob, "INBOX").messages, 4);
	fixture_check_invariants(fixture);
	assert_int_equal(directory_set_quota(fixture->store, SLICE("alice@example.test"), 1000, 0), STATUS_OK);
	request = (struct copy_request){.from_account = fixture->bob,
					.from = 1,
					.to_account = fixture->alice,
					.to = 1,
					.uids = result.target,
					.uid_count = 2,
					.allowed = UINT64_MAX,
					.bits = bits};
	assert_int_equal(mailbox_copy_between(fixture->store, &fixture->arena, &request, &result), STATUS_LIMIT);
	assert_int_equal(fixture_mailbox(fixture, fixture->bob, "INBOX").messages, 4);
	fixture_check_invariants(fixture);
}

static enum status annotate(struct fixture *fixture, int64_t mailbox, int64_t viewer, const char *entry, struct slice value)
{
	int64_t number;

	return annotation_set(fixture->store, fixture->alice, mailbox, viewer,
			      &(struct annotation){slice_from_cstr(entry), value}, 1, &number);
}

static size_t annotations_of(struct fixture *fixture, int64_t mailbox, int64_t viewer)
{
	struct annotation *annotations;
	size_t count;

	assert_int_equal(annotation_list(fixture->store, &fixture->arena, fixture->alice, mailbox, viewer, &annotations, &count),
			 STATUS_OK);
	return count;
}

static void test_annotations(void **state)
{
	struct fixture *fixture = *state;
	struct annotation two[] = {{SLICE("/shared/a"), SLICE("1")}, {SLICE("/private/b"), SLICE("\0\xff")}}, *found;
	struct annotation_change *changes;
	int64_t number, before, work = create(fixture, "Work");
	char entry[32];
	size_t count;

	assert_int_equal(annotation_latest(fixture->store, &before), STATUS_OK);
	assert_int_equal(annotation_set(fixture->store, fixture->alice, work, fixture->alice, two, 2, &number), STATUS_OK);
	assert_int_equal(number, before + 1);
	assert_int_equal(annotation_list(fixture->store, &fixture->arena, fixture->alice, work, fixture->alice, &found, &count),
			 STATUS_OK);
	assert_int_equal(count, 2);
	assert_true(slice_eq(found[0].entry, SLICE("/private/b")) && slice_eq(found[0].value, SLICE("\0\xff")));
	assert_int_equal(annotations_of(fixture, work, fixture->bob), 1);
	assert_int_equal(annotation_changes(fixture->store, &fixture->arena, fixture->bob, before, 10, &changes, &count), STATUS_OK);
	assert_int_equal(count, 1);
	assert_true(slice_eq(changes[0].entry, SLICE("/shared/a")) && slice_eq(changes[0].name, SLICE("Work")));
	assert_int_equal(annotate(fixture, work, fixture->bob, "/shared/a", slice_of(NULL, 0)), STATUS_OK);
	assert_int_equal(annotations_of(fixture, work, fixture->bob), 0);
	/* what was removed is news too */
	assert_int_equal(annotation_changes(fixture->store, &fixture->arena, fixture->bob, number, 10, &changes, &count), STATUS_OK);
	assert_int_equal(count, 1);
	assert_int_equal(annotate(fixture, 999, fixture->alice, "/shared/a", SLICE("x")), STATUS_NOT_FOUND);
	for (int i = 0; i < ANNOTATION_COUNT_MAX; i++) {
		snprintf(entry, sizeof entry, "/private/%d", i);
		assert_int_equal(annotate(fixture, work, fixture->bob, entry, SLICE("")), STATUS_OK);
	}
	assert_int_equal(annotate(fixture, work, fixture->bob, "/private/one-more", SLICE("x")), STATUS_LIMIT);
	assert_int_equal(annotate(fixture, work, fixture->bob, "/private/0", SLICE("x")), STATUS_OK);
	assert_int_equal(annotate(fixture, work, fixture->alice, "/private/one-more", SLICE("x")), STATUS_OK);
	fixture_check_invariants(fixture);
	assert_int_equal(directory_remove_account(fixture->store, SLICE("bob@example.test")), STATUS_OK);
	assert_int_equal(annotations_of(fixture, work, fixture->bob), 0);
	fixture_check_invariants(fixture);
	assert_int_equal(mailbox_delete(fixture->store, fixture->alice, work), STATUS_OK);
	assert_int_equal(fixture_number(fixture, "SELECT count(*) FROM annotation"), 0);
}

static void test_annotations_total(void **state)
{
	struct fixture *fixture = *state;
	char *large = calloc(1, ANNOTATION_VALUE_MAX), entry[32], name[32];
	int64_t most = ANNOTATION_TOTAL_BYTES / (int64_t)ANNOTATION_VALUE_MAX;

	for (int64_t i = 0; i < most; i++) {
		int64_t mailbox = MAILBOX_INBOX_ID;

		snprintf(name, sizeof name, "m%lld", (long long)(i / 50));
		if (i % 50 == 0)
			create(fixture, name);
		mailbox = fixture_mailbox(fixture, fixture->alice, name).id;
		snprintf(entry, sizeof entry, "/private/%lld", (long long)(i % 50));
		assert_int_equal(annotate(fixture, mailbox, fixture->bob, entry, slice_of(large, ANNOTATION_VALUE_MAX)), STATUS_OK);
	}
	assert_int_equal(annotate(fixture, MAILBOX_INBOX_ID, fixture->bob, "/private/more", SLICE("x")), STATUS_LIMIT);
	assert_int_equal(annotate(fixture, MAILBOX_INBOX_ID, fixture->alice, "/private/more", SLICE("x")), STATUS_OK);
	assert_int_equal(annotate(fixture, MAILBOX_INBOX_ID, fixture->alice, "/shared/more", SLICE("x")), STATUS_OK);
	free(large);
}

/* RFC 4467 section 2.2. */
static void test_url_keys(void **state)
{
	struct fixture *fixture = *state;
	int64_t alice = fixture->alice, bob = fixture->bob, work = create(fixture, "Work"), reset_ms, again_ms, *accounts;
	size_t count;
	unsigned char first[URL_KEY_BYTES], again[URL_KEY_BYTES], other[URL_KEY_BYTES];
	uint64_t resets = url_key_resets(fixture->store);

	assert_int_equal(url_key_find(fixture->store, alice, alice, work, first), STATUS_NOT_FOUND);
	assert_int_equal(url_key_make(fixture->store, alice, alice, work, first), STATUS_OK);
	assert_int_equal(url_key_make(fixture->store, alice, alice, work, again), STATUS_OK);
	assert_memory_equal(first, again, URL_KEY_BYTES);
	assert_int_equal(url_key_make(fixture->store, bob, alice, work, other), STATUS_OK);
	assert_memory_not_equal(first, other, URL_KEY_BYTES);
	assert_int_equal(url_key_make(fixture->store, alice, alice, 999, other), STATUS_NOT_FOUND);
	assert_int_equal(url_key_reset_time(fixture->store, alice, alice, work, &reset_ms), STATUS_OK);
	assert_int_equal(reset_ms, 0);
	assert_int_equal(url_key_reset(fixture->store, alice, alice, work, &again_ms), STATUS_OK);
	assert_int_equal(url_key_resets(fixture->store), resets + 1);
	assert_int_equal(url_key_reset_time(fixture->store, alice, alice, work, &reset_ms), STATUS_OK);
	assert_true(reset_ms > 0);
	assert_int_equal(reset_ms, again_ms);
	fixture_number(fixture, "UPDATE url_key SET reset_ms = reset_ms + 3600000 RETURNING 1");
	assert_int_equal(url_key_reset(fixture->store, alice, alice, work, &reset_ms), STATUS_OK);
	assert_int_equal(reset_ms, again_ms + 3600001);
	assert_int_equal(url_key_find(fixture->store, alice, alice, work, again), STATUS_OK);
	assert_memory_not_equal(first, again, URL_KEY_BYTES);
	assert_int_equal(url_key_reset_all(fixture->store, &fixture->arena, alice, &accounts, &count), STATUS_OK);
	assert_int_equal(count, 1);
	assert_int_equal(accounts[0], alice);
	assert_int_equal(url_key_resets(fixture->store), resets + 3);
	assert_int_equal(url_key_find(fixture->store, alice, alice, work, again), STATUS_NOT_FOUND);
	assert_int_equal(url_key_make(fixture->store, alice, alice, work, again), STATUS_OK);
	assert_memory_not_equal(first, again, URL_KEY_BYTES);
	assert_int_equal(url_key_reset_time(fixture->store, alice, alice, work, &again_ms), STATUS_OK);
	assert_int_equal(again_ms, reset_ms + 1);
	assert_int_equal(url_key_find(fixture->store, bob, alice, work, again), STATUS_OK);
	assert_int_equal(mailbox_delete(fixture->store, alice, work), STATUS_OK);
	assert_int_equal(fixture_number(fixture, "SELECT count(*) FROM url_key"), 0);
	assert_int_equal(url_key_make(fixture->store, bob, alice, MAILBOX_INBOX_ID, other), STATUS_OK);
	assert_int_equal(directory_remove_account(fixture->store, SLICE("bob@example.test")), STATUS_OK);
	assert_int_equal(fixture_number(fixture, "SELECT count(*) FROM url_key"), 0);
	fixture_check_invariants(fixture);
}

static void test_found_and_repaired(void **state)
{
	struct fixture *fixture = *state;
	struct db *db = db_acquire(fixture->store->pool);
	struct store_violation *list;
	size_t count;

	db_execute(db, "INSERT INTO mailbox_right (account, mailbox, identifier, rights) VALUES (1, 99, '@example.test', 1);"
		       "INSERT INTO mailbox_seen (account, mailbox, viewer, uids) VALUES (1, 1, 99, '');"
		       "INSERT INTO annotation (account, mailbox, viewer, entry, number, value) VALUES (1, 99, 0, '/shared/x', 1, '');"
		       "INSERT INTO url_key (viewer, account, mailbox, reset_ms, value) VALUES (1, 1, 99, 0, '');"
		       "INSERT INTO group_member (account, name) VALUES (99, 'x')");
	assert_int_equal(db_status(db), STATUS_OK);
	db_release(db);
	assert_int_equal(store_check_invariants(fixture->store, &fixture->arena, &list, &count), STATUS_OK);
	assert_int_equal(count, 4);
	assert_int_equal(store_repair(fixture->store, &fixture->arena, INVARIANTS_ALL, &list, &count), STATUS_OK);
	assert_int_equal(count, 5);
	fixture_check_invariants(fixture);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		FIXTURE_TEST(test_letters),    FIXTURE_TEST(test_entries),      FIXTURE_TEST(test_inherited),
		FIXTURE_TEST(test_groups),     FIXTURE_TEST(test_gone),         FIXTURE_TEST(test_seen_sets),
		FIXTURE_TEST(test_seen_apart), FIXTURE_TEST(test_copy_between), FIXTURE_TEST(test_found_and_repaired),
		FIXTURE_TEST(test_annotations), FIXTURE_TEST(test_annotations_total), FIXTURE_TEST(test_url_keys),
	};

	return FIXTURE_MAIN(argc, argv, "rights", tests);
}
