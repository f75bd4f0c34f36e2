/* Invariant: an item's row and its message are made in one transaction. */
#include "store/import.h"

#include <stdlib.h>

#include "store/messages.h"

/* Beyond it the mailboxes that are made later would have no UIDVALIDITY left. */
#define UID_VALIDITY_MAX UINT32_C(4000000000)

/* ---- sources ---- */

struct open_work {
	const struct import_request *request;
	struct import_source source;
};

static bool read_source(struct db *db, const struct import_request *request, struct import_source *source)
{
	struct db_query query = db_query(db, "SELECT id, mailbox, uid_validity, next_uid, keeps_uids FROM import_source"
					     " WHERE account = $1 AND name = $2");

	db_bind_i64(&query, request->account);
	db_bind_bytes(&query, request->source);
	bool found = db_row(&query);

	if (found)
		*source = (struct import_source){
			.account = request->account,
			.id = db_i64(&query, 0),
			.mailbox = db_i64(&query, 1),
			.uid_validity = (uint32_t)db_i64(&query, 2),
			.next_uid = (uint32_t)db_i64(&query, 3),
			.keeps_uids = db_i64(&query, 4) != 0,
		};
	db_done(&query);
	return found;
}

static int64_t next_source(struct db *db, int64_t account)
{
	int64_t id = 1;
	struct db_query query = db_query(db, "SELECT coalesce(max(id), 0) + 1 FROM import_source WHERE account = $1");

	db_bind_i64(&query, account);
	if (db_row(&query))
		id = db_i64(&query, 0);
	db_done(&query);
	return id;
}

static void insert_source(struct db *db, const struct import_source *source, struct slice name)
{
	struct db_query query =
		db_query(db, "INSERT INTO import_source (account, id, mailbox, uid_validity, keeps_uids, next_uid,"
			     " name) VALUES ($1, $2, $3, $4, $5, $6, $7)");

	db_bind_i64(&query, source->account);
	db_bind_i64(&query, source->id);
	db_bind_i64(&query, source->mailbox);
	db_bind_i64(&query, source->uid_validity);
	db_bind_i64(&query, source->keeps_uids);
	db_bind_i64(&query, source->next_uid);
	db_bind_bytes(&query, name);
	db_run(&query);
}

/* Its uids begin anew: sessions must not mix up those that were with those that come, so they load afresh. */
static void forget_changes(struct db *db, struct account_row *account)
{
	int64_t modseq = (int64_t)counters_modseq(db, account);
	struct db_query query = db_query(db, "UPDATE account SET log_modseq = $2 WHERE id = $1");

	db_bind_i64(&query, account->id);
	db_bind_i64(&query, modseq);
	db_run(&query);
	query = db_query(db, "DELETE FROM change WHERE account = $1 AND modseq <= $2");
	db_bind_i64(&query, account->id);
	db_bind_i64(&query, modseq);
	db_run(&query);
}

/* The empty mailbox becomes the source's, to clients. */
static bool take_over(struct db *db, struct account_row *account, struct mailbox_row *mailbox, uint32_t uid_validity)
{
	bool is_used = mailbox->uid_next > 1;

	if (mailbox->messages > 0 || uid_validity == 0 || uid_validity > UID_VALIDITY_MAX ||
	    (is_used && mailbox->uid_validity == uid_validity))
		return false;
	mailbox->uid_validity = uid_validity;
	mailbox->uid_next = 1;
	mailbox->highest_modseq = counters_modseq(db, account);
	if (account->next_uid_validity <= uid_validity)
		account->next_uid_validity = (int64_t)uid_validity + 1;
	if (is_used)
		forget_changes(db, account);
	change_note_mailbox(db, account->id, mailbox->highest_modseq, mailbox->id, CHANGE_MAILBOX);
	return true;
}

static enum status open_source(struct db *db, void *context)
{
	struct open_work *work = context;
	const struct import_request *request = work->request;
	struct account_row *account = counters_account(db, request->account);
	bool made;

