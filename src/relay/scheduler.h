/* scheduler: what is in hand, and whose turn it is. Pure bookkeeping: no thread, no clock, no socket, no store; the caller holds
 * the relay's lock around every call and brings the time.
 *
 * A parcel is one message to one next hop with up to PARCEL_RECIPIENTS of its recipients: one mail transaction. A hop is a next
 * hop with the parcels that wait for it. A recipient is in hand from scheduler_add until scheduler_forget (after its result is
 * recorded); the same row brought again meanwhile is known and left alone.
 *
 * Streams: what one sender has for one hop is a stream. Within a hop streams take turns, parcel by parcel; so a letter waits for one
 * parcel of each other sender, not for a mailing.
 *
 * Shares: a sender may hold as many recipients in hand as there is room left, and four times as many connections as are free: so there
 * is always room for one more sender. A hop holds what its connections can send soon; a stream of a few recipients always gets in. What
 * has no share is passed over: it stays in the queue, and scheduler_is_hungry tells when it pays to look for it again.
 *
 * Turns: hops take turns, those without a connection first. A hop whose first parcel failed before, and of which we know nothing
 * better, is doubtful; doubtful hops get at most half of the connections, so that dead hosts can't keep mail for the living
 * waiting.
 *
 * Priority (RFC 6710): a parcel goes before those of lower priority in its stream, its stream before the others of the hop, its hop before the
 * others of the ring: by PRIORITY_LEAD turns for each step. So whoever has waited for that long is overtaken no more.
 *
 * Back-off: a hop that can't be reached is suspended, for longer each time; its mail is put off without an attempt. A hop
 * starts with two connections, earns more by success, and loses one by trouble. A hop may have an interval, that lies between its
 * transactions. */
#pragma once

#include <uthash.h>

#include "relay/reply.h"
#include "store/queue.h"

#define PRIORITY_LEAD     500
#define PARCEL_RECIPIENTS 100 /* RFC 5321 section 4.5.3.1.8: what every server must take */

struct hop;
struct sender;
struct stream;

enum recipient_state {
	RECIPIENT_WAITING,  /* nothing tried */
	RECIPIENT_ACCEPTED, /* RCPT got 2xx, the message isn't sent yet */
	RECIPIENT_CROWDED,  /* RCPT got 452 after others were accepted: again at once, in a transaction of its own */
	RECIPIENT_DELIVERED,
	RECIPIENT_DEFERRED,
	RECIPIENT_FAILED,
	RECIPIENT_REPLACED, /* others stand in its place in the queue: there is nothing to record */
};

struct recipient {
	struct queue_item item; /* its texts live in the parcel's arena */
	enum recipient_state state;
	struct reply reply;
	struct slice remote;  /* "mx.example.org [192.0.2.1]"; empty: nobody was asked */
	bool tells_relayed;   /* its sender is told that it was passed on, asked for or not (RFC 2852) */
	bool relayed_plainly; /* delivered to a peer that knows no DSN: a success DSN is ours to send */
	bool is_final;        /* delivered into a mailbox here */
	struct recipient *next;
	UT_hash_handle hh; /* of the table of rows in hand */
};

struct parcel {
	struct arena arena; /* all that hangs here */
	struct hop *hop;
	struct stream *stream;
	int64_t message;
	struct recipient *recipients, *last_recipient;
	unsigned count;
	int64_t put_off_ms; /* not 0: the hop is suspended, not to come again before that time has passed */
	bool was_tried;     /* it was for it that the hop turned out to be dead */
	int priority;
	int64_t order;      /* as in struct stream */
	struct parcel *prev, *next;
};

/* Who mail comes from, without what differs from letter to letter (VERP). */
struct sender {
	struct slice name;
	unsigned in_hand; /* recipients, booked ones included */
	unsigned at_work; /* parcels on connections */
	unsigned passed_lap;
	UT_hash_handle hh;
};

struct stream {
	struct {
		struct hop *hop;
		struct sender *sender;
	} of;
	struct parcel *pending; /* in order; utlist */
	struct parcel *newest;  /* of them; NULL: it was taken */
	int64_t order;          /* its turn among the hop's */
	unsigned in_hand;
	struct stream *prev, *next; /* of the hop's that have something pending */
	UT_hash_handle hh;
};

struct hop {
	struct slice name;
	struct stream *streams; /* whose turn it is, first; those with pending parcels only; utlist */
	unsigned pending_count; /* parcels */
	unsigned in_hand;       /* recipients, booked, waiting or at work */
	unsigned active;        /* connections, those being opened included */
	unsigned connected;     /* of them, those that work */
	unsigned allowed, most; /* connections: now, and ever */
	unsigned credit;        /* successes on the way to one more */
	unsigned failures;          /* in a row */
	int64_t suspended_until_ms; /* monotonic */
	struct reply failure;       /* the last one, for what is deferred without an attempt */
	struct arena failure_arena;
	int64_t interval_ms; /* between transactions; 0: none */
	int64_t not_before_ms;
	unsigned passed_lap;
	int64_t order; /* its turn in the ring */
	bool doubtful, known_good;
	struct hop **ring; /* that it is in, being ready, or waiting for its interval's end; NULL: it isn't */
	int64_t used_ms;
	struct hop *prev, *next; /* in that ring */
	UT_hash_handle hh;
};

/* What is set for a hop. 0: nothing of its own. */
struct hop_limits {
	unsigned connections;
	int64_t interval_ms;
};

/* Limits of what is in hand and who may send. */
struct scheduler_limits {
	unsigned in_hand;
	unsigned per_hop;
	unsigned concurrency;
	unsigned per_sender; /* connections at work for one sender; 0: its share only */
	int64_t first_suspension_ms;
	void (*look_up)(void *context, struct slice hop, struct hop_limits *limits); /* NULL: nothing is set for any hop */
	void *context;
};

