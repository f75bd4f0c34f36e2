/* What a session does with the messages of a mailbox: load, follow, flags, expunge, copy, move. */
#include <stdlib.h>

#include "store/messages.h"
#include "store/seen.h"

/* ---- load ---- */

/* Reads all entries into malloc'd memory; `expected` many, by the mailbox's counter. */
static enum status load_entries(struct db *db, int64_t account, int64_t mailbox, size_t expected,
				struct mailbox_entry **entries, size_t *count)
{
	struct mailbox_entry *items = malloc((expected + 1) * sizeof *items);
	size_t n = 0;

	if (!items)
		return STATUS_TEMPORARY;
	struct db_query query = db_query(db, "SELECT uid, flags, modseq, size, email, received_ms FROM mailbox_email"
					     " WHERE account = $1 AND mailbox = $2 ORDER BY uid");

	db_bind_i64(&query, account);
	db_bind_i64(&query, mailbox);
	while (n <= expected && db_row(&query)) {
		struct mailbox_entry *entry = &items[n++];

		entry->uid = (uint32_t)db_i64(&query, 0);
		entry->flags = (uint64_t)db_i64(&query, 1);
		entry->modseq = (uint64_t)db_i64(&query, 2);
		entry->size = (uint32_t)db_i64(&query, 3);
		entry->email = db_i64(&query, 4);
		entry->received_ms = db_i64(&query, 5);
	}
	db_done(&query);
	if (db_status(db) != STATUS_OK || n != expected) {
		free(items);
		return db_status(db) != STATUS_OK ? db_status(db) : STATUS_BUG;
	}
	*entries = items;
	*count = n;
	return STATUS_OK;
}

enum status mailbox_load(struct store *store, struct arena *arena, int64_t account, int64_t id, struct mailbox *mailbox,
			 struct mailbox_entry **entries, size_t *count)
{
	struct db *db SCOPED_DB = db_acquire(store->pool);

	*entries = NULL;
	*count = 0;
	if (!db || db_begin(db, DB_READ) != STATUS_OK)
		return STATUS_TEMPORARY;
	bool found = mailbox_read(db, arena, account, id, mailbox);

	return found ? load_entries(db, account, id, mailbox->messages, entries, count) : read_status(db, false);
}

/* ---- follow ---- */

static int compare_ranges(const void *a, const void *b)
{
	const struct uid_range *left = a, *right = b;

	return left->first < right->first ? -1 : left->first > right->first;
}

static int compare_uids(const void *a, const void *b)
{
	uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

	return left < right ? -1 : left > right;
}

/* How far back does the account's log reach? */
static bool log_reaches(struct db *db, int64_t account, uint64_t modseq)
{
	bool reaches = false;
	struct db_query query = db_query(db, "SELECT log_modseq FROM account WHERE id = $1");

	db_bind_i64(&query, account);
	if (db_row(&query))
		reaches = (uint64_t)db_i64(&query, 0) <= modseq;
	db_done(&query);
	return reaches;
}

static void add_uids(struct list *uids, uint32_t first, uint32_t last)
{
	uint32_t *uid;

	for (uint64_t u = first; u <= last && (uid = list_add(uids)); u++)
		*uid = (uint32_t)u;
}

/* Ranges of what is new or changed, and uids that are gone, from the log. */
static void read_log(struct db *db, int64_t account, int64_t mailbox, uint64_t modseq, struct list *ranges,
		     struct list *expunged)
{
	struct db_query query = db_query(
		db, "SELECT kind, first_uid, last_uid FROM change WHERE account = $1 AND modseq > $2 AND mailbox = $3");
	struct uid_range *range;

	db_bind_i64(&query, account);
	db_bind_i64(&query, (int64_t)modseq);
	db_bind_i64(&query, mailbox);
	while (db_row(&query)) {
		uint32_t first = (uint32_t)db_i64(&query, 1), last = (uint32_t)db_i64(&query, 2);

		if (db_i64(&query, 0) == CHANGE_EXPUNGED)
			add_uids(expunged, first, last);
		else if (db_i64(&query, 0) == CHANGE_MESSAGES && (range = list_add(ranges)))
			*range = (struct uid_range){first, last};
	}
	db_done(&query);
}

