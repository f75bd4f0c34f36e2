/* Faults: every statement and commit of an operation is made to fail in turn, with each class of trouble. Afterwards the operation has
 * happened whole or not at all (no row of any table differs), the caller was told which, and the store is sound and works on.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/random.h"
#include "store_fixture.h"

#define INBOX      MAILBOX_INBOX_ID
#define FAULTS_MAX 400

/* ---- all rows as one number ---- */

static const struct table {
	const char *rows;
	int columns;
} tables[] = {
	{"SELECT * FROM domain ORDER BY name", 2},
	{"SELECT * FROM counter ORDER BY name", 2},
	{"SELECT * FROM account ORDER BY id", 15},
	{"SELECT * FROM removal ORDER BY account", 1},
	{"SELECT * FROM alias ORDER BY address, target", 3},
	{"SELECT * FROM mailbox ORDER BY account, id", 12},
	{"SELECT * FROM subscription ORDER BY account, name", 2},
	{"SELECT * FROM keyword ORDER BY account, bit", 3},
	{"SELECT * FROM email ORDER BY account, id", 13},
	{"SELECT * FROM mailbox_email ORDER BY account, mailbox, uid", 8},
	{"SELECT * FROM blob ORDER BY account, id", 5},
	{"SELECT * FROM change ORDER BY account, modseq, mailbox, first_uid", 7},
	{"SELECT * FROM queue_message ORDER BY id", 13},
	{"SELECT * FROM queue_recipient ORDER BY id", 14},
	{"SELECT * FROM trace ORDER BY queue_id, at_ms, step", 8},
};

static uint64_t digest_row(struct db_query *query, int columns, uint64_t digest)
{
	static const uint8_t key[16] = "a constant key..";

	for (int i = 0; i < columns; i++)
		digest = digest * 31 + siphash(key, db_is_null(query, i) ? SLICE("null") : db_slice(query, i));
	return digest;
}

static uint64_t digest_all(struct fixture *fixture)
{
	struct db *db = db_acquire(fixture->store->pool);
	uint64_t digest = 0;

	assert_non_null(db);
	for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
		struct db_query query = db_query(db, tables[i].rows);

		while (db_row(&query))
			digest = digest_row(&query, tables[i].columns, digest + i);
		db_done(&query);
		assert_int_equal(db_status(db), STATUS_OK);
	}
	db_release(db);
	return digest;
}

/* ---- the walk ---- */

struct fault {
	int countdown;
	enum status status;
	bool happened;
};

static enum status fail_once(void *context)
{
	struct fault *fault = context;

	if (--fault->countdown != 0)
		return STATUS_OK;
	fault->happened = true;
	return fault->status;
}

typedef enum status (*operation_type)(struct fixture *fixture);

/* Runs the operation with the n-th statement failing, n = 1, 2, ... until one gets through without. Returns how many failed. */
static int walk_with(struct fixture *fixture, operation_type operation, enum status trouble)
{
	for (int n = 1; n < FAULTS_MAX; n++) {
		struct fault fault = {.countdown = n, .status = trouble};
		uint64_t before = digest_all(fixture);

		fixture_set_fault(fixture, fail_once, &fault);
		enum status status = operation(fixture);

		fixture_set_fault(fixture, NULL, NULL);
		fixture_check_invariants(fixture);
		if (!fault.happened) {
			assert_int_equal(status, STATUS_OK);
			assert_true(digest_all(fixture) != before);
			return n - 1;
		}
		/* Where it is only known that nothing was kept, the trouble is a temporary one. */
		if (status != trouble)
			assert_int_equal(status, STATUS_TEMPORARY);
		assert_true(digest_all(fixture) == before);
	}
	fail_msg("there is no end to it");
	return 0;
}

/* `prepare` before each of the walks. */
static void walk(struct fixture *fixture, void (*prepare)(struct fixture *), operation_type operation)
{
	static const enum status troubles[] = {STATUS_TEMPORARY, STATUS_EXISTS, STATUS_BUG};

	/* Our bugs are the same on both back ends. */
	for (size_t i = 0; i < (fixture->is_postgresql ? 2 : 3); i++) {
		prepare(fixture);
		/* Begin, commit, and at least one statement. */
		assert_true(walk_with(fixture, operation, troubles[i]) >= 3);
	}
}

/* ---- what there is at the beginning ---- */

static void nothing(struct fixture *fixture)
{
	(void)fixture;
}

