/* The queue. A recipient that a relay has in hand is leased by moving its due time on to the end of the lease: the index of due times is
 * then all that taking, waiting and recovering need.
 */
#include "base/clock.h"
#include "mime/verp.h"
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
		    " body_8bit, queue_id, sender, envelope_id, message_id, tls_wish, release_ms, release_request, by_ms, by_mode,"
		    " priority, verp)"
		    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)");

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
	db_bind_i64(&query, delivery->timing.release_ms);
	db_bind_bytes(&query, present(delivery->timing.release_request));
	db_bind_i64(&query, delivery->timing.by_ms);
	db_bind_i64(&query, delivery->timing.by_mode);
	db_bind_i64(&query, delivery->timing.priority);
	db_bind_bytes(&query, present(delivery->timing.verp));
	db_run(&query);
}

static void insert_recipient(struct db *db, const struct delivery *delivery, const struct queue_target *target, int64_t message,
			     int64_t id)
{
	int64_t release_ms = delivery->timing.release_ms;
	int64_t begins_ms = release_ms > delivery->received_ms ? release_ms : delivery->received_ms;
	int64_t expires_ms = delivery->expires_ms ? delivery->expires_ms : begins_ms + LIFETIME_MS;
	struct db_query query = db_query(
		db, "INSERT INTO queue_recipient (account, id, message, state, due_ms, expires_ms, attempts, delay_warned,"
		    " notify, recipient, original_recipient, next_hop, last_reply, node, mailbox_account, addressed_to)"
		    " VALUES ($1, $2, $3, $4, $5, $6, 0, 0, $7, $8, $9, $10, $11, $14, $12, $13)");

	db_bind_i64(&query, QUEUE_ACCOUNT);
	db_bind_i64(&query, id);
	db_bind_i64(&query, message);
	db_bind_i64(&query, delivery->is_held                  ? QUEUE_HELD
			    : target->account != QUEUE_ACCOUNT ? QUEUE_LOCAL
							       : QUEUE_DUE);
	db_bind_i64(&query, begins_ms);
	db_bind_i64(&query, expires_ms);
	db_bind_i64(&query, target->notify);
	db_bind_bytes(&query, present(target->recipient));
	db_bind_bytes(&query, present(target->original_recipient));
	db_bind_bytes(&query, present(target->next_hop));
	db_bind_bytes(&query, delivery->is_held ? present(delivery->held_why) : SLICE_EMPTY);
	db_bind_i64(&query, target->account);
	db_bind_bytes(&query, present(target->addressed_to));
	db_bind_bytes(&query, SLICE_EMPTY);
	db_run(&query);
}

static struct slice queued_how(struct arena *arena, const struct delivery *delivery, const struct queue_target *target)
{
	struct buf text;

	buf_init(&text, arena, 0);
	if (delivery->is_held) {
		buf_add_literal(&text, "held: ");
		buf_add(&text, present(delivery->held_why));
		return buf_slice(&text);
	}
	if (delivery->timing.release_ms <= delivery->received_ms)
		return present(target->next_hop);
	buf_add_literal(&text, "until ");
	clock_format_rfc3339(&text, delivery->timing.release_ms);
	return buf_slice(&text);
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
		struct arena arena SCOPED_ARENA;
		struct trace_step step = {
			.at_ms = delivery->received_ms,
			.queue_id = delivery->queue_id,
			.event = SLICE("queued"),
			.subject = target->recipient,
			.detail = queued_how(&arena, delivery, target),
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
		.account = db_i64(query, 22),
		.addressed_to = slice_dup(arena, db_slice(query, 23)),
		.timing = {.priority = (int)db_i64(query, 24),
			   .release_ms = db_i64(query, 25),
			   .release_request = slice_dup(arena, db_slice(query, 26)),
			   .by_ms = db_i64(query, 27),
			   .by_mode = (unsigned)db_i64(query, 28),
			   .verp = slice_dup(arena, db_slice(query, 29))},
	};
	item->own_sender = item->sender;
	if (item->timing.verp.len > 0)
		item->sender = verp_sender(arena, item->own_sender, item->timing.verp, item->recipient);
}

static enum status next_due(struct store *store, enum queue_state state, int64_t after_ms, int64_t *due_ms)
{
	struct db *db SCOPED_DB = db_acquire(store->pool);

	*due_ms = INT64_MAX;
	if (!db)
		return STATUS_TEMPORARY;
	struct db_query query =
		db_query(db, "SELECT due_ms FROM queue_recipient WHERE state = $1 AND due_ms > $2 ORDER BY due_ms LIMIT 1");

