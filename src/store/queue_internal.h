/* queue_internal: what queue.c (a message's way through the queue) and queue_care.c (looking after it) share. */
#pragma once

#include "store/store_internal.h"

#define ITEM_COLUMNS                                                                                                     \
	"r.id, r.message, m.queue_id, m.sender, r.recipient, r.original_recipient, m.envelope_id, r.next_hop, r.notify," \
	" m.return_full, m.needs_utf8, m.body_8bit, m.size, r.state, m.created_ms, r.due_ms, r.expires_ms, r.attempts,"  \
	" r.delay_warned, r.last_reply, r.node, m.tls_wish, r.mailbox_account, r.addressed_to, m.priority, m.release_ms,"     \
	" m.release_request, m.by_ms, m.by_mode, m.verp"
#define ITEM_TABLES " FROM queue_recipient r JOIN queue_message m ON m.account = r.account AND m.id = r.message"

/* The row of a query for ITEM_COLUMNS. */
void queue_item_take(struct db_query *query, struct arena *arena, struct queue_item *item);
/* Drops a recipient; the last takes the message with it. False: it was gone already. */
bool queue_drop_recipient(struct db *db, int64_t id, int64_t message);
/* The state of one that isn't held. */
static inline enum queue_state queue_home(const struct queue_item *item)
{
	return item->account != QUEUE_ACCOUNT ? QUEUE_LOCAL : QUEUE_DUE;
}
