/* Mailboxes by name: list, make, delete, rename, subscribe. */
#include "base/buf.h"
#include "base/clock.h"
#include "store/rights.h"
#include "store/rights_internal.h"
#include "store/store_internal.h"

#define NAME_MAX_BYTES 1000
#define LEVELS_MAX     32

/* ---- names ---- */

static bool level_is_valid(struct slice level)
{
	if (level.len == 0)
		return false;
	for (size_t i = 0; i < level.len; i++)
		if ((unsigned char)level.data[i] < 0x20 || level.data[i] == 0x7f)
			return false;
	return true;
}

bool mailbox_name_prepare(struct arena *arena, struct slice name, struct slice *prepared)
{
	struct slice rest = name, inbox = slice_sub(name, 0, 5);
	unsigned levels = 0;

	if (name.len == 0 || name.len > NAME_MAX_BYTES || !slice_is_utf8(name) || slice_ends_with(name, SLICE("/")))
		return false;
	while (rest.len > 0)
		if (!level_is_valid(slice_cut(&rest, '/')) || ++levels > LEVELS_MAX)
			return false;
	*prepared = name;
	/* RFC 9051 section 5.1: INBOX in any case; here also as the first level of others. */
	if (slice_eq_nocase(inbox, SLICE("INBOX")) && (name.len == 5 || name.data[5] == '/'))
		*prepared = slice_join(arena, (const struct slice[]){SLICE("INBOX"), slice_skip(name, 5)}, 2);
	return true;
}

/* ---- reading ---- */

#define MAILBOX_COLUMNS                                                                                                    \
	"m.id, m.uid_validity, m.uid_next, m.highest_modseq, m.messages, m.unseen, m.deleted, m.size_bytes, m.selectable," \
	" m.role, m.name, m.recent_uid, EXISTS (SELECT 1 FROM subscription s WHERE s.account = m.account AND s.name = m.name)"

static void take_mailbox(struct db_query *query, struct arena *arena, int64_t account, struct mailbox *mailbox)
{
	struct buf id;

	*mailbox = (struct mailbox){
		.id = db_i64(query, 0),
		.uid_validity = (uint32_t)db_i64(query, 1),
		.uid_next = (uint32_t)db_i64(query, 2),
		.highest_modseq = (uint64_t)db_i64(query, 3),
		.messages = (uint32_t)db_i64(query, 4),
		.unseen = (uint32_t)db_i64(query, 5),
		.deleted = (uint32_t)db_i64(query, 6),
		.size_bytes = (uint64_t)db_i64(query, 7),
		.selectable = db_i64(query, 8) != 0,
		.role = slice_dup(arena, db_slice(query, 9)),
		.name = slice_dup(arena, db_slice(query, 10)),
		.recent_uid = (uint32_t)db_i64(query, 11),
		.subscribed = db_i64(query, 12) != 0,
	};
	/* RFC 8474 section 4: unique, and never given out again; a level that becomes a mailbox again is another one. */
	buf_init(&id, arena, 0);
	buf_printf(&id, "M%llx-%llx-%x", (unsigned long long)account, (unsigned long long)mailbox->id, mailbox->uid_validity);
	mailbox->mailbox_id = buf_slice(&id);
}

bool mailbox_read(struct db *db, struct arena *arena, int64_t account, int64_t id, struct mailbox *mailbox)
{
	struct db_query query = db_query(db, "SELECT " MAILBOX_COLUMNS " FROM mailbox m WHERE m.account = $1 AND m.id = $2");

	db_bind_i64(&query, account);
	db_bind_i64(&query, id);
	bool found = db_row(&query);

	if (found)
		take_mailbox(&query, arena, account, mailbox);
	db_done(&query);
	return found;
}

enum status mailbox_get(struct store *store, struct arena *arena, int64_t account, int64_t id, struct mailbox *mailbox)
{
	struct db *db SCOPED_DB = db_acquire(store->pool);

	if (!db)
		return STATUS_TEMPORARY;
	return read_status(db, mailbox_read(db, arena, account, id, mailbox));
}

enum status mailbox_find(struct store *store, struct arena *arena, int64_t account, struct slice name, struct mailbox *mailbox)
{
	struct slice prepared;

	if (!mailbox_name_prepare(arena, name, &prepared))
		return STATUS_NOT_FOUND;
	struct db *db SCOPED_DB = db_acquire(store->pool);

