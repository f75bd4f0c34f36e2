/* queue: messages on their way to other hosts, and the trace of every message. A message stands in the queue until each of its
 * recipients is delivered, bounced or removed; the last one takes the body with it.
 *
 *     state      | set by                          | leaves by
 *     due        | delivery, retry, release, defer | the time comes: relay takes it in its memory (no state on disk)
 *     local      | the same, of an account here    | the same; it leaves in the transaction that puts it into the mailbox
 *     held       | hold, or a filter at delivery   | release, remove
 *     (gone)     | delivered, bounced, removed     |
 *
 * What has a release time (RFC 4865) is due or local, with that time as its due time.
 *
 * The relay of one node holds its claims in memory; in a cluster a claim is a lease (`lease_until`) that its owner renews. */
#pragma once

#include "store/email.h"

/* The next hop of recipients here; no domain is called that. */
#define QUEUE_HOP_LOCAL SLICE("local:")

enum queue_state { QUEUE_DUE, QUEUE_HELD, QUEUE_LOCAL };

struct queue_item {      /* one recipient of one message */
	int64_t id;      /* of the recipient's row */
	int64_t message; /* of the message's row */
	struct slice queue_id, sender, recipient, original_recipient, envelope_id, next_hop;
	struct slice own_sender;   /* the message's; `sender` is made of it, if each recipient has another (verp.h) */
	int64_t account;           /* whose mailbox it is for; 0: for another host */
	struct slice addressed_to; /* as in struct queue_target */
	struct envelope_timing timing;
	unsigned notify;
	enum dsn_return dsn_return;
	enum tls_wish tls_wish;
	bool needs_utf8, body_8bit;
	uint64_t size;
	enum queue_state state;
	int64_t created_ms, due_ms, expires_ms;
	unsigned attempts;
	bool delay_warned;
	bool in_hand;            /* leased: due_ms is then the end of the lease */
	struct slice last_reply; /* the remote's answer or our own reason */
};

/* Recipients of one message, and under one sender? */
static inline bool queue_go_together(const struct queue_item *a, const struct queue_item *b)
{
	return a->message == b->message && a->timing.verp.len == 0;
}

/* Reads a page of the queue, and takes nothing: in the order in which it is due (what is due at now_ms and behind that place), or in the
 * order in which it came (whatever its state and time). */
struct queue_place {
	int64_t due_ms; /* with by_arrival: no matter */
	int64_t id;
};
struct queue_look {
	bool by_arrival;
	bool local; /* recipients here instead of those elsewhere; not by_arrival */
	struct queue_place after;
	int64_t now_ms;
	size_t max;
};
MUST_CHECK enum status queue_look(struct store *store, struct arena *arena, const struct queue_look *look, struct queue_item **items,
				  size_t *count);
/* The row that came last; 0: the queue is empty. */
MUST_CHECK enum status queue_newest(struct store *store, int64_t *id);

/* Takes the lease on what was read: what is left in `items` isn't due again before now + lease_ms, whoever asks. What another node was
 * faster to take, or a person's hand has changed, is left out. */
struct queue_lease {
	int64_t now_ms, lease_ms;
	struct slice node;
};
MUST_CHECK enum status queue_take(struct store *store, const struct queue_lease *lease, struct queue_item *items, size_t *count);
/* Both in one: due at `now_ms`, oldest due first; at most `max`. `due_ms` of an item is the time it was due at. */
MUST_CHECK enum status queue_take_due(struct store *store, struct arena *arena, int64_t now_ms, int64_t lease_ms,
				      struct slice node, size_t max, struct queue_item **items, size_t *count);

/* Recipients that wait for a host that can't be reached are put off together, without an attempt: no lease is taken, none is counted as
 * tried; the reason is kept with each. What has changed since it was read is left alone. */
struct queue_put_off {
	const struct queue_item *item;
	int64_t until_ms;
	struct slice reason;
};
MUST_CHECK enum status queue_put_off(struct store *store, const struct queue_put_off *put_off, size_t count);

