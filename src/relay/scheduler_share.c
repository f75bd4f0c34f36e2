/* Invariants: `in_hand` of scheduler, hop, sender and stream counts the same recipients: those of parcels and those booked. A stream lives
 * while it has some; a sender while it has some or is at work. */
#include <stdlib.h>

#include "relay/scheduler_internal.h"

#define STREAM_ALWAYS        8  /* recipients of a stream that are let in, whatever its hop and, with much room, its sender have in hand */
#define DOUBTFUL_MAX         10 /* recipients of a doubtful hop: enough for an attempt */
#define CONNECTIONS_PER_FREE 4  /* that a sender may have */

/* ---- senders and streams ---- */

/* "list-bounces+user=example.org@list.example" is list-bounces@list.example, "news-user=example.org@list.example" is
 * news@list.example. */
static struct slice name_of(struct arena *arena, struct slice sender)
{
	size_t at = slice_find_last_byte(sender, '@');
	struct slice local = slice_sub(sender, 0, at), kept = local;
	size_t plus = slice_find_byte(local, '+'), equals = slice_find_byte(local, '='), dash;

	if (at == SLICE_NOT_FOUND)
		return slice_lower(arena, sender);
	if (plus != SLICE_NOT_FOUND)
		kept = slice_sub(local, 0, plus);
	else if (equals != SLICE_NOT_FOUND && (dash = slice_find_last_byte(slice_sub(local, 0, equals), '-')) != SLICE_NOT_FOUND)
		kept = slice_sub(local, 0, dash);
	return slice_lower(arena, slice_join(arena, (const struct slice[]){kept, slice_skip(sender, at)}, 2));
}

static struct sender *find_or_make_sender(struct scheduler *scheduler, struct slice address)
{
	struct arena arena SCOPED_ARENA;
	struct slice name = name_of(&arena, address);
	struct sender *sender;

	HASH_FIND(hh, scheduler->senders, name.data, name.len, sender);
	if (sender)
		return sender;
	sender = calloc(1, sizeof(*sender));
	if (!sender)
		abort();
	sender->name = slice_of(strndup(name.data, name.len), name.len);
	if (!sender->name.data)
		abort();
	HASH_ADD_KEYPTR(hh, scheduler->senders, sender->name.data, sender->name.len, sender);
	return sender;
}

static void free_if_done(struct scheduler *scheduler, struct sender *sender)
{
	if (sender->in_hand > 0 || sender->at_work > 0)
		return;
	HASH_DEL(scheduler->senders, sender);
	free((char *)sender->name.data);
	free(sender);
}

static struct stream *find_or_make_stream(struct scheduler *scheduler, struct hop *hop, struct sender *sender)
{
	struct stream *stream, *made = calloc(1, sizeof(*made));

	if (!made)
		abort();
	made->of.hop = hop;
	made->of.sender = sender;
	HASH_FIND(hh, scheduler->by_pair, &made->of, sizeof(made->of), stream);
	if (stream) {
		free(made);
		return stream;
	}
	HASH_ADD(hh, scheduler->by_pair, of, sizeof(made->of), made);
	return made;
}

struct stream *scheduler_take_share(struct scheduler *scheduler, struct hop *hop, struct slice sender)
{
	struct stream *stream = find_or_make_stream(scheduler, hop, find_or_make_sender(scheduler, sender));

	scheduler->in_hand++;
	stream->of.hop->in_hand++;
	stream->of.sender->in_hand++;
	stream->in_hand++;
	return stream;
}

/* ---- shares ---- */

static unsigned room(const struct scheduler *scheduler)
{
	return scheduler_room(scheduler);
}

/* What its connections can send soon; an unknown hop has to show first what it can. */
static unsigned hop_share(const struct hop *hop)
{
	if (hop->doubtful)
		return DOUBTFUL_MAX;
	return hop->known_good ? (hop->allowed + 1) * PARCEL_RECIPIENTS : PARCEL_RECIPIENTS;
}

static bool is_hop_full(const struct hop *hop, const struct stream *stream)
{
	if (hop->in_hand <= hop_share(hop))
		return false;
	return hop->doubtful || stream->in_hand > STREAM_ALWAYS;
}

/* While there is much room a stream that has little is let in as well: a slow host that holds the sender's share doesn't keep his mail for
 * another one waiting. */
static bool is_over_share(const struct scheduler *scheduler, const struct stream *stream)
{
	if (stream->in_hand <= STREAM_ALWAYS && room(scheduler) >= scheduler->limits.in_hand / 4)
		return false;
	return stream->of.sender->in_hand > room(scheduler) + 1; /* with this recipient among those in hand */
}

bool scheduler_was_passed(const struct scheduler *scheduler, unsigned passed_lap)
{
	return passed_lap != 0 && passed_lap + 1 >= scheduler->lap;
}

static bool is_hop_hungry(const struct scheduler *scheduler, const struct hop *hop)
{
	return scheduler_was_passed(scheduler, hop->passed_lap) && hop->in_hand <= hop_share(hop) / 2;
}

