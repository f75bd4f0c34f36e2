/* Mailboxes deleted and renamed. */
#include "base/clock.h"
#include "store/annotation_internal.h"
#include "store/url_key_internal.h"
#include "store/messages.h"
#include "store/rights_internal.h"

/* Names below `name`: from "name/" up to, but not including, "name0" ("0" follows "/"). */
struct below {
	struct slice from, to;
};

static struct below below_of(struct arena *arena, struct slice name)
{
	return (struct below){
		.from = slice_join(arena, (const struct slice[]){name, SLICE("/")}, 2),
		.to = slice_join(arena, (const struct slice[]){name, SLICE("0")}, 2),
	};
}

static struct slice name_of(struct db *db, struct arena *arena, int64_t account, int64_t id)
{
	struct slice name = slice_of(NULL, 0);
	struct db_query query = db_query(db, "SELECT name FROM mailbox WHERE account = $1 AND id = $2");

	db_bind_i64(&query, account);
	db_bind_i64(&query, id);
	if (db_row(&query))
		name = slice_dup(arena, db_slice(&query, 0));
	db_done(&query);
	return name;
}

struct child {
	int64_t id;
	struct slice name;
};

static void find_below(struct db *db, struct arena *arena, int64_t account, struct slice name, struct list *children)
{
	struct below below = below_of(arena, name);
	struct child *child;
	struct db_query query =
		db_query(db, "SELECT id, name FROM mailbox WHERE account = $1 AND name >= $2 AND name < $3 ORDER BY name");

	db_bind_i64(&query, account);
	db_bind_text(&query, below.from);
	db_bind_text(&query, below.to);
	while (db_row(&query) && (child = list_add(children)))
		*child = (struct child){db_i64(&query, 0), slice_dup(arena, db_slice(&query, 1))};
	db_done(&query);
}

static bool has_below(struct db *db, struct arena *arena, int64_t account, struct slice name)
{
	struct below below = below_of(arena, name);
	struct db_query query = db_query(db, "SELECT 1 FROM mailbox WHERE account = $1 AND name >= $2 AND name < $3 LIMIT 1");

	db_bind_i64(&query, account);
	db_bind_text(&query, below.from);
	db_bind_text(&query, below.to);
	bool found = db_row(&query);

	db_done(&query);
	return found;
}

static bool name_is_taken(struct db *db, int64_t account, struct slice name)
{
	struct db_query query = db_query(db, "SELECT 1 FROM mailbox WHERE account = $1 AND name = $2");

	db_bind_i64(&query, account);
	db_bind_text(&query, name);
	bool taken = db_row(&query);

	db_done(&query);
	return taken;
}

/* ---- delete ---- */

struct delete_work {
	int64_t account, mailbox;
	int64_t now_ms; /* before those of its messages: what was expunged since then comes back with it */
	size_t left;    /* messages, after remove_some */
};

static void delete_row(struct db *db, int64_t account, int64_t mailbox)
{
	struct db_query query = db_query(db, "DELETE FROM mailbox WHERE account = $1 AND id = $2");

	db_bind_i64(&query, account);
	db_bind_i64(&query, mailbox);
	db_run(&query);
}

static void make_level(struct db *db, int64_t account, int64_t mailbox)
{
	struct db_query query = db_query(db, "UPDATE mailbox SET selectable = 0, role = '', deleting_ms = 0 WHERE account = $1 AND id = $2");

	db_bind_i64(&query, account);
	db_bind_i64(&query, mailbox);
	db_run(&query);
}

/* What an interrupted deletion has removed belongs to the next. */
static void note_beginning(struct db *db, const struct delete_work *work)
{
	struct db_query query =
		db_query(db, "UPDATE mailbox SET deleting_ms = $3 WHERE account = $1 AND id = $2 AND deleting_ms = 0");

	db_bind_i64(&query, work->account);
	db_bind_i64(&query, work->mailbox);
	db_bind_i64(&query, work->now_ms);
	db_run(&query);
}