static enum status deliver(struct fixture *fixture)
{
	struct delivery_target targets[] = {{.account = fixture->alice, .headers = SLICE("Delivered-To: a\r\n")},
					    {.account = fixture->bob, .mailbox = SLICE("Lists/New")}};
	struct queue_target queue[] = {{.recipient = SLICE("x@remote.example"), .next_hop = SLICE("remote.example")},
				       {.recipient = SLICE("y@remote.example"), .next_hop = SLICE("remote.example")},
				       {.recipient = SLICE("z@remote.example"), .next_hop = SLICE("remote.example")}};
	struct delivery delivery = {
		.queue_id = SLICE("Q1"),
		.received_ms = 1,
		.bytes = fixture_message(&fixture->arena, "fault", 400000),
		.targets = targets,
		.target_count = 2,
		.queue = queue,
		.queue_count = 3,
		.all_or_nothing = true,
	};

	return store_deliver(fixture->store, &delivery);
}

/* The account that operations act on: new for each walk, with three messages that are marked as deleted, uids 1 to 3. */
static struct {
	struct slice address;
	int64_t id, archive;
	int number;
} victim;

static const uint32_t some[] = {1, 2, 3};

static void have_victim(struct fixture *fixture)
{
	struct flag_request request = {some, 3, FLAGS_ADD, FLAG_DELETED, UINT64_MAX};
	struct buf address;

	buf_init(&address, &fixture->arena, 0);
	buf_printf(&address, "victim%d@example.test", ++victim.number);
	victim.address = buf_slice(&address);
	assert_int_equal(directory_add_account(fixture->store, victim.address, SLICE("Victim"), 0, &victim.id), STATUS_OK);
	for (int i = 0; i < 3; i++)
		fixture_deliver(fixture, victim.id, fixture_message(&fixture->arena, "three", 2000));
	assert_int_equal(mailbox_change_flags(fixture->store, &fixture->arena, victim.id, INBOX, &request, NULL, NULL, NULL),
			 STATUS_OK);
	victim.archive = fixture_mailbox(fixture, victim.id, "Archive").id;
	assert_int_equal(mailbox_create(fixture->store, victim.id, SLICE("Archive/1/2"), SLICE_EMPTY, NULL), STATUS_OK);
}

/* ---- messages ---- */

static enum status append_two(struct fixture *fixture)
{
	struct email_facts facts;
	uint32_t uids[2], uid_validity;

	email_facts(&fixture->arena, fixture_message(&fixture->arena, "appended", 300000), &facts);
	struct append_request requests[] = {{fixture->alice, INBOX, &facts, FLAG_SEEN, 7},
					    {fixture->alice, INBOX, &facts, FLAG_DRAFT, 8}};

	return store_append(fixture->store, requests, 2, uids, &uid_validity);
}

static enum status set_flags(struct fixture *fixture)
{
	struct flag_request request = {some, 3, FLAGS_REPLACE, FLAG_SEEN, UINT64_MAX};
	uint32_t *modified;
	size_t count;
	uint64_t modseq;

	return mailbox_change_flags(fixture->store, &fixture->arena, victim.id, INBOX, &request, &modified, &count, &modseq);
}

static enum status expunge(struct fixture *fixture)
{
	uint32_t *expunged;
	size_t count;
	enum status status = mailbox_expunge(fixture->store, &fixture->arena, victim.id, INBOX, NULL, 0, &expunged, &count);

	assert_int_equal(count, status == STATUS_OK ? 3 : 0);
	return status;
}

static enum status copy_or_move(struct fixture *fixture, bool move)
{
	uint32_t *source, *target, uid_validity;
	size_t count;
	enum status status = mailbox_copy(fixture->store, &fixture->arena, victim.id, INBOX, victim.archive, some, 3, move,
					  &source, &target, &count, &uid_validity);

	assert_int_equal(count, status == STATUS_OK ? 3 : 0);
	return status;
}

static enum status copy_three(struct fixture *fixture)
{
	return copy_or_move(fixture, false);
}

static enum status move_three(struct fixture *fixture)
{
	return copy_or_move(fixture, true);
}

static void have_copies(struct fixture *fixture)
{
	have_victim(fixture);
	assert_int_equal(copy_three(fixture), STATUS_OK);
}

static void test_messages(void **state)
{
	walk(*state, nothing, append_two);
	walk(*state, have_victim, set_flags);
	walk(*state, have_victim, expunge);
	walk(*state, have_copies, expunge);
	walk(*state, have_victim, copy_three);
	walk(*state, have_victim, move_three);
}