	if (!account)
		return counters_missing(db);
	if (read_source(db, request, &work->source)) {
		bool is_same = work->source.uid_validity == request->uid_validity;

		work->source.keeps_uids &= is_same;
		return is_same || !request->items_are_uids ? STATUS_OK : STATUS_REFUSED;
	}
	work->source =
		(struct import_source){.account = request->account, .uid_validity = request->uid_validity, .next_uid = 1};
	enum status status = mailbox_ensure(db, account, request->mailbox, request->role, &work->source.mailbox, &made);
	struct mailbox_row *mailbox = status == STATUS_OK ? counters_mailbox(db, request->account, work->source.mailbox) : NULL;

	if (!mailbox)
		return status != STATUS_OK ? status : counters_missing(db);
	work->source.id = next_source(db, request->account);
	work->source.keeps_uids = take_over(db, account, mailbox, request->uid_validity);
	insert_source(db, &work->source, request->source);
	return db_status(db);
}

enum status import_open(struct store *store, const struct import_request *request, struct import_source *source)
{
	struct import_request copy = *request;
	struct open_work work = {.request = &copy};

	copy.role = request->role.data ? request->role : SLICE_EMPTY;
	enum status status = db_write(store->pool, open_source, &work);

	*source = work.source;
	return status;
}

void import_forget_mailbox(struct db *db, int64_t account, int64_t mailbox)
{
	struct db_query query = db_query(db, "DELETE FROM import_item WHERE account = $1 AND source IN"
					     " (SELECT id FROM import_source WHERE account = $1 AND mailbox = $2)");

	db_bind_i64(&query, account);
	db_bind_i64(&query, mailbox);
	db_run(&query);
	query = db_query(db, "DELETE FROM import_source WHERE account = $1 AND mailbox = $2");
	db_bind_i64(&query, account);
	db_bind_i64(&query, mailbox);
	db_run(&query);
}

/* ---- items ---- */

enum status import_items(struct store *store, struct arena *arena, const struct import_source *source,
			 struct import_item **items, size_t *count)
{
	struct db *db SCOPED_DB = db_acquire(store->pool);
	struct list list = LIST(arena, struct import_item);
	struct import_item *item;

	if (!db)
		return STATUS_TEMPORARY;
	struct db_query query =
		db_query(db, "SELECT item, flags FROM import_item WHERE account = $1 AND source = $2 ORDER BY item");

	db_bind_i64(&query, source->account);
	db_bind_i64(&query, source->id);
	while (db_row(&query) && (item = list_add(&list)))
		*item = (struct import_item){db_i64(&query, 0), (uint64_t)db_i64(&query, 1)};
	db_done(&query);
	*items = list.items;
	*count = list.count;
	return list.failed ? STATUS_LIMIT : db_status(db);
}

/* EXISTS has no place here: an error would end the transaction. */
static bool insert_item(struct db *db, const struct import_source *source, const struct import_message *message,
			uint32_t local_uid)
{
	struct db_query query = db_query(db, "INSERT INTO import_item (account, source, item, uid, local_uid, flags)"
					     " VALUES ($1, $2, $3, $4, $5, $6)");

	db_bind_i64(&query, source->account);
	db_bind_i64(&query, source->id);
	db_bind_i64(&query, message->item);
	db_bind_i64(&query, message->uid);
	db_bind_i64(&query, local_uid);
	db_bind_i64(&query, (int64_t)message->flags);
	db_run(&query);
	return db_status(db) == STATUS_OK;
}

struct item_row {
	bool found;
	uint32_t local_uid;
	uint64_t flags;
};

static struct item_row read_item(struct db *db, const struct import_source *source, int64_t item)
{
	struct item_row row = {0};
	struct db_query query =
		db_query(db, "SELECT local_uid, flags FROM import_item WHERE account = $1 AND source = $2 AND item = $3");

	db_bind_i64(&query, source->account);
	db_bind_i64(&query, source->id);
	db_bind_i64(&query, item);
	row.found = db_row(&query);
	if (row.found) {
		row.local_uid = (uint32_t)db_i64(&query, 0);
		row.flags = (uint64_t)db_i64(&query, 1);
	}
	db_done(&query);
	return row;
}

