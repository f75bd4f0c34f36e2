/* The trace: what happened to each message. Rows lie by queue id, which begins with the time: they are written at the end of the table
 * and forgotten at its beginning. There is no index of message ids: it would cost a write in a random place for every message that
 * ever comes, for the sake of a question that a person asks now and then and that one pass over the table answers.
 */
#include <time.h>

#include "store/store_internal.h"

#define IDS_MAX   100
#define STEPS_MAX 2000
#define TEXT_MAX  2000

/* Orders the steps of one message in one millisecond: by number, then by the nanosecond (20 bits); and tells apart those that two
 * processes write in it, whose connections lie at random addresses (12 bits). A random number would cost a system call. */
static int64_t step_of(const struct db *db, size_t number)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	uint64_t nanoseconds = (uint64_t)now.tv_nsec % 1000000, place = (uintptr_t)db >> 6 & 0xfff;

	return (int64_t)((uint64_t)number << 32 | nanoseconds << 12 | place);
}

void trace_insert(struct db *db, const struct trace_step *step, size_t number, struct slice followed_by)
{
	struct db_query query =
		db_query(db, "INSERT INTO trace (queue_id, at_ms, step, message_id, event, subject, detail, followed_by)"
			     " VALUES ($1, $2, $3, $4, $5, $6, $7, $8)");

	db_bind_bytes(&query, step->queue_id.data ? step->queue_id : SLICE_EMPTY);
	db_bind_i64(&query, step->at_ms);
	db_bind_i64(&query, step_of(db, number));
	db_bind_bytes(&query, step->message_id.data ? step->message_id : SLICE_EMPTY);
	db_bind_bytes(&query, step->event);
	db_bind_bytes(&query, step->subject.data ? slice_sub(step->subject, 0, TEXT_MAX) : SLICE_EMPTY);
	db_bind_bytes(&query, step->detail.data ? slice_sub(step->detail, 0, TEXT_MAX) : SLICE_EMPTY);
	db_bind_bytes(&query, followed_by.data ? followed_by : SLICE_EMPTY);
	db_run(&query);
}

struct trace_work {
	const struct trace_step *steps;
	size_t count;
};

static enum status add_steps(struct db *db, void *context)
{
	const struct trace_work *work = context;

	for (size_t i = 0; i < work->count; i++)
		trace_insert(db, &work->steps[i], i, SLICE_EMPTY);
	return db_status(db);
}

enum status trace_add(struct store *store, const struct trace_step *steps, size_t count)
{
	struct trace_work work = {steps, count};

	return count > 0 ? db_write(store->pool, add_steps, &work) : STATUS_OK;
}

/* ---- finding ---- */

static void add_id(struct list *ids, struct slice id)
{
	const struct slice *known = ids->items;

	for (size_t i = 0; i < ids->count; i++)
		if (slice_eq(known[i], id))
			return;
	if (ids->count == IDS_MAX || id.len == 0)
		return;
	struct slice *added = list_add(ids);

	if (added)
		*added = slice_dup(ids->arena, id);
}

static void find_by_message_id(struct db *db, struct slice message_id, struct list *ids)
{
	struct db_query query = db_query(db, "SELECT DISTINCT queue_id FROM trace WHERE message_id = $1");

	db_bind_bytes(&query, message_id);
	while (db_row(&query))
		add_id(ids, db_slice(&query, 0));
	db_done(&query);
}

/* The steps of one queue id; those that it is followed by are added to `ids`. */
static void read_steps(struct db *db, struct slice queue_id, struct list *steps, struct list *ids)
{
	struct db_query query =
		db_query(db, "SELECT queue_id, at_ms, message_id, event, subject, detail, followed_by FROM trace"
			     " WHERE queue_id = $1 ORDER BY at_ms, step");
	struct trace_step *step;

	db_bind_bytes(&query, queue_id);
	while (db_row(&query) && steps->count < STEPS_MAX && (step = list_add(steps))) {
		*step = (struct trace_step){
			.queue_id = slice_dup(steps->arena, db_slice(&query, 0)),
			.at_ms = db_i64(&query, 1),
			.message_id = slice_dup(steps->arena, db_slice(&query, 2)),
			.event = slice_dup(steps->arena, db_slice(&query, 3)),
			.subject = slice_dup(steps->arena, db_slice(&query, 4)),
			.detail = slice_dup(steps->arena, db_slice(&query, 5)),
		};
		add_id(ids, db_slice(&query, 6));
	}
	db_done(&query);
}