/* Each time to mailboxes that aren't there yet. */
static void remove_lists(struct fixture *fixture)
{
	struct mailbox mailbox;

	for (int i = 0; i < 2; i++)
		if (mailbox_find(fixture->store, &fixture->arena, fixture->bob, i ? SLICE("Lists") : SLICE("Lists/New"),
				 &mailbox) == STATUS_OK)
			assert_int_equal(mailbox_delete(fixture->store, fixture->bob, mailbox.id), STATUS_OK);
}

static void test_delivery(void **state)
{
	walk(*state, remove_lists, deliver);
}

/* ---- mailboxes ---- */

static enum status create_deep(struct fixture *fixture)
{
	int64_t id;

	return mailbox_create(fixture->store, victim.id, SLICE("A/B/C"), SLICE_EMPTY, &id);
}

static enum status rename_tree(struct fixture *fixture)
{
	return mailbox_rename(fixture->store, victim.id, victim.archive, SLICE("Deep/Down/Archive"));
}

static enum status rename_inbox(struct fixture *fixture)
{
	return mailbox_rename(fixture->store, victim.id, INBOX, SLICE("Old/Inbox"));
}

static enum status delete_parent(struct fixture *fixture)
{
	return mailbox_delete(fixture->store, victim.id, victim.archive);
}

static void have_leaf(struct fixture *fixture)
{
	have_victim(fixture);
	assert_int_equal(mailbox_create(fixture->store, victim.id, SLICE("Leaf"), SLICE_EMPTY, &victim.archive), STATUS_OK);
	assert_int_equal(move_three(fixture), STATUS_OK);
}

static void have_level(struct fixture *fixture)
{
	have_victim(fixture);
	assert_int_equal(delete_parent(fixture), STATUS_OK);
}

static enum status create_again(struct fixture *fixture)
{
	int64_t id;

	return mailbox_create(fixture->store, victim.id, SLICE("Archive"), SLICE_EMPTY, &id);
}

static enum status subscribe(struct fixture *fixture)
{
	return mailbox_subscribe(fixture->store, victim.id, SLICE("Not/Yet"), true);
}

static enum status make_keyword(struct fixture *fixture)
{
	unsigned bit;

	return keyword_find(fixture->store, victim.id, SLICE("$Forwarded"), true, &bit);
}

static void test_mailboxes(void **state)
{
	walk(*state, have_victim, create_deep);
	walk(*state, have_victim, rename_tree);
	walk(*state, have_victim, rename_inbox);
	walk(*state, have_copies, delete_parent);
	walk(*state, have_leaf, delete_parent);
	walk(*state, have_level, create_again);
	walk(*state, have_victim, subscribe);
	walk(*state, have_victim, make_keyword);
}

/* ---- the queue ---- */

static struct {
	struct queue_item *items;
	size_t count;
} queued;

static const struct queue_filter everything = {.state = -1};

static void have_queued(struct fixture *fixture)
{
	size_t count;

	assert_int_equal(queue_remove(fixture->store, &everything, &count), STATUS_OK);
	assert_int_equal(deliver(fixture), STATUS_OK);
	assert_int_equal(queue_list(fixture->store, &fixture->arena, &everything, 10, &queued.items, &queued.count), STATUS_OK);
	assert_int_equal(queued.count, 3);
}

/* One delivered, one put off, one bounced. */
static enum status finish(struct fixture *fixture)
{
	struct delivery_target target = {.account = fixture->alice};
	struct delivery bounce = {.queue_id = SLICE("QB"),
				  .received_ms = 5,
				  .bytes = SLICE("Subject: Undelivered\r\n\r\nSorry.\r\n"),
				  .targets = &target,
				  .target_count = 1};
	struct queue_result results[3];

	for (size_t i = 0; i < 3; i++)
		results[i] = (struct queue_result){
			.id = queued.items[i].id,
			.message = queued.items[i].message,
			.outcome = (enum queue_outcome[]){QUEUE_DELIVERED, QUEUE_DEFERRED, QUEUE_FAILED}[i],
			.due_ms = 99,
			.reply = SLICE("an answer")};
	return queue_finish(fixture->store, results, 3, &bounce);
}

static enum status finish_all(struct fixture *fixture)
{
	struct queue_result results[3];

	for (size_t i = 0; i < 3; i++)
		results[i] = (struct queue_result){.id = queued.items[i].id,
						   .message = queued.items[i].message,
						   .outcome = QUEUE_DELIVERED,
						   .reply = SLICE("250 ok")};
	return queue_finish(fixture->store, results, 3, NULL);
}

static enum status take_due(struct fixture *fixture)
{
	struct queue_item *items;
	size_t count;

