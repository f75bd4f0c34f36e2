/* The queue. A recipient that a relay has in hand is leased by moving its due time on to the end of the lease: the index of due times is
 * then all that taking, waiting and recovering need.
 */
#include "base/clock.h"
#include "store/queue_internal.h"

#define LIFETIME_MS (5LL * 24 * 3600 * 1000) /* RFC 5321 section 4.5.4.1: at least 4-5 days */
#define REPLY_MAX   2000

/* ---- adding ---- */

static struct slice present(struct slice s)
{
	return s.data ? s : SLICE_EMPTY;
}

static void insert_message(struct db *db, const struct prepared_delivery *prepared, int64_t id)
{
	const struct delivery *delivery = prepared->delivery;
	struct db_query query = db_query(
		db, "INSERT INTO queue_message (account, id, recipients, chunks, size, created_ms, return_full, needs_utf8,"
		    " body_8bit, queue_id, sender, envelope_id, message_id, tls_wish)"
		    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)");

	db_bind_i64(&query, QUEUE_ACCOUNT);
	db_bind_i64(&query, id);
	db_bind_i64(&query, (int64_t)delivery->queue_count);
	db_bind_i64(&query, (int64_t)prepared->queue_blob.count);
	db_bind_i64(&query, (int64_t)prepared->queue_blob.size);
	db_bind_i64(&query, delivery->received_ms);
	db_bind_i64(&query, delivery->dsn_return);
	db_bind_i64(&query, delivery->needs_utf8);
	db_bind_i64(&query, delivery->body_8bit);
	db_bind_bytes(&query, present(delivery->queue_id));
	db_bind_bytes(&query, present(delivery->queue_sender.data ? delivery->queue_sender : delivery->sender));
	db_bind_bytes(&query, present(delivery->envelope_id));
	db_bind_bytes(&query, present(prepared->message_id));
	db_bind_i64(&query, delivery->tls_wish);
	db_run(&query);
}

static void insert_recipient(struct db *db, const struct delivery *delivery, const struct queue_target *target, int64_t message,
			     int64_t id)
{
	int64_t expires_ms = delivery->expires_ms ? delivery->expires_ms : delivery->received_ms + LIFETIME_MS;
	struct db_query query = db_query(
		db, "INSERT INTO queue_recipient (account, id, message, state, due_ms, expires_ms, attempts, delay_warned,"
		    " notify, recipient, original_recipient, next_hop, last_reply, node)"
		    " VALUES ($1, $2, $3, $4, $5, $6, 0, 0, $7, $8, $9, $10, $11, $11)");

	db_bind_i64(&query, QUEUE_ACCOUNT);
	db_bind_i64(&query, id);
	db_bind_i64(&query, message);
	db_bind_i64(&query, QUEUE_DUE);
	db_bind_i64(&query, delivery->received_ms);
	db_bind_i64(&query, expires_ms);
	db_bind_i64(&query, target->notify);
	db_bind_bytes(&query, present(target->recipient));
	db_bind_bytes(&query, present(target->original_recipient));
	db_bind_bytes(&query, present(target->next_hop));
	db_bind_bytes(&query, SLICE_EMPTY);
	db_run(&query);
}

enum status queue_add(struct db *db, const struct prepared_delivery *prepared)
{
	const struct delivery *delivery = prepared->delivery;
	struct account_row *queue = counters_account(db, QUEUE_ACCOUNT);

	if (!queue)
		return counters_missing(db);
	int64_t message = counters_take_ids(queue, (int64_t)prepared->queue_blob.count);

	insert_message(db, prepared, message);
	blob_insert(db, QUEUE_ACCOUNT, message, &prepared->queue_blob);
	for (size_t i = 0; i < delivery->queue_count; i++) {
		const struct queue_target *target = &delivery->queue[i];
		struct trace_step step = {
			.at_ms = delivery->received_ms,
			.queue_id = delivery->queue_id,
			.event = SLICE("queued"),
			.subject = target->recipient,
			.detail = target->next_hop,
		};

		insert_recipient(db, delivery, target, message, counters_take_ids(queue, 1));
		if (delivery->queue_id.len > 0)
			trace_insert(db, &step, 1 + delivery->target_count + i, SLICE_EMPTY);
	}
	return db_status(db);
}

