/* Invariants: a hop is in the ring that fits its `doubtful` and `active` exactly if it has pending parcels and active < allowed; until its
 * interval is over in `paced` instead. doubtful_active is the sum of `active` over the doubtful hops. A hop with `in_hand` or `active` is
 * never freed. */
#include <stdlib.h>
#include <utlist.h>

#include "relay/scheduler_internal.h"

#define HOPS_REMEMBERED      10000
#define REMEMBER_MS          (60 * 60 * 1000)
#define CONNECTIONS_AT_FIRST 2
#define SUSPENSION_MAX_MS    (10 * 60 * 1000)
#define SUSPENSION_DOUBLINGS 10
#define STREAMS_LOOKED_AT    32 /* for one whose sender may have another connection */
#define HOPS_LOOKED_AT       64 /* likewise */

struct scheduler *scheduler_new(const struct scheduler_limits *limits)
{
	struct scheduler *scheduler = calloc(1, sizeof(*scheduler));

	if (!scheduler)
		abort();
	scheduler->limits = *limits;
	scheduler->lap = 1;
	return scheduler;
}

static void hop_free(struct scheduler *scheduler, struct hop *hop)
{
	HASH_DEL(scheduler->hops, hop);
	arena_free(&hop->failure_arena);
	free((char *)hop->name.data);
	free(hop);
}

static struct parcel *parcel_new(struct stream *stream, int64_t message)
{
	struct parcel *parcel = calloc(1, sizeof(*parcel));

	if (!parcel)
		abort();
	arena_init(&parcel->arena, 0);
	parcel->hop = stream->of.hop;
	parcel->stream = stream;
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
	if (!hop->streams || hop->active >= hop->allowed)
		return NULL;
	if (hop->not_before_ms > scheduler->now_ms)
		return &scheduler->paced;
	if (hop->doubtful)
		return &scheduler->doubtful;
	return hop->active == 0 ? &scheduler->starving : &scheduler->ready;
}

/* ---- whose turn it is: lists are in order; what comes last belongs last, mostly ---- */

static int64_t give_turn(struct scheduler *scheduler, int priority)
{
	return ++scheduler->turns - (int64_t)PRIORITY_LEAD * priority;
}

static int hop_priority(const struct hop *hop)
{
	return hop->streams ? hop->streams->pending->priority : 0;
}

static void line_up_parcel(struct parcel **list, struct parcel *parcel)
{
	struct parcel *before = *list ? (*list)->prev : NULL;

	while (before && before->order > parcel->order)
		before = before == *list ? NULL : before->prev;
	DL_APPEND_ELEM(*list, before, parcel);
}

static void line_up_stream(struct hop *hop, struct stream *stream)
{
	struct stream *before = hop->streams ? hop->streams->prev : NULL;

	while (before && before->order > stream->order)
		before = before == hop->streams ? NULL : before->prev;
	DL_APPEND_ELEM(hop->streams, before, stream);
}

static void line_up_hop(struct hop **ring, struct hop *hop)
{
	struct hop *before = *ring ? (*ring)->prev : NULL;

	while (before && before->order > hop->order)
		before = before == *ring ? NULL : before->prev;
	DL_APPEND_ELEM(*ring, before, hop);
}

static void leave_ring(struct hop *hop)
{
	if (hop->ring)
		DL_DELETE(*hop->ring, hop);
	hop->ring = NULL;
}

/* In order of time. Intervals are mostly alike: its place is near the end. */
static void enter_paced(struct scheduler *scheduler, struct hop *hop)
{
	struct hop *before = scheduler->paced ? scheduler->paced->prev : NULL;

	while (before && before->not_before_ms > hop->not_before_ms)
		before = before == scheduler->paced ? NULL : before->prev;
	DL_APPEND_ELEM(scheduler->paced, before, hop);
}