	return queue_take_due(fixture->store, &fixture->arena, 1000, 60000, SLICE("node"), 2, &items, &count);
}

static void have_leases(struct fixture *fixture)
{
	have_queued(fixture);
	assert_int_equal(take_due(fixture), STATUS_OK);
}

static enum status renew_leases(struct fixture *fixture)
{
	const int64_t rows[] = {queued.items[0].id, queued.items[1].id, queued.items[2].id};

	return queue_renew_leases(fixture->store, SLICE("node"), rows, 3, 123456);
}

static enum status release_leases(struct fixture *fixture)
{
	return queue_release_leases(fixture->store, SLICE("node"));
}

static enum status hold(struct fixture *fixture)
{
	size_t count;

	return queue_hold(fixture->store, &everything, true, &count);
}

static enum status retry(struct fixture *fixture)
{
	size_t count;

	return queue_retry(fixture->store, &everything, &count);
}

static enum status remove_queued(struct fixture *fixture)
{
	size_t count;

	return queue_remove(fixture->store, &everything, &count);
}

static enum status add_trace(struct fixture *fixture)
{
	struct trace_step steps[] = {{.at_ms = 1, .queue_id = SLICE("Q7"), .event = SLICE("refused")},
				     {.at_ms = 1, .queue_id = SLICE("Q8"), .event = SLICE("refused")}};

	return trace_add(fixture->store, steps, 2);
}

static enum status forget_trace(struct fixture *fixture)
{
	size_t removed;

	return trace_forget(fixture->store, 2, 1000, &removed);
}

static void have_trace(struct fixture *fixture)
{
	assert_int_equal(add_trace(fixture), STATUS_OK);
}

static void test_queue(void **state)
{
	walk(*state, have_queued, finish);
	walk(*state, have_queued, finish_all);
	walk(*state, have_queued, take_due);
	walk(*state, have_leases, renew_leases);
	walk(*state, have_leases, release_leases);
	walk(*state, have_queued, hold);
	walk(*state, have_queued, retry);
	walk(*state, have_queued, remove_queued);
	walk(*state, nothing, add_trace);
	walk(*state, have_trace, forget_trace);
}

/* ---- the directory ---- */

static enum status add_account(struct fixture *fixture)
{
	int64_t id;

	return directory_add_account(fixture->store, SLICE("new@example.test"), SLICE("New"), 1000, &id);
}

static enum status remove_account(struct fixture *fixture)
{
	return directory_remove_account(fixture->store, SLICE("new@example.test"));
}

static void have_no_new(struct fixture *fixture)
{
	(void)!remove_account(fixture);
}

static enum status disable(struct fixture *fixture)
{
	return directory_enable_account(fixture->store, victim.address, false);
}

static enum status set_quota(struct fixture *fixture)
{
	return directory_set_quota(fixture->store, victim.address, 12345, 67);
}

static enum status add_domain(struct fixture *fixture)
{
	return directory_add_domain(fixture->store, SLICE("other.test"));
}

static enum status remove_domain(struct fixture *fixture)
{
	return directory_remove_domain(fixture->store, SLICE("other.test"));
}

static void have_no_domain(struct fixture *fixture)
{
	(void)!remove_domain(fixture);
}

static void have_domain(struct fixture *fixture)
{
	(void)!add_domain(fixture);
}

static enum status add_alias(struct fixture *fixture)
{
	return directory_add_alias(fixture->store, SLICE("sales@example.test"), SLICE("alice@example.test"));
}

static enum status remove_alias(struct fixture *fixture)
{
	return directory_remove_alias(fixture->store, SLICE("sales@example.test"), SLICE_EMPTY);
}

static void have_no_alias(struct fixture *fixture)
{
	(void)!remove_alias(fixture);
}

static void have_alias(struct fixture *fixture)
{
	(void)!add_alias(fixture);
}

static void test_directory(void **state)
{
	walk(*state, have_no_new, add_account);
	walk(*state, have_victim, disable);
	walk(*state, have_victim, set_quota);
	walk(*state, have_no_domain, add_domain);
	walk(*state, have_domain, remove_domain);
	walk(*state, have_no_alias, add_alias);
	walk(*state, have_alias, remove_alias);
}