	db_bind_i64(&query, state);
	db_bind_i64(&query, after_ms);
	if (db_row(&query))
		*due_ms = db_i64(&query, 0);
	db_done(&query);
	return db_status(db);
}

enum status queue_next_due_after(struct store *store, int64_t after_ms, int64_t *due_ms)
{
	return next_due(store, QUEUE_DUE, after_ms, due_ms);
}

enum status queue_next_due(struct store *store, int64_t *due_ms)
{
	return next_due(store, QUEUE_DUE, INT64_MIN, due_ms);
}

enum status queue_next_local(struct store *store, int64_t *due_ms)
{
	return next_due(store, QUEUE_LOCAL, INT64_MIN, due_ms);
}

enum status queue_newest(struct store *store, int64_t *id)
{
	struct db *db SCOPED_DB = db_acquire(store->pool);

	*id = 0;
	if (!db)
		return STATUS_TEMPORARY;
	struct db_query query = db_query(db, "SELECT id FROM queue_recipient WHERE account = $1 ORDER BY id DESC LIMIT 1");

	db_bind_i64(&query, QUEUE_ACCOUNT);
	if (db_row(&query))
		*id = db_i64(&query, 0);
	db_done(&query);
	return db_status(db);
}

/* ---- looking ---- */

/* The page is cut before the join: so it costs the same wherever it lies, whatever a planner thinks. */
static struct db_query query_due(struct db *db, const struct queue_look *look)
{
	struct db_query query = db_query(db, "SELECT " ITEM_COLUMNS
					     " FROM (SELECT * FROM queue_recipient WHERE state = $1 AND due_ms <= $2 AND due_ms >= $3"
					     " AND (due_ms > $3 OR id > $4) ORDER BY due_ms, id LIMIT $5) r"
					     " JOIN queue_message m ON m.account = r.account AND m.id = r.message ORDER BY r.due_ms, r.id");

	db_bind_i64(&query, look->local ? QUEUE_LOCAL : QUEUE_DUE);
	db_bind_i64(&query, look->now_ms);
	db_bind_i64(&query, look->after.due_ms);
	db_bind_i64(&query, look->after.id);
	db_bind_i64(&query, (int64_t)look->max);
	return query;
}

static struct db_query query_arrivals(struct db *db, const struct queue_look *look)
{
	struct db_query query =
		db_query(db, "SELECT " ITEM_COLUMNS " FROM (SELECT * FROM queue_recipient WHERE account = $1 AND id > $2 ORDER BY id LIMIT $3) r"
			     " JOIN queue_message m ON m.account = r.account AND m.id = r.message ORDER BY r.id");

	db_bind_i64(&query, QUEUE_ACCOUNT);
	db_bind_i64(&query, look->after.id);
	db_bind_i64(&query, (int64_t)look->max);
	return query;
}

enum status queue_look(struct store *store, struct arena *arena, const struct queue_look *look, struct queue_item **items,
		       size_t *count)
{
	struct db *db SCOPED_DB = db_acquire(store->pool);
	struct list found = LIST(arena, struct queue_item);
	struct queue_item *item;

	*items = NULL;
	*count = 0;
	if (!db)
		return STATUS_TEMPORARY;
	struct db_query query = look->by_arrival ? query_arrivals(db, look) : query_due(db, look);

	while (db_row(&query) && (item = list_add(&found)))
		queue_item_take(&query, arena, item);
	db_done(&query);
	*items = found.items;
	*count = found.count;
	return found.failed ? STATUS_LIMIT : db_status(db);
}

/* ---- taking ---- */

struct take_work {
	const struct queue_lease *lease;
	const struct queue_item *items;
	size_t count;
	bool *is_taken;
};

static bool take_one(struct db *db, const struct queue_lease *lease, const struct queue_item *item)
{
	struct db_query query = db_query(
		db, "UPDATE queue_recipient SET due_ms = $3, node = $4 WHERE account = $1 AND id = $2 AND due_ms = $5 AND state = $6");

	db_bind_i64(&query, QUEUE_ACCOUNT);
	db_bind_i64(&query, item->id);
	db_bind_i64(&query, lease->now_ms + lease->lease_ms);
	db_bind_bytes(&query, lease->node);
	db_bind_i64(&query, item->due_ms);
	db_bind_i64(&query, item->state);
	db_run(&query);
	return db_changes(db) == 1;
}