static void update_ready(struct scheduler *scheduler, struct hop *hop)
{
	struct hop **ring = ring_of(scheduler, hop);

	if (ring == hop->ring)
		return;
	leave_ring(hop);
	hop->ring = ring;
	if (ring == &scheduler->paced)
		enter_paced(scheduler, hop);
	else if (ring) {
		hop->order = give_turn(scheduler, hop_priority(hop));
		line_up_hop(ring, hop);
	}
}

/* Something urgent has come: its stream and its hop may be before others now. */
static void hurry(struct scheduler *scheduler, struct parcel *parcel)
{
	struct stream *stream = parcel->stream;
	struct hop *hop = parcel->hop;

	if (stream->pending == parcel && parcel->order < stream->order) {
		DL_DELETE(hop->streams, stream);
		stream->order = parcel->order;
		line_up_stream(hop, stream);
	}
	if (hop->streams == stream && stream->order < hop->order && hop->ring && hop->ring != &scheduler->paced) {
		DL_DELETE(*hop->ring, hop);
		hop->order = stream->order;
		line_up_hop(hop->ring, hop);
	}
}

void scheduler_tick(struct scheduler *scheduler, int64_t now_ms)
{
	scheduler->now_ms = now_ms;
	while (scheduler->paced && scheduler->paced->not_before_ms <= now_ms)
		update_ready(scheduler, scheduler->paced);
}

int64_t scheduler_next_turn(const struct scheduler *scheduler)
{
	return scheduler->paced ? scheduler->paced->not_before_ms : INT64_MAX;
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
	struct stream *stream = parcel->stream;
	struct hop *hop = parcel->hop;

	if (in_front) {
		if (!stream->pending)
			DL_PREPEND(hop->streams, stream);
		DL_PREPEND(stream->pending, parcel);
	} else if (stream->pending) {
		line_up_parcel(&stream->pending, parcel);
	} else {
		DL_APPEND(stream->pending, parcel);
		stream->order = parcel->order;
		line_up_stream(hop, stream);
	}
	hop->pending_count++;
	update_ready(scheduler, hop);
}

/* A new one, at its place. */
static void put_new(struct scheduler *scheduler, struct parcel *parcel, int priority)
{
	parcel->priority = priority;
	parcel->order = give_turn(scheduler, priority);
	parcel->stream->newest = parcel;
	put_pending(scheduler, parcel, false);
	if (priority > 0)
		hurry(scheduler, parcel);
}

/* The stream's first; then it is the others' turn. */
static struct parcel *take_pending(struct scheduler *scheduler, struct stream *stream)
{
	struct hop *hop = stream->of.hop;
	struct parcel *parcel = stream->pending;

	DL_DELETE(stream->pending, parcel);
	DL_DELETE(hop->streams, stream);
	if (stream->newest == parcel)
		stream->newest = NULL;
	if (stream->pending) {
		stream->order = give_turn(scheduler, stream->pending->priority);
		line_up_stream(hop, stream);
	}
	hop->pending_count--;
	update_ready(scheduler, hop);
	return parcel;
}

/* The rows of the parcel leave the table. */
static void drop_rows(struct scheduler *scheduler, struct parcel *parcel)
{
	for (struct recipient *recipient = parcel->recipients; recipient; recipient = recipient->next)
		HASH_DEL(scheduler->rows, recipient);
	scheduler_give_share(scheduler, parcel->stream, parcel->count);
}

void scheduler_free(struct scheduler *scheduler)
{
	struct hop *hop, *next_hop;

	HASH_ITER(hh, scheduler->hops, hop, next_hop)
	{
		while (hop->streams)
			scheduler_forget(scheduler, take_pending(scheduler, hop->streams));
		hop_free(scheduler, hop);
	}
	free(scheduler);
}

unsigned scheduler_room(const struct scheduler *scheduler)
{
	return scheduler->in_hand >= scheduler->limits.in_hand ? 0 : scheduler->limits.in_hand - scheduler->in_hand;
}

