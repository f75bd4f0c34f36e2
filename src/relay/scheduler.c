/* Invariants: a hop is in the ring that fits its `doubtful` and `active` exactly if it has pending parcels and active < allowed.
 * doubtful_active is the sum of `active` over the doubtful hops. A hop with `in_hand` or `active` is never freed. */
#include "relay/scheduler.h"

#include <stdlib.h>
#include <utlist.h>

#define HOPS_REMEMBERED      10000
#define REMEMBER_MS          (60 * 60 * 1000)
#define CONNECTIONS_AT_FIRST 2
#define SUSPENSION_MAX_MS    (10 * 60 * 1000)
#define SUSPENSION_DOUBLINGS 10

struct scheduler *scheduler_new(const struct scheduler_limits *limits)
{
	struct scheduler *scheduler = calloc(1, sizeof(*scheduler));

	if (!scheduler)
		abort();
	scheduler->limits = *limits;
	return scheduler;
}

static void hop_free(struct scheduler *scheduler, struct hop *hop)
{
	HASH_DEL(scheduler->hops, hop);
	arena_free(&hop->failure_arena);
	free((char *)hop->name.data);
	free(hop);
}

static struct parcel *parcel_new(struct hop *hop, int64_t message)
{
	struct parcel *parcel = calloc(1, sizeof(*parcel));

	if (!parcel)
		abort();
	arena_init(&parcel->arena, 0);
	parcel->hop = hop;
	parcel->message = message;
	return parcel;
}

static void parcel_free(struct parcel *parcel)
{
	arena_free(&parcel->arena);
	free(parcel);
}

static struct hop **ring_of(struct scheduler *scheduler, const struct hop *hop)
{
	if (!hop->pending || hop->active >= hop->allowed)
		return NULL;
	if (hop->doubtful)
		return &scheduler->doubtful;
	return hop->active == 0 ? &scheduler->starving : &scheduler->ready;
}

static void leave_ring(struct hop *hop)
{
	if (hop->ring)
		DL_DELETE(*hop->ring, hop);
	hop->ring = NULL;
}

static void update_ready(struct scheduler *scheduler, struct hop *hop)
{
	struct hop **ring = ring_of(scheduler, hop);

	if (ring == hop->ring)
		return;
	leave_ring(hop);
	hop->ring = ring;
	if (ring)
		DL_APPEND(*ring, hop);
}

static void set_doubtful(struct scheduler *scheduler, struct hop *hop, bool doubtful)
{
	if (hop->doubtful == doubtful)
		return;
	scheduler->doubtful_active += doubtful ? hop->active : -hop->active;
	hop->doubtful = doubtful;
	update_ready(scheduler, hop);
}

static void put_pending(struct scheduler *scheduler, struct parcel *parcel, bool in_front)
{
	struct hop *hop = parcel->hop;

	if (in_front)
		DL_PREPEND(hop->pending, parcel);
	else
		DL_APPEND(hop->pending, parcel);
	hop->pending_count++;
	update_ready(scheduler, hop);
}

static struct parcel *take_pending(struct scheduler *scheduler, struct hop *hop, struct parcel *parcel)
{
	DL_DELETE(hop->pending, parcel);
	hop->pending_count--;
	update_ready(scheduler, hop);
	return parcel;
}

/* The rows of the parcel leave the table. */
static void drop_rows(struct scheduler *scheduler, struct parcel *parcel)
{
	for (struct recipient *recipient = parcel->recipients; recipient; recipient = recipient->next)
		HASH_DEL(scheduler->rows, recipient);
	scheduler->in_hand -= parcel->count;
	parcel->hop->in_hand -= parcel->count;
}

void scheduler_free(struct scheduler *scheduler)
{
	struct hop *hop, *next_hop;

	HASH_ITER(hh, scheduler->hops, hop, next_hop)
	{
		while (hop->pending)
			scheduler_forget(scheduler, take_pending(scheduler, hop, hop->pending));
		hop_free(scheduler, hop);
	}
	free(scheduler);
}

unsigned scheduler_room(const struct scheduler *scheduler)
{
	return scheduler->in_hand >= scheduler->limits.in_hand ? 0 : scheduler->limits.in_hand - scheduler->in_hand;
}

static struct hop *find_or_make_hop(struct scheduler *scheduler, struct slice name, bool tried_before)
{
	struct hop *hop;

