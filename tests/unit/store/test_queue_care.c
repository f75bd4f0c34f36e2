/* Looking after the queue: filters, changes, claims, and all of it with a queue of 100,000. */
#include <stdio.h>

#include "base/clock.h"
#include "store_fixture.h"

#define NODE SLICE("node-1")
#define MANY 100000
#define BATCH 100

#define MESSAGE SLICE("Subject: x\r\nMessage-ID: <x@example.test>\r\n\r\nx\r\n")

struct letter {
	const char *queue_id, *sender, *recipient, *next_hop;
	int64_t received_ms;
};

static void enqueue(struct fixture *fixture, const struct letter *letter)
{
	struct queue_target target = {.recipient = slice_from_cstr(letter->recipient), .next_hop = slice_from_cstr(letter->next_hop)};
	struct delivery delivery = {.queue_id = slice_from_cstr(letter->queue_id),
				    .sender = slice_from_cstr(letter->sender),
				    .received_ms = letter->received_ms,
				    .bytes = MESSAGE,
				    .queue = &target,
				    .queue_count = 1};

	assert_int_equal(store_deliver(fixture->store, &delivery), STATUS_OK);
}

static const struct letter letters[] = {
	{"Q1", "alice@example.test", "x@one.example", "one.example", 1000},
	{"Q2", "alice@example.test", "y@ONE.example", "route:smart.example:587/user", 2000},
	{"Q3", "bob@example.test", "x@two.example", "two.example", 3000},
	{"Q4", "", "x@two.example", "two.example", 4000},
};
#define LETTERS (sizeof letters / sizeof letters[0])

static void enqueue_all(struct fixture *fixture)
{
	for (size_t i = 0; i < LETTERS; i++)
		enqueue(fixture, &letters[i]);
}

struct found {
	char ids[64]; /* "1 2 4" */
	size_t count, stop_after;
};

static bool note(void *context, const struct queue_item *item)
{
	struct found *found = context;
	size_t at = strlen(found->ids);

	found->count++;
	if (at + 3 < sizeof found->ids && item->queue_id.len == 2)
		snprintf(found->ids + at, sizeof found->ids - at, "%s%c", at ? " " : "", item->queue_id.data[1]);
	return found->count != found->stop_after;
}

static void check_found(struct fixture *fixture, struct queue_filter filter, const char *expected)
{
	struct found found = {0};

	filter.state = -1;
	assert_int_equal(queue_scan(fixture->store, &filter, note, &found), STATUS_OK);
	assert_string_equal(found.ids, expected);
}

static void take_one(struct fixture *fixture, struct queue_item *item)
{
	struct queue_item *items;
	size_t count;

	assert_int_equal(queue_take_due(fixture->store, &fixture->arena, clock_wall_ms(), 60000, NODE, 1, &items, &count), STATUS_OK);
	assert_int_equal(count, 1);
	*item = items[0];
}

static void put_off(struct fixture *fixture, const struct queue_item *item, int64_t due_ms)
{
	struct queue_result result = {.id = item->id,
				      .message = item->message,
				      .outcome = QUEUE_DEFERRED,
				      .due_ms = due_ms,
				      .reply = SLICE("451 4.7.1 Greylisted, come back")};

	assert_int_equal(queue_finish(fixture->store, &result, 1, NULL), STATUS_OK);
}

