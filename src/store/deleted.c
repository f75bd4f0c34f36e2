#include "store/deleted.h"

#include "base/clock.h"
#include "store/messages.h"

/* ---- inside the works of others ---- */

void deleted_keep(struct db *db, const struct mailbox_row *mailbox, const struct mailbox_entry *entry, int64_t now_ms)
{
	struct db_query query =
		db_query(db, "INSERT INTO deleted_email (account, mailbox, uid, email, flags, size, received_ms,"
			     " deleted_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)");

	db_bind_i64(&query, mailbox->account);
	db_bind_i64(&query, mailbox->id);
	db_bind_i64(&query, entry->uid);
	db_bind_i64(&query, entry->email);
	db_bind_i64(&query, (int64_t)entry->flags);
	db_bind_i64(&query, entry->size);
	db_bind_i64(&query, entry->received_ms);
	db_bind_i64(&query, now_ms);
	db_run(&query);
}

void deleted_keep_mailbox(struct db *db, int64_t account, int64_t id, int64_t now_ms)
{
	struct db_query query = db_query(db, "INSERT INTO deleted_mailbox (account, id, deleted_ms, role, name)"
					     " SELECT account, id, CASE WHEN deleting_ms > 0 THEN deleting_ms ELSE $3 END, role, name"
					     " FROM mailbox WHERE account = $1 AND id = $2"
					     " ON CONFLICT (account, id) DO UPDATE SET deleted_ms = excluded.deleted_ms,"
					     " role = excluded.role, name = excluded.name");

	db_bind_i64(&query, account);
	db_bind_i64(&query, id);
	db_bind_i64(&query, now_ms);
	db_run(&query);
}

/* ---- lists ---- */

enum status deleted_messages(struct store *store, struct arena *arena, int64_t account, size_t max,
			     struct deleted_message **messages, size_t *count)
{
	struct db *db SCOPED_DB = db_acquire(store->pool);
	struct list list = LIST(arena, struct deleted_message);
	struct deleted_message *message;

	if (!db)
		return STATUS_TEMPORARY;
	struct db_query query = db_query(
		db,
		"SELECT d.mailbox, d.uid, d.size, d.email, d.received_ms, d.deleted_ms, e.subject, e.envelope, m.name, g.name"
		" FROM deleted_email d JOIN email e ON e.account = d.account AND e.id = d.email"
		" LEFT JOIN mailbox m ON m.account = d.account AND m.id = d.mailbox AND m.selectable = 1"
		" LEFT JOIN deleted_mailbox g ON g.account = d.account AND g.id = d.mailbox"
		" WHERE d.account = $1 ORDER BY d.deleted_ms DESC, d.mailbox, d.uid LIMIT $2");

	db_bind_i64(&query, account);
	db_bind_i64(&query, (int64_t)max);
	while (db_row(&query) && (message = list_add(&list)))
		*message = (struct deleted_message){
			.mailbox = db_i64(&query, 0),
			.uid = (uint32_t)db_i64(&query, 1),
			.size = (uint32_t)db_i64(&query, 2),
			.email = db_i64(&query, 3),
			.received_ms = db_i64(&query, 4),
			.deleted_ms = db_i64(&query, 5),
			.subject = slice_dup(arena, db_slice(&query, 6)),
			.envelope = slice_dup(arena, db_slice(&query, 7)),
			.mailbox_name = slice_dup(arena, db_slice(&query, db_is_null(&query, 8) ? 9 : 8)),
			.mailbox_is_deleted = db_is_null(&query, 8),
		};
	db_done(&query);
	*messages = list.items;
	*count = list.count;
	return list.failed ? STATUS_LIMIT : db_status(db);
}

enum status deleted_mailboxes(struct store *store, struct arena *arena, int64_t account, struct deleted_mailbox **mailboxes,
			      size_t *count)
{
	struct db *db SCOPED_DB = db_acquire(store->pool);
	struct list list = LIST(arena, struct deleted_mailbox);
	struct deleted_mailbox *mailbox;

	if (!db)
		return STATUS_TEMPORARY;
	struct db_query query = db_query(
		db, "SELECT g.id, g.deleted_ms, g.name, (SELECT count(*) FROM deleted_email d WHERE d.account = g.account"
		    " AND d.mailbox = g.id) FROM deleted_mailbox g WHERE g.account = $1 ORDER BY g.deleted_ms DESC, g.id DESC");

	db_bind_i64(&query, account);
	while (db_row(&query) && (mailbox = list_add(&list)))
		*mailbox = (struct deleted_mailbox){
			.id = db_i64(&query, 0),
			.deleted_ms = db_i64(&query, 1),
			.name = slice_dup(arena, db_slice(&query, 2)),
			.messages = (uint64_t)db_i64(&query, 3),
		};
	db_done(&query);
	*mailboxes = list.items;
	*count = list.count;
	return list.failed ? STATUS_LIMIT : db_status(db);
}

