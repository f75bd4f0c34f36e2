/* Faults: every statement and commit of an operation is made to fail in turn, with each class of trouble. Afterwards the operation has
 * happened whole or not at all, the caller was told which, and the store works on.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "store_fixture.h"

#define INBOX      MAILBOX_INBOX_ID
#define FAULTS_MAX 400

struct fault {
	int countdown;
	bool happened;
};

static enum status fail_once(void *context)
{
	struct fault *fault = context;

	if (--fault->countdown != 0)
		return STATUS_OK;
	fault->happened = true;
	return STATUS_TEMPORARY;
}

/* Runs the operation with the n-th statement failing, n = 1, 2, ... until one gets through without. */
static void walk(struct fixture *fixture, enum status (*operation)(struct fixture *), int64_t (*evidence)(struct fixture *),
		 void (*prepare)(struct fixture *))
{
	int n = 1;

	for (bool through = false; !through; n++) {
		struct fault fault = {.countdown = n};

		assert_true(n < FAULTS_MAX);
		if (prepare)
			prepare(fixture);
		int64_t before = evidence(fixture);

		fixture_set_fault(fixture, fail_once, &fault);
		enum status status = operation(fixture);

		fixture_set_fault(fixture, NULL, NULL);
		through = !fault.happened;
		assert_int_equal(status, through ? STATUS_OK : STATUS_TEMPORARY);
		if (through)
			assert_int_not_equal(evidence(fixture), before);
		else
			assert_int_equal(evidence(fixture), before);
		fixture_check_invariants(fixture);
	}
	assert_true(n > 5);
}

static int64_t count_places(struct fixture *fixture)
{
	return fixture_number(fixture, "SELECT count(*) FROM mailbox_email");
}

static enum status deliver(struct fixture *fixture)
{
	struct delivery_target targets[] = {{.account = fixture->alice, .headers = SLICE("Delivered-To: a\r\n")},
					    {.account = fixture->bob, .mailbox = SLICE("Lists/New")}};
	struct queue_target queue = {.recipient = SLICE("x@remote.example"), .next_hop = SLICE("remote.example")};
	struct delivery delivery = {
		.queue_id = SLICE("Q1"),
		.received_ms = 1,
		.bytes = fixture_message(&fixture->arena, "fault", 400000),
		.targets = targets,
		.target_count = 2,
		.queue = &queue,
		.queue_count = 1,
		.all_or_nothing = true,
	};

	return store_deliver(fixture->store, &delivery);
}

static void test_delivery(void **state)
{
	walk(*state, deliver, count_places, NULL);
}

static const uint32_t some[] = {1, 2, 3};

static void deliver_three_deleted(struct fixture *fixture)
{
	struct flag_request request = {some, 3, FLAGS_ADD, FLAG_DELETED, UINT64_MAX};

	if (count_places(fixture) > 0)
		return;
	for (int i = 0; i < 3; i++)
		fixture_deliver(fixture, fixture->alice, fixture_message(&fixture->arena, "three", 2000));
	assert_int_equal(mailbox_change_flags(fixture->store, &fixture->arena, fixture->alice, INBOX, &request, NULL, NULL, NULL),
			 STATUS_OK);
}

static enum status expunge(struct fixture *fixture)
{
	uint32_t *expunged;
	size_t count;

	return mailbox_expunge(fixture->store, &fixture->arena, fixture->alice, INBOX, NULL, 0, &expunged, &count);
}

static void test_expunge(void **state)
{
	walk(*state, expunge, count_places, deliver_three_deleted);
}

/* Looked up before faults begin. */
static int64_t archive_of_alice;

static enum status copy_to_archive(struct fixture *fixture)
{
	uint32_t *source, *target, uid_validity;
	size_t count;

	return mailbox_copy(fixture->store, &fixture->arena, fixture->alice, INBOX, archive_of_alice, some, 3, false, &source, &target,
			    &count, &uid_validity);
}