static void test_filters(void **state)
{
	struct fixture *fixture = *state;
	struct queue_item item;
	struct queue_acted acted;

	enqueue_all(fixture);
	check_found(fixture, (struct queue_filter){0}, "1 2 3 4");
	check_found(fixture, (struct queue_filter){.queue_id = SLICE("Q3")}, "3");
	check_found(fixture, (struct queue_filter){.queue_id = SLICE("Q")}, "");
	check_found(fixture, (struct queue_filter){.sender = SLICE("ALICE@example.test")}, "1 2");
	check_found(fixture, (struct queue_filter){.sender = SLICE("@example.test")}, "1 2 3");
	check_found(fixture, (struct queue_filter){.sender = SLICE("<>")}, "4");
	check_found(fixture, (struct queue_filter){.recipient = SLICE("x@two.example")}, "3 4");
	check_found(fixture, (struct queue_filter){.recipient = SLICE("@one.example")}, "1 2");
	check_found(fixture, (struct queue_filter){.recipient_domain = SLICE("one.example")}, "1 2");
	check_found(fixture, (struct queue_filter){.next_hop = SLICE("Two.example")}, "3 4");
	check_found(fixture, (struct queue_filter){.next_hop = SLICE("Smart.example:587")}, "2");
	check_found(fixture, (struct queue_filter){.next_hop = SLICE("route:smart.example:587/user")}, "2");
	check_found(fixture, (struct queue_filter){.next_hop = SLICE("smart.example")}, "");
	check_found(fixture, (struct queue_filter){.created_from_ms = 2000, .created_before_ms = 4000}, "2 3");
	check_found(fixture, (struct queue_filter){.created_before_ms = 2000}, "1");
	check_found(fixture, (struct queue_filter){.sender = SLICE("@example.test"), .next_hop = SLICE("two.example")}, "3");
	/* Q1 fails and waits, Q2 is in hand, Q3 is held. */
	take_one(fixture, &item);
	put_off(fixture, &item, clock_wall_ms() + 3600000);
	take_one(fixture, &item);
	assert_int_equal(queue_act(fixture->store, &(struct queue_filter){.state = -1, .queue_id = SLICE("Q3")}, QUEUE_HOLD, &acted),
			 STATUS_OK);
	check_found(fixture, (struct queue_filter){.phase = QUEUE_PHASE_WAITING}, "1");
	check_found(fixture, (struct queue_filter){.phase = QUEUE_PHASE_IN_HAND}, "2");
	check_found(fixture, (struct queue_filter){.phase = QUEUE_PHASE_HELD}, "3");
	check_found(fixture, (struct queue_filter){.phase = QUEUE_PHASE_DUE}, "4");
	check_found(fixture, (struct queue_filter){.reason = SLICE("greylisted")}, "1");
	check_found(fixture, (struct queue_filter){.reason = SLICE("no such")}, "");
	check_found(fixture, (struct queue_filter){.after = item.id}, "3 4");
	struct queue_depth depth;

	assert_int_equal(queue_depth(fixture->store, &depth), STATUS_OK);
	assert_int_equal(depth.due, 1);
	assert_int_equal(depth.waiting, 1);
	assert_int_equal(depth.in_hand, 1);
	assert_int_equal(depth.held, 1);
}

static struct queue_acted act(struct fixture *fixture, enum queue_action action)
{
	struct queue_acted acted;

	assert_int_equal(queue_act(fixture->store, &(struct queue_filter){.state = -1}, action, &acted), STATUS_OK);
	return acted;
}

/* With one of four in a relay's hands. */
static void test_in_hand(void **state)
{
	struct fixture *fixture = *state;
	struct queue_item item;
	struct queue_acted acted;

	enqueue_all(fixture);
	take_one(fixture, &item);
	acted = act(fixture, QUEUE_RETRY);
	assert_int_equal(acted.count, 3);
	assert_int_equal(acted.in_hand, 1);
	acted = act(fixture, QUEUE_HOLD);
	assert_int_equal(acted.count, 4);
	assert_int_equal(acted.in_hand, 1);
	assert_int_equal(act(fixture, QUEUE_HOLD).count, 0);
	/* The attempt that ran ends; what it was at stays held. */
	put_off(fixture, &item, 5000);
	check_found(fixture, (struct queue_filter){.phase = QUEUE_PHASE_HELD}, "1 2 3 4");
	assert_int_equal(act(fixture, QUEUE_RELEASE).count, 4);
	assert_int_equal(act(fixture, QUEUE_RELEASE).count, 0);
	take_one(fixture, &item);
	acted = act(fixture, QUEUE_REMOVE);
	assert_int_equal(acted.count, 4);
	assert_int_equal(acted.in_hand, 1);
	put_off(fixture, &item, 5000); /* the relay's word about what is gone changes nothing */
	check_found(fixture, (struct queue_filter){0}, "");
	fixture_check_invariants(fixture);
}