static void read_changed(struct db *db, int64_t account, int64_t mailbox, uint64_t modseq, struct uid_range range,
			 struct list *entries)
{
	struct mailbox_entry *entry;
	struct db_query query =
		db_query(db, "SELECT uid, flags, modseq, size, email, received_ms FROM mailbox_email"
			     " WHERE account = $1 AND mailbox = $2 AND uid >= $3 AND uid <= $4 AND modseq > $5 ORDER BY uid");

	db_bind_i64(&query, account);
	db_bind_i64(&query, mailbox);
	db_bind_i64(&query, range.first);
	db_bind_i64(&query, range.last);
	db_bind_i64(&query, (int64_t)modseq);
	while (db_row(&query) && (entry = list_add(entries)))
		*entry = (struct mailbox_entry){
			.uid = (uint32_t)db_i64(&query, 0),
			.flags = (uint64_t)db_i64(&query, 1),
			.modseq = (uint64_t)db_i64(&query, 2),
			.size = (uint32_t)db_i64(&query, 3),
			.email = db_i64(&query, 4),
			.received_ms = db_i64(&query, 5),
		};
	db_done(&query);
}

/* Overlapping and neighbouring ranges are read as one. */
static void read_ranges(struct db *db, int64_t account, int64_t mailbox, uint64_t modseq, struct list *ranges,
			struct list *entries)
{
	struct uid_range *items = ranges->items;

	if (ranges->count > 0)
		qsort(items, ranges->count, sizeof *items, compare_ranges);
	for (size_t i = 0; i < ranges->count;) {
		struct uid_range range = items[i++];

		for (; i < ranges->count && items[i].first <= (uint64_t)range.last + 1; i++)
			if (items[i].last > range.last)
				range.last = items[i].last;
		read_changed(db, account, mailbox, modseq, range, entries);
	}
}

enum status mailbox_changes_since(struct store *store, struct arena *arena, int64_t account, int64_t id, uint64_t modseq,
				  struct mailbox_changes *changes)
{
	struct db *db SCOPED_DB = db_acquire(store->pool);
	struct list ranges = LIST(arena, struct uid_range), entries = LIST(arena, struct mailbox_entry),
		    expunged = LIST(arena, uint32_t);

	*changes = (struct mailbox_changes){0};
	if (!db || db_begin(db, DB_READ) != STATUS_OK)
		return STATUS_TEMPORARY;
	if (!mailbox_read(db, arena, account, id, &changes->mailbox))
		return read_status(db, false);
	if (changes->mailbox.highest_modseq <= modseq)
		return STATUS_OK;
	changes->too_old = !log_reaches(db, account, modseq);
	if (changes->too_old)
		return db_status(db);
	read_log(db, account, id, modseq, &ranges, &expunged);
	read_ranges(db, account, id, modseq, &ranges, &entries);
	if (expunged.count > 0)
		qsort(expunged.items, expunged.count, sizeof(uint32_t), compare_uids);
	changes->changed = entries.items;
	changes->changed_count = entries.count;
	changes->expunged = expunged.items;
	changes->expunged_count = expunged.count;
	return ranges.failed || entries.failed || expunged.failed ? STATUS_LIMIT : db_status(db);
}

static void read_expunged(struct db *db, int64_t account, int64_t mailbox, uint64_t modseq, struct list *ranges)
{
	struct db_query query = db_query(db, "SELECT first_uid, last_uid FROM change WHERE account = $1 AND modseq > $2"
					     " AND mailbox = $3 AND kind = $4");
	struct uid_range *range;

	db_bind_i64(&query, account);
	db_bind_i64(&query, (int64_t)modseq);
	db_bind_i64(&query, mailbox);
	db_bind_i64(&query, CHANGE_EXPUNGED);
	while (db_row(&query) && (range = list_add(ranges)))
		*range = (struct uid_range){(uint32_t)db_i64(&query, 0), (uint32_t)db_i64(&query, 1)};
	db_done(&query);
}

/* A uid is expunged once, so runs don't overlap; neighbours become one. */
static void join_ranges(struct list *ranges)
{
	struct uid_range *items = ranges->items;
	size_t count = 0;

	if (ranges->count > 0)
		qsort(items, ranges->count, sizeof *items, compare_ranges);
	for (size_t i = 0; i < ranges->count; i++) {
		if (count > 0 && items[i].first <= (uint64_t)items[count - 1].last + 1)
			items[count - 1].last = items[i].last > items[count - 1].last ? items[i].last : items[count - 1].last;
		else
			items[count++] = items[i];
	}
	ranges->count = count;
}

