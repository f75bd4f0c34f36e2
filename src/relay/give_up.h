/* give_up: ends mail that waits in the queue at once, by an administrator's will: its sender is sent a notification as for any failure
 * (RFC 3464), in the transaction that drops the recipients. For recipients that the caller has claimed (queue_claim). */
#pragma once

#include "base/buf.h"
#include "relay/bounce.h"

/* Sums over many messages. */
struct given_up {
	size_t recipients, notifications;
	uint32_t account_count;
	struct buf accounts; /* u64 ids, packed, of those who got a notification: for the announcement "mailbox" */
	bool queued;         /* a notification went into the queue */
};

/* The `count` items of one message. `reason` is what the sender reads. */
MUST_CHECK enum status give_up_message(const struct bounce_options *options, struct store *store, const struct log *log,
				       const struct queue_item *items, size_t count, struct slice reason, struct given_up *sums);
