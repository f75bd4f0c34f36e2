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
	struct scheduler_limits limits = {
		.in_hand = in_hand, .per_hop = per_hop, .concurrency = concurrency, .first_suspension_ms = 1000};

	return scheduler_new(&limits);
}

static struct queue_item item_from(int64_t id, int64_t message, const char *sender, unsigned attempts)
{
	return (struct queue_item){
		.id = id,
		.message = message,
		.queue_id = SLICE("Q"),
		.sender = slice_from_cstr(sender),
		.recipient = SLICE("b@example.net"),
		.original_recipient = SLICE_EMPTY,
		.envelope_id = SLICE_EMPTY,
		.last_reply = SLICE_EMPTY,
		.attempts = attempts,
	};
}

static bool add_from(struct scheduler *s, int64_t id, const char *sender, const char *hop, unsigned attempts)
{
	struct queue_item item = item_from(id, id, sender, attempts);

	return scheduler_add(s, &item, slice_from_cstr(hop), 0);
}

static bool add(struct scheduler *s, int64_t id, int64_t message, const char *hop, unsigned attempts)
{
	struct queue_item item = item_from(id, message, "a@example.org", attempts);

	return scheduler_add(s, &item, slice_from_cstr(hop), 0);
}

/* As the feeder does it: books, and adds what was booked. */
static enum booking_outcome feed(struct scheduler *s, int64_t id, const char *sender, const char *hop, unsigned attempts)
{
	struct queue_item item = item_from(id, id, sender, attempts);
	enum booking_outcome outcome = scheduler_book(s, &item, slice_from_cstr(hop), false, 0).outcome;