enum status mailbox_expunged_since(struct store *store, struct arena *arena, int64_t account, int64_t id, uint64_t modseq,
				   struct uid_range **ranges, size_t *count, bool *too_old)
{
	struct db *db SCOPED_DB = db_acquire(store->pool);
	struct list list = LIST(arena, struct uid_range);

	*ranges = NULL;
	*count = 0;
	if (!db || db_begin(db, DB_READ) != STATUS_OK)
		return STATUS_TEMPORARY;
	*too_old = !log_reaches(db, account, modseq);
	if (*too_old)
		return db_status(db);
	read_expunged(db, account, id, modseq, &list);
	join_ranges(&list);
	*ranges = list.items;
	*count = list.count;
	return list.failed ? STATUS_LIMIT : db_status(db);
}

/* ---- flags ---- */

struct flag_work {
	struct arena *arena;
	int64_t account, mailbox;
	const struct flag_request *request;
	struct list modified;
	uint64_t modseq;
	struct seen_set seen;     /* request->seen_by's */
	struct list seen_changed; /* uids */
};

static uint64_t flags_after(const struct flag_request *request, uint64_t flags)
{
	uint64_t change = request->flags & ~request->kept;

	switch (request->change) {
	case FLAGS_ADD:
		return flags | change;
	case FLAGS_REMOVE:
		return flags & ~change;
	case FLAGS_REPLACE:
		break;
	}
	return (flags & request->kept) | change;
}

/* What of the change isn't in the message's flags is noted apart. Returns the flags that are. */
static uint64_t take_seen(struct flag_work *work, const struct mailbox_entry *entry, uint64_t before, uint64_t after)
{
	uint32_t *uid;

	if (work->request->seen_by == 0)
		return after;
	if ((before ^ after) & FLAG_SEEN && (uid = list_add(&work->seen_changed)))
		*uid = entry->uid;
	return (after & ~(uint64_t)FLAG_SEEN) | (entry->flags & FLAG_SEEN);
}

static void set_flags(struct db *db, const struct mailbox_row *mailbox, uint32_t uid, uint64_t flags, uint64_t modseq)
{
	struct db_query query = db_query(db, "UPDATE mailbox_email SET flags = $4, modseq = $5"
					     " WHERE account = $1 AND mailbox = $2 AND uid = $3");

	db_bind_i64(&query, mailbox->account);
	db_bind_i64(&query, mailbox->id);
	db_bind_i64(&query, uid);
	db_bind_i64(&query, (int64_t)flags);
	db_bind_i64(&query, (int64_t)modseq);
	db_run(&query);
}

static void count_flags(struct mailbox_row *mailbox, uint64_t before, uint64_t after)
{
	mailbox->unseen += !(after & FLAG_SEEN) - !(before & FLAG_SEEN);
	mailbox->deleted += !!(after & FLAG_DELETED) - !!(before & FLAG_DELETED);
}

/* RFC 7162 section 3.1.3: one that changed after unchanged_since stays as it is and is told. */
static bool is_left_alone(struct flag_work *work, const struct mailbox_entry *entry)
{
	if (entry->modseq <= work->request->unchanged_since)
		return false;
	uint32_t *uid = list_add(&work->modified);

	if (uid)
		*uid = entry->uid;
	return true;
}

static void change_entries(struct db *db, struct flag_work *work, struct account_row *account, struct mailbox_row *mailbox,
			   const struct list *entries)
{
	struct change_run run = {account->id, mailbox->id, 0, CHANGE_MESSAGES, 0, 0};
	const struct mailbox_entry *items = entries->items;

	for (size_t i = 0; i < entries->count && db_status(db) == STATUS_OK; i++) {
		uint64_t before =
			work->request->seen_by ? seen_flags(&work->seen, items[i].uid, items[i].flags) : items[i].flags;
		uint64_t flags = flags_after(work->request, before);

		if (is_left_alone(work, &items[i]) || flags == before)
			continue;
		flags = take_seen(work, &items[i], before, flags);
		if (work->modseq == 0)
			run.modseq = work->modseq = mailbox->highest_modseq = counters_modseq(db, account);
		set_flags(db, mailbox, items[i].uid, flags, run.modseq);
		count_flags(mailbox, items[i].flags, flags);
		change_run_add(db, &run, items[i].uid);
	}
	change_run_end(db, &run);
	/* All of a request change in the same direction. */
	seen_note(db, account->id, mailbox->id, work->request->seen_by, work->seen_changed.items, work->seen_changed.count,
		  work->request->change != FLAGS_REMOVE && work->request->flags & FLAG_SEEN);
}