	HASH_FIND(hh, scheduler->hops, name.data, name.len, hop);
	if (hop)
		return hop;
	hop = calloc(1, sizeof(*hop));
	if (!hop)
		abort();
	hop->name = slice_of(strndup(name.data, name.len), name.len);
	if (!hop->name.data)
		abort();
	arena_init(&hop->failure_arena, 0);
	hop->allowed = scheduler->limits.per_hop < CONNECTIONS_AT_FIRST ? scheduler->limits.per_hop : CONNECTIONS_AT_FIRST;
	hop->doubtful = tried_before;
	HASH_ADD_KEYPTR(hh, scheduler->hops, hop->name.data, hop->name.len, hop);
	return hop;
}

static struct recipient *copy_item(struct parcel *parcel, const struct queue_item *item)
{
	struct arena *arena = &parcel->arena;
	struct recipient *recipient = ARENA_NEW(arena, struct recipient);
	struct queue_item *copy = &recipient->item;

	*copy = *item;
	copy->recipient = slice_dup(arena, item->recipient);
	copy->original_recipient = slice_dup(arena, item->original_recipient);
	copy->next_hop = parcel->hop->name;
	copy->last_reply = slice_dup(arena, item->last_reply);
	if (parcel->recipients) { /* what the message's recipients share is there once */
		copy->queue_id = parcel->recipients->item.queue_id;
		copy->sender = parcel->recipients->item.sender;
		copy->envelope_id = parcel->recipients->item.envelope_id;
	} else {
		copy->queue_id = slice_dup(arena, item->queue_id);
		copy->sender = slice_dup(arena, item->sender);
		copy->envelope_id = slice_dup(arena, item->envelope_id);
	}
	return recipient;
}

/* Recipients of one message come one after the other: only the last parcel is looked at. */
static struct parcel *parcel_for(struct scheduler *scheduler, struct hop *hop, int64_t message)
{
	struct parcel *last = hop->pending ? hop->pending->prev : NULL;

	if (last && last->message == message && last->count < PARCEL_RECIPIENTS)
		return last;
	last = parcel_new(hop, message);
	put_pending(scheduler, last, false);
	return last;
}

bool scheduler_add(struct scheduler *scheduler, const struct queue_item *item, struct slice hop_name, int64_t now_ms)
{
	struct recipient *recipient;
	struct parcel *parcel;
	struct hop *hop;

	HASH_FIND(hh, scheduler->rows, &item->id, sizeof(item->id), recipient);
	if (recipient)
		return false;
	hop = find_or_make_hop(scheduler, hop_name, item->attempts > 0);
	if (!hop->known_good && hop->failures == 0 && hop->in_hand == 0 && hop->active == 0)
		set_doubtful(scheduler, hop, item->attempts > 0);
	hop->used_ms = now_ms;
	parcel = parcel_for(scheduler, hop, item->message);
	recipient = copy_item(parcel, item);
	if (parcel->last_recipient)
		parcel->last_recipient->next = recipient;
	else
		parcel->recipients = recipient;
	parcel->last_recipient = recipient;
	parcel->count++;
	hop->in_hand++;
	scheduler->in_hand++;
	HASH_ADD(hh, scheduler->rows, item.id, sizeof(recipient->item.id), recipient);
	return true;
}

static void give_reply(struct parcel *parcel, const struct reply *reply)
{
	struct reply copy = reply_dup(&parcel->arena, reply);

	for (struct recipient *recipient = parcel->recipients; recipient; recipient = recipient->next)
		if (recipient->state == RECIPIENT_WAITING)
			recipient->reply = copy;
}

bool scheduler_is_half_empty(const struct scheduler *scheduler)
{
	return scheduler->in_hand <= scheduler->limits.in_hand / 2;
}

size_t scheduler_greedy(const struct scheduler *scheduler, struct slice names[SCHEDULER_GREEDY_MAX])
{
	struct hop *hop, *next_hop;
	size_t count = 0;

	if (scheduler_is_half_empty(scheduler))
		return 0;
	HASH_ITER(hh, scheduler->hops, hop, next_hop)
	{
		if (hop->in_hand > scheduler->limits.in_hand / 4 && count < SCHEDULER_GREEDY_MAX)
			names[count++] = hop->name;
	}
	return count;
}

static void take_suspended(struct scheduler *scheduler, struct hop *hop, int64_t now_ms, struct parcel **taken)
{
	while (hop->pending) {
		struct parcel *parcel = take_pending(scheduler, hop, hop->pending);

		parcel->put_off_ms = hop->suspended_until_ms - now_ms;
		give_reply(parcel, &hop->failure);
		DL_APPEND(*taken, parcel);
	}
}