static void test_claim(void **state)
{
	struct fixture *fixture = *state;
	struct queue_filter all = {.state = -1};
	struct queue_claim claim = {.node = SLICE("by hand"), .lease_ms = 60000};
	struct queue_item item, *items;
	size_t count;

	enqueue_all(fixture);
	take_one(fixture, &item);
	assert_int_equal(queue_claim(fixture->store, &fixture->arena, &all, &claim, &items, &count), STATUS_OK);
	assert_int_equal(count, 3);
	assert_int_equal(claim.in_hand, 1);
	assert_int_equal(claim.after, 0);
	/* Nobody else gets them, not even another hand. */
	assert_int_equal(queue_take_due(fixture->store, &fixture->arena, clock_wall_ms(), 60000, NODE, 9, &items, &count), STATUS_OK);
	assert_int_equal(count, 0);
	claim.in_hand = 0;
	assert_int_equal(queue_claim(fixture->store, &fixture->arena, &all, &claim, &items, &count), STATUS_OK);
	assert_int_equal(count, 0);
	assert_int_equal(claim.in_hand, 4);
	/* Until the lease is over. */
	assert_int_equal(queue_release_leases(fixture->store, SLICE("by hand")), STATUS_OK);
	assert_int_equal(queue_take_due(fixture->store, &fixture->arena, clock_wall_ms() + 1, 60000, NODE, 9, &items, &count), STATUS_OK);
	assert_int_equal(count, 3);
}

/* SQLite's. */
static bool plan_has(struct fixture *fixture, const char *sql, const char *word)
{
	struct db *db SCOPED_DB = db_acquire(fixture->store->pool);
	struct db_query query = db_query(db, sql);
	bool found = false;

	db_bind_bytes(&query, NODE);
	while (db_row(&query))
		found |= slice_find(db_slice(&query, 3), slice_from_cstr(word)) != SLICE_NOT_FOUND;
	db_done(&query);
	assert_int_equal(db_status(db), STATUS_OK);
	return found;
}

static void fill(struct fixture *fixture)
{
	struct queue_target targets[BATCH];
	struct delivery delivery = {.queue_id = SLICE("Q9"),
				    .sender = SLICE("list@example.test"),
				    .received_ms = 1000,
				    .bytes = MESSAGE,
				    .queue = targets,
				    .queue_count = BATCH};

	for (size_t i = 0; i < BATCH; i++)
		targets[i] = (struct queue_target){.recipient = i % 100 ? SLICE("x@many.example") : SLICE("x@few.example"),
						   .next_hop = SLICE("many.example")};
	for (size_t i = 0; i < MANY / BATCH; i++) {
		delivery.received_ms++; /* the trace tells its steps apart by it */
		assert_int_equal(store_deliver(fixture->store, &delivery), STATUS_OK);
	}
}

static void test_many(void **state)
{
	struct fixture *fixture = *state;
	struct queue_filter few = {.state = -1, .recipient = SLICE("@few.example")}, all = {.state = -1};
	struct queue_claim claim = {.node = NODE, .lease_ms = 60000};
	struct found found = {0};
	struct queue_acted acted;
	struct queue_item *items;
	struct queue_depth depth;
	size_t count, claimed = 0, pages = 0;

	fill(fixture);
	assert_int_equal(queue_scan(fixture->store, &all, note, &found), STATUS_OK);
	assert_int_equal(found.count, MANY);
	found = (struct found){.stop_after = 1500};
	assert_int_equal(queue_scan(fixture->store, &all, note, &found), STATUS_OK);
	assert_int_equal(found.count, 1500);
	assert_int_equal(queue_act(fixture->store, &few, QUEUE_HOLD, &acted), STATUS_OK);
	assert_int_equal(acted.count, MANY / 100);
	assert_int_equal(queue_depth(fixture->store, &depth), STATUS_OK);
	assert_int_equal(depth.held, MANY / 100);
	assert_int_equal(depth.due, MANY - MANY / 100);
	few.phase = QUEUE_PHASE_HELD;
	do {
		struct arena arena SCOPED_ARENA;

		assert_int_equal(queue_claim(fixture->store, &arena, &few, &claim, &items, &count), STATUS_OK);
		claimed += count;
		pages++;
	} while (claim.after != 0);
	assert_int_equal(claimed, MANY / 100);
	assert_true(pages <= 2); /* the held ones alone are looked at */
	/* A renewal reads them alone, not the whole table. */
	if (!fixture->is_postgresql)
		assert_true(plan_has(fixture, "EXPLAIN QUERY PLAN SELECT id FROM queue_recipient WHERE node = $1 AND length(node) > 0", "queue_node"));
	/* A tenth on PostgreSQL: each is a round trip or two. */
	if (fixture->is_postgresql)
		all.created_before_ms = 1001 + MANY / BATCH / 10;
	assert_int_equal(queue_act(fixture->store, &all, QUEUE_REMOVE, &acted), STATUS_OK);
	assert_int_equal(acted.count, fixture->is_postgresql ? MANY / 10 : MANY);
	assert_int_equal(acted.in_hand, acted.count / 100);
	assert_int_equal(fixture_number(fixture, "SELECT count(*) FROM queue_recipient"), MANY - (int64_t)acted.count);
	fixture_check_invariants(fixture);
}