/* ---- uids ---- */

static uint32_t read_next_uid(struct db *db, const struct import_source *source)
{
	uint32_t uid = 1;
	struct db_query query = db_query(db, "SELECT next_uid FROM import_source WHERE account = $1 AND id = $2");

	db_bind_i64(&query, source->account);
	db_bind_i64(&query, source->id);
	if (db_row(&query))
		uid = (uint32_t)db_i64(&query, 0);
	db_done(&query);
	return uid;
}

static void write_next_uid(struct db *db, const struct import_source *source, uint32_t next_uid)
{
	struct db_query query = db_query(db, "UPDATE import_source SET next_uid = $3 WHERE account = $1 AND id = $2");

	db_bind_i64(&query, source->account);
	db_bind_i64(&query, source->id);
	db_bind_i64(&query, next_uid);
	db_run(&query);
}

/* Uids in [from, to) under which the message is the one that the source has under it. */
static void read_same(struct db *db, const struct import_source *source, uint32_t from, uint32_t to, struct list *uids)
{
	uint32_t *uid;
	struct db_query query =
		db_query(db, "SELECT local_uid FROM import_item WHERE account = $1 AND source = $2 AND uid = local_uid"
			     " AND local_uid >= $3 AND local_uid < $4 ORDER BY local_uid");

	db_bind_i64(&query, source->account);
	db_bind_i64(&query, source->id);
	db_bind_i64(&query, from);
	db_bind_i64(&query, to);
	while (db_row(&query) && (uid = list_add(uids)))
		*uid = (uint32_t)db_i64(&query, 0);
	db_done(&query);
}

/* Entries that are others' under uids that the source has given out. */
static void keep_others(struct list *entries, const struct list *same)
{
	struct mailbox_entry *items = entries->items;
	struct uid_run run = {same->items, same->count};
	size_t kept = 0;

	for (size_t i = 0; i < entries->count; i++)
		if (!uid_run_has(&run, items[i].uid))
			items[kept++] = items[i];
	entries->count = kept;
}

static void follow_move(struct db *db, const struct import_source *source, uint32_t from, uint32_t to)
{
	struct db_query query =
		db_query(db, "UPDATE import_item SET local_uid = $4 WHERE account = $1 AND local_uid = $3"
			     " AND source IN (SELECT id FROM import_source WHERE account = $1 AND mailbox = $2)");

	db_bind_i64(&query, source->account);
	db_bind_i64(&query, source->mailbox);
	db_bind_i64(&query, from);
	db_bind_i64(&query, to);
	db_run(&query);
}

/* From now on uids below next_uid are the source's: what has one of them and isn't the source's message moves up. */
static enum status make_way(struct db *db, const struct import_source *source, struct account_row *account,
			    struct mailbox_row *mailbox, uint32_t next_uid)
{
	struct arena arena SCOPED_ARENA;
	struct list entries = LIST(&arena, struct mailbox_entry), same = LIST(&arena, uint32_t);
	uint32_t from = read_next_uid(db, source);

	if (from >= next_uid || db_status(db) != STATUS_OK)
		return db_status(db);
	write_next_uid(db, source, next_uid);
	messages_read_range(db, source->account, source->mailbox, from, next_uid - 1, &entries);
	read_same(db, source, from, next_uid, &same);
	if (entries.failed || same.failed)
		return STATUS_LIMIT;
	keep_others(&entries, &same);
	if (mailbox->uid_next < next_uid)
		mailbox->uid_next = next_uid;
	uint32_t *uids = ARENA_ARRAY(&arena, uint32_t, entries.count);
	enum status status = messages_copy(db, account, mailbox, mailbox, entries.items, NULL, entries.count, true, uids);

	for (size_t i = 0; i < entries.count && status == STATUS_OK; i++)
		follow_move(db, source, ((struct mailbox_entry *)entries.items)[i].uid, uids[i]);
	return status;
}

/* ---- adding ---- */

