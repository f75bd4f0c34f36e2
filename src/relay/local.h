/* local: brings recipients here, whose message had to wait for its time (RFC 4865), from the queue into their mailboxes, when it has come.
 * One thread; it takes what is due in pages, by lease as the feeder does. A recipient leaves the queue in the transaction that puts the
 * message into its mailbox, so that it is there once, whoever dies when. A full mailbox is tried again as a host that doesn't answer is; an
 * account that is gone or disabled is a failure that the sender is told of.
 */
#pragma once

#include "relay/bounce.h"

struct ipc;
struct local;

struct local_options {
	struct store *store;
	struct ipc *ipc; /* NULL: nothing is announced */
	const struct log *log;
	struct outcome_policy policy;
	struct bounce_options bounce;
	struct slice node; /* for leases; not the feeder's: its own leases are given up at start */
	/* A notification went into the queue. Called on the thread. */
	void (*queued)(void *context);
	void *context;
};

/* Slices outlive it. */
struct local *local_start(const struct local_options *options);
/* There may be something new in the queue. */
void local_wake(struct local *local);
void local_stop(struct local *local);
