/* Recording results: in groups, with their notifications, and through a store that is away. */
#include "relay/record.h"

#include <stdatomic.h>
#include <unistd.h>
#include <utlist.h>

#include "base/clock.h"
#include "relay_fixture.h"

#define LETTERS 40

static const int64_t RETRY_MS[] = {60000};

struct setting {
	struct relay_fixture *f;
	struct recorder *recorder;
	struct record_gate *gate;
	struct scheduler *scheduler;
	struct parcel *parcels[LETTERS];
	size_t count;
	pthread_mutex_t lock; /* guards the scheduler and what is below */
	size_t returned;
	int64_t due_ms;
	bool queued;
	_Atomic int faults; /* so many statements fail; -1: all */
	_Atomic int fault_status;
};

static enum status fault(void *context)
{
	struct setting *s = context;
	int left = s->faults;

	if (left > 0)
		s->faults = left - 1;
	return left ? (enum status)s->fault_status : STATUS_OK;
}

static void take_back(void *context, struct parcel *parcels, int64_t due_ms, bool queued)
{
	struct setting *s = context;
	struct parcel *parcel, *next;

	pthread_mutex_lock(&s->lock);
	DL_FOREACH_SAFE(parcels, parcel, next)
	{
		scheduler_forget(s->scheduler, parcel);
		s->returned++;
	}
	s->due_ms = due_ms;
	s->queued |= queued;
	pthread_mutex_unlock(&s->lock);
}

static void set_up(struct setting *s, struct relay_fixture *f, size_t letters)
{
	const struct scheduler_limits limits = {.in_hand = 1000, .per_hop = 100, .concurrency = 100};
	struct recorder_options options = {
		.store = f->store->store,
		.log = &f->store->log,
		.policy = {RETRY_MS, 1, 5 * 24 * 3600 * 1000LL, -1},
		.bounce = {SLICE("me.example.test"), SLICE_EMPTY, {.separator = '+'}},
		.done = take_back,
		.context = s,
	};
	struct queue_item *items;

	*s = (struct setting){.f = f, .fault_status = STATUS_TEMPORARY, .count = letters};
	pthread_mutex_init(&s->lock, NULL);
	fixture_set_fault(f->store, fault, s);
	s->scheduler = scheduler_new(&limits);
	for (size_t i = 0; i < letters; i++)
		relay_fixture_queue_to(f, "x@remote.example");
	assert_int_equal(
		queue_take_due(f->store->store, &f->store->arena, clock_wall_ms(), 60000, SLICE("n"), 100, &items, &letters),
		STATUS_OK);
	assert_int_equal(letters, s->count);
	for (size_t i = 0; i < letters; i++)
		assert_true(scheduler_add(s->scheduler, &items[i], SLICE("remote.example"), 0));
	s->parcels[0] = scheduler_take(s->scheduler);
	for (size_t i = 1; i < letters; i++)
		s->parcels[i] = scheduler_take_more(s->scheduler, s->parcels[0]->hop);
	s->recorder = recorder_new(&options);
	s->gate = recorder_gate_new();
}

static void submit(struct setting *s, size_t which, enum recipient_state state)
{
	struct recipient *recipient = s->parcels[which]->recipients;

	recipient->state = state;
	recipient->reply = (struct reply){state == RECIPIENT_DELIVERED ? 250 : 550, SLICE_EMPTY, SLICE("text"), false};
	recipient->remote = SLICE("mx.remote.example [192.0.2.1]");
	recorder_submit(s->recorder, s->parcels[which], s->gate);
}

static void tear_down(struct setting *s)
{
	recorder_gate_drop(s->recorder, s->gate);
	recorder_stop(s->recorder);
	recorder_free(s->recorder);
	fixture_set_fault(s->f->store, NULL, NULL);
	scheduler_free(s->scheduler);
	pthread_mutex_destroy(&s->lock);
}