	if (!db)
		return STATUS_TEMPORARY;
	struct db_query query = db_query(db, "SELECT " MAILBOX_COLUMNS " FROM mailbox m WHERE m.account = $1 AND m.name = $2");

	db_bind_i64(&query, account);
	db_bind_text(&query, prepared);
	bool found = db_row(&query);

	if (found)
		take_mailbox(&query, arena, account, mailbox);
	db_done(&query);
	return read_status(db, found);
}

/* The last name that begins so: no name is longer, and there is no greater character. */
static struct slice last_name(struct arena *arena, struct slice prefix)
{
	struct buf name;

	buf_init(&name, arena, 0);
	buf_add(&name, prefix);
	while (name.len <= NAME_MAX_BYTES)
		buf_add_literal(&name, "\xf4\x8f\xbf\xbf");
	return buf_slice(&name);
}

enum status mailbox_list_prefix(struct store *store, struct arena *arena, int64_t account, struct slice prefix,
				struct mailbox **mailboxes, size_t *count)
{
	struct db *db SCOPED_DB = db_acquire(store->pool);
	struct list list = LIST(arena, struct mailbox);
	struct mailbox *mailbox;

	if (!db)
		return STATUS_TEMPORARY;
	struct db_query query = db_query(db, "SELECT " MAILBOX_COLUMNS " FROM mailbox m WHERE m.account = $1 AND m.name >= $2"
					     " AND m.name <= $3 ORDER BY m.name");

	db_bind_i64(&query, account);
	db_bind_text(&query, prefix);
	db_bind_text(&query, last_name(arena, prefix));
	while (db_row(&query) && (mailbox = list_add(&list)))
		take_mailbox(&query, arena, account, mailbox);
	db_done(&query);
	*mailboxes = list.items;
	*count = list.count;
	return list.failed ? STATUS_LIMIT : db_status(db);
}

enum status mailbox_list(struct store *store, struct arena *arena, int64_t account, struct mailbox **mailboxes, size_t *count)
{
	return mailbox_list_prefix(store, arena, account, SLICE_EMPTY, mailboxes, count);
}

enum status mailbox_highest_modseq(struct store *store, int64_t account, int64_t id, uint64_t *modseq)
{
	struct db *db SCOPED_DB = db_acquire(store->pool);

	*modseq = 0;
	if (!db)
		return STATUS_TEMPORARY;
	struct db_query query = db_query(db, "SELECT highest_modseq FROM mailbox WHERE account = $1 AND id = $2");

	db_bind_i64(&query, account);
	db_bind_i64(&query, id);
	bool found = db_row(&query);

	if (found)
		*modseq = (uint64_t)db_i64(&query, 0);
	db_done(&query);
	return read_status(db, found);
}

enum status mailbox_deleted_bytes(struct store *store, int64_t account, int64_t id, uint64_t *bytes)
{
	struct db *db SCOPED_DB = db_acquire(store->pool);

	*bytes = 0;
	if (!db)
		return STATUS_TEMPORARY;
	struct db_query query = db_query(db, "SELECT CAST(coalesce(sum(size), 0) AS BIGINT) FROM mailbox_email"
					     " WHERE account = $1 AND mailbox = $2 AND (flags & $3) <> 0");

	db_bind_i64(&query, account);
	db_bind_i64(&query, id);
	db_bind_i64(&query, FLAG_DELETED);
	if (db_row(&query))
		*bytes = (uint64_t)db_i64(&query, 0);
	db_done(&query);
	return db_status(db);
}

enum status mailbox_count_from(struct store *store, int64_t account, int64_t id, uint32_t uid, uint64_t *count)
{
	struct db *db SCOPED_DB = db_acquire(store->pool);

	*count = 0;
	if (!db)
		return STATUS_TEMPORARY;
	struct db_query query =
		db_query(db, "SELECT count(*) FROM mailbox_email WHERE account = $1 AND mailbox = $2 AND uid >= $3");

	db_bind_i64(&query, account);
	db_bind_i64(&query, id);
	db_bind_i64(&query, uid);
	if (db_row(&query))
		*count = (uint64_t)db_i64(&query, 0);
	db_done(&query);
	return db_status(db);
}

/* ---- making ---- */

