/* The scheduler under a clock of our own: grouping, turns, back-off, shares. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include <utlist.h>

#include "relay/scheduler.h"

static struct scheduler *make(unsigned in_hand, unsigned per_hop, unsigned concurrency)
{
	struct scheduler_limits limits = {in_hand, per_hop, concurrency, 1000};

	return scheduler_new(&limits);
}

static bool add(struct scheduler *s, int64_t id, int64_t message, const char *hop, unsigned attempts)
{
	struct queue_item item = {
		.id = id,
		.message = message,
		.queue_id = SLICE("Q"),
		.sender = SLICE("a@example.org"),
		.recipient = SLICE("b@example.net"),
		.original_recipient = SLICE_EMPTY,
		.envelope_id = SLICE_EMPTY,
		.last_reply = SLICE_EMPTY,
		.attempts = attempts,
	};

	return scheduler_add(s, &item, slice_from_cstr(hop), 0);
}

static unsigned forget_all(struct scheduler *s, struct parcel *parcels)
{
	struct parcel *parcel, *next;
	unsigned recipients = 0;

	DL_FOREACH_SAFE(parcels, parcel, next)
	{
		recipients += parcel->count;
		scheduler_forget(s, parcel);
	}
	return recipients;
}

static void finish(struct scheduler *s, struct parcel *parcel, bool was_connected)
{
	scheduler_leave(s, parcel->hop, was_connected, 0);
	scheduler_forget(s, parcel);
}

static void groups_recipients(void **state)
{
	struct scheduler *s = make(1000, 10, 50);
	struct parcel *parcel;

	(void)state;
	assert_true(add(s, 1, 7, "a.example", 0));
	assert_true(add(s, 2, 7, "a.example", 0));
	assert_true(add(s, 3, 7, "b.example", 0));
	assert_true(add(s, 4, 8, "a.example", 0));
	assert_false(add(s, 2, 7, "a.example", 0)); /* in hand */
	assert_int_equal(scheduler_room(s), 996);

	parcel = scheduler_take(s);
	assert_int_equal(parcel->count, 2);
	assert_int_equal(parcel->message, 7);
	assert_int_equal(parcel->recipients->item.id, 1);
	assert_int_equal(parcel->recipients->next->item.id, 2);
	assert_false(add(s, 1, 7, "a.example", 0)); /* still in hand while it is at work */
	finish(s, parcel, false);
	assert_true(add(s, 1, 7, "a.example", 0));
	scheduler_free(s);
}

static void splits_large_messages(void **state)
{
	struct scheduler *s = make(1000, 10, 50);
	struct parcel *first, *second;

	(void)state;
	for (int i = 1; i <= 150; i++)
		assert_true(add(s, i, 7, "a.example", 0));
	first = scheduler_take(s);
	second = scheduler_take_more(s, first->hop);
	assert_int_equal(first->count, PARCEL_RECIPIENTS);
	assert_int_equal(second->count, 50);
	assert_null(scheduler_take_more(s, first->hop));
	scheduler_forget(s, second);
	finish(s, first, false);
	assert_int_equal(scheduler_room(s), 1000);
	scheduler_free(s);
}

static void hops_take_turns(void **state)
{
	struct scheduler *s = make(1000, 10, 50);
	struct parcel *taken[4];

	(void)state;
	for (int i = 0; i < 10; i++)
		assert_true(add(s, 1 + i, 1 + i, "large.example", 0));
	assert_true(add(s, 100, 100, "small.example", 0));
	for (int i = 0; i < 3; i++)
		taken[i] = scheduler_take(s);
	assert_string_equal(taken[0]->hop->name.data, "large.example");
	assert_string_equal(taken[1]->hop->name.data, "small.example");
	assert_string_equal(taken[2]->hop->name.data, "large.example");
	/* Two connections at first; more are earned. */
	assert_null(scheduler_take(s));
	assert_false(scheduler_is_waiting(s));
	scheduler_connected(s, taken[0]->hop);
	scheduler_succeeded(s, taken[0]->hop);
	taken[3] = scheduler_take(s);
	assert_non_null(taken[3]);
	assert_null(scheduler_take(s));
	finish(s, taken[0], true);
	for (int i = 1; i < 4; i++)
		finish(s, taken[i], false);
	scheduler_free(s);
}

