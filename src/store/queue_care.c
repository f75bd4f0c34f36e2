/* Looking after the queue: lists, and changes by people. */
#include "base/clock.h"
#include "store/queue_internal.h"
#include "store/routing.h"

#define ROWS_MEMORY (64 * 1024 * 1024) /* of one page */

/* ---- what fits ---- */

static bool address_fits(struct slice address, struct slice wanted)
{
	if (wanted.len == 0)
		return true;
	if (slice_eq(wanted, SLICE("<>")))
		return address.len == 0;
	if (wanted.data[0] == '@')
		return slice_ends_with_nocase(address, wanted);
	return slice_eq_nocase(address, wanted);
}

static bool domain_fits(struct slice address, struct slice wanted)
{
	size_t at = slice_find_last_byte(address, '@');

	if (wanted.len == 0)
		return true;
	if (at == SLICE_NOT_FOUND)
		return false;
	address = slice_skip(address, at + 1);
	if (wanted.data[0] == '.')
		return slice_ends_with_nocase(address, wanted) || slice_eq_nocase(address, slice_skip(wanted, 1));
	return slice_eq_nocase(address, wanted);
}

struct slice queue_item_hop(const struct queue_item *item)
{
	return item->next_hop.len > 0 ? item->next_hop : slice_skip(item->recipient, slice_find_last_byte(item->recipient, '@') + 1);
}

/* As it is shown, or without the mark of a route and who logs in there. */
static bool hop_fits(struct slice hop, struct slice wanted)
{
	if (wanted.len == 0 || slice_eq_nocase(hop, wanted))
		return true;
	if (!slice_starts_with(hop, ROUTE_MARK))
		return false;
	hop = slice_skip(hop, ROUTE_MARK.len);
	return slice_eq_nocase(slice_cut(&hop, '/'), wanted);
}

enum queue_phase queue_item_phase(const struct queue_item *item, int64_t now_ms)
{
	if (item->state == QUEUE_HELD)
		return QUEUE_PHASE_HELD;
	if (item->in_hand)
		return QUEUE_PHASE_IN_HAND;
	if (item->timing.release_ms > now_ms)
		return QUEUE_PHASE_SCHEDULED;
	return item->due_ms <= now_ms ? QUEUE_PHASE_DUE : QUEUE_PHASE_WAITING;
}

static bool fits(const struct queue_filter *filter, const struct queue_item *item, int64_t now_ms)
{
	return item->created_ms >= filter->created_from_ms &&
	       (filter->created_before_ms == 0 || item->created_ms < filter->created_before_ms) &&
	       (address_fits(item->own_sender, filter->sender) || address_fits(item->sender, filter->sender)) && address_fits(item->recipient, filter->recipient) &&
	       domain_fits(item->recipient, filter->recipient_domain) &&
	       hop_fits(queue_item_hop(item), filter->next_hop) &&
	       (filter->reason.len == 0 || slice_find_nocase(item->last_reply, filter->reason) != SLICE_NOT_FOUND) &&
	       (filter->phase == QUEUE_PHASE_ANY || queue_item_phase(item, now_ms) == filter->phase);
}

/* ---- pages ---- */

struct page {
	struct arena *arena;
	struct list items; /* that fit */
	int64_t last;      /* row that was looked at */
	bool is_last;
};

/* The page is cut before the join: so it costs the same wherever it lies, whatever a planner thinks. */
static struct db_query query_page(struct db *db, const struct queue_filter *filter, int64_t after)
{
	struct db_query query = db_query(db, "SELECT " ITEM_COLUMNS
					     " FROM (SELECT * FROM queue_recipient WHERE account = $1 AND id > $2 AND ($3 < 0 OR state = $3)"
					     " AND ($4 = 0 OR message IN (SELECT id FROM queue_message WHERE queue_id = $5))"
					     " ORDER BY id LIMIT $6) r JOIN queue_message m ON m.account = r.account AND m.id = r.message"
					     " ORDER BY r.id");

	db_bind_i64(&query, QUEUE_ACCOUNT);
	db_bind_i64(&query, after);
	db_bind_i64(&query, filter->phase == QUEUE_PHASE_HELD ? QUEUE_HELD : filter->state);
	db_bind_i64(&query, filter->queue_id.len > 0);
	db_bind_bytes(&query, filter->queue_id.len > 0 ? filter->queue_id : SLICE_EMPTY);
	db_bind_i64(&query, QUEUE_PAGE);
	return query;
}