static bool is_sender_hungry(const struct scheduler *scheduler, const struct sender *sender)
{
	return scheduler_was_passed(scheduler, sender->passed_lap) && sender->in_hand <= room(scheduler) / 2;
}

static bool is_all_hungry(const struct scheduler *scheduler)
{
	return scheduler_was_passed(scheduler, scheduler->passed_lap) && room(scheduler) >= scheduler->limits.in_hand / 4;
}

void scheduler_note_hunger(struct scheduler *scheduler, const struct hop *hop)
{
	if (is_hop_hungry(scheduler, hop))
		scheduler->is_hungry = true;
}

bool scheduler_has_hungry(const struct scheduler *scheduler)
{
	const struct hop *hop, *next_hop;
	const struct sender *sender, *next_sender;

	HASH_ITER(hh, scheduler->hops, hop, next_hop)
	if (is_hop_hungry(scheduler, hop))
		return true;
	HASH_ITER(hh, scheduler->senders, sender, next_sender)
	if (is_sender_hungry(scheduler, sender))
		return true;
	return is_all_hungry(scheduler);
}

void scheduler_begin_lap(struct scheduler *scheduler)
{
	scheduler->lap++;
}

void scheduler_give_share(struct scheduler *scheduler, struct stream *stream, unsigned count)
{
	struct sender *sender = stream->of.sender;
	struct hop *hop = stream->of.hop;

	scheduler->in_hand -= count;
	hop->in_hand -= count;
	sender->in_hand -= count;
	stream->in_hand -= count;
	if (is_hop_hungry(scheduler, hop) || is_sender_hungry(scheduler, sender) || is_all_hungry(scheduler))
		scheduler->is_hungry = true;
	if (stream->in_hand == 0) {
		HASH_DEL(scheduler->by_pair, stream);
		free(stream);
	}
	free_if_done(scheduler, sender);
}

/* ---- booking ---- */

/* Urgent mail doesn't wait for a share, as long as it leaves room for others. */
static bool goes_ahead(const struct scheduler *scheduler, const struct queue_item *item)
{
	return item->timing.priority > 0 && room(scheduler) >= scheduler->limits.in_hand / 4;
}


/* Marks who hasn't the room, for the time when he has. */
static bool is_passed_over(struct scheduler *scheduler, struct stream *stream)
{
	struct sender *sender = stream->of.sender;
	struct hop *hop = stream->of.hop;
	bool is_sender_full = is_over_share(scheduler, stream), is_full = is_hop_full(hop, stream);

	if (is_sender_full)
		sender->passed_lap = scheduler->lap;
	if (is_full)
		hop->passed_lap = scheduler->lap;
	return is_sender_full || is_full;
}

struct booking scheduler_book(struct scheduler *scheduler, const struct queue_item *item, struct slice hop_name, bool is_urgent,
			      int64_t now_ms)
{
	struct recipient *known;
	struct booking booking = {.outcome = BOOKED};
	struct stream *stream;
	struct hop *hop;

	HASH_FIND(hh, scheduler->rows, &item->id, sizeof(item->id), known);
	if (known)
		return (struct booking){.outcome = BOOKING_KNOWN};
	if (room(scheduler) == 0) {
		scheduler->passed_lap = scheduler->lap;
		return (struct booking){.outcome = BOOKING_NO_ROOM};
	}
	booking.hop = hop = scheduler_hop(scheduler, item, hop_name);
	hop->used_ms = now_ms;
	if (hop->suspended_until_ms > now_ms && !is_urgent)
		booking.outcome = BOOKING_PUT_OFF;
	if (booking.outcome == BOOKED) {
		stream = scheduler_take_share(scheduler, hop, item->sender);
		if (!goes_ahead(scheduler, item) && is_passed_over(scheduler, stream)) {
			booking.outcome = BOOKING_PASSED;
			scheduler_give_share(scheduler, stream, 1);
		}
	}
	return booking;
}

void scheduler_unbook(struct scheduler *scheduler, const struct queue_item *item, struct slice hop_name)
{
	struct hop *hop = scheduler_hop(scheduler, item, hop_name);
	struct stream *stream = find_or_make_stream(scheduler, hop, find_or_make_sender(scheduler, item->sender));

	scheduler_give_share(scheduler, stream, 1);
}

/* ---- connections ---- */

bool scheduler_may_work(const struct scheduler *scheduler, const struct sender *sender)
{
	unsigned concurrency = scheduler->limits.concurrency, taken = scheduler->at_work;
	unsigned free_ones = concurrency > taken ? concurrency - taken : 0;

	if (scheduler->limits.per_sender > 0 && sender->at_work >= scheduler->limits.per_sender)
		return false;
	return sender->at_work == 0 || sender->at_work < CONNECTIONS_PER_FREE * free_ones;
}

struct sender *scheduler_begin_work(struct scheduler *scheduler, struct parcel *parcel)
{
	scheduler->at_work++;
	parcel->stream->of.sender->at_work++;
	return parcel->stream->of.sender;
}

void scheduler_end_work(struct scheduler *scheduler, struct sender *sender)
{
	scheduler->at_work--;
	sender->at_work--;
	free_if_done(scheduler, sender);
}