struct add_work {
	const struct import_source *source;
	const struct import_message *messages;
	const struct prepared_email *emails;
	size_t count, added;
	uint32_t next_uid;
};

static enum status add_one(struct db *db, struct add_work *work, size_t i, struct account_row *account,
			   struct mailbox_row *mailbox, struct change_run *run)
{
	const struct import_message *message = &work->messages[i];
	enum status status = counters_check_quota(account, 1, message->facts->size);
	uint32_t uid;

	if (status != STATUS_OK || read_item(db, work->source, message->item).found)
		return status;
	if (work->source->keeps_uids && message->uid != 0) {
		if (message->uid < mailbox->uid_next)
			status = make_way(db, work->source, account, mailbox,
					  work->next_uid > message->uid ? work->next_uid : message->uid + 1);
		else
			mailbox->uid_next = message->uid;
	}
	if (status != STATUS_OK)
		return status;
	struct place_request place = {
		.email = email_insert(db, account, &work->emails[i]),
		.size = message->facts->size,
		.flags = message->flags,
		.received_ms = message->received_ms,
		.modseq = run->modseq,
	};

	status = mailbox_place(db, account, mailbox, &place, &uid);
	if (status != STATUS_OK || !insert_item(db, work->source, message, uid))
		return status != STATUS_OK ? status : db_status(db);
	change_run_add(db, run, uid);
	work->added++;
	return STATUS_OK;
}

static enum status add(struct db *db, void *context)
{
	struct add_work *work = context;
	struct account_row *account = counters_account(db, work->source->account);
	struct mailbox_row *mailbox = account ? counters_mailbox(db, work->source->account, work->source->mailbox) : NULL;
	enum status status = STATUS_OK;

	work->added = 0;
	if (!mailbox)
		return counters_missing(db);
	if (!mailbox->selectable)
		return STATUS_NOT_FOUND;
	struct change_run run = {account->id, mailbox->id, counters_modseq(db, account), CHANGE_MESSAGES, 0, 0};

	for (size_t i = 0; i < work->count && status == STATUS_OK; i++)
		status = add_one(db, work, i, account, mailbox, &run);
	change_run_end(db, &run);
	return status != STATUS_OK ? status : db_status(db);
}

enum status import_add(struct store *store, const struct import_source *source, const struct import_message *messages,
		       size_t count, uint32_t next_uid, size_t *added)
{
	struct arena arena SCOPED_ARENA;
	struct prepared_email *emails = ARENA_ARRAY(&arena, struct prepared_email, count);
	struct add_work work = {.source = source, .messages = messages, .emails = emails, .count = count, .next_uid = next_uid};
	size_t size = 0;
	bool in_doubt; /* who runs the import again finds the items */

	for (size_t i = 0; i < count; i++) {
		emails[i].facts = *messages[i].facts;
		blob_prepare(store->codecs, &arena, SLICE_EMPTY, messages[i].facts->bytes, store->compress_from, NULL, &emails[i].blob);
		size += messages[i].facts->bytes.len;
	}
	enum status status = count > 0 ? db_write_sized(store->pool, add, &work, size, &in_doubt) : STATUS_OK;

	*added = status == STATUS_OK ? work.added : 0;
	return status;
}

static enum status settle(struct db *db, void *context)
{
	const struct add_work *work = context;
	struct account_row *account = counters_account(db, work->source->account);
	struct mailbox_row *mailbox = account ? counters_mailbox(db, work->source->account, work->source->mailbox) : NULL;

	return mailbox ? make_way(db, work->source, account, mailbox, work->next_uid) : counters_missing(db);
}

enum status import_settle(struct store *store, const struct import_source *source, uint32_t next_uid)
{
	struct add_work work = {.source = source, .next_uid = next_uid};

	return source->keeps_uids && next_uid > 0 ? db_write(store->pool, settle, &work) : STATUS_OK;
}

/* ---- what changed at the source ---- */

struct follow_work {
	const struct import_source *source;
	const struct import_item *flags;
	const int64_t *items;
	size_t count, removed;
};