static void per_hop_limit(void **state)
{
	struct scheduler *s = make(1000, 3, 50);
	struct parcel *taken[3];

	(void)state;
	for (int i = 0; i < 10; i++)
		assert_true(add(s, 1 + i, 1 + i, "a.example", 0));
	taken[0] = scheduler_take(s);
	scheduler_connected(s, taken[0]->hop);
	for (int i = 0; i < 10; i++)
		scheduler_succeeded(s, taken[0]->hop);
	taken[1] = scheduler_take(s);
	taken[2] = scheduler_take(s);
	assert_non_null(taken[2]);
	assert_null(scheduler_take(s));
	finish(s, taken[0], true);
	finish(s, taken[1], false);
	finish(s, taken[2], false);
	scheduler_free(s);
}

static void dead_hops_are_suspended(void **state)
{
	struct scheduler *s = make(1000, 10, 50);
	struct reply failure = {421, SLICE("4.4.1"), SLICE("connection refused"), true};
	struct parcel *parcel;
	struct hop *hop;

	(void)state;
	for (int i = 0; i < 5; i++)
		assert_true(add(s, 1 + i, 1 + i, "dead.example", 0));
	parcel = scheduler_take(s);
	hop = parcel->hop;
	scheduler_return(s, parcel);
	assert_true(scheduler_failed(s, hop, false, &failure, 10000));
	scheduler_leave(s, hop, false, 10000);
	parcel = scheduler_take_put_off(s, 10000);
	assert_non_null(parcel);
	assert_int_equal(parcel->put_off_ms, 1000);
	assert_true(slice_eq(parcel->recipients->reply.text, failure.text));
	assert_int_equal(forget_all(s, parcel), 5);
	assert_false(scheduler_is_waiting(s));

	/* What comes meanwhile isn't tried; what comes later is, and is put off longer each time. */
	assert_true(add(s, 10, 10, "dead.example", 0));
	assert_int_equal(forget_all(s, scheduler_take_put_off(s, 10999)), 1);
	for (int64_t now = 11000, expected = 2000, i = 0; i < 12; i++) {
		assert_true(add(s, 20, 20, "dead.example", 0));
		assert_null(scheduler_take_put_off(s, now));
		parcel = scheduler_take(s);
		assert_non_null(parcel);
		assert_true(scheduler_failed(s, parcel->hop, false, &failure, now));
		assert_int_equal(parcel->hop->suspended_until_ms - now, expected);
		now = parcel->hop->suspended_until_ms;
		finish(s, parcel, false);
		expected = expected * 2 < 600000 ? expected * 2 : 600000;
	}

	/* A success makes all good; and an administrator's word. */
	assert_true(add(s, 30, 30, "dead.example", 0));
	scheduler_forgive(s);
	parcel = scheduler_take(s);
	assert_non_null(parcel);
	scheduler_connected(s, parcel->hop);
	assert_int_equal(parcel->hop->failures, 0);
	finish(s, parcel, true);
	scheduler_free(s);
}

static void failing_together_counts_once(void **state)
{
	struct scheduler *s = make(1000, 10, 50);
	struct reply failure = {421, SLICE("4.4.1"), SLICE("refused"), true};
	struct parcel *one, *two;

	(void)state;
	assert_true(add(s, 1, 1, "dead.example", 0));
	assert_true(add(s, 2, 2, "dead.example", 0));
	one = scheduler_take(s);
	two = scheduler_take(s);
	assert_true(scheduler_failed(s, one->hop, false, &failure, 0));
	assert_true(scheduler_failed(s, two->hop, false, &failure, 1));
	assert_int_equal(one->hop->failures, 1);
	finish(s, one, false);
	finish(s, two, false);
	scheduler_free(s);
}

static void one_connection_too_many(void **state)
{
	struct scheduler *s = make(1000, 10, 50);
	struct reply failure = {421, SLICE("4.7.0"), SLICE("too many connections"), false};
	struct parcel *works, *refused;

	(void)state;
	assert_true(add(s, 1, 1, "a.example", 0));
	assert_true(add(s, 2, 2, "a.example", 0));
	works = scheduler_take(s);
	scheduler_connected(s, works->hop);
	refused = scheduler_take(s);
	scheduler_return(s, refused);
	assert_false(scheduler_failed(s, works->hop, false, &failure, 0));
	scheduler_leave(s, works->hop, false, 0);
	assert_null(scheduler_take_put_off(s, 0)); /* not suspended: the one that works takes it over */
	assert_null(scheduler_take(s));
	assert_ptr_equal(scheduler_take_more(s, works->hop), refused);
	scheduler_forget(s, refused);
	finish(s, works, true);
	scheduler_free(s);
}