/* ---- reading ---- */

void queue_item_take(struct db_query *query, struct arena *arena, struct queue_item *item)
{
	*item = (struct queue_item){
		.id = db_i64(query, 0),
		.message = db_i64(query, 1),
		.queue_id = slice_dup(arena, db_slice(query, 2)),
		.sender = slice_dup(arena, db_slice(query, 3)),
		.recipient = slice_dup(arena, db_slice(query, 4)),
		.original_recipient = slice_dup(arena, db_slice(query, 5)),
		.envelope_id = slice_dup(arena, db_slice(query, 6)),
		.next_hop = slice_dup(arena, db_slice(query, 7)),
		.notify = (unsigned)db_i64(query, 8),
		.dsn_return = (enum dsn_return)db_i64(query, 9),
		.needs_utf8 = db_i64(query, 10) != 0,
		.body_8bit = db_i64(query, 11) != 0,
		.size = (uint64_t)db_i64(query, 12),
		.state = (enum queue_state)db_i64(query, 13),
		.created_ms = db_i64(query, 14),
		.due_ms = db_i64(query, 15),
		.expires_ms = db_i64(query, 16),
		.attempts = (unsigned)db_i64(query, 17),
		.delay_warned = db_i64(query, 18) != 0,
		.last_reply = slice_dup(arena, db_slice(query, 19)),
		.in_hand = db_slice(query, 20).len > 0,
		.tls_wish = (enum tls_wish)db_i64(query, 21),
	};
}

enum status queue_next_due(struct store *store, int64_t *due_ms)
{
	struct db *db SCOPED_DB = db_acquire(store->pool);

	*due_ms = INT64_MAX;
	if (!db)
		return STATUS_TEMPORARY;
	struct db_query query = db_query(db, "SELECT due_ms FROM queue_recipient WHERE state = $1 ORDER BY due_ms LIMIT 1");

	db_bind_i64(&query, QUEUE_DUE);
	if (db_row(&query))
		*due_ms = db_i64(&query, 0);
	db_done(&query);
	return db_status(db);
}

/* ---- taking ---- */

struct take_work {
	struct arena *arena;
	const struct queue_take *take;
	struct list items;
};

/* No hop is called that. */
static struct slice except_hop(const struct queue_take *take, size_t i)
{
	return i < take->except_count ? take->except_hops[i] : SLICE("\n");
}

static void find_due(struct db *db, struct take_work *work)
{
	struct queue_item *item;
	struct db_query query = db_query(db, "SELECT " ITEM_COLUMNS ITEM_TABLES " WHERE r.state = $1 AND r.due_ms <= $2"
					     " AND r.next_hop NOT IN ($4, $5, $6, $7) ORDER BY r.due_ms LIMIT $3");

	db_bind_i64(&query, QUEUE_DUE);
	db_bind_i64(&query, work->take->now_ms);
	db_bind_i64(&query, (int64_t)work->take->max);
	for (size_t i = 0; i < QUEUE_EXCEPT_MAX; i++)
		db_bind_bytes(&query, except_hop(work->take, i));
	while (db_row(&query) && (item = list_add(&work->items)))
		queue_item_take(&query, work->arena, item);
	db_done(&query);
}

/* False: on PostgreSQL another node has just taken it. */
static bool lease(struct db *db, const struct take_work *work, const struct queue_item *item)
{
	struct db_query query = db_query(
		db, "UPDATE queue_recipient SET due_ms = $3, node = $4 WHERE account = $1 AND id = $2 AND due_ms = $5");

	db_bind_i64(&query, QUEUE_ACCOUNT);
	db_bind_i64(&query, item->id);
	db_bind_i64(&query, work->take->now_ms + work->take->lease_ms);
	db_bind_bytes(&query, work->take->node);
	db_bind_i64(&query, item->due_ms);
	db_run(&query);
	return db_changes(db) == 1;
}