static enum status take_all(struct db *db, void *context)
{
	struct take_work *work = context;

	for (size_t i = 0; i < work->count && db_status(db) == STATUS_OK; i++)
		work->is_taken[i] = take_one(db, work->lease, &work->items[i]);
	return db_status(db);
}

enum status queue_take(struct store *store, const struct queue_lease *lease, struct queue_item *items, size_t *count)
{
	struct arena arena SCOPED_ARENA;
	struct take_work work = {.lease = lease, .items = items, .count = *count, .is_taken = ARENA_ARRAY(&arena, bool, *count)};
	size_t kept = 0;

	*count = 0;
	if (work.count == 0)
		return STATUS_OK;
	enum status status = db_write(store->pool, take_all, &work);

	if (status != STATUS_OK)
		return status;
	for (size_t i = 0; i < work.count; i++)
		if (work.is_taken[i])
			items[kept++] = items[i];
	*count = kept;
	return STATUS_OK;
}

enum status queue_take_due(struct store *store, struct arena *arena, int64_t now_ms, int64_t lease_ms, struct slice node,
			   size_t max, struct queue_item **items, size_t *count)
{
	const struct queue_look look = {.after = {INT64_MIN, 0}, .now_ms = now_ms, .max = max};
	const struct queue_lease lease = {now_ms, lease_ms, node};
	enum status status = queue_look(store, arena, &look, items, count);

	return status == STATUS_OK ? queue_take(store, &lease, *items, count) : status;
}

/* ---- putting off ---- */

struct put_off_work {
	const struct queue_put_off *all;
	size_t count;
};

static bool put_off_one(struct db *db, const struct queue_put_off *one)
{
	struct db_query query = db_query(db, "UPDATE queue_recipient SET due_ms = $3, last_reply = $4, node = $7"
					     " WHERE account = $1 AND id = $2 AND due_ms = $5 AND state = $6");

	db_bind_i64(&query, QUEUE_ACCOUNT);
	db_bind_i64(&query, one->item->id);
	db_bind_i64(&query, one->until_ms);
	db_bind_bytes(&query, slice_sub(present(one->reason), 0, REPLY_MAX));
	db_bind_i64(&query, one->item->due_ms);
	db_bind_i64(&query, QUEUE_DUE);
	db_bind_bytes(&query, SLICE_EMPTY); /* a lease that is over may have been on it */
	db_run(&query);
	return db_changes(db) == 1;
}

/* A trace of a reason once is enough. */
static void trace_put_off(struct db *db, const struct queue_put_off *one, size_t number)
{
	const struct queue_item *item = one->item;
	struct trace_step step = {.at_ms = clock_wall_ms(),
				  .queue_id = item->queue_id,
				  .event = SLICE("deferred"),
				  .subject = item->recipient,
				  .detail = present(one->reason)};

	if (item->queue_id.len > 0 && !slice_eq(item->last_reply, slice_sub(present(one->reason), 0, REPLY_MAX)))
		trace_insert(db, &step, number, SLICE_EMPTY);
}

static enum status put_off_all(struct db *db, void *context)
{
	const struct put_off_work *work = context;

	for (size_t i = 0; i < work->count && db_status(db) == STATUS_OK; i++)
		if (put_off_one(db, &work->all[i]))
			trace_put_off(db, &work->all[i], i);
	return db_status(db);
}

enum status queue_put_off(struct store *store, const struct queue_put_off *put_off, size_t count)
{
	struct put_off_work work = {put_off, count};

	return count > 0 ? db_write(store->pool, put_off_all, &work) : STATUS_OK;
}

/* ---- leases ---- */

struct lease_work {
	struct slice node;
	int64_t due_ms;
	const int64_t *rows; /* to keep */
	size_t count;
};

static enum status release_all(struct db *db, void *context)
{
	const struct lease_work *work = context;
	struct db_query query = db_query(db, "UPDATE queue_recipient SET due_ms = $2, node = $3"
					     " WHERE node = $1 AND length(node) > 0"); /* the index's words */

	db_bind_bytes(&query, work->node);
	db_bind_i64(&query, work->due_ms);
	db_bind_bytes(&query, SLICE_EMPTY);
	db_run(&query);
	return db_status(db);
}

static enum status renew_all(struct db *db, void *context)
{
	const struct lease_work *work = context;

