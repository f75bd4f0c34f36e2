/* scheduler: what is in hand, and whose turn it is. Pure bookkeeping: no thread, no clock, no socket, no store; the caller holds
 * the relay's lock around every call and brings the time.
 *
 * A parcel is one message to one next hop with up to PARCEL_RECIPIENTS of its recipients: one mail transaction. A hop is a next
 * hop with the parcels that wait for it. A recipient is in hand from scheduler_add until scheduler_forget (after its result is
 * recorded); the same row brought again meanwhile is known and left alone.
 *
 * Fairness: hops take turns, those without a connection first. A hop whose first parcel failed before, and of which we know nothing
 * better, is doubtful; doubtful hops get at most half of the connections, so that dead hosts can't keep mail for the living
 * waiting. When half of the room is taken, hops that hold a quarter of it are greedy: no more of their mail is to be brought.
 * Back-off: a hop that can't be reached is suspended, for longer each time; its mail is deferred without an attempt. A hop
 * starts with two connections and earns more by success.
 */
#pragma once

#include <uthash.h>

#include "relay/reply.h"
#include "store/queue.h"

#define PARCEL_RECIPIENTS 100 /* RFC 5321 section 4.5.3.1.8: what every server must take */

struct hop;

enum recipient_state {
	RECIPIENT_WAITING,  /* nothing tried */
	RECIPIENT_ACCEPTED, /* RCPT got 2xx, the message isn't sent yet */
	RECIPIENT_CROWDED,  /* RCPT got 452 after others were accepted: again at once, in a transaction of its own */
	RECIPIENT_DELIVERED,
	RECIPIENT_DEFERRED,
	RECIPIENT_FAILED,
};

struct recipient {
	struct queue_item item; /* its texts live in the parcel's arena */
	enum recipient_state state;
	struct reply reply;
	struct slice remote;  /* "mx.example.org [192.0.2.1]"; empty: nobody was asked */
	bool relayed_plainly; /* delivered to a peer that knows no DSN: a success DSN is ours to send */
	struct recipient *next;
	UT_hash_handle hh; /* of the table of rows in hand */
};

struct parcel {
	struct arena arena; /* all that hangs here */
	struct hop *hop;
	int64_t message;
	struct recipient *recipients, *last_recipient;
	unsigned count;
	int64_t put_off_ms; /* not 0: not tried, not to come again before that time has passed */
	struct parcel *prev, *next;
};

struct hop {
	struct slice name;
	struct parcel *pending; /* in order; utlist */
	unsigned pending_count; /* parcels */
	unsigned in_hand;       /* recipients, waiting or at work */
	unsigned active;        /* connections, those being opened included */
	unsigned connected;     /* of them, those that work */
	unsigned allowed;
	unsigned failures;          /* in a row */
	int64_t suspended_until_ms; /* monotonic */
	struct reply failure;       /* the last one, for what is deferred without an attempt */
	struct arena failure_arena;
	bool doubtful, known_good;
	struct hop **ring; /* that it is in, being ready; NULL: it isn't */
	int64_t used_ms;
	struct hop *prev, *next; /* in that ring */
	UT_hash_handle hh;
};

/* Limits of what is in hand and who may send. */
struct scheduler_limits {
	unsigned in_hand;
	unsigned per_hop;
	unsigned concurrency;
	int64_t first_suspension_ms;
};

struct scheduler {
	struct scheduler_limits limits;
	struct hop *hops;       /* by name */
	struct recipient *rows; /* in hand, by row id */
	struct hop *starving, *ready,
		*doubtful; /* rings of hops that may have a connection: their first, another one, doubtful ones */
	unsigned doubtful_active;
	unsigned in_hand;
};

struct scheduler *scheduler_new(const struct scheduler_limits *limits);
/* Parcels that wait are forgotten; those at work must have come back. */
void scheduler_free(struct scheduler *scheduler);

/* How many recipients there is room for. */
unsigned scheduler_room(const struct scheduler *scheduler);
/* Copies the item into a parcel. False: it is in hand already. */
bool scheduler_add(struct scheduler *scheduler, const struct queue_item *item, struct slice hop_name, int64_t now_ms);
/* Nobody is greedy then. */
bool scheduler_is_half_empty(const struct scheduler *scheduler);
/* Hops that hold more than their share, by name; valid until the lock is given up. */
#define SCHEDULER_GREEDY_MAX 4
size_t scheduler_greedy(const struct scheduler *scheduler, struct slice names[SCHEDULER_GREEDY_MAX]);
/* Parcels that must not wait here: those of suspended hops (put_off_ms: what is left of the suspension; the recipients' reply tells
 * why). A list (utlist's DL_*) that is the caller's; NULL: none. */
struct parcel *scheduler_take_put_off(struct scheduler *scheduler, int64_t now_ms);

/* Is there a hop whose turn it could be? */
bool scheduler_is_waiting(const struct scheduler *scheduler);
/* One that has no connection at all, and isn't doubtful? */
bool scheduler_is_starving(const struct scheduler *scheduler);
/* The first parcel of the hop whose turn it is, for a new connection: counted as active until scheduler_leave. NULL: none. */
struct parcel *scheduler_take(struct scheduler *scheduler);
/* The next one for a connection that exists. */
struct parcel *scheduler_take_more(struct scheduler *scheduler, struct hop *hop);
/* Unsent: back to the front of its hop. */
void scheduler_return(struct scheduler *scheduler, struct parcel *parcel);
/* Recorded, or gone from the queue: its rows are no longer in hand. Frees it. */
void scheduler_forget(struct scheduler *scheduler, struct parcel *parcel);

/* A connection is ready for mail. */
void scheduler_connected(struct scheduler *scheduler, struct hop *hop);
/* A transaction went through: one more connection is earned. */
void scheduler_succeeded(struct scheduler *scheduler, struct hop *hop);
/* The hop could not be reached, or threw us out before any work. True: it is suspended; what waits for it is put off. False: other
 * connections to it work, it only wants fewer. `was_connected`: scheduler_connected was called for this one. Before scheduler_leave. */
bool scheduler_failed(struct scheduler *scheduler, struct hop *hop, bool was_connected, const struct reply *failure,
		      int64_t now_ms);
/* The connection is over. `was_connected`: scheduler_connected was called for it. */
void scheduler_leave(struct scheduler *scheduler, struct hop *hop, bool was_connected, int64_t now_ms);

/* Lifts all suspensions. */
void scheduler_forgive(struct scheduler *scheduler);
/* Forgets hops that nothing is known of that matters any more. Call now and then. */
void scheduler_sweep(struct scheduler *scheduler, int64_t now_ms);