int64_t mailbox_find_id(struct db *db, int64_t account, struct slice name)
{
	int64_t id = 0;
	struct db_query query = db_query(db, "SELECT id FROM mailbox WHERE account = $1 AND name = $2");

	db_bind_i64(&query, account);
	db_bind_text(&query, name);
	if (db_row(&query))
		id = db_i64(&query, 0);
	db_done(&query);
	return id;
}

/* RFC 9051 section 2.3.1.1: a name that comes again must have a higher UIDVALIDITY. The account's only grow. */
static uint32_t next_uid_validity(struct account_row *account)
{
	int64_t now = clock_wall_ms() / 1000;

	if (account->next_uid_validity < now)
		account->next_uid_validity = now;
	return (uint32_t)account->next_uid_validity++;
}

static void inherit_rights(struct db *db, int64_t account, struct slice name, int64_t id)
{
	size_t slash = slice_find_last_byte(name, '/');
	int64_t above = slash == SLICE_NOT_FOUND ? MAILBOX_ROOT_ID : mailbox_find_id(db, account, slice_sub(name, 0, slash));

	rights_inherit(db, account, above, id);
}

static enum status insert_mailbox(struct db *db, struct account_row *account, struct slice name, struct slice role, int64_t *id)
{
	uint64_t modseq = counters_modseq(db, account);

	*id = account->next_mailbox++;
	struct db_query query =
		db_query(db, "INSERT INTO mailbox (account, id, uid_validity, uid_next, highest_modseq, messages, unseen,"
			     " deleted, size_bytes, selectable, role, name)"
			     " VALUES ($1, $2, $3, 1, $4, 0, 0, 0, 0, 1, $5, $6)");

	db_bind_i64(&query, account->id);
	db_bind_i64(&query, *id);
	db_bind_i64(&query, next_uid_validity(account));
	db_bind_i64(&query, (int64_t)modseq);
	db_bind_text(&query, role);
	db_bind_text(&query, name);
	db_run(&query);
	change_note_mailbox(db, account->id, modseq, *id, CHANGE_MAILBOX);
	inherit_rights(db, account->id, name, *id);
	return db_status(db);
}

static int64_t count_mailboxes(struct db *db, int64_t account)
{
	int64_t count = 0;
	struct db_query query = db_query(db, "SELECT count(*) FROM mailbox WHERE account = $1");

	db_bind_i64(&query, account);
	if (db_row(&query))
		count = db_i64(&query, 0);
	db_done(&query);
	return count;
}

/* Counting takes as long as there are mailboxes: it is left out while fewer were ever made than there may be. */
static bool has_too_many(struct db *db, const struct account_row *account)
{
	return account->next_mailbox + LEVELS_MAX > ACCOUNT_MAILBOXES_MAX &&
	       count_mailboxes(db, account->id) + LEVELS_MAX > ACCOUNT_MAILBOXES_MAX;
}

/* Makes the levels above `name` that are missing. */
static enum status ensure_above(struct db *db, struct account_row *account, struct slice name)
{
	enum status status = STATUS_OK;
	int64_t id;

	for (size_t i = 0; i < name.len && status == STATUS_OK; i++)
		if (name.data[i] == '/' && mailbox_find_id(db, account->id, slice_sub(name, 0, i)) == 0)
			status = insert_mailbox(db, account, slice_sub(name, 0, i), SLICE_EMPTY, &id);
	return status != STATUS_OK ? status : db_status(db);
}

/* A mere level of the hierarchy becomes a mailbox (again): a new one to clients. */
static enum status make_selectable(struct db *db, struct account_row *account, int64_t id)
{
	struct mailbox_row *mailbox = counters_mailbox(db, account->id, id);

	if (!mailbox)
		return counters_missing(db);
	mailbox->uid_validity = next_uid_validity(account);
	mailbox->highest_modseq = counters_modseq(db, account);
	mailbox->selectable = true;
	struct db_query query = db_query(db, "UPDATE mailbox SET selectable = 1 WHERE account = $1 AND id = $2");

	db_bind_i64(&query, account->id);
	db_bind_i64(&query, id);
	db_run(&query);
	change_note_mailbox(db, account->id, mailbox->highest_modseq, id, CHANGE_MAILBOX);
	return db_status(db);
}

