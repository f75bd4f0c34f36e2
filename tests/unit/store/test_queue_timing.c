/* The queue's order: release times, recipients here. */
#include "base/clock.h"
#include "store_fixture.h"

#define NODE SLICE("node-1")
#define HOUR 3600000

static void enqueue(struct fixture *fixture, struct slice queue_id, struct envelope_timing timing, int64_t account,
		    size_t count)
{
	struct queue_target targets[20];
	struct delivery delivery = {
		.queue_id = queue_id,
		.sender = SLICE("alice@example.test"),
		.received_ms = clock_wall_ms() - 1000,
		.timing = timing,
		.bytes = SLICE("Subject: x\r\nMessage-ID: <x@example.test>\r\n\r\nx\r\n"),
		.queue = targets,
		.queue_count = count,
		.all_or_nothing = true,
	};

	for (size_t i = 0; i < count; i++)
		targets[i] = (struct queue_target){.recipient = SLICE("bob@example.test"),
						   .next_hop = account ? QUEUE_HOP_LOCAL : SLICE("remote.example"),
						   .account = account,
						   .addressed_to = account ? SLICE("team@example.test") : SLICE_EMPTY};
	assert_int_equal(store_deliver(fixture->store, &delivery), STATUS_OK);
}

struct items {
	struct queue_item *items;
	size_t count;
};

static struct items take(struct fixture *fixture, int64_t now_ms, size_t max, bool local)
{
	const struct queue_look look = {.local = local, .after = {INT64_MIN, 0}, .now_ms = now_ms, .max = max};
	const struct queue_lease lease = {now_ms, 60000, NODE};
	struct items items;

	assert_int_equal(queue_look(fixture->store, &fixture->arena, &look, &items.items, &items.count), STATUS_OK);
	assert_int_equal(queue_take(fixture->store, &lease, items.items, &items.count), STATUS_OK);
	return items;
}

static void test_next_due(void **state)
{
	struct fixture *fixture = *state;
	int64_t now_ms = clock_wall_ms(), due_ms;

	enqueue(fixture, SLICE("Q1"), (struct envelope_timing){.release_ms = now_ms + 2 * HOUR}, 0, 1);
	assert_int_equal(queue_next_due(fixture->store, &due_ms), STATUS_OK);
	assert_true(due_ms == now_ms + 2 * HOUR);
	enqueue(fixture, SLICE("Q2"), (struct envelope_timing){.release_ms = now_ms + HOUR}, 0, 1);
	assert_int_equal(queue_next_due(fixture->store, &due_ms), STATUS_OK);
	assert_true(due_ms == now_ms + HOUR);
	assert_int_equal(queue_next_local(fixture->store, &due_ms), STATUS_OK);
	assert_true(due_ms == INT64_MAX);
}

/* Nothing but queue_schedule lets it go before its time. */
static void test_schedule(void **state)
{
	struct fixture *fixture = *state;
	struct queue_filter all = {.state = -1}, scheduled = {.state = -1, .phase = QUEUE_PHASE_SCHEDULED};
	struct queue_acted acted;
	struct queue_item *items;
	int64_t now_ms = clock_wall_ms();
	size_t count;

	enqueue(fixture, SLICE("Q1"), (struct envelope_timing){.release_ms = now_ms + HOUR}, fixture->bob, 2);
	assert_int_equal(queue_retry(fixture->store, &all, &count), STATUS_OK);
	assert_int_equal(count, 0);
	assert_int_equal(queue_hold(fixture->store, &all, true, &count), STATUS_OK);
	assert_int_equal(queue_hold(fixture->store, &all, false, &count), STATUS_OK);
	assert_int_equal(count, 2);
	assert_int_equal(take(fixture, now_ms + 1000, 10, true).count, 0);
	assert_int_equal(take(fixture, now_ms + 2 * HOUR, 10, false).count, 0);
	assert_int_equal(queue_list(fixture->store, &fixture->arena, &scheduled, 10, &items, &count), STATUS_OK);
	assert_int_equal(count, 2);
	int64_t lifetime_ms = items[0].expires_ms - items[0].timing.release_ms;

	assert_int_equal(queue_schedule(fixture->store, &all, now_ms + 2 * HOUR, &acted), STATUS_OK);
	assert_int_equal(acted.count, 2);
	assert_int_equal(take(fixture, now_ms + HOUR, 10, true).count, 0);
	assert_int_equal(queue_schedule(fixture->store, &all, 0, &acted), STATUS_OK);
	struct items due = take(fixture, clock_wall_ms(), 10, true);

	assert_int_equal(due.count, 2);
	assert_true(due.items[0].expires_ms - due.items[0].due_ms == lifetime_ms);
	assert_int_equal(queue_schedule(fixture->store, &all, now_ms + HOUR, &acted), STATUS_OK);
	assert_int_equal(acted.count, 0);
	assert_int_equal(acted.in_hand, 2);
	fixture_check_invariants(fixture);
}

static struct queue_result delivered(const struct queue_item *item)
{
	return (struct queue_result){.id = item->id, .message = item->message, .outcome = QUEUE_DELIVERED};
}

/* Into the mailbox and out of the queue at once; one that can't keeps all of them where they are. */
static void test_finish_local(void **state)
{
	struct fixture *fixture = *state;
	size_t count;

	enqueue(fixture, SLICE("Q1"), (struct envelope_timing){.release_ms = 1}, fixture->bob, 2);
	struct items due = take(fixture, clock_wall_ms(), 10, true);

	assert_int_equal(due.count, 2);
	assert_true(slice_eq(due.items[0].addressed_to, SLICE("team@example.test")));
	struct queue_result results[] = {delivered(&due.items[0]), delivered(&due.items[1])};
	struct delivery_target targets[] = {{.account = fixture->bob}, {.account = 12345}};
	struct delivery mailboxes = {.queue_id = SLICE("Q1"),
				     .received_ms = clock_wall_ms(),
				     .bytes = SLICE("Subject: x\r\n\r\nx\r\n"),
				     .targets = targets,
				     .target_count = 2};

	assert_int_equal(queue_finish_local(fixture->store, results, 2, &mailboxes, NULL), STATUS_NOT_FOUND);
	assert_int_equal(targets[1].status, STATUS_NOT_FOUND);
	assert_int_equal(fixture_mailbox(fixture, fixture->bob, "INBOX").messages, 0);
	targets[1].account = fixture->alice;
	assert_int_equal(queue_finish_local(fixture->store, results, 2, &mailboxes, NULL), STATUS_OK);
	assert_int_equal(fixture_mailbox(fixture, fixture->bob, "INBOX").messages, 1);
	assert_int_equal(fixture_number(fixture, "SELECT count(*) FROM queue_message"), 0);
	/* Brought again by who doesn't know. */
	assert_int_equal(queue_finish_local(fixture->store, results, 2, &mailboxes, NULL), STATUS_EXISTS);
	assert_int_equal(targets[0].status, STATUS_EXISTS);
	assert_int_equal(fixture_mailbox(fixture, fixture->bob, "INBOX").messages, 1);
	assert_int_equal(queue_remove(fixture->store, &(struct queue_filter){.state = -1}, &count), STATUS_OK);
	assert_int_equal(count, 0);
	fixture_check_invariants(fixture);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(test_next_due),
		FIXTURE_TEST(test_schedule),
		FIXTURE_TEST(test_finish_local),
	};

	return FIXTURE_MAIN(argc, argv, "store/queue_timing", tests);
}