	if (outcome == BOOKED) {
		scheduler_unbook(s, &item, slice_from_cstr(hop));
		assert_true(scheduler_add(s, &item, slice_from_cstr(hop), 0));
	}
	return outcome;
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
	assert_null(scheduler_take(s));
	scheduler_succeeded(s, taken[0]->hop); /* as many as there are connections */
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

/* A mailing, and a letter to the same hop: it waits for one parcel, not for all. */
static void senders_take_turns(void **state)
{
	struct scheduler *s = make(1000, 1, 50);
	struct parcel *first, *next;

	(void)state;
	for (int i = 0; i < 20; i++)
		assert_true(add_from(s, 1 + i, "bulk@a.example", "big.example", 0));
	first = scheduler_take(s);
	assert_true(add_from(s, 100, "single@b.example", "big.example", 0));
	assert_true(add_from(s, 101, "other@b.example", "big.example", 0));
	for (int i = 0; i < 5; i++) {
		static const int64_t ORDER[] = {2, 100, 101, 3, 4};

		next = scheduler_take_more(s, first->hop);
		assert_int_equal(next->recipients->item.id, ORDER[i]);
		scheduler_forget(s, next);
	}
	/* Unsent: back to the front. */
	next = scheduler_take_more(s, first->hop);
	scheduler_return(s, next);
	assert_ptr_equal(scheduler_take_more(s, first->hop), next);
	scheduler_forget(s, next);
	finish(s, first, false);
	scheduler_free(s);
}

/* What differs from letter to letter of a list doesn't make it many senders. */
static void senders_of_lists(void **state)
{
	static const char *const ALIKE[] = {"list-bounces+tom=a.example@lists.example", "LIST-bounces+ann=b.example@Lists.example",
					    "list-bounces@lists.example"};
	static const char *const VERP[] = {"news-tom=a.example@n.example", "news-ann=b.example@n.example"};
	static const char *const SRS[] = {"SRS0=ab=cd=a.example=tom@here.example", "SRS0=xy=cd=b.example=ann@here.example"};
	struct scheduler *s = make(1000, 1, 50);
	int64_t id = 0;

	(void)state;
	for (size_t i = 0; i < 3; i++)
		assert_true(add_from(s, ++id, ALIKE[i], "a.example", 0));
	assert_int_equal(HASH_COUNT(s->senders), 1);
	for (size_t i = 0; i < 2; i++)
		assert_true(add_from(s, ++id, VERP[i], "a.example", 0));
	assert_int_equal(HASH_COUNT(s->senders), 2);
	for (size_t i = 0; i < 2; i++)
		assert_true(add_from(s, ++id, SRS[i], "a.example", 0));
	assert_int_equal(HASH_COUNT(s->senders), 4);
	assert_true(add_from(s, ++id, "", "a.example", 0));
	assert_int_equal(HASH_COUNT(s->senders), 5);
	scheduler_free(s);
}

/* A sender holds as much as there is room left, whoever else comes; nothing that it doesn't hold is in memory. */
static void senders_share_the_room(void **state)
{
	struct scheduler *s = make(1000, 10, 50);
	unsigned held[3] = {0};
	char hop[32], sender[32];
	struct parcel *parcel;

	(void)state;
	for (int i = 0; i < 30000; i++) {
		snprintf(hop, sizeof(hop), "h%d.example", i % 900);
		snprintf(sender, sizeof(sender), "bulk@s%d.example", i / 10000);
		held[i / 10000] += feed(s, 1 + i, sender, hop, 0) == BOOKED;
	}
	assert_int_equal(held[0], 750); /* of many hops little each: while a quarter is free */
	assert_int_equal(held[1], 125);
	assert_int_equal(held[2], 63);
	assert_int_equal(feed(s, 50000, "single@b.example", "h1.example", 0), BOOKED);
	/* Who was passed over is hungry when there is room for half as much again. */
	assert_false(s->is_hungry);
	for (int i = 0; i < 700; i++) {
		parcel = scheduler_take(s);
		assert_non_null(parcel);
		finish(s, parcel, false);
	}
	assert_true(s->is_hungry && scheduler_has_hungry(s));
	for (int i = 0; i < 3; i++)
		scheduler_begin_lap(s);
	assert_false(scheduler_has_hungry(s)); /* two laps have passed nobody over */
	scheduler_free(s);
}

/* A hop holds what it can send soon; a letter of somebody else always gets in. */
static void hops_hold_their_share(void **state)
{
	struct scheduler *s = make(5000, 3, 50);
	struct parcel *parcel;
	unsigned held = 0;

	(void)state;
	for (int i = 0; i < 500; i++)
		held += feed(s, 1 + i, "bulk@a.example", "big.example", 0) == BOOKED;
	assert_int_equal(held, 100);
	assert_int_equal(feed(s, 1000, "single@b.example", "big.example", 0), BOOKED);
	parcel = scheduler_take(s);
	assert_false(s->is_hungry);
	scheduler_connected(s, parcel->hop); /* it lives */
	assert_true(s->is_hungry);
	for (int i = 500; i < 1000; i++)
		held += feed(s, 1 + i, "bulk@a.example", "big.example", 0) == BOOKED;
	assert_int_equal(held, 299); /* 300 with the letter */
	finish(s, parcel, true);

	/* Of one that may be dead enough for an attempt, whoever sends. */
	held = 0;
	for (int i = 0; i < 50; i++)
		held += feed(s, 2000 + i, i % 2 ? "x@a.example" : "y@a.example", "dead.example", 1) == BOOKED;
	assert_int_equal(held, 10);
	scheduler_free(s);
}

static void nothing_for_dead_hops(void **state)
{
	struct scheduler *s = make(100, 3, 50);
	struct reply failure = {421, SLICE("4.4.1"), SLICE("refused"), true};
	struct queue_item urgent = item_from(9, 9, "a@a.example", 3);
	struct parcel *parcel;
	struct booking booking;

	(void)state;
	assert_int_equal(feed(s, 1, "a@a.example", "dead.example", 0), BOOKED);
	assert_int_equal(feed(s, 1, "a@a.example", "dead.example", 0), BOOKING_KNOWN);
	parcel = scheduler_take(s);
	assert_true(scheduler_failed(s, parcel->hop, false, &failure, 0));
	assert_int_equal(feed(s, 2, "b@a.example", "dead.example", 0), BOOKING_PUT_OFF);
	booking = scheduler_book(s, &urgent, SLICE("dead.example"), true, 0);
	assert_int_equal(booking.outcome, BOOKED);
	assert_true(slice_eq(booking.hop->failure.text, failure.text));
	scheduler_unbook(s, &urgent, SLICE("dead.example"));
	finish(s, parcel, false);
	assert_int_equal(scheduler_room(s), 100);
	/* The last place, by many senders. */
	for (int i = 0; i < 100; i++) {
		char sender[32];

		snprintf(sender, sizeof(sender), "s%d@a.example", i);
		assert_int_equal(feed(s, 100 + i, sender, i % 2 ? "live.example" : "live2.example", 0), BOOKED);
	}
	assert_int_equal(feed(s, 900, "z@a.example", "third.example", 0), BOOKING_NO_ROOM);
	scheduler_free(s);
}

/* One sender leaves connections for others, and takes them all in the end if nobody comes. */
static void senders_share_connections(void **state)
{
	struct scheduler *s = make(5000, 10, 20);
	struct sender *works_for[20];
	struct parcel *taken[20];
	unsigned count = 0;
	char hop[32];

	(void)state;
	for (int i = 0; i < 200; i++) {
		snprintf(hop, sizeof(hop), "h%d.example", i);
		assert_true(add_from(s, 1 + i, "bulk@a.example", hop, 0));
	}
	while ((taken[count] = scheduler_take(s)) != NULL) {
		works_for[count] = scheduler_begin_work(s, taken[count]);
		count++;
	}
	assert_int_equal(count, 16);
	assert_true(scheduler_is_waiting(s));
	assert_true(add_from(s, 1000, "single@b.example", "h150.example", 0));
	/* Its hop is one of many: a few more rounds may be needed to come to it. */
	for (int i = 0; i < 4 && !taken[count]; i++)
		taken[count] = scheduler_take(s);
	assert_non_null(taken[count]);
	assert_int_equal(taken[count]->recipients->item.id, 1000);
	works_for[count] = scheduler_begin_work(s, taken[count]);
	count++;
	for (unsigned i = 0; i < count; i++) {
		scheduler_end_work(s, works_for[i]);
		finish(s, taken[i], false);
	}
	assert_int_equal(s->at_work, 0);
	scheduler_free(s);
}

static void look_up(void *context, struct slice hop, struct hop_limits *limits)
{
	(void)context;
	if (slice_eq(hop, SLICE("slow.example")))
		*limits = (struct hop_limits){.connections = 1, .interval_ms = 1000};
}

static void intervals(void **state)
{
	const struct scheduler_limits limits = {
		.in_hand = 1000, .per_hop = 10, .concurrency = 50, .first_suspension_ms = 1000, .look_up = look_up};
	struct scheduler *s = scheduler_new(&limits);
	struct parcel *parcel;

	(void)state;
	scheduler_tick(s, 5000);
	for (int i = 0; i < 3; i++)
		assert_true(add(s, 1 + i, 1 + i, "slow.example", 0));
	assert_int_equal(scheduler_next_turn(s), INT64_MAX);
	parcel = scheduler_take(s);
	assert_null(scheduler_take(s)); /* one connection */
	assert_null(scheduler_take_more(s, parcel->hop));
	finish(s, parcel, false);
	assert_int_equal(scheduler_next_turn(s), 6000);
	assert_false(scheduler_is_waiting(s));
	scheduler_tick(s, 5999);
	assert_null(scheduler_take(s));
	scheduler_tick(s, 6000);
	parcel = scheduler_take(s);
	assert_int_equal(parcel->recipients->item.id, 2);
	scheduler_tick(s, 7000);
	scheduler_forget(s, scheduler_take_more(s, parcel->hop)); /* on the same connection */
	finish(s, parcel, false);
	assert_int_equal(scheduler_next_turn(s), INT64_MAX);
	scheduler_free(s);
}

/* Grows by one in each round, shrinks by one with each trouble. */
static void adapts_to_the_peer(void **state)
{
	struct scheduler *s = make(1000, 10, 50);
	struct parcel *one, *two;
	struct hop *hop;

	(void)state;
	for (int i = 0; i < 20; i++)
		assert_true(add(s, 1 + i, 1 + i, "a.example", 0));
	one = scheduler_take(s);
	two = scheduler_take(s);
	hop = one->hop;
	scheduler_connected(s, hop);
	scheduler_connected(s, hop);
	scheduler_succeeded(s, hop);
	assert_int_equal(hop->allowed, 2);
	scheduler_succeeded(s, hop);
	assert_int_equal(hop->allowed, 3);
	scheduler_troubled(s, hop);
	assert_int_equal(hop->allowed, 1);
	scheduler_succeeded(s, hop);
	assert_int_equal(hop->allowed, 1);
	scheduler_succeeded(s, hop);
	assert_int_equal(hop->allowed, 2);
	finish(s, one, true);
	finish(s, two, true);
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

static void add_urgent(struct scheduler *s, int64_t id, const char *sender, const char *hop, int priority)
{
	struct queue_item item = item_from(id, id, sender, 0);

	item.timing.priority = priority;
	assert_true(scheduler_add(s, &item, slice_from_cstr(hop), 0));
}

static int64_t take_id(struct scheduler *s)
{
	struct parcel *parcel = scheduler_take(s);
	int64_t id = parcel ? parcel->recipients->item.id : 0;

	if (parcel)
		finish(s, parcel, false);
	return id;
}

/* Within a sender's mail, among senders, and among hops. */
static void urgent_first(void **state)
{
	struct scheduler *s = make(1000, 1, 50);

	(void)state;
	add_urgent(s, 1, "a@x", "a.example", 0);
	add_urgent(s, 2, "a@x", "a.example", -3);
	add_urgent(s, 3, "a@x", "a.example", 0);
	add_urgent(s, 4, "b@x", "a.example", 0);
	add_urgent(s, 5, "c@x", "b.example", 0);
	add_urgent(s, 6, "a@x", "a.example", 6);
	add_urgent(s, 7, "b@x", "a.example", 9);
	add_urgent(s, 8, "d@x", "c.example", 4);
	static const int64_t EXPECTED[] = {7, 6, 8};

	for (size_t i = 0; i < 3; i++)
		assert_int_equal(take_id(s), EXPECTED[i]);
	/* The others in turn, the low one after all. */
	for (size_t i = 0; i < 4; i++)
		assert_int_not_equal(take_id(s), 2);
	assert_int_equal(take_id(s), 2);
	assert_int_equal(take_id(s), 0);
	scheduler_free(s);
}

/* Whoever has waited long enough is overtaken no more. */
static void nobody_waits_for_ever(void **state)
{
	struct scheduler *s = make(1000, 1, 50);
	int64_t id = 1, taken = 0;
	unsigned waited = 0;

	(void)state;
	add_urgent(s, id++, "a@x", "a.example", -1);
	while (taken != 1 && waited < 10000) {
		add_urgent(s, id++, "a@x", "a.example", 0);
		taken = take_id(s);
		waited++;
	}
	assert_int_equal(taken, 1);
	assert_true(waited > 20);
	scheduler_free(s);
}

/* Under one sender each: no two of them in one transaction. */
static void verp_goes_alone(void **state)
{
	struct scheduler *s = make(1000, 10, 50);

	(void)state;
	for (int64_t id = 1; id <= 3; id++) {
		struct queue_item item = item_from(id, 7, "list+x@example.org", 0);

		item.timing.verp = SLICE("+=");
		assert_true(scheduler_add(s, &item, SLICE("a.example"), 0));
	}
	for (int64_t id = 1; id <= 3; id++) {
		struct parcel *parcel = scheduler_take(s);

		assert_int_equal(parcel->count, 1);
		finish(s, parcel, false);
	}
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
		cmocka_unit_test(senders_take_turns),
		cmocka_unit_test(senders_of_lists),
		cmocka_unit_test(senders_share_the_room),
		cmocka_unit_test(hops_hold_their_share),
		cmocka_unit_test(nothing_for_dead_hops),
		cmocka_unit_test(senders_share_connections),
		cmocka_unit_test(intervals),
		cmocka_unit_test(adapts_to_the_peer),
		cmocka_unit_test(starving_hops_first),
		cmocka_unit_test(forgets_idle_hops),
		cmocka_unit_test(urgent_first),
		cmocka_unit_test(nobody_waits_for_ever),
		cmocka_unit_test(verp_goes_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