static enum status change_flags(struct db *db, void *context)
{
	struct flag_work *work = context;
	struct arena arena SCOPED_ARENA;
	struct list entries = LIST(&arena, struct mailbox_entry);

	work->modified = LIST(work->arena, uint32_t);
	work->seen_changed = LIST(work->arena, uint32_t);
	work->modseq = 0;
	struct account_row *account = counters_account(db, work->account);
	struct mailbox_row *mailbox = account ? counters_mailbox(db, work->account, work->mailbox) : NULL;

	if (!mailbox)
		return counters_missing(db);
	messages_read(db, work->account, work->mailbox, work->request->uids, work->request->uid_count, &entries);
	seen_read(db, work->arena, work->account, work->mailbox, work->request->seen_by, &work->seen);
	if (!entries.failed)
		change_entries(db, work, account, mailbox, &entries);
	return entries.failed || work->modified.failed || work->seen_changed.failed ? STATUS_LIMIT : db_status(db);
}

enum status mailbox_change_flags(struct store *store, struct arena *arena, int64_t account, int64_t id,
				 const struct flag_request *request, uint32_t **modified, size_t *modified_count,
				 uint64_t *modseq)
{
	struct flag_work work = {.arena = arena, .account = account, .mailbox = id, .request = request};
	enum status status = request->uid_count > 0 ? db_write(store->pool, change_flags, &work) : STATUS_OK;

	if (modified) {
		*modified = status == STATUS_OK ? work.modified.items : NULL;
		*modified_count = status == STATUS_OK ? work.modified.count : 0;
	}
	if (modseq)
		*modseq = status == STATUS_OK ? work.modseq : 0;
	return status;
}

/* ---- expunge ---- */

enum status mailbox_deleted_uids(struct store *store, struct arena *arena, int64_t account, int64_t id, uint32_t **uids,
				 size_t *count)
{
	struct db *db SCOPED_DB = db_acquire(store->pool);
	struct list list = LIST(arena, uint32_t);
	uint32_t *uid;

	if (!db)
		return STATUS_TEMPORARY;
	/* The counter tells the usual case without a look at the messages. */
	struct db_query query = db_query(db, "SELECT e.uid FROM mailbox m CROSS JOIN mailbox_email e WHERE m.account = $1 AND m.id = $2"
					     " AND m.deleted > 0 AND e.account = m.account AND e.mailbox = m.id"
					     " AND (e.flags & $3) <> 0 ORDER BY e.uid");

	db_bind_i64(&query, account);
	db_bind_i64(&query, id);
	db_bind_i64(&query, FLAG_DELETED);
	while (db_row(&query) && (uid = list_add(&list)))
		*uid = (uint32_t)db_i64(&query, 0);
	db_done(&query);
	*uids = list.items;
	*count = list.count;
	return list.failed ? STATUS_LIMIT : db_status(db);
}

struct expunge_work {
	struct arena *arena;
	int64_t account, mailbox;
	const uint32_t *uids;
	size_t uid_count;
	struct list expunged;
};

/* Keeps those with \Deleted. */
static void keep_deleted(struct list *entries)
{
	struct mailbox_entry *items = entries->items;
	size_t kept = 0;

	for (size_t i = 0; i < entries->count; i++)
		if (items[i].flags & FLAG_DELETED)
			items[kept++] = items[i];
	entries->count = kept;
}

static enum status expunge(struct db *db, void *context)
{
	struct expunge_work *work = context;
	struct arena arena SCOPED_ARENA;
	struct list entries = LIST(&arena, struct mailbox_entry);
	struct account_row *account = counters_account(db, work->account);
	struct mailbox_row *mailbox = account ? counters_mailbox(db, work->account, work->mailbox) : NULL;