static enum status take_due(struct db *db, void *context)
{
	struct take_work *work = context;
	size_t kept = 0;

	work->items = LIST(work->arena, struct queue_item);
	find_due(db, work);
	struct queue_item *items = work->items.items;

	for (size_t i = 0; i < work->items.count && db_status(db) == STATUS_OK; i++)
		if (lease(db, work, &items[i]))
			items[kept++] = items[i];
	work->items.count = kept;
	return db_status(db);
}

enum status queue_take(struct store *store, struct arena *arena, const struct queue_take *take, struct queue_item **items,
		       size_t *count)
{
	struct take_work work = {.arena = arena, .take = take};
	int64_t due_ms;

	*items = NULL;
	*count = 0;
	/* Mostly nothing is due: that is found out without the writer's lock. */
	enum status status = queue_next_due(store, &due_ms);

	if (status != STATUS_OK || due_ms > take->now_ms)
		return status;
	status = db_write(store->pool, take_due, &work);
	if (status == STATUS_OK) {
		*items = work.items.items;
		*count = work.items.count;
	}
	return status;
}

enum status queue_take_due(struct store *store, struct arena *arena, int64_t now_ms, int64_t lease_ms, struct slice node,
			   size_t max, struct queue_item **items, size_t *count)
{
	const struct queue_take take = {.now_ms = now_ms, .lease_ms = lease_ms, .node = node, .max = max};

	return queue_take(store, arena, &take, items, count);
}

struct lease_work {
	struct slice node;
	int64_t due_ms;
	bool keep;
};

static enum status move_leases(struct db *db, void *context)
{
	const struct lease_work *work = context;
	struct db_query query = db_query(db, "UPDATE queue_recipient SET due_ms = $2, node = $3"
					     " WHERE node = $1 AND length(node) > 0"); /* the index's words */

	db_bind_bytes(&query, work->node);
	db_bind_i64(&query, work->due_ms);
	db_bind_bytes(&query, work->keep ? work->node : SLICE_EMPTY);
	db_run(&query);
	return db_status(db);
}

enum status queue_release_leases(struct store *store, struct slice node)
{
	struct lease_work work = {.node = node, .due_ms = clock_wall_ms()};

	return node.len > 0 ? db_write(store->pool, move_leases, &work) : STATUS_OK;
}

enum status queue_renew_leases(struct store *store, struct slice node, int64_t until_ms)
{
	struct lease_work work = {.node = node, .due_ms = until_ms, .keep = true};

	return node.len > 0 ? db_write(store->pool, move_leases, &work) : STATUS_OK;
}

/* ---- finishing ---- */

bool queue_drop_recipient(struct db *db, int64_t id, int64_t message)
{
	struct db_query query = db_query(db, "DELETE FROM queue_recipient WHERE account = $1 AND id = $2");

	db_bind_i64(&query, QUEUE_ACCOUNT);
	db_bind_i64(&query, id);
	db_run(&query);
	if (db_changes(db) == 0)
		return false;
	query = db_query(db, "UPDATE queue_message SET recipients = recipients - 1 WHERE account = $1 AND id = $2"
			     " RETURNING recipients, chunks");
	db_bind_i64(&query, QUEUE_ACCOUNT);
	db_bind_i64(&query, message);
	int64_t left = -1, chunks = 0;

	if (db_row(&query)) {
		left = db_i64(&query, 0);
		chunks = db_i64(&query, 1);
	}
	db_done(&query);
	if (left != 0)
		return true;
	query = db_query(db, "DELETE FROM queue_message WHERE account = $1 AND id = $2");
	db_bind_i64(&query, QUEUE_ACCOUNT);
	db_bind_i64(&query, message);
	db_run(&query);
	blob_delete(db, QUEUE_ACCOUNT, message, chunks);
	return true;
}