struct parcel *scheduler_take_put_off(struct scheduler *scheduler, int64_t now_ms)
{
	struct hop *hop, *next_hop;
	struct parcel *taken = NULL;

	HASH_ITER(hh, scheduler->hops, hop, next_hop)
	{
		if (hop->suspended_until_ms > now_ms)
			take_suspended(scheduler, hop, now_ms, &taken);
	}
	return taken;
}

static struct hop *next_ready(const struct scheduler *scheduler)
{
	if (scheduler->starving)
		return scheduler->starving;
	if (scheduler->ready)
		return scheduler->ready;
	if (scheduler->doubtful_active < (scheduler->limits.concurrency + 1) / 2)
		return scheduler->doubtful;
	return NULL;
}

bool scheduler_is_starving(const struct scheduler *scheduler)
{
	return scheduler->starving != NULL;
}

bool scheduler_is_waiting(const struct scheduler *scheduler)
{
	return next_ready(scheduler) != NULL;
}

struct parcel *scheduler_take(struct scheduler *scheduler)
{
	struct hop *hop = next_ready(scheduler);

	if (!hop)
		return NULL;
	/* To the end of the ring: the others come before its next turn. */
	leave_ring(hop);
	hop->active++;
	scheduler->doubtful_active += hop->doubtful;
	return take_pending(scheduler, hop, hop->pending);
}

struct parcel *scheduler_take_more(struct scheduler *scheduler, struct hop *hop)
{
	return hop->pending ? take_pending(scheduler, hop, hop->pending) : NULL;
}

void scheduler_return(struct scheduler *scheduler, struct parcel *parcel)
{
	put_pending(scheduler, parcel, true);
}

void scheduler_forget(struct scheduler *scheduler, struct parcel *parcel)
{
	drop_rows(scheduler, parcel);
	parcel_free(parcel);
}

void scheduler_connected(struct scheduler *scheduler, struct hop *hop)
{
	hop->connected++;
	hop->failures = 0;
	hop->suspended_until_ms = 0;
	hop->known_good = true;
	set_doubtful(scheduler, hop, false);
}

void scheduler_succeeded(struct scheduler *scheduler, struct hop *hop)
{
	if (hop->allowed < scheduler->limits.per_hop)
		hop->allowed++;
	update_ready(scheduler, hop);
}

static int64_t suspension_ms(const struct scheduler *scheduler, unsigned failures)
{
	unsigned doublings = failures - 1 < SUSPENSION_DOUBLINGS ? failures - 1 : SUSPENSION_DOUBLINGS;
	int64_t suspension = scheduler->limits.first_suspension_ms << doublings;

	return suspension < SUSPENSION_MAX_MS ? suspension : SUSPENSION_MAX_MS;
}

bool scheduler_failed(struct scheduler *scheduler, struct hop *hop, bool was_connected, const struct reply *failure,
		      int64_t now_ms)
{
	if (hop->connected > was_connected) {
		hop->allowed = hop->active > 1 ? hop->active - 1 : 1;
		update_ready(scheduler, hop);
		return false;
	}
	if (hop->suspended_until_ms <= now_ms) /* connections that were opened together fail together: that counts once */
		hop->failures++;
	hop->known_good = false;
	hop->allowed = 1;
	hop->suspended_until_ms = now_ms + suspension_ms(scheduler, hop->failures);
	arena_reset(&hop->failure_arena);
	hop->failure = reply_dup(&hop->failure_arena, failure);
	set_doubtful(scheduler, hop, true);
	update_ready(scheduler, hop);
	return true;
}

void scheduler_leave(struct scheduler *scheduler, struct hop *hop, bool was_connected, int64_t now_ms)
{
	hop->active--;
	hop->connected -= was_connected;
	scheduler->doubtful_active -= hop->doubtful;
	hop->used_ms = now_ms;
	update_ready(scheduler, hop);
}

void scheduler_forgive(struct scheduler *scheduler)
{
	struct hop *hop, *next_hop;

	HASH_ITER(hh, scheduler->hops, hop, next_hop)
	hop->suspended_until_ms = 0;
}

void scheduler_sweep(struct scheduler *scheduler, int64_t now_ms)
{
	bool too_many = HASH_COUNT(scheduler->hops) > HOPS_REMEMBERED;
	struct hop *hop, *next_hop;

	HASH_ITER(hh, scheduler->hops, hop, next_hop)
	{
		if (hop->in_hand > 0 || hop->active > 0)
			continue;
		if (too_many || hop->used_ms + REMEMBER_MS < now_ms)
			hop_free(scheduler, hop);
	}
}