static enum status move_to_archive(struct fixture *fixture)
{
	uint32_t *source, *target, uid_validity;
	size_t count;

	return mailbox_copy(fixture->store, &fixture->arena, fixture->alice, INBOX, archive_of_alice, some, 3, true, &source, &target,
			    &count, &uid_validity);
}

static void test_copy(void **state)
{
	struct fixture *fixture = *state;

	archive_of_alice = fixture_mailbox(fixture, fixture->alice, "Archive").id;
	walk(fixture, copy_to_archive, count_places, deliver_three_deleted);
}

static int64_t count_in_inbox(struct fixture *fixture)
{
	return fixture_number(fixture, "SELECT count(*) FROM mailbox_email WHERE mailbox = 1");
}

static void test_move(void **state)
{
	struct fixture *fixture = *state;

	archive_of_alice = fixture_mailbox(fixture, fixture->alice, "Archive").id;
	walk(fixture, move_to_archive, count_in_inbox, deliver_three_deleted);
}

static void have_one_queued(struct fixture *fixture)
{
	if (fixture_number(fixture, "SELECT count(*) FROM queue_recipient") == 0)
		assert_int_equal(deliver(fixture), STATUS_OK);
}

static enum status finish_with_bounce(struct fixture *fixture)
{
	struct delivery_target target = {.account = fixture->alice};
	struct delivery bounce = {.queue_id = SLICE("QB"),
				  .received_ms = 5,
				  .bytes = SLICE("Subject: Undelivered\r\n\r\nSorry.\r\n"),
				  .targets = &target,
				  .target_count = 1};
	/* As a relay has it: taken before. */
	struct queue_result result = {.id = 0, .outcome = QUEUE_FAILED, .reply = SLICE("550 no")};
	enum status (*fault)(void *) = fixture->store->pool->fault;

	fixture->store->pool->fault = NULL;
	result.id = fixture_number(fixture, "SELECT id FROM queue_recipient");
	result.message = fixture_number(fixture, "SELECT message FROM queue_recipient");
	fixture->store->pool->fault = fault;
	return queue_finish(fixture->store, &result, 1, &bounce);
}

/* The queue's row and the bounce's are one: their difference tells. */
static int64_t queue_and_bounces(struct fixture *fixture)
{
	int64_t queued = fixture_number(fixture, "SELECT count(*) FROM queue_recipient");
	int64_t bounced = fixture_number(fixture, "SELECT count(*) FROM trace WHERE at_ms = 5");

	assert_true(queued == 1 ? bounced == 0 : bounced > 0);
	return queued;
}

static void test_queue_finish(void **state)
{
	walk(*state, finish_with_bounce, queue_and_bounces, have_one_queued);
}

static enum status rename_tree(struct fixture *fixture)
{
	return mailbox_rename(fixture->store, fixture->alice, archive_of_alice, SLICE("Deep/Down/Archive"));
}

static int64_t count_deep(struct fixture *fixture)
{
	return fixture_number(fixture, "SELECT count(*) FROM mailbox WHERE name >= 'Deep' AND name < 'Deeq'");
}

static void test_rename(void **state)
{
	struct fixture *fixture = *state;

	archive_of_alice = fixture_mailbox(fixture, fixture->alice, "Archive").id;
	walk(fixture, rename_tree, count_deep, NULL);
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

	return n * 2654435761u % 97 == 0 ? STATUS_TEMPORARY : STATUS_OK;
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
	assert_int_equal(count_places(fixture), acknowledged);
	fixture_check_invariants(fixture);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(test_delivery),
		FIXTURE_TEST(test_expunge),
		FIXTURE_TEST(test_copy),
		FIXTURE_TEST(test_move),
		FIXTURE_TEST(test_queue_finish),
		FIXTURE_TEST(test_rename),
		FIXTURE_TEST(test_faults_in_batches),
	};

	return FIXTURE_MAIN(argc, argv, "store/fault", tests);
}