	work->expunged = LIST(work->arena, uint32_t);
	if (!mailbox)
		return counters_missing(db);
	if (mailbox->deleted == 0)
		return STATUS_OK;
	messages_read(db, work->account, work->mailbox, work->uids, work->uid_count, &entries);
	if (entries.failed)
		return STATUS_LIMIT;
	keep_deleted(&entries);
	messages_remove(db, account, mailbox, entries.items, entries.count);
	for (size_t i = 0; i < entries.count; i++) {
		uint32_t *uid = list_add(&work->expunged);

		if (!uid)
			return STATUS_LIMIT;
		*uid = ((struct mailbox_entry *)entries.items)[i].uid;
	}
	return db_status(db);
}

enum status mailbox_expunge(struct store *store, struct arena *arena, int64_t account, int64_t id, const uint32_t *uids,
			    size_t uid_count, uint32_t **expunged, size_t *expunged_count)
{
	struct expunge_work work = {.arena = arena, .account = account, .mailbox = id, .uids = uids, .uid_count = uid_count};
	enum status status = db_write(store->pool, expunge, &work);

	*expunged = status == STATUS_OK ? work.expunged.items : NULL;
	*expunged_count = status == STATUS_OK ? work.expunged.count : 0;
	return status;
}

/* ---- copy and move ---- */

struct copy_work {
	int64_t account, from, to;
	const uint32_t *uids;
	size_t uid_count;
	bool move;
	uint32_t *source, *target;
	size_t count;
	uint32_t uid_validity;
};

/* So many at a time: their rows needn't be in memory all together. */
static enum status copy_piece(struct db *db, struct copy_work *work, struct account_row *account, struct mailbox_row *from,
			      struct mailbox_row *to, const uint32_t *uids, size_t uid_count)
{
	struct arena arena SCOPED_ARENA;
	struct list entries = LIST(&arena, struct mailbox_entry);

	messages_read(db, work->account, work->from, uids, uid_count, &entries);
	if (entries.failed)
		return STATUS_LIMIT;
	for (size_t i = 0; i < entries.count; i++)
		work->source[work->count + i] = ((struct mailbox_entry *)entries.items)[i].uid;
	enum status status = messages_copy(db, account, from, to, entries.items, NULL, entries.count, work->move,
					   work->target + work->count);

	work->count += entries.count;
	return status;
}

static enum status copy(struct db *db, void *context)
{
	struct copy_work *work = context;
	enum status status = STATUS_OK;
	struct account_row *account = counters_account(db, work->account);
	struct mailbox_row *from = account ? counters_mailbox(db, work->account, work->from) : NULL;
	struct mailbox_row *to = from ? counters_mailbox(db, work->account, work->to) : NULL;

	work->count = 0;
	if (!to)
		return counters_missing(db);
	if (!to->selectable)
		return STATUS_NOT_FOUND;
	work->uid_validity = to->uid_validity;
	for (size_t at = 0; at < work->uid_count && status == STATUS_OK; at += MESSAGES_AT_ONCE) {
		size_t left = work->uid_count - at;

		status = copy_piece(db, work, account, from, to, work->uids + at, left < MESSAGES_AT_ONCE ? left : MESSAGES_AT_ONCE);
	}
	return status;
}

enum status mailbox_copy(struct store *store, struct arena *arena, int64_t account, int64_t from, int64_t to,
			 const uint32_t *uids, size_t uid_count, bool move, uint32_t **source, uint32_t **target, size_t *count,
			 uint32_t *uid_validity)
{
	struct copy_work work = {.account = account, .from = from, .to = to, .uids = uids, .uid_count = uid_count, .move = move};

	work.source = arena_try_alloc(arena, (uid_count + 1) * sizeof(*work.source));
	work.target = arena_try_alloc(arena, (uid_count + 1) * sizeof(*work.target));
	if (!work.source || !work.target)
		return STATUS_LIMIT;
	enum status status = uid_count > 0 ? db_write(store->pool, copy, &work) : STATUS_OK;

	*count = status == STATUS_OK ? work.count : 0;
	*source = work.source;
	*target = work.target;
	*uid_validity = work.uid_validity;
	return status;
}