static void read_rows(struct db *db, const struct queue_filter *filter, int64_t after, struct page *page)
{
	struct queue_item item, *added;
	int64_t now_ms = clock_wall_ms(), rows = 0;
	struct db_query query = query_page(db, filter, after);

	while (db_row(&query)) {
		rows++;
		page->last = db_i64(&query, 0);
		queue_item_take(&query, page->arena, &item);
		if (fits(filter, &item, now_ms) && (added = list_add(&page->items)))
			*added = item;
	}
	db_done(&query);
	page->is_last = rows < QUEUE_PAGE;
}

static struct page read_page(struct db *db, struct arena *arena, const struct queue_filter *filter, int64_t after)
{
	struct page page = {.arena = arena, .items = LIST(arena, struct queue_item), .last = after};

	read_rows(db, filter, after, &page);
	return page;
}

enum status queue_scan(struct store *store, const struct queue_filter *filter, queue_each each, void *context)
{
	int64_t after = filter->after;

	for (;;) {
		struct arena arena SCOPED_ARENA;
		struct db *db = db_acquire(store->pool);

		arena_init(&arena, ROWS_MEMORY);
		if (!db)
			return STATUS_TEMPORARY;
		struct page page = read_page(db, &arena, filter, after);
		enum status status = page.items.failed ? STATUS_LIMIT : db_status(db);

		db_release(db);
		for (size_t i = 0; i < page.items.count && status == STATUS_OK; i++)
			if (!each(context, (const struct queue_item *)page.items.items + i))
				return STATUS_OK;
		if (status != STATUS_OK || page.is_last)
			return status;
		after = page.last;
	}
}

struct listing_scan {
	struct list items;
	size_t max;
};

static bool keep_item(void *context, const struct queue_item *item)
{
	struct listing_scan *scan = context;
	struct arena *arena = scan->items.arena;
	struct queue_item *kept = scan->items.count < scan->max ? list_add(&scan->items) : NULL;

	if (!kept)
		return false;
	*kept = *item;
	kept->queue_id = slice_dup(arena, item->queue_id);
	kept->sender = slice_dup(arena, item->sender);
	kept->own_sender = slice_dup(arena, item->own_sender);
	kept->recipient = slice_dup(arena, item->recipient);
	kept->original_recipient = slice_dup(arena, item->original_recipient);
	kept->envelope_id = slice_dup(arena, item->envelope_id);
	kept->next_hop = slice_dup(arena, item->next_hop);
	kept->last_reply = slice_dup(arena, item->last_reply);
	kept->addressed_to = slice_dup(arena, item->addressed_to);
	kept->timing.release_request = slice_dup(arena, item->timing.release_request);
	kept->timing.verp = slice_dup(arena, item->timing.verp);
	return true;
}

enum status queue_list(struct store *store, struct arena *arena, const struct queue_filter *filter, size_t max,
		       struct queue_item **items, size_t *count)
{
	struct listing_scan scan = {LIST(arena, struct queue_item), max};
	enum status status = queue_scan(store, filter, keep_item, &scan);

	*items = scan.items.items;
	*count = scan.items.count;
	return scan.items.failed ? STATUS_LIMIT : status;
}

/* ---- changes ---- */

static void set_state(struct db *db, const struct queue_item *item, enum queue_state state, int64_t due_ms)
{
	struct db_query query =
		db_query(db, "UPDATE queue_recipient SET state = $3, due_ms = $4 WHERE account = $1 AND id = $2");

	db_bind_i64(&query, QUEUE_ACCOUNT);
	db_bind_i64(&query, item->id);
	db_bind_i64(&query, state);
	db_bind_i64(&query, due_ms);
	db_run(&query);
}

/* Now, or when the message may go at all. */
static int64_t first_time(const struct queue_item *item)
{
	int64_t now_ms = clock_wall_ms();

	return item->timing.release_ms > now_ms ? item->timing.release_ms : now_ms;
}

/* One that a relay has in hand is being tried already. */
static bool retry(struct db *db, const struct queue_item *item, int64_t at_ms)
{
	(void)at_ms;
	if (item->in_hand || item->state == QUEUE_HELD)
		return false;
	set_state(db, item, item->state, first_time(item));
	return item->timing.release_ms <= clock_wall_ms();
}

static bool hold(struct db *db, const struct queue_item *item, int64_t at_ms)
{
	(void)at_ms;
	if (item->state == QUEUE_HELD)
		return false;
	set_state(db, item, QUEUE_HELD, item->due_ms);
	return true;
}

static bool let_go(struct db *db, const struct queue_item *item, int64_t at_ms)
{
	(void)at_ms;
	if (item->state != QUEUE_HELD)
		return false;
	set_state(db, item, queue_home(item), item->in_hand ? item->due_ms : first_time(item));
	return true;
}