/* A large mailbox is emptied in parts first: nobody waits for all of it. What is small is left to the last transaction. */
static enum status remove_some(struct db *db, void *context)
{
	struct delete_work *work = context;
	struct arena arena SCOPED_ARENA;
	struct list entries = LIST(&arena, struct mailbox_entry);
	struct account_row *account = counters_account(db, work->account);
	struct mailbox_row *mailbox = account ? counters_mailbox(db, work->account, work->mailbox) : NULL;

	if (!mailbox)
		return counters_missing(db);
	note_beginning(db, work);
	messages_read_some(db, work->account, work->mailbox, 0, MESSAGES_AT_ONCE, &entries);
	messages_remove(db, account, mailbox, entries.items, entries.count);
	work->left = entries.count > 0 ? mailbox->messages : 0;
	return entries.failed ? STATUS_LIMIT : db_status(db);
}

static enum status delete_mailbox(struct db *db, void *context)
{
	const struct delete_work *work = context;
	struct arena arena SCOPED_ARENA;
	struct list entries = LIST(&arena, struct mailbox_entry);
	struct account_row *account = counters_account(db, work->account);
	struct mailbox_row *mailbox = account ? counters_mailbox(db, work->account, work->mailbox) : NULL;

	if (!mailbox)
		return counters_missing(db);
	bool has_children = has_below(db, &arena, work->account, name_of(db, &arena, work->account, work->mailbox));

	/* RFC 9051 section 6.3.5: a mere level that has levels below can't be deleted. */
	if (!mailbox->selectable && has_children)
		return STATUS_REFUSED;
	messages_read(db, work->account, work->mailbox, NULL, 0, &entries);
	messages_remove(db, account, mailbox, entries.items, entries.count);
	import_forget_mailbox(db, work->account, work->mailbox);
	rights_forget_mailbox(db, work->account, work->mailbox);
	annotation_forget_mailbox(db, work->account, work->mailbox);
	url_key_forget_mailbox(db, work->account, work->mailbox);
	if (db_keeps_deleted(db) && mailbox->selectable)
		deleted_keep_mailbox(db, work->account, work->mailbox, work->now_ms);
	mailbox->highest_modseq = counters_modseq(db, account);
	change_note_mailbox(db, work->account, mailbox->highest_modseq, work->mailbox,
			    has_children ? CHANGE_MAILBOX : CHANGE_MAILBOX_GONE);
	counters_drop(db);
	if (has_children)
		make_level(db, work->account, work->mailbox);
	else
		delete_row(db, work->account, work->mailbox);
	return db_status(db);
}

enum status mailbox_delete(struct store *store, int64_t account, int64_t id)
{
	struct delete_work work = {account, id, clock_wall_ms(), 0};
	struct arena arena SCOPED_ARENA;
	struct mailbox mailbox;
	enum status status = id == MAILBOX_INBOX_ID ? STATUS_REFUSED : mailbox_get(store, &arena, account, id, &mailbox);

	work.left = status == STATUS_OK ? mailbox.messages : 0;
	while (status == STATUS_OK && work.left > MESSAGES_AT_ONCE)
		status = db_write(store->pool, remove_some, &work);
	return status == STATUS_OK ? db_write(store->pool, delete_mailbox, &work) : status;
}

/* ---- rename ---- */

struct rename_work {
	int64_t account, mailbox;
	struct slice new_name;
};

static void set_name(struct db *db, struct account_row *account, int64_t mailbox, struct slice name)
{
	uint64_t modseq = counters_modseq(db, account);
	struct db_query query = db_query(db, "UPDATE mailbox SET name = $3 WHERE account = $1 AND id = $2");

	db_bind_i64(&query, account->id);
	db_bind_i64(&query, mailbox);
	db_bind_text(&query, name);
	db_run(&query);
	change_note_mailbox(db, account->id, modseq, mailbox, CHANGE_MAILBOX);
}

static enum status move_some(struct db *db, struct account_row *account, struct mailbox_row *from, struct mailbox_row *to)
{
	struct arena arena SCOPED_ARENA;
	struct list entries = LIST(&arena, struct mailbox_entry);
	uint32_t *uids = ARENA_ARRAY(&arena, uint32_t, MESSAGES_AT_ONCE);