/* ---- bringing back ---- */

struct undelete_work {
	struct undelete_request request;
	struct slice name, new_name; /* of a deleted mailbox */
	size_t count;
};

static bool is_wanted(const struct undelete_request *request, uint32_t uid)
{
	for (size_t i = 0; i < request->uid_count; i++)
		if (request->uids[i] == uid)
			return true;
	return request->uid_count == 0;
}

static void read_deleted(struct db *db, const struct undelete_request *request, struct list *entries)
{
	struct mailbox_entry *entry;
	struct db_query query = db_query(db, "SELECT uid, email, flags, size, received_ms FROM deleted_email"
					     " WHERE account = $1 AND mailbox = $2 AND deleted_ms >= $3 ORDER BY uid");

	db_bind_i64(&query, request->account);
	db_bind_i64(&query, request->mailbox);
	db_bind_i64(&query, request->since_ms);
	while (db_row(&query)) {
		if (!is_wanted(request, (uint32_t)db_i64(&query, 0)) || !(entry = list_add(entries)))
			continue;
		*entry = (struct mailbox_entry){
			.uid = (uint32_t)db_i64(&query, 0),
			.email = db_i64(&query, 1),
			.flags = (uint64_t)db_i64(&query, 2),
			.size = (uint32_t)db_i64(&query, 3),
			.received_ms = db_i64(&query, 4),
		};
	}
	db_done(&query);
}

static void drop_deleted(struct db *db, int64_t account, int64_t mailbox, const struct mailbox_entry *entry)
{
	struct db_query query =
		db_query(db, "DELETE FROM deleted_email WHERE account = $1 AND mailbox = $2 AND uid = $3 AND email = $4");

	db_bind_i64(&query, account);
	db_bind_i64(&query, mailbox);
	db_bind_i64(&query, entry->uid);
	db_bind_i64(&query, entry->email);
	db_run(&query);
}

static uint64_t sum_sizes(const struct list *entries)
{
	uint64_t total = 0;

	for (size_t i = 0; i < entries->count; i++)
		total += ((const struct mailbox_entry *)entries->items)[i].size;
	return total;
}

static enum status place_again(struct db *db, struct account_row *account, int64_t from, int64_t to, const struct list *entries)
{
	struct mailbox_row *mailbox = counters_mailbox(db, account->id, to);
	enum status status = counters_check_quota(account, entries->count, sum_sizes(entries));

	if (!mailbox || status != STATUS_OK)
		return mailbox ? status : counters_missing(db);
	struct change_run run = {account->id, to, counters_modseq(db, account), CHANGE_MESSAGES, 0, 0};

	for (size_t i = 0; i < entries->count && status == STATUS_OK; i++) {
		const struct mailbox_entry *entry = (const struct mailbox_entry *)entries->items + i;
		struct place_request place = {
			.email = entry->email,
			.size = entry->size,
			.flags = entry->flags & ~(uint64_t)FLAG_DELETED,
			.received_ms = entry->received_ms,
			.modseq = run.modseq,
		};
		uint32_t uid;

		status = mailbox_place(db, account, mailbox, &place, &uid);
		if (status != STATUS_OK)
			break;
		drop_deleted(db, account->id, from, entry);
		change_run_add(db, &run, uid);
	}
	change_run_end(db, &run);
	return status;
}

static enum status bring_back(struct db *db, struct undelete_work *work, struct slice role)
{
	struct arena arena SCOPED_ARENA;
	struct list entries = LIST(&arena, struct mailbox_entry);
	struct account_row *account = counters_account(db, work->request.account);
	int64_t to;
	bool made;

	if (!account)
		return counters_missing(db);
	read_deleted(db, &work->request, &entries);
	if (entries.failed)
		return STATUS_LIMIT;
	work->count = entries.count;
	enum status status = mailbox_ensure(db, account, work->request.into, role, &to, &made);

	return status == STATUS_OK ? place_again(db, account, work->request.mailbox, to, &entries) : status;
}

static enum status undelete_some(struct db *db, void *context)
{
	struct undelete_work *work = context;
	enum status status = bring_back(db, work, SLICE_EMPTY);