static void set_release(struct db *db, const struct queue_item *item, int64_t release_ms)
{
	struct db_query query = db_query(db, "UPDATE queue_message SET release_ms = $3 WHERE account = $1 AND id = $2");

	db_bind_i64(&query, QUEUE_ACCOUNT);
	db_bind_i64(&query, item->message);
	db_bind_i64(&query, release_ms);
	db_run(&query);
}

/* The time that it may wait begins anew. */
static void set_due(struct db *db, const struct queue_item *item, int64_t due_ms)
{
	int64_t began_ms = item->timing.release_ms > item->created_ms ? item->timing.release_ms : item->created_ms;
	struct db_query query =
		db_query(db, "UPDATE queue_recipient SET due_ms = $3, expires_ms = $4 WHERE account = $1 AND id = $2");

	db_bind_i64(&query, QUEUE_ACCOUNT);
	db_bind_i64(&query, item->id);
	db_bind_i64(&query, due_ms);
	db_bind_i64(&query, due_ms + (item->expires_ms - began_ms));
	db_run(&query);
}

static bool schedule(struct db *db, const struct queue_item *item, int64_t at_ms)
{
	struct arena arena SCOPED_ARENA;
	struct buf detail;
	struct trace_step step = {
		.at_ms = clock_wall_ms(), .queue_id = item->queue_id, .event = SLICE("scheduled"), .subject = item->recipient};

	if (item->in_hand)
		return false;
	set_release(db, item, at_ms);
	set_due(db, item, at_ms);
	buf_init(&detail, &arena, 0);
	clock_format_rfc3339(&detail, at_ms);
	step.detail = buf_slice(&detail);
	if (item->queue_id.len > 0)
		trace_insert(db, &step, 0, SLICE_EMPTY);
	return true;
}

static bool remove_item(struct db *db, const struct queue_item *item, int64_t at_ms)
{
	(void)at_ms;
	struct trace_step step = {
		.at_ms = clock_wall_ms(), .queue_id = item->queue_id, .event = SLICE("removed"), .subject = item->recipient};

	if (!queue_drop_recipient(db, item->id, item->message))
		return false;
	if (item->queue_id.len > 0)
		trace_insert(db, &step, 0, SLICE_EMPTY);
	return true;
}

struct act_work {
	const struct queue_filter *filter;
	bool (*act)(struct db *db, const struct queue_item *item, int64_t at_ms); /* false: it was left alone */
	int64_t at_ms;                                                            /* of schedule */
	int64_t after, last;
	bool is_last;
	struct queue_acted acted;
};

static enum status act_on_page(struct db *db, void *context)
{
	struct act_work *work = context;
	struct arena arena SCOPED_ARENA;

	arena_init(&arena, ROWS_MEMORY);
	struct page page = read_page(db, &arena, work->filter, work->after);

	work->acted = (struct queue_acted){0};
	for (size_t i = 0; i < page.items.count && db_status(db) == STATUS_OK; i++) {
		const struct queue_item *item = (const struct queue_item *)page.items.items + i;

		work->acted.count += work->act(db, item, work->at_ms);
		work->acted.in_hand += item->in_hand;
	}
	work->last = page.last;
	work->is_last = page.is_last;
	return page.items.failed ? STATUS_LIMIT : db_status(db);
}

static enum status act_at(struct store *store, const struct queue_filter *filter, enum queue_action action, int64_t at_ms,
			  struct queue_acted *acted)
{
	static bool (*const acts[])(struct db *db, const struct queue_item *item, int64_t at_ms) = {
		[QUEUE_RETRY] = retry,
		[QUEUE_HOLD] = hold,
		[QUEUE_RELEASE] = let_go,
		[QUEUE_REMOVE] = remove_item,
		[QUEUE_SCHEDULE] = schedule};
	struct act_work work = {.filter = filter, .act = acts[action], .at_ms = at_ms, .after = filter->after};

	*acted = (struct queue_acted){0};
	do {
		enum status status = db_write(store->pool, act_on_page, &work);

		if (status != STATUS_OK)
			return status;
		acted->count += work.acted.count;
		acted->in_hand += work.acted.in_hand;
		work.after = work.last;
	} while (!work.is_last);
	return STATUS_OK;
}

enum status queue_act(struct store *store, const struct queue_filter *filter, enum queue_action action, struct queue_acted *acted)
{
	return act_at(store, filter, action, clock_wall_ms(), acted);
}

enum status queue_schedule(struct store *store, const struct queue_filter *filter, int64_t release_ms, struct queue_acted *acted)
{
	int64_t now_ms = clock_wall_ms();

	return act_at(store, filter, QUEUE_SCHEDULE, release_ms > now_ms ? release_ms : now_ms, acted);
}

static enum status act(struct store *store, const struct queue_filter *filter, enum queue_action action, size_t *count)
{
	struct queue_acted acted;
	enum status status = queue_act(store, filter, action, &acted);