/* When the next becomes due; INT64_MAX: none. */
MUST_CHECK enum status queue_next_due(struct store *store, int64_t *due_ms);
/* Of recipients here. */
MUST_CHECK enum status queue_next_local(struct store *store, int64_t *due_ms);
/* The same of those that are due after that time. */
MUST_CHECK enum status queue_next_due_after(struct store *store, int64_t after_ms, int64_t *due_ms);
/* These stay the node's own until then. What it has taken without knowing, since the answer to its COMMIT was lost, isn't among them: that is
 * anybody's when its lease ends. */
MUST_CHECK enum status queue_renew_leases(struct store *store, struct slice node, const int64_t *rows, size_t count, int64_t until_ms);
/* At start: leases of this node's former life are given up. */
MUST_CHECK enum status queue_release_leases(struct store *store, struct slice node);

enum queue_outcome { QUEUE_DELIVERED, QUEUE_DEFERRED, QUEUE_FAILED /* final: a bounce was or need not be made */ };
struct queue_result {
	int64_t id, message;
	enum queue_outcome outcome;
	int64_t due_ms; /* deferred: when again */
	bool is_untried; /* deferred without an attempt */
	bool delay_warned;
	struct slice reply;  /* the remote's answer, in full */
	struct slice remote; /* "mx.example.org [192.0.2.1]" */
};
/* Records results, drops what is finished, and delivers `bounce` (may be NULL: a DSN to a local account or into the queue) in the
 * same transaction: a recipient is never dropped without its bounce and never bounced twice. */
MUST_CHECK enum status queue_finish(struct store *store, const struct queue_result *results, size_t count,
				    struct delivery *bounce);
/* The same for recipients here, of one message. `mailboxes` has a target for each result that says QUEUE_DELIVERED, in their order: it is put
 * into its mailbox and leaves the queue in the same transaction. Nothing is done if one can't: its target's status tells why (LIMIT: over
 * quota; NOT_FOUND: no such account; EXISTS: it isn't in the queue any more), and is what is returned. */
MUST_CHECK enum status queue_finish_local(struct store *store, const struct queue_result *results, size_t count,
					  struct delivery *mailboxes, struct delivery *bounce);

/* One recipient becomes others, in one transaction: each goes its own way from now on, with a result of its own. They are due at once, and
 * have what the former had, but for recipient and hop (and attempts). NOT_FOUND: it is gone. */
struct queue_part {
	struct slice recipient, next_hop;
};
MUST_CHECK enum status queue_split(struct store *store, const struct queue_item *item, const struct queue_part *parts, size_t count);

/* The message's bytes. Whole if at most EMAIL_BYTES_MAX; else by the reader. */
MUST_CHECK enum status queue_open(struct store *store, struct arena *arena, int64_t message, struct email_reader **reader);

/* ---- for people ----
 * Whatever looks at the queue or changes it goes by pages of QUEUE_PAGE rows, each in a transaction of its own: memory is bounded and
 * deliveries never wait for long, however much there is. What comes or goes meanwhile may be seen or not. */
#define QUEUE_PAGE 1000
enum queue_phase {
	QUEUE_PHASE_ANY,
	QUEUE_PHASE_DUE,     /* its time has come */
	QUEUE_PHASE_WAITING, /* for its next attempt */
	QUEUE_PHASE_SCHEDULED, /* for its release time */
	QUEUE_PHASE_IN_HAND, /* a relay is at it */
	QUEUE_PHASE_HELD,
};
/* Empty or 0: any. */
struct queue_filter {
	struct slice queue_id;
	struct slice sender;           /* an address, "@domain", or "<>": the null sender */
	struct slice recipient;        /* an address, or "@domain" */
	struct slice recipient_domain; /* ".example.org": it and all below it */
	struct slice next_hop;
	struct slice reason;           /* stands in the last reply; letters' case doesn't count */
	int state;                     /* -1: any */
	enum queue_phase phase;
	int64_t created_from_ms, created_before_ms;
	int64_t after; /* rows behind this one (queue_item.id): for who goes on */
};
enum queue_phase queue_item_phase(const struct queue_item *item, int64_t now_ms);
/* Where it goes: its next hop, or its domain. */
struct slice queue_item_hop(const struct queue_item *item);