	return status == STATUS_OK && work->count == 0 ? STATUS_NOT_FOUND : status;
}

enum status undelete_messages(struct store *store, const struct undelete_request *request, size_t *count)
{
	struct undelete_work work = {.request = *request};
	enum status status = db_write(store->pool, undelete_some, &work);

	*count = status == STATUS_OK ? work.count : 0;
	return status;
}

static bool is_taken(struct db *db, int64_t account, const char *sql, struct slice text)
{
	struct db_query query = db_query(db, sql);

	db_bind_i64(&query, account);
	db_bind_text(&query, text);
	bool taken = db_row(&query);

	db_done(&query);
	return taken;
}

static enum status undelete_whole(struct db *db, void *context)
{
	struct undelete_work *work = context;
	struct arena arena SCOPED_ARENA;
	struct slice role = SLICE_EMPTY;
	struct db_query query = db_query(db, "SELECT id, deleted_ms, role FROM deleted_mailbox WHERE account = $1 AND name = $2"
					     " ORDER BY deleted_ms DESC, id DESC LIMIT 1");

	db_bind_i64(&query, work->request.account);
	db_bind_text(&query, work->name);
	bool found = db_row(&query);

	if (found) {
		work->request.mailbox = db_i64(&query, 0);
		work->request.since_ms = db_i64(&query, 1);
		role = slice_dup(&arena, db_slice(&query, 2));
	}
	db_done(&query);
	if (!found)
		return read_status(db, false);
	work->request.into = work->new_name;
	if (is_taken(db, work->request.account, "SELECT 1 FROM mailbox WHERE account = $1 AND name = $2 AND selectable = 1",
		     work->new_name))
		return STATUS_EXISTS;
	if (is_taken(db, work->request.account, "SELECT 1 FROM mailbox WHERE account = $1 AND role = $2", role))
		role = SLICE_EMPTY;
	enum status status = bring_back(db, work, role);

	query = db_query(db, "DELETE FROM deleted_mailbox WHERE account = $1 AND id = $2");
	db_bind_i64(&query, work->request.account);
	db_bind_i64(&query, work->request.mailbox);
	db_run(&query);
	return status != STATUS_OK ? status : db_status(db);
}

enum status undelete_mailbox(struct store *store, int64_t account, struct slice name, struct slice new_name, size_t *count)
{
	struct arena arena SCOPED_ARENA;
	struct undelete_work work = {.request = {.account = account}};

	if (!mailbox_name_prepare(&arena, name, &work.name))
		return STATUS_NOT_FOUND;
	if (!mailbox_name_prepare(&arena, new_name, &work.new_name))
		return STATUS_REFUSED;
	enum status status = db_write(store->pool, undelete_whole, &work);

	*count = status == STATUS_OK ? work.count : 0;
	return status;
}

/* ---- clean-up ---- */

struct purge_work {
	int64_t before_ms, account;
	size_t max, removed;
};

struct purged {
	int64_t account, mailbox;
	struct mailbox_entry entry;
};

/* Of one account: its row is locked, as by all who change its messages. */
static bool read_oldest(struct db *db, const struct purge_work *work, struct list *rows)
{
	struct purged *row;
	int64_t account = -1;
	struct db_query query = db_query(db, "SELECT account, mailbox, uid, email FROM deleted_email WHERE deleted_ms < $1"
					     " ORDER BY deleted_ms LIMIT $2");

	db_bind_i64(&query, work->before_ms);
	db_bind_i64(&query, (int64_t)work->max);
	while (db_row(&query)) {
		if (account < 0)
			account = db_i64(&query, 0);
		if (account == db_i64(&query, 0) && (row = list_add(rows)))
			*row = (struct purged){
				account, db_i64(&query, 1), {.uid = (uint32_t)db_i64(&query, 2), .email = db_i64(&query, 3)}};
	}
	db_done(&query);
	return rows->count > 0;
}

static void drop_rows(struct db *db, const struct list *rows)
{
	const struct purged *items = rows->items;

	for (size_t i = 0; i < rows->count && db_status(db) == STATUS_OK; i++) {
		drop_deleted(db, items[i].account, items[i].mailbox, &items[i].entry);
		email_forget(db, items[i].account, items[i].entry.email);
	}
}

static enum status purge_some(struct db *db, void *context)
{
	struct purge_work *work = context;
	struct arena arena SCOPED_ARENA;
	struct list rows = LIST(&arena, struct purged);