static struct slice without_brackets(struct slice id)
{
	if (slice_starts_with(id, SLICE("<")) && slice_ends_with(id, SLICE(">")) && id.len >= 2)
		return slice_sub(id, 1, id.len - 1);
	return id;
}

/* Stable: steps of one moment stay in their order. */
static void sort_by_time(struct trace_step *steps, size_t count)
{
	for (size_t i = 1; i < count; i++) {
		struct trace_step step = steps[i];
		size_t j = i;

		for (; j > 0 && steps[j - 1].at_ms > step.at_ms; j--)
			steps[j] = steps[j - 1];
		steps[j] = step;
	}
}

enum status trace_find(struct store *store, struct arena *arena, struct slice id, struct trace_step **steps, size_t *count)
{
	struct db *db SCOPED_DB = db_acquire(store->pool);
	struct list found = LIST(arena, struct trace_step), ids = LIST(arena, struct slice);

	if (!db || db_begin(db, DB_READ) != STATUS_OK)
		return STATUS_TEMPORARY;
	add_id(&ids, id);
	read_steps(db, id, &found, &ids);
	/* Steps but the first have no message id: the empty one is nobody's. */
	if (found.count == 0 && without_brackets(id).len > 0)
		find_by_message_id(db, without_brackets(id), &ids);
	for (size_t i = 1; i < ids.count; i++)
		read_steps(db, ((struct slice *)ids.items)[i], &found, &ids);
	*steps = found.items;
	*count = found.count;
	if (found.count > 0)
		sort_by_time(found.items, found.count);
	return found.failed ? STATUS_LIMIT : read_status(db, found.count > 0);
}

/* ---- forgetting ---- */

struct trace_key {
	struct slice queue_id;
	int64_t at_ms, step;
};

static enum status find_old(struct store *store, int64_t before_ms, size_t max, struct list *keys)
{
	struct db *db SCOPED_DB = db_acquire(store->pool);
	struct trace_key *key;

	if (!db)
		return STATUS_TEMPORARY;
	struct db_query query = db_query(db, "SELECT queue_id, at_ms, step FROM trace WHERE at_ms < $1 LIMIT $2");

	db_bind_i64(&query, before_ms);
	db_bind_i64(&query, (int64_t)max);
	while (db_row(&query) && (key = list_add(keys)))
		*key = (struct trace_key){slice_dup(keys->arena, db_slice(&query, 0)), db_i64(&query, 1), db_i64(&query, 2)};
	db_done(&query);
	return db_status(db);
}

static enum status remove_old(struct db *db, void *context)
{
	const struct list *keys = context;

	for (size_t i = 0; i < keys->count; i++) {
		const struct trace_key *key = (const struct trace_key *)keys->items + i;
		struct db_query query = db_query(db, "DELETE FROM trace WHERE queue_id = $1 AND at_ms = $2 AND step = $3");

		db_bind_bytes(&query, key->queue_id);
		db_bind_i64(&query, key->at_ms);
		db_bind_i64(&query, key->step);
		db_run(&query);
	}
	return db_status(db);
}

enum status trace_forget(struct store *store, int64_t before_ms, size_t max, size_t *removed)
{
	struct arena arena SCOPED_ARENA;
	struct list keys = LIST(&arena, struct trace_key);

	*removed = 0;
	enum status status = find_old(store, before_ms, max, &keys);

	if (status == STATUS_OK && keys.count > 0)
		status = db_write(store->pool, remove_old, &keys);
	if (status == STATUS_OK)
		*removed = keys.count;
	return status;
}
