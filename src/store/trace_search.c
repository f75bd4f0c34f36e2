/* Finding messages by who wrote to whom, and when. Queue ids begin with the time: the table is walked from its newest message back, page by
 * page, until the period is behind us. There is no index of addresses: it would cost every message a write in a random place, for the sake
 * of a question that a person asks now and then. */
#include "store/store_internal.h"

#define PAGE_ROWS 2000
#define SLACK_MS  (10 * 60 * 1000) /* clocks of nodes may differ */

/* The message whose steps are being read, the last one first. */
struct reading {
	struct slice queue_id;
	int64_t began_ms;
	bool has_sender, has_recipient;
};

struct walk {
	const struct trace_search *search;
	struct arena *arena;
	struct list found;
	struct reading now;
	struct slice last_id; /* of the page */
	int64_t last_at_ms, last_step;
	bool is_over;
};

static bool fits(struct slice address, struct slice wanted)
{
	if (wanted.len == 0)
		return true;
	if (slice_eq(wanted, SLICE("<>")))
		return address.len == 0;
	return wanted.data[0] == '@' ? slice_ends_with_nocase(address, wanted) : slice_eq_nocase(address, wanted);
}

/* All its steps were seen. */
static void end_message(struct walk *walk)
{
	const struct trace_search *search = walk->search;
	const struct reading *now = &walk->now;
	struct slice *id;

	if (now->queue_id.len == 0)
		return;
	if (now->began_ms < search->since_ms - SLACK_MS)
		walk->is_over = true;
	if (now->began_ms < search->since_ms || (search->until_ms > 0 && now->began_ms > search->until_ms))
		return;
	if (!(search->either ? now->has_sender || now->has_recipient : now->has_sender && now->has_recipient))
		return;
	id = list_add(&walk->found);
	if (id)
		*id = slice_dup(walk->found.arena, now->queue_id);
	walk->is_over |= walk->found.count == search->max || !id;
}

static void take_row(struct walk *walk, struct db_query *query)
{
	struct slice id = db_slice(query, 0), subject = db_slice(query, 4);
	bool is_sender = slice_eq(db_slice(query, 3), SLICE("received"));

	if (!slice_eq(id, walk->now.queue_id)) {
		end_message(walk);
		walk->now = (struct reading){.queue_id = slice_dup(walk->arena, id)};
	}
	walk->now.began_ms = db_i64(query, 1);
	if (is_sender)
		walk->now.has_sender |= fits(subject, walk->search->sender);
	else
		walk->now.has_recipient |= fits(subject, walk->search->recipient);
}

/* True: there may be more. */
static bool read_page(struct db *db, struct walk *walk)
{
	int64_t rows = 0;
	struct db_query query = db_query(db, "SELECT queue_id, at_ms, step, event, subject FROM trace"
					     " WHERE (queue_id, at_ms, step) < ($1, $2, $3)"
					     " ORDER BY queue_id DESC, at_ms DESC, step DESC LIMIT $4");
	struct arena *arena = walk->arena;

	db_bind_bytes(&query, walk->last_id);
	db_bind_i64(&query, walk->last_at_ms);
	db_bind_i64(&query, walk->last_step);
	db_bind_i64(&query, PAGE_ROWS);
	while (!walk->is_over && db_row(&query)) {
		take_row(walk, &query);
		walk->last_at_ms = db_i64(&query, 1);
		walk->last_step = db_i64(&query, 2);
		rows++;
	}
	if (rows > 0)
		walk->last_id = slice_dup(arena, walk->now.queue_id);
	db_done(&query);
	return rows == PAGE_ROWS && !walk->is_over && db_status(db) == STATUS_OK;
}

enum status trace_search(struct store *store, struct arena *arena, const struct trace_search *search, struct slice **ids, size_t *count)
{
	struct db *db SCOPED_DB = db_acquire(store->pool);
	struct arena scratch SCOPED_ARENA;
	struct walk walk = {.search = search, .arena = &scratch, .found = LIST(arena, struct slice), .last_id = SLICE("\xff"),
			    .last_at_ms = INT64_MAX, .last_step = INT64_MAX};

	*ids = NULL;
	*count = 0;
	if (!db)
		return STATUS_TEMPORARY;
	while (read_page(db, &walk))
		;
	if (!walk.is_over)
		end_message(&walk);
	*ids = walk.found.items;
	*count = walk.found.count;
	return walk.found.failed ? STATUS_LIMIT : read_status(db, walk.found.count > 0);
}