static bool read_entry(struct db *db, const struct import_source *source, uint32_t uid, struct mailbox_entry *entry)
{
	struct arena arena SCOPED_ARENA;
	struct list entries = LIST(&arena, struct mailbox_entry);

	messages_read(db, source->account, source->mailbox, &uid, 1, &entries);
	if (entries.count > 0)
		*entry = *(struct mailbox_entry *)entries.items;
	return entries.count > 0;
}

static void write_item_flags(struct db *db, const struct import_source *source, const struct import_item *item)
{
	struct db_query query =
		db_query(db, "UPDATE import_item SET flags = $4 WHERE account = $1 AND source = $2 AND item = $3");

	db_bind_i64(&query, source->account);
	db_bind_i64(&query, source->id);
	db_bind_i64(&query, item->item);
	db_bind_i64(&query, (int64_t)item->flags);
	db_run(&query);
}

static enum status follow_flags(struct db *db, void *context)
{
	const struct follow_work *work = context;
	struct account_row *account = counters_account(db, work->source->account);
	struct mailbox_row *mailbox = account ? counters_mailbox(db, work->source->account, work->source->mailbox) : NULL;

	if (!mailbox)
		return counters_missing(db);
	for (size_t i = 0; i < work->count && db_status(db) == STATUS_OK; i++) {
		struct item_row row = read_item(db, work->source, work->flags[i].item);
		uint64_t added = work->flags[i].flags & ~row.flags, gone = row.flags & ~work->flags[i].flags;
		struct mailbox_entry entry;

		if (!row.found || (added | gone) == 0)
			continue;
		write_item_flags(db, work->source, &work->flags[i]);
		if (read_entry(db, work->source, row.local_uid, &entry))
			messages_set_flags(db, account, mailbox, &entry, (entry.flags | added) & ~gone);
	}
	return db_status(db);
}

enum status import_flags(struct store *store, const struct import_source *source, const struct import_item *items, size_t count)
{
	struct follow_work work = {.source = source, .flags = items, .count = count};

	return count > 0 ? db_write(store->pool, follow_flags, &work) : STATUS_OK;
}

static void delete_item(struct db *db, const struct import_source *source, int64_t item)
{
	struct db_query query = db_query(db, "DELETE FROM import_item WHERE account = $1 AND source = $2 AND item = $3");

	db_bind_i64(&query, source->account);
	db_bind_i64(&query, source->id);
	db_bind_i64(&query, item);
	db_run(&query);
}

static int compare_entries(const void *a, const void *b)
{
	const struct mailbox_entry *x = a, *y = b;

	return (x->uid > y->uid) - (x->uid < y->uid);
}

static enum status follow_removals(struct db *db, void *context)
{
	struct follow_work *work = context;
	struct arena arena SCOPED_ARENA;
	struct list entries = LIST(&arena, struct mailbox_entry);
	struct account_row *account = counters_account(db, work->source->account);
	struct mailbox_row *mailbox = account ? counters_mailbox(db, work->source->account, work->source->mailbox) : NULL;

	if (!mailbox)
		return counters_missing(db);
	for (size_t i = 0; i < work->count && db_status(db) == STATUS_OK; i++) {
		struct item_row row = read_item(db, work->source, work->items[i]);
		struct mailbox_entry entry, *kept;

		delete_item(db, work->source, work->items[i]);
		if (row.found && read_entry(db, work->source, row.local_uid, &entry) && (kept = list_add(&entries)))
			*kept = entry;
	}
	if (entries.count > 0)
		qsort(entries.items, entries.count, sizeof(struct mailbox_entry), compare_entries);
	messages_remove(db, account, mailbox, entries.items, entries.count);
	work->removed = entries.count;
	return entries.failed ? STATUS_LIMIT : db_status(db);
}

enum status import_remove(struct store *store, const struct import_source *source, const int64_t *items, size_t count,
			  size_t *removed)
{
	struct follow_work work = {.source = source, .items = items, .count = count};
	enum status status = count > 0 ? db_write(store->pool, follow_removals, &work) : STATUS_OK;

	*removed = status == STATUS_OK ? work.removed : 0;
	return status;
}