/* Before its share is taken: then we know whether anything else is in hand. */
static struct hop *find_or_make_hop(struct scheduler *scheduler, struct slice name, bool tried_before)
{
	const struct scheduler_limits *limits = &scheduler->limits;
	struct hop_limits set = {0};
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
	if (limits->look_up)
		limits->look_up(limits->context, name, &set);
	hop->most = set.connections > 0 ? set.connections : limits->per_hop;
	hop->interval_ms = set.interval_ms;
	hop->allowed = hop->most < CONNECTIONS_AT_FIRST ? hop->most : CONNECTIONS_AT_FIRST;
	hop->doubtful = tried_before;
	HASH_ADD_KEYPTR(hh, scheduler->hops, hop->name.data, hop->name.len, hop);
	return hop;
}

struct hop *scheduler_hop(struct scheduler *scheduler, const struct queue_item *item, struct slice name)
{
	struct hop *hop = find_or_make_hop(scheduler, name, item->attempts > 0);

	if (!hop->known_good && hop->failures == 0 && hop->in_hand == 0 && hop->active == 0)
		set_doubtful(scheduler, hop, item->attempts > 0);
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
	copy->own_sender = SLICE_EMPTY;
	copy->addressed_to = SLICE_EMPTY; /* only of recipients here, who don't come this way */
	if (parcel->recipients) { /* what the message's recipients share is there once */
		copy->queue_id = parcel->recipients->item.queue_id;
		copy->sender = parcel->recipients->item.sender;
		copy->envelope_id = parcel->recipients->item.envelope_id;
		copy->timing.release_request = parcel->recipients->item.timing.release_request;
	} else {
		copy->queue_id = slice_dup(arena, item->queue_id);
		copy->sender = slice_dup(arena, item->sender);
		copy->envelope_id = slice_dup(arena, item->envelope_id);
		copy->timing.release_request = slice_dup(arena, item->timing.release_request);
	}
	copy->timing.verp = SLICE_EMPTY; /* the sender is made of it already */
	return recipient;
}

/* Recipients of one message come one after the other: only the last parcel is looked at. */
static struct parcel *parcel_for(struct scheduler *scheduler, struct stream *stream, const struct queue_item *item)
{
	struct parcel *last = stream->newest;

	if (last && last->message == item->message && last->count < PARCEL_RECIPIENTS && item->timing.verp.len == 0)
		return last;
	last = parcel_new(stream, item->message);
	put_new(scheduler, last, item->timing.priority);
	return last;
}