/* ---- finding by addresses ---- */

static void check_search(struct fixture *fixture, struct trace_search search, const char *expected)
{
	char found[64] = "";
	struct slice *ids;
	size_t count;

	search.max = search.max ? search.max : 100;
	enum status status = trace_search(fixture->store, &fixture->arena, &search, &ids, &count);

	assert_int_equal(status, expected[0] ? STATUS_OK : STATUS_NOT_FOUND);
	for (size_t i = 0; i < count; i++)
		snprintf(found + strlen(found), sizeof found - strlen(found), "%s%c", i ? " " : "", ids[i].data[1]);
	assert_string_equal(found, expected);
}

static void test_trace_search(void **state)
{
	struct fixture *fixture = *state;

	enqueue_all(fixture);
	check_search(fixture, (struct trace_search){0}, "4 3 2 1");
	check_search(fixture, (struct trace_search){.max = 2}, "4 3");
	check_search(fixture, (struct trace_search){.sender = SLICE("Alice@example.test")}, "2 1");
	check_search(fixture, (struct trace_search){.sender = SLICE("<>")}, "4");
	check_search(fixture, (struct trace_search){.recipient = SLICE("x@two.example")}, "4 3");
	check_search(fixture, (struct trace_search){.recipient = SLICE("@one.example"), .sender = SLICE("alice@example.test")}, "2 1");
	check_search(fixture, (struct trace_search){.recipient = SLICE("x@two.example"), .sender = SLICE("alice@example.test")}, "");
	check_search(fixture,
		     (struct trace_search){.recipient = SLICE("x@one.example"), .sender = SLICE("x@one.example"), .either = true}, "1");
	check_search(fixture, (struct trace_search){.since_ms = 2000, .until_ms = 3000}, "3 2");
	check_search(fixture, (struct trace_search){.since_ms = 5000}, "");
}

/* Over many pages, and no further than the period reaches. */
static void test_trace_search_many(void **state)
{
	struct fixture *fixture = *state;
	char id[24];

	for (int i = 0; i < 3000; i++) {
		snprintf(id, sizeof id, "M%08d", i);
		enqueue(fixture, &(struct letter){id, i == 7 ? "rare@example.test" : "a@example.test", "x@one.example", "one.example",
						  1000000LL * i});
	}
	struct trace_search search = {.sender = SLICE("rare@example.test"), .max = 10};
	struct slice *ids;
	size_t count;

	assert_int_equal(trace_search(fixture->store, &fixture->arena, &search, &ids, &count), STATUS_OK);
	assert_int_equal(count, 1);
	assert_true(slice_eq(ids[0], SLICE("M00000007")));
	search = (struct trace_search){.recipient = SLICE("x@one.example"), .since_ms = 1000000LL * 500, .max = 5000};
	assert_int_equal(trace_search(fixture->store, &fixture->arena, &search, &ids, &count), STATUS_OK);
	assert_int_equal(count, 2500);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(test_filters),
		FIXTURE_TEST(test_in_hand),
		FIXTURE_TEST(test_claim),
		FIXTURE_TEST(test_many),
		FIXTURE_TEST(test_trace_search),
		FIXTURE_TEST(test_trace_search_many),
	};

	return FIXTURE_MAIN(argc, argv, "store/queue_care", tests);
}