static bool defer(struct db *db, const struct queue_result *result)
{
	struct db_query query =
		db_query(db, "UPDATE queue_recipient SET due_ms = $3, attempts = attempts + 1, delay_warned = $4,"
			     " last_reply = $5, node = $6 WHERE account = $1 AND id = $2");

	db_bind_i64(&query, QUEUE_ACCOUNT);
	db_bind_i64(&query, result->id);
	db_bind_i64(&query, result->due_ms);
	db_bind_i64(&query, result->delay_warned);
	db_bind_bytes(&query, slice_sub(present(result->reply), 0, REPLY_MAX));
	db_bind_bytes(&query, SLICE_EMPTY);
	db_run(&query);
	return db_changes(db) > 0;
}

/* Whom a row id means, for the trace. */
static bool find_whom(struct db *db, struct arena *arena, int64_t id, struct slice *queue_id, struct slice *recipient)
{
	struct db_query query =
		db_query(db, "SELECT m.queue_id, r.recipient" ITEM_TABLES " WHERE r.account = $1 AND r.id = $2");

	db_bind_i64(&query, QUEUE_ACCOUNT);
	db_bind_i64(&query, id);
	bool found = db_row(&query);

	if (found) {
		*queue_id = slice_dup(arena, db_slice(&query, 0));
		*recipient = slice_dup(arena, db_slice(&query, 1));
	}
	db_done(&query);
	return found;
}

struct finish_work {
	const struct queue_result *results;
	size_t count;
	struct prepared_delivery *bounce;
};

static struct slice event_of(enum queue_outcome outcome)
{
	switch (outcome) {
	case QUEUE_DELIVERED:
		return SLICE("sent");
	case QUEUE_DEFERRED:
		return SLICE("deferred");
	case QUEUE_FAILED:
		break;
	}
	return SLICE("bounced");
}

static void trace_result(struct db *db, const struct finish_work *work, size_t number, struct slice queue_id,
			 struct slice recipient)
{
	const struct queue_result *result = &work->results[number];
	struct arena arena SCOPED_ARENA;
	bool is_bounced = work->bounce && result->outcome != QUEUE_DELIVERED;
	struct slice remote = present(result->remote), colon = remote.len > 0 ? SLICE(": ") : SLICE_EMPTY;
	struct trace_step step = {
		/* Not after what followed from it. */
		.at_ms = is_bounced ? work->bounce->delivery->received_ms : clock_wall_ms(),
		.queue_id = queue_id,
		.event = event_of(result->outcome),
		.subject = recipient,
		.detail = slice_join(&arena, (const struct slice[]){remote, colon, present(result->reply)}, 3),
	};

	if (queue_id.len > 0)
		trace_insert(db, &step, number, is_bounced ? work->bounce->delivery->queue_id : SLICE_EMPTY);
}

/* False: the recipient is gone, by another hand. */
static bool finish_one(struct db *db, const struct finish_work *work, size_t i)
{
	struct arena arena SCOPED_ARENA;
	const struct queue_result *result = &work->results[i];
	struct slice queue_id, recipient;

	if (!find_whom(db, &arena, result->id, &queue_id, &recipient))
		return false;
	bool done = result->outcome == QUEUE_DEFERRED ? defer(db, result) : queue_drop_recipient(db, result->id, result->message);

	if (done)
		trace_result(db, work, i, queue_id, recipient);
	return done;
}

static enum status finish(struct db *db, void *context)
{
	struct finish_work *work = context;
	size_t done = 0;

	for (size_t i = 0; i < work->count; i++)
		done += finish_one(db, work, i);
	if (db_status(db) != STATUS_OK || !work->bounce || done == 0)
		return db_status(db);
	/* A bounce that can't be delivered is the end of the matter (RFC 5321 section 6.1): its targets' statuses tell. */
	return delivery_run(db, work->bounce);
}

enum status queue_finish(struct store *store, const struct queue_result *results, size_t count, struct delivery *bounce)
{
	struct arena arena SCOPED_ARENA;
	struct prepared_delivery prepared;
	struct finish_work work = {.results = results, .count = count};

	if (bounce) {
		delivery_prepare(store, &arena, bounce, &prepared);
		work.bounce = &prepared;
	}
	return db_write(store->pool, finish, &work);
}