struct scheduler {
	struct scheduler_limits limits;
	struct hop *hops;        /* by name */
	struct sender *senders;  /* by name */
	struct stream *by_pair;  /* streams */
	struct recipient *rows;  /* in hand, by row id */
	struct hop *starving, *ready,
		*doubtful; /* rings of hops that may have a connection: their first, another one, doubtful ones */
	struct hop *paced; /* those whose interval isn't over, the first one first */
	int64_t now_ms;
	int64_t turns; /* given out */
	unsigned doubtful_active;
	unsigned in_hand; /* recipients, booked ones included */
	unsigned at_work; /* parcels on connections */
	unsigned lap;     /* of the feeder through the queue; what was passed over in this one or the last counts */
	unsigned passed_lap; /* for want of any room */
	bool is_hungry;   /* what was passed over might be taken now */
};

struct scheduler *scheduler_new(const struct scheduler_limits *limits);
/* Parcels that wait are forgotten; those at work must have come back. */
void scheduler_free(struct scheduler *scheduler);

/* How many recipients there is room for. */
unsigned scheduler_room(const struct scheduler *scheduler);

/* May the item be taken from the queue? BOOKED: its place is kept, until it is unbooked and added. */
enum booking_outcome {
	BOOKED,
	BOOKING_KNOWN,   /* it is in hand */
	BOOKING_PASSED,  /* its sender or hop has its share: it stays in the queue */
	BOOKING_PUT_OFF, /* its hop is suspended */
	BOOKING_NO_ROOM, /* nobody gets in any more */
};
struct booking {
	enum booking_outcome outcome;
	const struct hop *hop; /* PUT_OFF: until when, and why */
};
/* `is_urgent`: it is wanted in hand even if the hop is suspended, to be dealt with by scheduler_take_put_off. */
struct booking scheduler_book(struct scheduler *scheduler, const struct queue_item *item, struct slice hop_name, bool is_urgent,
			      int64_t now_ms);
void scheduler_unbook(struct scheduler *scheduler, const struct queue_item *item, struct slice hop_name);
/* Copies the item into a parcel. False: it is in hand already. */
bool scheduler_add(struct scheduler *scheduler, const struct queue_item *item, struct slice hop_name, int64_t now_ms);

/* Is there anyone who was passed over and has room now? Looks at all of them. */
bool scheduler_has_hungry(const struct scheduler *scheduler);
/* The feeder begins at the queue's start again. */
void scheduler_begin_lap(struct scheduler *scheduler);

/* Parcels that must not wait here: those of suspended hops (put_off_ms: what is left of the suspension; the recipients' reply tells
 * why). A list (utlist's DL_*) that is the caller's; NULL: none. */
struct parcel *scheduler_take_put_off(struct scheduler *scheduler, int64_t now_ms);

/* The time, for intervals: what is asked below goes by the last one told. */
void scheduler_tick(struct scheduler *scheduler, int64_t now_ms);
/* When the first interval ends; INT64_MAX: there is none that somebody waits for. */
int64_t scheduler_next_turn(const struct scheduler *scheduler);
/* Is there a hop whose turn it could be? */
bool scheduler_is_waiting(const struct scheduler *scheduler);
/* One that has no connection at all, and isn't doubtful? */
bool scheduler_is_starving(const struct scheduler *scheduler);
/* The first parcel of the hop whose turn it is, for a new connection: counted as active until scheduler_leave. NULL: none, or only
 * such as come from senders that have their share of connections. */
struct parcel *scheduler_take(struct scheduler *scheduler);
/* The next one for a connection that exists. NULL: none, or not yet. */
struct parcel *scheduler_take_more(struct scheduler *scheduler, struct hop *hop);
/* Any that waits, without regard to intervals: for a hop that no mail will go to. */
struct parcel *scheduler_take_any(struct scheduler *scheduler, struct hop *hop);
/* A parcel that was taken is at work on a connection; and isn't any more, whatever has become of it. */
struct sender *scheduler_begin_work(struct scheduler *scheduler, struct parcel *parcel);
void scheduler_end_work(struct scheduler *scheduler, struct sender *sender);
/* Unsent: back to the front of its hop. */
void scheduler_return(struct scheduler *scheduler, struct parcel *parcel);
/* Recorded, or gone from the queue: its rows are no longer in hand. Frees it. */
void scheduler_forget(struct scheduler *scheduler, struct parcel *parcel);

/* A connection is ready for mail. */
void scheduler_connected(struct scheduler *scheduler, struct hop *hop);
/* A transaction went through: as many as there are connections earn one more. */
void scheduler_succeeded(struct scheduler *scheduler, struct hop *hop);
/* A connection that worked broke, or was thrown out: one less is allowed. */
void scheduler_troubled(struct scheduler *scheduler, struct hop *hop);
/* The hop could not be reached, or threw us out before any work. True: it is suspended; what waits for it is put off. False: other
 * connections to it work, it only wants fewer. `was_connected`: scheduler_connected was called for this one. Before scheduler_leave. */
bool scheduler_failed(struct scheduler *scheduler, struct hop *hop, bool was_connected, const struct reply *failure,
		      int64_t now_ms);
/* The connection is over. `was_connected`: scheduler_connected was called for it. */
void scheduler_leave(struct scheduler *scheduler, struct hop *hop, bool was_connected, int64_t now_ms);

/* Lifts all suspensions. */
void scheduler_forgive(struct scheduler *scheduler);
/* Lifts one's. */
void scheduler_forgive_hop(struct scheduler *scheduler, struct slice name);
/* Forgets hops that nothing is known of that matters any more. Call now and then. */
void scheduler_sweep(struct scheduler *scheduler, int64_t now_ms);