	for (size_t i = 0; i < work->count && db_status(db) == STATUS_OK; i++) {
		struct db_query query =
			db_query(db, "UPDATE queue_recipient SET due_ms = $3 WHERE account = $1 AND id = $2 AND node = $4");

		db_bind_i64(&query, QUEUE_ACCOUNT);
		db_bind_i64(&query, work->rows[i]);
		db_bind_i64(&query, work->due_ms);
		db_bind_bytes(&query, work->node);
		db_run(&query);
	}
	return db_status(db);
}

enum status queue_release_leases(struct store *store, struct slice node)
{
	struct lease_work work = {.node = node, .due_ms = clock_wall_ms()};

	return node.len > 0 ? db_write(store->pool, release_all, &work) : STATUS_OK;
}

enum status queue_renew_leases(struct store *store, struct slice node, const int64_t *rows, size_t count, int64_t until_ms)
{
	struct lease_work work = {.node = node, .due_ms = until_ms, .rows = rows, .count = count};

	return node.len > 0 && count > 0 ? db_write(store->pool, renew_all, &work) : STATUS_OK;
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
		db_query(db, "UPDATE queue_recipient SET due_ms = $3, attempts = attempts + $7, delay_warned = $4,"
			     " last_reply = $5, node = $6 WHERE account = $1 AND id = $2");

	db_bind_i64(&query, QUEUE_ACCOUNT);
	db_bind_i64(&query, result->id);
	db_bind_i64(&query, result->due_ms);
	db_bind_i64(&query, result->delay_warned);
	db_bind_bytes(&query, slice_sub(present(result->reply), 0, REPLY_MAX));
	db_bind_bytes(&query, SLICE_EMPTY);
	db_bind_i64(&query, result->is_untried ? 0 : 1);
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
	struct prepared_delivery *mailboxes, *bounce; /* NULL: none */
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

/* The row is this transaction's alone until its end. False: it is gone. */
static bool lock_row(struct db *db, int64_t id)
{
	struct db_query query = db_query(db, "UPDATE queue_recipient SET state = state WHERE account = $1 AND id = $2");

	db_bind_i64(&query, QUEUE_ACCOUNT);
	db_bind_i64(&query, id);
	db_run(&query);
	return db_changes(db) == 1;
}

/* From the queue into the mailbox, or neither. */
static enum status finish_in_mailbox(struct db *db, struct finish_work *work, size_t i, size_t target)
{
	struct delivery_target *mailbox = &work->mailboxes->delivery->targets[target];
	const struct queue_result *result = &work->results[i];

	if (!lock_row(db, result->id))
		mailbox->status = STATUS_EXISTS;
	else
		mailbox->status = delivery_run_target(db, work->mailboxes, target);
	if (mailbox->status == STATUS_OK && db_status(db) == STATUS_OK)
		(void)queue_drop_recipient(db, result->id, result->message);
	return db_status(db) != STATUS_OK ? db_status(db) : mailbox->status;
}

static enum status finish(struct db *db, void *context)
{
	struct finish_work *work = context;
	size_t done = 0, target = 0;

	for (size_t i = 0; i < work->count; i++) {
		if (!work->mailboxes || work->results[i].outcome != QUEUE_DELIVERED) {
			done += finish_one(db, work, i);
			continue;
		}
		enum status status = finish_in_mailbox(db, work, i, target++);

		if (status != STATUS_OK)
			return status;
		done++;
	}
	if (db_status(db) != STATUS_OK || !work->bounce || done == 0)
		return db_status(db);
	/* A bounce that can't be delivered is the end of the matter (RFC 5321 section 6.1): its targets' statuses tell. */
	return delivery_run(db, work->bounce);
}

enum status queue_finish_local(struct store *store, const struct queue_result *results, size_t count, struct delivery *mailboxes,
			       struct delivery *bounce)
{
	struct arena arena SCOPED_ARENA;
	struct prepared_delivery prepared_mailboxes, prepared_bounce;
	struct finish_work work = {.results = results, .count = count};

	if (mailboxes) {
		delivery_prepare(store, &arena, mailboxes, &prepared_mailboxes);
		work.mailboxes = &prepared_mailboxes;
	}
	if (bounce) {
		delivery_prepare(store, &arena, bounce, &prepared_bounce);
		work.bounce = &prepared_bounce;
	}
	return db_write(store->pool, finish, &work);
}

enum status queue_finish(struct store *store, const struct queue_result *results, size_t count, struct delivery *bounce)
{
	return queue_finish_local(store, results, count, NULL, bounce);
}