	work->removed = 0;
	if (!read_oldest(db, work, &rows))
		return db_status(db);
	const struct purged *items = rows.items;

	/* Another may have brought some back before we had the lock: look again. NULL: the account is being removed. */
	work->account = items[0].account;
	(void)counters_account(db, work->account);
	rows = LIST(&arena, struct purged);
	if (!read_oldest(db, work, &rows))
		return db_status(db);
	items = rows.items;
	if (items[0].account != work->account)
		return db_status(db);
	drop_rows(db, &rows);
	work->removed = rows.count;
	return db_status(db);
}

struct bound_work {
	struct deleted_excess excess;
	size_t max, removed;
	uint64_t bytes;
};

enum status deleted_excesses(struct store *store, struct arena *arena, struct deleted_excess **excesses, size_t *count)
{
	struct db *db SCOPED_DB = db_acquire(store->pool);
	struct list list = LIST(arena, struct deleted_excess);
	struct deleted_excess *excess;

	if (!db)
		return STATUS_TEMPORARY;
	struct db_query query = db_query(db, "SELECT a.id, d.bytes - a.quota_bytes FROM account a JOIN"
					     " (SELECT account, CAST(sum(size) AS BIGINT) AS bytes FROM deleted_email GROUP BY account) d"
					     " ON d.account = a.id WHERE a.quota_bytes > 0 AND d.bytes > a.quota_bytes");

	while (db_row(&query) && (excess = list_add(&list)))
		*excess = (struct deleted_excess){db_i64(&query, 0), (uint64_t)db_i64(&query, 1)};
	db_done(&query);
	*excesses = list.items;
	*count = list.count;
	return list.failed ? STATUS_LIMIT : db_status(db);
}

static void read_oldest_of(struct db *db, struct bound_work *work, struct list *rows)
{
	struct purged *row;
	struct db_query query = db_query(db, "SELECT mailbox, uid, email, size FROM deleted_email WHERE account = $1"
					     " ORDER BY deleted_ms, mailbox, uid LIMIT $2");

	db_bind_i64(&query, work->excess.account);
	db_bind_i64(&query, (int64_t)work->max);
	while (work->bytes < work->excess.bytes && db_row(&query) && (row = list_add(rows))) {
		*row = (struct purged){work->excess.account, db_i64(&query, 0),
				       {.uid = (uint32_t)db_i64(&query, 1), .email = db_i64(&query, 2)}};
		work->bytes += (uint64_t)db_i64(&query, 3);
	}
	db_done(&query);
}

static enum status bound_some(struct db *db, void *context)
{
	struct bound_work *work = context;
	struct arena arena SCOPED_ARENA;
	struct list rows = LIST(&arena, struct purged);

	work->bytes = 0;
	/* Its row is locked first, as by all who change its messages. */
	(void)counters_account(db, work->excess.account);
	read_oldest_of(db, work, &rows);
	drop_rows(db, &rows);
	work->removed = rows.count;
	return db_status(db);
}

enum status deleted_bound(struct store *store, struct deleted_excess *excess, size_t max, size_t *removed)
{
	struct bound_work work = {.excess = *excess, .max = max};
	enum status status = db_write(store->pool, bound_some, &work);

	*removed = 0;
	if (status != STATUS_OK)
		return status;
	*removed = work.removed;
	excess->bytes -= work.bytes < excess->bytes ? work.bytes : excess->bytes;
	return STATUS_OK;
}

static enum status purge_mailboxes(struct db *db, void *context)
{
	const struct purge_work *work = context;
	struct db_query query = db_query(db, "DELETE FROM deleted_mailbox WHERE deleted_ms < $1 AND NOT EXISTS"
					     " (SELECT 1 FROM deleted_email d WHERE d.account = deleted_mailbox.account"
					     " AND d.mailbox = deleted_mailbox.id)");

	db_bind_i64(&query, work->before_ms);
	db_run(&query);
	return db_status(db);
}

enum status deleted_purge(struct store *store, int64_t before_ms, size_t max, size_t *removed)
{
	struct purge_work work = {.before_ms = before_ms};
	enum status status = STATUS_OK;

	*removed = 0;
	do {
		work.max = max - *removed;
		status = db_write(store->pool, purge_some, &work);
		if (status == STATUS_OK)
			*removed += work.removed;
	} while (status == STATUS_OK && work.removed > 0 && *removed < max);
	if (status == STATUS_OK && *removed < max)
		status = db_write(store->pool, purge_mailboxes, &work);
	return status;
}