/* `each` is called without a connection, with items that are valid during the call; false ends it early. */
typedef bool (*queue_each)(void *context, const struct queue_item *item);
MUST_CHECK enum status queue_scan(struct store *store, const struct queue_filter *filter, queue_each each, void *context);
MUST_CHECK enum status queue_list(struct store *store, struct arena *arena, const struct queue_filter *filter, size_t max,
				  struct queue_item **items, size_t *count);

/* What a relay has in hand: a hold lets the attempt that runs end and keeps it from the next; retry and bounce leave it alone; remove takes it
 * out, but an attempt that runs may still arrive; schedule leaves it alone. Nothing but schedule moves a release time. */
enum queue_action { QUEUE_RETRY, QUEUE_HOLD, QUEUE_RELEASE, QUEUE_REMOVE, QUEUE_SCHEDULE };
struct queue_acted {
	size_t count;   /* recipients it touched */
	size_t in_hand; /* recipients that a relay has in hand; those that were left alone are not in `count` */
};
/* After a failure *acted tells what was done before it. */
MUST_CHECK enum status queue_act(struct store *store, const struct queue_filter *filter, enum queue_action action,
				 struct queue_acted *acted);
/* QUEUE_SCHEDULE: release_ms is the new release time; one that has passed: now. */
MUST_CHECK enum status queue_schedule(struct store *store, const struct queue_filter *filter, int64_t release_ms,
				      struct queue_acted *acted);
/* Each returns how many recipients it touched. */
MUST_CHECK enum status queue_retry(struct store *store, const struct queue_filter *filter, size_t *count);
MUST_CHECK enum status queue_hold(struct store *store, const struct queue_filter *filter, bool hold, size_t *count);
MUST_CHECK enum status queue_remove(struct store *store, const struct queue_filter *filter, size_t *count);

/* Takes a lease, as a relay does, on what fits and nobody has in hand: for who wants to finish it himself. One page: *after is the last row
 * that was looked at, 0 at the end; at most QUEUE_PAGE items. */
struct queue_claim {
	struct slice node;
	int64_t lease_ms;
	size_t in_hand;
	int64_t after;
};
MUST_CHECK enum status queue_claim(struct store *store, struct arena *arena, const struct queue_filter *filter,
				   struct queue_claim *claim, struct queue_item **items, size_t *count);

/* How much there is of each phase. Cheap: from the indexes. */
struct queue_depth {
	int64_t due, waiting /* or scheduled */, in_hand, held;
};
MUST_CHECK enum status queue_depth(struct store *store, struct queue_depth *depth);

/* ---- trace ---- */
struct trace_step {
	int64_t at_ms;
	struct slice queue_id, message_id;
	struct slice event;   /* "received", "delivered", "queued", "sent", "deferred", "bounced", "removed", "refused" */
	struct slice subject; /* whom it concerns: recipient or account */
	struct slice detail;
};
MUST_CHECK enum status trace_add(struct store *store, const struct trace_step *steps, size_t count);
/* By queue id or message id (with or without <>), oldest first. A bounce or forward is followed by its own queue id. */
MUST_CHECK enum status trace_find(struct store *store, struct arena *arena, struct slice id, struct trace_step **steps,
				  size_t *count);
/* Queue ids of messages that came in within a period, the newest first. STATUS_NOT_FOUND: none. */
struct trace_search {
	struct slice sender;    /* as in struct queue_filter; empty: any */
	struct slice recipient; /* likewise; recipients as they were after aliases */
	bool either;            /* one of the two is enough */
	int64_t since_ms, until_ms; /* until 0: now */
	size_t max;
};
MUST_CHECK enum status trace_search(struct store *store, struct arena *arena, const struct trace_search *search, struct slice **ids,
				    size_t *count);
/* Clean-up by jobs: steps older than that go, at most `max` a call; *removed tells whether to go on. */
MUST_CHECK enum status trace_forget(struct store *store, int64_t before_ms, size_t max, size_t *removed);
/* Change log rows older than that go, at most `max`; accounts remember how far back their log reaches. */
MUST_CHECK enum status change_log_trim(struct store *store, int64_t before_ms, size_t max, size_t *removed);