	*count = acted.count;
	return status;
}

enum status queue_retry(struct store *store, const struct queue_filter *filter, size_t *count)
{
	return act(store, filter, QUEUE_RETRY, count);
}

enum status queue_hold(struct store *store, const struct queue_filter *filter, bool held, size_t *count)
{
	return act(store, filter, held ? QUEUE_HOLD : QUEUE_RELEASE, count);
}

enum status queue_remove(struct store *store, const struct queue_filter *filter, size_t *count)
{
	return act(store, filter, QUEUE_REMOVE, count);
}

/* ---- claims ---- */

struct claim_work {
	struct arena *arena;
	const struct queue_filter *filter;
	const struct queue_claim *claim;
	struct page page;
	size_t in_hand, kept;
};

/* False: a relay of another node has just taken it. */
static bool lease(struct db *db, const struct claim_work *work, const struct queue_item *item, int64_t until_ms)
{
	struct db_query query = db_query(
		db, "UPDATE queue_recipient SET due_ms = $3, node = $4 WHERE account = $1 AND id = $2 AND due_ms = $5");

	db_bind_i64(&query, QUEUE_ACCOUNT);
	db_bind_i64(&query, item->id);
	db_bind_i64(&query, until_ms);
	db_bind_bytes(&query, work->claim->node);
	db_bind_i64(&query, item->due_ms);
	db_run(&query);
	return db_changes(db) == 1;
}

/* A held one whose lease is over was in the hands of a node that is no more. */
static bool is_taken(const struct queue_item *item, int64_t now_ms)
{
	return item->in_hand && !(item->state == QUEUE_HELD && item->due_ms < now_ms);
}

static enum status claim_page(struct db *db, void *context)
{
	struct claim_work *work = context;
	int64_t now_ms = clock_wall_ms();

	work->page = read_page(db, work->arena, work->filter, work->claim->after);
	work->in_hand = work->kept = 0;
	struct queue_item *items = work->page.items.items;

	for (size_t i = 0; i < work->page.items.count && db_status(db) == STATUS_OK; i++) {
		if (is_taken(&items[i], now_ms) || !lease(db, work, &items[i], now_ms + work->claim->lease_ms))
			work->in_hand++;
		else
			items[work->kept++] = items[i];
	}
	return work->page.items.failed ? STATUS_LIMIT : db_status(db);
}

enum status queue_claim(struct store *store, struct arena *arena, const struct queue_filter *filter, struct queue_claim *claim,
			struct queue_item **items, size_t *count)
{
	struct claim_work work = {.arena = arena, .filter = filter, .claim = claim};
	enum status status = db_write(store->pool, claim_page, &work);

	*items = status == STATUS_OK ? work.page.items.items : NULL;
	*count = status == STATUS_OK ? work.kept : 0;
	if (status != STATUS_OK)
		return status;
	claim->in_hand += work.in_hand;
	claim->after = work.page.is_last ? 0 : work.page.last;
	return STATUS_OK;
}

/* ---- how much there is ---- */

static int64_t count_rows(struct db *db, const char *sql, int64_t state, int64_t due_ms)
{
	int64_t count = 0;
	struct db_query query = db_query(db, sql);

	db_bind_i64(&query, state);
	db_bind_i64(&query, due_ms);
	if (db_row(&query))
		count = db_i64(&query, 0);
	db_done(&query);
	return count;
}

enum status queue_depth(struct store *store, struct queue_depth *depth)
{
	static const char all_until[] = "SELECT count(*) FROM queue_recipient WHERE state = $1 AND due_ms <= $2";
	static const char leased[] = "SELECT count(*) FROM queue_recipient WHERE length(node) > 0 AND state = $1 AND due_ms > $2";
	struct db *db SCOPED_DB = db_acquire(store->pool);
	int64_t now_ms = clock_wall_ms();

	if (!db || db_begin(db, DB_READ) != STATUS_OK)
		return STATUS_TEMPORARY;
	depth->due = count_rows(db, all_until, QUEUE_DUE, now_ms) + count_rows(db, all_until, QUEUE_LOCAL, now_ms);
	depth->in_hand = count_rows(db, leased, QUEUE_DUE, now_ms) + count_rows(db, leased, QUEUE_LOCAL, now_ms);
	depth->waiting = count_rows(db, all_until, QUEUE_DUE, INT64_MAX) + count_rows(db, all_until, QUEUE_LOCAL, INT64_MAX) -
			 depth->due - depth->in_hand;
	depth->held = count_rows(db, all_until, QUEUE_HELD, INT64_MAX);
	enum status status = db_status(db);

	db_rollback(db);
	return status;
}