static void doubtful_hops_leave_half(void **state)
{
	struct scheduler *s = make(1000, 10, 10);
	struct parcel *taken[20];
	unsigned doubtful = 0;
	char name[32];

	(void)state;
	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "dead%d.example", i);
		assert_true(add(s, 1 + i, 1 + i, name, 3));
	}
	while (scheduler_is_waiting(s))
		taken[doubtful++] = scheduler_take(s);
	assert_int_equal(doubtful, 5);
	assert_true(add(s, 100, 100, "fresh.example", 0));
	taken[doubtful] = scheduler_take(s);
	assert_non_null(taken[doubtful]);
	/* One turns out to live: its place is free for the next. */
	scheduler_connected(s, taken[0]->hop);
	assert_true(scheduler_is_waiting(s));
	finish(s, taken[0], true);
	for (unsigned i = 1; i <= doubtful; i++)
		finish(s, taken[i], false);
	assert_int_equal(s->doubtful_active, 0);
	scheduler_free(s);
}

static void greedy_hops(void **state)
{
	struct scheduler *s = make(100, 10, 50);
	struct slice names[SCHEDULER_GREEDY_MAX];

	(void)state;
	for (int i = 0; i < 45; i++)
		assert_true(add(s, 1 + i, 1 + i, "large.example", 0));
	assert_int_equal(scheduler_greedy(s, names), 0); /* nobody else needs the room yet */
	for (int i = 0; i < 10; i++)
		assert_true(add(s, 100 + i, 100 + i, "small.example", 0));
	assert_int_equal(scheduler_greedy(s, names), 1);
	assert_true(slice_eq(names[0], SLICE("large.example")));
	assert_null(scheduler_take_put_off(s, 0)); /* what is in hand stays */
	for (int i = 0; i < 5; i++)
		finish(s, scheduler_take(s), false);
	assert_true(scheduler_is_half_empty(s));
	assert_int_equal(scheduler_greedy(s, names), 0);
	scheduler_free(s);
}

/* A hop that has no connection comes before one that could have another. */
static void starving_hops_first(void **state)
{
	struct scheduler *s = make(1000, 10, 50);
	struct parcel *first, *second;

	(void)state;
	for (int i = 0; i < 5; i++)
		assert_true(add(s, 1 + i, 1 + i, "large.example", 0));
	assert_true(scheduler_is_starving(s));
	first = scheduler_take(s);
	assert_true(scheduler_is_waiting(s));
	assert_false(scheduler_is_starving(s));
	assert_true(add(s, 10, 10, "small.example", 0));
	assert_true(add(s, 11, 11, "dead.example", 2)); /* a doubtful one starves nobody */
	second = scheduler_take(s);
	assert_true(slice_eq(second->hop->name, SLICE("small.example")));
	assert_false(scheduler_is_starving(s));
	finish(s, first, false);
	assert_true(scheduler_is_starving(s));
	finish(s, second, false);
	scheduler_free(s);
}

static void forgets_idle_hops(void **state)
{
	struct scheduler *s = make(100, 10, 50);

	(void)state;
	assert_true(add(s, 1, 1, "a.example", 0));
	assert_true(add(s, 2, 2, "b.example", 0));
	finish(s, scheduler_take(s), false);
	scheduler_sweep(s, 1000);
	assert_int_equal(HASH_COUNT(s->hops), 2);
	scheduler_sweep(s, 2 * 3600 * 1000);
	assert_int_equal(HASH_COUNT(s->hops), 1); /* b.example has mail */
	scheduler_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(groups_recipients),
		cmocka_unit_test(splits_large_messages),
		cmocka_unit_test(hops_take_turns),
		cmocka_unit_test(per_hop_limit),
		cmocka_unit_test(dead_hops_are_suspended),
		cmocka_unit_test(failing_together_counts_once),
		cmocka_unit_test(one_connection_too_many),
		cmocka_unit_test(doubtful_hops_leave_half),
		cmocka_unit_test(greedy_hops),
		cmocka_unit_test(starving_hops_first),
		cmocka_unit_test(forgets_idle_hops),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