/* An account goes in several transactions: it is gone with the first, and the rest is finished later. */
static void test_remove_account(void **state)
{
	struct fixture *fixture = *state;
	struct account account;

	for (int n = 1; n < FAULTS_MAX; n++) {
		struct fault fault = {.countdown = n, .status = STATUS_TEMPORARY};

		have_copies(fixture);
		fixture_set_fault(fixture, fail_once, &fault);
		enum status status = directory_remove_account(fixture->store, victim.address);

		fixture_set_fault(fixture, NULL, NULL);
		fixture_check_invariants(fixture);
		assert_int_equal(directory_find_account(fixture->store, &fixture->arena, victim.address, &account),
				 status == STATUS_OK ? STATUS_NOT_FOUND : STATUS_OK);
		assert_int_equal(directory_finish_removals(fixture->store), STATUS_OK);
		assert_int_equal(fixture_number(fixture, "SELECT count(*) FROM removal"), 0);
		fixture_check_invariants(fixture);
		if (!fault.happened)
			return;
		if (status != STATUS_OK)
			assert_int_equal(directory_remove_account(fixture->store, victim.address), STATUS_OK);
		assert_int_equal(fixture_number(fixture, "SELECT count(*) FROM email"), 0);
	}
	fail_msg("there is no end to it");
}

/* The log is trimmed account by account. */
static void test_trim(void **state)
{
	struct fixture *fixture = *state;

	for (int n = 1; n < FAULTS_MAX; n++) {
		struct fault fault = {.countdown = n, .status = STATUS_TEMPORARY};
		size_t removed;

		assert_int_equal(append_two(fixture), STATUS_OK);
		have_victim(fixture);
		fixture_set_fault(fixture, fail_once, &fault);
		enum status status = change_log_trim(fixture->store, clock_wall_ms() + 1000, 1000, &removed);

		fixture_set_fault(fixture, NULL, NULL);
		fixture_check_invariants(fixture);
		assert_int_equal(status, fault.happened ? STATUS_TEMPORARY : STATUS_OK);
		if (!fault.happened)
			return;
	}
	fail_msg("there is no end to it");
}

/* ---- many threads, faults at random ---- */

#define THREADS    8
#define PER_THREAD 60

struct random_fault {
	atomic_uint counter;
};

static enum status fail_sometimes(void *context)
{
	struct random_fault *fault = context;
	unsigned n = atomic_fetch_add(&fault->counter, 1);

	if (n * 2654435761u % 97 == 0)
		return STATUS_TEMPORARY;
	return n * 2654435761u % 89 == 0 ? STATUS_EXISTS : STATUS_OK;
}

struct deliverer {
	struct fixture *fixture;
	int number;
	atomic_int *acknowledged;
};

static void *deliver_many(void *context)
{
	struct deliverer *deliverer = context;
	struct arena arena SCOPED_ARENA;

	for (int i = 0; i < PER_THREAD; i++) {
		char subject[32];

		snprintf(subject, sizeof subject, "%d-%d", deliverer->number, i);
		struct delivery_target target = {
			.account = i % 2 ? deliverer->fixture->alice : deliverer->fixture->bob,
			/* Some fail after having written: their batch is run again. */
			.mailbox = i % 10 == 9 ? SLICE("a//b") : SLICE(""),
		};
		struct delivery delivery = {
			.queue_id = slice_from_cstr(subject),
			.received_ms = 1,
			.bytes = fixture_message(&arena, subject, 1000),
			.targets = &target,
			.target_count = 1,
			.all_or_nothing = true,
		};

		if (store_deliver(deliverer->fixture->store, &delivery) == STATUS_OK)
			atomic_fetch_add(deliverer->acknowledged, 1);
		arena_reset(&arena);
	}
	return NULL;
}

static void test_faults_in_batches(void **state)
{
	struct fixture *fixture = *state;
	struct random_fault fault = {0};
	struct deliverer deliverers[THREADS];
	pthread_t threads[THREADS];
	atomic_int acknowledged = 0;

	fixture_set_fault(fixture, fail_sometimes, &fault);
	for (int i = 0; i < THREADS; i++) {
		deliverers[i] = (struct deliverer){fixture, i, &acknowledged};
		pthread_create(&threads[i], NULL, deliver_many, &deliverers[i]);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	fixture_set_fault(fixture, NULL, NULL);
	assert_true(acknowledged > 0);
	assert_int_equal(fixture_number(fixture, "SELECT count(*) FROM mailbox_email"), acknowledged);
	fixture_check_invariants(fixture);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(test_messages), FIXTURE_TEST(test_delivery),          FIXTURE_TEST(test_mailboxes),
		FIXTURE_TEST(test_queue),    FIXTURE_TEST(test_directory),         FIXTURE_TEST(test_remove_account),
		FIXTURE_TEST(test_trim),     FIXTURE_TEST(test_faults_in_batches),
	};

	return FIXTURE_MAIN(argc, argv, "store/fault", tests);
}