enum status mailbox_ensure(struct db *db, struct account_row *account, struct slice name, struct slice role, int64_t *id,
			   bool *made)
{
	struct arena arena SCOPED_ARENA;
	struct slice prepared;

	*made = false;
	if (!mailbox_name_prepare(&arena, name, &prepared))
		return STATUS_REFUSED;
	*id = mailbox_find_id(db, account->id, prepared);
	if (*id != 0) {
		struct mailbox_row *mailbox = counters_mailbox(db, account->id, *id);

		if (!mailbox)
			return counters_missing(db);
		if (mailbox->selectable)
			return STATUS_OK;
		*made = true;
		inherit_rights(db, account->id, prepared, *id);
		return make_selectable(db, account, *id);
	}
	if (db_status(db) == STATUS_OK && has_too_many(db, account))
		return STATUS_LIMIT;
	*made = true;
	enum status status = ensure_above(db, account, prepared);

	return status == STATUS_OK ? insert_mailbox(db, account, prepared, role, id) : status;
}

struct create {
	int64_t account;
	struct slice name, role;
	int64_t id;
};

static bool role_is_taken(struct db *db, int64_t account, struct slice role)
{
	struct db_query query = db_query(db, "SELECT 1 FROM mailbox WHERE account = $1 AND role = $2");

	db_bind_i64(&query, account);
	db_bind_text(&query, role);
	bool taken = db_row(&query);

	db_done(&query);
	return taken;
}

static enum status create(struct db *db, void *context)
{
	struct create *create = context;
	struct account_row *account = counters_account(db, create->account);
	bool made;

	if (!account)
		return counters_missing(db);
	if (create->role.len > 0 && role_is_taken(db, create->account, create->role))
		return STATUS_REFUSED;
	enum status status = mailbox_ensure(db, account, create->name, create->role, &create->id, &made);

	return status == STATUS_OK && !made ? STATUS_EXISTS : status;
}

enum status mailbox_create(struct store *store, int64_t account, struct slice name, struct slice role, int64_t *id)
{
	struct create context = {.account = account, .name = name, .role = role.data ? role : SLICE_EMPTY};
	enum status status = db_write(store->pool, create, &context);

	if (id)
		*id = context.id;
	return status;
}

/* ---- subscriptions ---- */

struct subscribe {
	int64_t account;
	struct slice name;
	bool subscribed;
};

static enum status subscribe(struct db *db, void *context)
{
	const struct subscribe *subscribe = context;
	struct account_row *account;
	struct db_query query =
		subscribe->subscribed
			? db_query(db, "INSERT INTO subscription (account, name) VALUES ($1, $2) ON CONFLICT DO NOTHING")
			: db_query(db, "DELETE FROM subscription WHERE account = $1 AND name = $2");

	db_bind_i64(&query, subscribe->account);
	db_bind_text(&query, subscribe->name);
	db_run(&query);
	if (db_changes(db) > 0 && (account = counters_account(db, subscribe->account)))
		change_note_mailbox(db, account->id, counters_modseq(db, account), 0, CHANGE_SUBSCRIPTION);
	return db_status(db);
}

enum status mailbox_subscribe(struct store *store, int64_t account, struct slice name, bool subscribed)
{
	struct arena arena SCOPED_ARENA;
	struct subscribe context = {.account = account, .subscribed = subscribed};

	if (!mailbox_name_prepare(&arena, name, &context.name))
		return STATUS_REFUSED;
	return db_write(store->pool, subscribe, &context);
}

enum status mailbox_subscriptions(struct store *store, struct arena *arena, int64_t account, struct slice prefix,
				  struct slice **names, size_t *count)
{
	struct db *db SCOPED_DB = db_acquire(store->pool);
	struct list list = LIST(arena, struct slice);
	struct slice *name;

	if (!db)
		return STATUS_TEMPORARY;
	struct db_query query = db_query(db, "SELECT name FROM subscription WHERE account = $1 AND name >= $2 AND name <= $3"
					     " ORDER BY name");

	db_bind_i64(&query, account);
	db_bind_text(&query, prefix);
	db_bind_text(&query, last_name(arena, prefix));
	while (db_row(&query) && (name = list_add(&list)))
		*name = slice_dup(arena, db_slice(&query, 0));
	db_done(&query);
	*names = list.items;
	*count = list.count;
	return list.failed ? STATUS_LIMIT : db_status(db);
}
