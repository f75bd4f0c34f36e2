#include "base/clock.h"
#include "store/queue_internal.h"

struct split_work {
	const struct queue_item *item;
	const struct queue_part *parts;
	size_t count;
};

static void insert_part(struct db *db, const struct split_work *work, const struct queue_part *part, int64_t id, int64_t now_ms)
{
	struct db_query query = db_query(
		db, "INSERT INTO queue_recipient (account, id, message, state, due_ms, expires_ms, attempts, delay_warned,"
		    " notify, recipient, original_recipient, next_hop, last_reply, node)"
		    " SELECT account, $3, message, $4, $5, expires_ms, 0, delay_warned, notify, $6, original_recipient, $7, $8, $8"
		    " FROM queue_recipient WHERE account = $1 AND id = $2");

	db_bind_i64(&query, QUEUE_ACCOUNT);
	db_bind_i64(&query, work->item->id);
	db_bind_i64(&query, id);
	db_bind_i64(&query, QUEUE_DUE);
	db_bind_i64(&query, now_ms);
	db_bind_bytes(&query, part->recipient);
	db_bind_bytes(&query, part->next_hop);
	db_bind_bytes(&query, SLICE_EMPTY);
	db_run(&query);
}

static void count_parts(struct db *db, const struct split_work *work)
{
	struct db_query query = db_query(db, "UPDATE queue_message SET recipients = recipients + $3 WHERE account = $1 AND id = $2");

	db_bind_i64(&query, QUEUE_ACCOUNT);
	db_bind_i64(&query, work->item->message);
	db_bind_i64(&query, (int64_t)work->count);
	db_run(&query);
}

static bool is_there(struct db *db, int64_t id)
{
	struct db_query query = db_query(db, "SELECT 1 FROM queue_recipient WHERE account = $1 AND id = $2");

	db_bind_i64(&query, QUEUE_ACCOUNT);
	db_bind_i64(&query, id);
	bool found = db_row(&query);

	db_done(&query);
	return found;
}

static void trace_part(struct db *db, const struct split_work *work, size_t i, int64_t now_ms)
{
	const struct trace_step step = {
		.at_ms = now_ms,
		.queue_id = work->item->queue_id,
		.event = SLICE("queued"),
		.subject = work->parts[i].recipient,
		.detail = work->parts[i].next_hop,
	};

	if (step.queue_id.len > 0)
		trace_insert(db, &step, i, SLICE_EMPTY);
}

static enum status split(struct db *db, void *context)
{
	const struct split_work *work = context;
	struct account_row *queue = counters_account(db, QUEUE_ACCOUNT);
	int64_t now_ms = clock_wall_ms();

	if (!queue)
		return counters_missing(db);
	if (!is_there(db, work->item->id))
		return db_status(db) == STATUS_OK ? STATUS_NOT_FOUND : db_status(db);
	count_parts(db, work);
	for (size_t i = 0; i < work->count; i++) {
		insert_part(db, work, &work->parts[i], counters_take_ids(queue, 1), now_ms);
		trace_part(db, work, i, now_ms);
	}
	(void)queue_drop_recipient(db, work->item->id, work->item->message);
	return db_status(db);
}

enum status queue_split(struct store *store, const struct queue_item *item, const struct queue_part *parts, size_t count)
{
	struct split_work work = {item, parts, count};

	return db_write(store->pool, split, &work);
}