	messages_read_some(db, account->id, from->id, 0, MESSAGES_AT_ONCE, &entries);
	if (entries.failed || db_status(db) != STATUS_OK)
		return entries.failed ? STATUS_LIMIT : db_status(db);
	/* A counter that is ahead of what there is, is no reason to go in circles. */
	if (entries.count == 0 && from->messages > 0)
		return STATUS_BUG;
	return messages_copy(db, account, from, to, entries.items, NULL, entries.count, true, uids);
}

/* RFC 9051 section 6.3.6: INBOX's messages move into the new mailbox; INBOX stays, and so do those below it. */
static enum status rename_inbox(struct db *db, struct account_row *account, struct slice new_name)
{
	int64_t id;
	bool made;
	enum status status = mailbox_ensure(db, account, new_name, SLICE_EMPTY, &id, &made);

	if (status != STATUS_OK || !made)
		return status != STATUS_OK ? status : STATUS_EXISTS;
	struct mailbox_row *from = counters_mailbox(db, account->id, MAILBOX_INBOX_ID);
	struct mailbox_row *to = from ? counters_mailbox(db, account->id, id) : NULL;

	if (!to)
		return counters_missing(db);
	annotation_copy(db, account->id, MAILBOX_INBOX_ID, id);
	do {
		status = move_some(db, account, from, to);
	} while (status == STATUS_OK && from->messages > 0);
	return status;
}

/* RFC 9051 section 6.3.6: the levels above the new name are made. */
static enum status ensure_levels(struct db *db, struct account_row *account, struct slice name)
{
	size_t slash = slice_find_last_byte(name, '/');
	int64_t id;
	bool made;

	if (slash == SLICE_NOT_FOUND)
		return STATUS_OK;
	if (name_is_taken(db, account->id, slice_sub(name, 0, slash)))
		return STATUS_OK;
	return mailbox_ensure(db, account, slice_sub(name, 0, slash), SLICE_EMPTY, &id, &made);
}

static enum status rename_tree(struct db *db, struct arena *arena, struct account_row *account, int64_t mailbox,
			       struct slice old_name, struct slice new_name)
{
	struct list children = LIST(arena, struct child);

	find_below(db, arena, account->id, old_name, &children);
	set_name(db, account, mailbox, new_name);
	for (size_t i = 0; i < children.count; i++) {
		const struct child *child = (const struct child *)children.items + i;
		struct slice rest = slice_skip(child->name, old_name.len), name;

		if (!mailbox_name_prepare(arena, slice_join(arena, (const struct slice[]){new_name, rest}, 2), &name))
			return STATUS_LIMIT;
		if (name_is_taken(db, account->id, name))
			return STATUS_EXISTS;
		set_name(db, account, child->id, name);
	}
	return db_status(db);
}

static enum status rename_mailbox(struct db *db, void *context)
{
	const struct rename_work *work = context;
	struct arena arena SCOPED_ARENA;
	struct account_row *account = counters_account(db, work->account);
	struct slice old_name = name_of(db, &arena, work->account, work->mailbox);

	if (!account || !old_name.data)
		return counters_missing(db);
	struct below below = below_of(&arena, old_name);

	if (slice_starts_with(work->new_name, below.from))
		return STATUS_REFUSED;
	if (work->mailbox == MAILBOX_INBOX_ID)
		return rename_inbox(db, account, work->new_name);
	if (name_is_taken(db, work->account, work->new_name))
		return STATUS_EXISTS;
	enum status status = ensure_levels(db, account, work->new_name);

	return status == STATUS_OK ? rename_tree(db, &arena, account, work->mailbox, old_name, work->new_name) : status;
}

enum status mailbox_rename(struct store *store, int64_t account, int64_t id, struct slice new_name)
{
	struct arena arena SCOPED_ARENA;
	struct rename_work work = {.account = account, .mailbox = id};

	if (!mailbox_name_prepare(&arena, new_name, &work.new_name))
		return STATUS_REFUSED;
	return db_write(store->pool, rename_mailbox, &work);
}