bool scheduler_add(struct scheduler *scheduler, const struct queue_item *item, struct slice hop_name, int64_t now_ms)
{
	struct recipient *recipient;
	struct parcel *parcel;
	struct stream *stream;
	struct hop *hop;

	HASH_FIND(hh, scheduler->rows, &item->id, sizeof(item->id), recipient);
	if (recipient)
		return false;
	hop = scheduler_hop(scheduler, item, hop_name);
	hop->used_ms = now_ms;
	stream = scheduler_take_share(scheduler, hop, item->sender);
	parcel = parcel_for(scheduler, stream, item);
	recipient = copy_item(parcel, item);
	if (parcel->last_recipient)
		parcel->last_recipient->next = recipient;
	else
		parcel->recipients = recipient;
	parcel->last_recipient = recipient;
	parcel->count++;
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

static void take_suspended(struct scheduler *scheduler, struct hop *hop, int64_t now_ms, struct parcel **taken)
{
	while (hop->streams) {
		struct parcel *parcel = take_pending(scheduler, hop->streams);

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

bool scheduler_is_starving(const struct scheduler *scheduler)
{
	return scheduler->starving != NULL;
}

/* The first whose sender may have another connection. */
static struct stream *find_stream(const struct scheduler *scheduler, const struct hop *hop)
{
	unsigned looked_at = 0;

	for (struct stream *stream = hop->streams; stream && looked_at < STREAMS_LOOKED_AT; stream = stream->next, looked_at++)
		if (scheduler_may_work(scheduler, stream->of.sender))
			return stream;
	return NULL;
}

/* A new interval begins. */
static void pace(struct hop *hop, int64_t now_ms)
{
	if (hop->interval_ms > 0)
		hop->not_before_ms = now_ms + hop->interval_ms;
}

/* The first of the ring that has something for a sender with a connection left; it and those passed go to the ring's end, so that the
 * others come before their next turn. */
static struct parcel *take_from(struct scheduler *scheduler, struct hop *const *ring)
{
	for (unsigned looked_at = 0; looked_at < HOPS_LOOKED_AT && *ring; looked_at++) {
		struct hop *hop = *ring;
		struct stream *stream = find_stream(scheduler, hop);

		leave_ring(hop);
		if (!stream) {
			update_ready(scheduler, hop);
			continue;
		}
		hop->active++;
		scheduler->doubtful_active += hop->doubtful;
		pace(hop, scheduler->now_ms);
		return take_pending(scheduler, stream);
	}
	return NULL;
}

static bool may_doubt(const struct scheduler *scheduler)
{
	return scheduler->doubtful && scheduler->doubtful_active < (scheduler->limits.concurrency + 1) / 2;
}

bool scheduler_is_waiting(const struct scheduler *scheduler)
{
	return scheduler->starving || scheduler->ready || may_doubt(scheduler);
}

struct parcel *scheduler_take(struct scheduler *scheduler)
{
	struct parcel *parcel = take_from(scheduler, &scheduler->starving);

	if (!parcel)
		parcel = take_from(scheduler, &scheduler->ready);
	if (!parcel && may_doubt(scheduler))
		parcel = take_from(scheduler, &scheduler->doubtful);
	return parcel;
}

struct parcel *scheduler_take_more(struct scheduler *scheduler, struct hop *hop)
{
	if (!hop->streams || hop->not_before_ms > scheduler->now_ms)
		return NULL;
	pace(hop, scheduler->now_ms);
	return take_pending(scheduler, hop->streams);
}

struct parcel *scheduler_take_any(struct scheduler *scheduler, struct hop *hop)
{
	return hop->streams ? take_pending(scheduler, hop->streams) : NULL;
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
	scheduler_note_hunger(scheduler, hop);
}

/* One more for each round of successes: so it grows by one in the time that all connections need for a message. */
void scheduler_succeeded(struct scheduler *scheduler, struct hop *hop)
{
	if (hop->allowed < hop->most && ++hop->credit >= hop->active) {
		hop->credit = 0;
		hop->allowed++;
		scheduler_note_hunger(scheduler, hop);
	}
	update_ready(scheduler, hop);
}

/* Below those that there are: for the one that had the trouble isn't wanted. */
void scheduler_troubled(struct scheduler *scheduler, struct hop *hop)
{
	unsigned fewer = hop->active > 1 ? hop->active - 1 : 1;

	if (fewer < hop->allowed)
		hop->allowed = fewer;
	hop->credit = 0;
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
		scheduler_troubled(scheduler, hop);
		return false;
	}
	if (hop->suspended_until_ms <= now_ms) /* connections that were opened together fail together: that counts once */
		hop->failures++;
	hop->known_good = false;
	hop->allowed = 1;
	hop->credit = 0;
	hop->suspended_until_ms = now_ms + suspension_ms(scheduler, hop->failures);
	arena_reset(&hop->failure_arena);
	hop->failure = reply_dup(&hop->failure_arena, failure);
	set_doubtful(scheduler, hop, true);
	update_ready(scheduler, hop);
	if (scheduler_was_passed(scheduler, hop->passed_lap))
		scheduler->is_hungry = true; /* what waits in the queue is put off, too */
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

void scheduler_forgive_hop(struct scheduler *scheduler, struct slice name)
{
	struct hop *hop;

	HASH_FIND(hh, scheduler->hops, name.data, name.len, hop);
	if (hop)
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