static void records(void **state)
{
	struct setting s;

	set_up(&s, *state, 3);
	submit(&s, 0, RECIPIENT_DELIVERED);
	submit(&s, 1, RECIPIENT_DEFERRED);
	submit(&s, 2, RECIPIENT_FAILED);
	assert_true(recorder_wait(s.recorder, s.gate, 10000));
	tear_down(&s);
	assert_int_equal(s.returned, 3);
	assert_int_equal(relay_fixture_items(s.f).count, 1); /* the deferred one */
	assert_int_equal(relay_fixture_items(s.f).items[0].attempts, 1);
	assert_int_equal(relay_fixture_inbox(s.f, s.f->store->alice, NULL), 1);
	assert_int_equal(fixture_number(s.f->store, "SELECT count(*) FROM trace WHERE event = CAST('sent' AS BLOB)"), 1);
}

static void waits_for_the_store(void **state)
{
	struct recorder_counts counts;
	struct setting s;

	set_up(&s, *state, LETTERS);
	s.faults = -1;
	for (size_t i = 0; i < LETTERS; i++)
		submit(&s, i, i % 4 == 3 ? RECIPIENT_FAILED : RECIPIENT_DELIVERED);
	assert_false(recorder_wait(s.recorder, s.gate, 500));
	counts = recorder_counts(s.recorder);
	assert_int_equal(counts.delivered + counts.failed + counts.bounces, 0);
	s.faults = 0;
	assert_true(recorder_wait(s.recorder, s.gate, 20000));
	counts = recorder_counts(s.recorder);
	assert_int_equal(counts.delivered, LETTERS - LETTERS / 4);
	assert_int_equal(counts.failed, LETTERS / 4);
	assert_int_equal(counts.bounces, LETTERS / 4);
	tear_down(&s);
	assert_int_equal(s.returned, LETTERS);
	assert_int_equal(relay_fixture_items(s.f).count, 0);
	assert_int_equal(relay_fixture_inbox(s.f, s.f->store->alice, NULL), LETTERS / 4);
}

/* A group that can't be written for a reason that time doesn't heal is taken apart. */
static void one_by_one(void **state)
{
	struct setting s;

	set_up(&s, *state, 10);
	s.faults = -1;
	submit(&s, 0, RECIPIENT_DELIVERED); /* holds the thread for a while, so that the rest makes one group */
	assert_false(recorder_wait(s.recorder, s.gate, 50));
	for (size_t i = 1; i < 10; i++)
		submit(&s, i, RECIPIENT_DELIVERED);
	s.fault_status = STATUS_BUG;
	s.faults = 3;
	assert_true(recorder_wait(s.recorder, s.gate, 20000));
	tear_down(&s);
	assert_int_equal(s.returned, 10);
	assert_int_equal(relay_fixture_items(s.f).count, 0);
}

static void waits_are_broken(void **state)
{
	struct setting s;
	int64_t began;

	set_up(&s, *state, 1);
	s.faults = -1;
	submit(&s, 0, RECIPIENT_DELIVERED);
	recorder_break_waits(s.recorder);
	began = clock_monotonic_ms();
	assert_false(recorder_wait(s.recorder, s.gate, 60000));
	assert_true(clock_monotonic_ms() < began + 30000);
	s.faults = 0;
	tear_down(&s);
	assert_int_equal(relay_fixture_items(s.f).count, 0); /* the last try */
}

/* At the end there is one last try; if that fails the queue keeps the message. */
static void stops_without_a_store(void **state)
{
	struct setting s;

	set_up(&s, *state, 2);
	s.faults = -1;
	submit(&s, 0, RECIPIENT_DELIVERED);
	submit(&s, 1, RECIPIENT_FAILED);
	tear_down(&s);
	assert_int_equal(s.returned, 2);
	assert_int_equal(relay_fixture_items(s.f).count, 2);
	assert_int_equal(relay_fixture_inbox(s.f, s.f->store->alice, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RELAY_TEST(records),          RELAY_TEST(waits_for_the_store),   RELAY_TEST(one_by_one),
		RELAY_TEST(waits_are_broken), RELAY_TEST(stops_without_a_store),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
