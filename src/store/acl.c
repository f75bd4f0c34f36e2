/* Lists of rights, and groups, as they are kept. */
#include "store/rights.h"
#include "store/rights_internal.h"
#include "store/store_internal.h"

#define ENTRIES_MAX    1000
#define IDENTIFIER_MAX 500

/* ---- identifiers ---- */

static bool has_control(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if ((unsigned char)text.data[i] <= ' ' || text.data[i] == 0x7f)
			return true;
	return false;
}

static bool is_group_name(struct slice name)
{
	return name.len > 1 && name.len <= IDENTIFIER_MAX && name.data[0] == '$' && slice_is_utf8(name) && !has_control(name) &&
	       slice_find_byte(name, '@') == SLICE_NOT_FOUND;
}

static bool has_row(struct db *db, const char *sql, struct slice key)
{
	struct db_query query = db_query(db, sql);

	db_bind_text(&query, key);
	bool found = db_row(&query);

	db_done(&query);
	return found;
}

static struct slice domain_of(struct slice address)
{
	size_t at = slice_find_last_byte(address, '@');

	return at == SLICE_NOT_FOUND ? SLICE_EMPTY : slice_skip(address, at + 1);
}

/* "anyone" of a mailbox of that domain and the like as they stand in the table; without a leading "-". */
static enum status resolve(struct db *db, struct arena *arena, struct slice owner, struct slice name, struct slice *key)
{
	struct slice domain = domain_of(owner);

	*key = slice_lower(arena, name);
	if (slice_eq(*key, SLICE("anyone")))
		*key = slice_join(arena, (const struct slice[]){SLICE("@@"), domain}, 2);
	else if (slice_eq(*key, SLICE("authenticated")))
		*key = slice_join(arena, (const struct slice[]){SLICE("@"), domain}, 2);
	else if (slice_starts_with(*key, SLICE("$")) && is_group_name(*key))
		return read_status(db, has_row(db, "SELECT 1 FROM account_group WHERE name = $1", *key));
	else if (slice_starts_with(*key, SLICE("@@")))
		return STATUS_PEER;
	else if (slice_starts_with(*key, SLICE("@")))
		return read_status(db, has_row(db, "SELECT 1 FROM domain WHERE name = $1", slice_skip(*key, 1)));
	else if (slice_eq(*key, owner))
		return STATUS_REFUSED;
	else
		return read_status(db, has_row(db, "SELECT 1 FROM account WHERE address = $1 AND id > 0", *key));
	return STATUS_OK;
}

static bool is_identifier(struct slice text)
{
	struct slice name = slice_starts_with(text, SLICE("-")) ? slice_skip(text, 1) : text;

	return name.len > 0 && text.len <= IDENTIFIER_MAX && name.data[0] != '-' && slice_is_utf8(text) && !has_control(text);
}

/* As people write it. */
static struct slice readable(struct arena *arena, struct slice owner, struct slice key)
{
	bool negative = slice_starts_with(key, SLICE("-"));
	struct slice name = negative ? slice_skip(key, 1) : key;

	if (slice_starts_with(name, SLICE("@@")))
		name = SLICE("anyone");
	else if (slice_starts_with(name, SLICE("@")) && slice_eq(slice_skip(name, 1), domain_of(owner)))
		name = SLICE("authenticated");
	return slice_join(arena, (const struct slice[]){negative ? SLICE("-") : SLICE(""), name}, 2);
}

/* ---- entries ---- */

static struct slice address_of(struct db *db, struct arena *arena, int64_t account)
{
	struct slice address = SLICE_EMPTY;
	struct db_query query = db_query(db, "SELECT address FROM account WHERE id = $1");

	db_bind_i64(&query, account);
	if (db_row(&query))
		address = slice_dup(arena, db_slice(&query, 0));
	db_done(&query);
	return address;
}

static void read_entries(struct db *db, struct arena *arena, int64_t account, int64_t mailbox, struct list *entries)
{
	struct slice owner = address_of(db, arena, account);
	struct acl_entry *entry;
	struct db_query query = db_query(
		db, "SELECT identifier, rights FROM mailbox_right WHERE account = $1 AND mailbox = $2 ORDER BY identifier");

	db_bind_i64(&query, account);
	db_bind_i64(&query, mailbox);
	while (db_row(&query) && (entry = list_add(entries)))
		*entry = (struct acl_entry){readable(arena, owner, db_slice(&query, 0)), (unsigned)db_i64(&query, 1)};
	db_done(&query);
}

enum status acl_list(struct store *store, struct arena *arena, int64_t account, int64_t mailbox, struct acl_entry **entries,
		     size_t *count)
{
	struct db *db SCOPED_DB = db_acquire(store->pool);
	struct list list = LIST(arena, struct acl_entry);

	if (!db)
		return STATUS_TEMPORARY;
	read_entries(db, arena, account, mailbox, &list);
	*entries = list.items;
	*count = list.count;
	return list.failed ? STATUS_LIMIT : db_status(db);
}

struct acl_work {
	int64_t account, mailbox;
	struct slice identifier;
	enum acl_change change;
	unsigned rights;
};

static unsigned read_entry(struct db *db, const struct acl_work *work, struct slice key)
{
	unsigned rights = 0;
	struct db_query query =
		db_query(db, "SELECT rights FROM mailbox_right WHERE account = $1 AND mailbox = $2 AND identifier = $3");

	db_bind_i64(&query, work->account);
	db_bind_i64(&query, work->mailbox);
	db_bind_text(&query, key);
	if (db_row(&query))
		rights = (unsigned)db_i64(&query, 0);
	db_done(&query);
	return rights;
}

static void write_entry(struct db *db, const struct acl_work *work, struct slice key, unsigned rights)
{
	struct db_query query =
		db_query(db, rights ? "INSERT INTO mailbox_right (account, mailbox, identifier, rights) VALUES ($1, $2, $3, $4)"
				      " ON CONFLICT (account, mailbox, identifier) DO UPDATE SET rights = excluded.rights"
				    : "DELETE FROM mailbox_right WHERE account = $1 AND mailbox = $2 AND identifier = $3");

	db_bind_i64(&query, work->account);
	db_bind_i64(&query, work->mailbox);
	db_bind_text(&query, key);
	if (rights)
		db_bind_i64(&query, rights);
	db_run(&query);
}

static int64_t count_entries(struct db *db, const struct acl_work *work)
{
	int64_t count = 0;
	struct db_query query = db_query(db, "SELECT count(*) FROM mailbox_right WHERE account = $1 AND mailbox = $2");

	db_bind_i64(&query, work->account);
	db_bind_i64(&query, work->mailbox);
	if (db_row(&query))
		count = db_i64(&query, 0);
	db_done(&query);
	return count;
}

static unsigned changed_rights(enum acl_change change, unsigned old, unsigned rights)
{
	switch (change) {
	case ACL_ADD:
		return old | rights;
	case ACL_REMOVE:
		return old & ~rights;
	case ACL_REPLACE:
		break;
	}
	return rights;
}

static enum status change_entry(struct db *db, void *context)
{
	const struct acl_work *work = context;
	struct arena arena SCOPED_ARENA;
	bool negative = slice_starts_with(work->identifier, SLICE("-"));
	struct slice name = negative ? slice_skip(work->identifier, 1) : work->identifier, key;
	struct account_row *account = counters_account(db, work->account);

	if (!account || (work->mailbox != MAILBOX_ROOT_ID && !counters_mailbox(db, work->account, work->mailbox)))
		return counters_missing(db);
	enum status status = resolve(db, &arena, account->address, name, &key);

	if (status != STATUS_OK)
		return status;
	key = slice_join(&arena, (const struct slice[]){negative ? SLICE("-") : SLICE(""), key}, 2);
	unsigned old = read_entry(db, work, key), rights = changed_rights(work->change, old, work->rights);

	if (old == 0 && rights != 0 && count_entries(db, work) >= ENTRIES_MAX)
		return STATUS_LIMIT;
	if (rights != old)
		write_entry(db, work, key, rights);
	return db_status(db);
}

enum status acl_change(struct store *store, int64_t account, int64_t mailbox, struct slice identifier, enum acl_change change,
		       unsigned rights)
{
	struct acl_work work = {account, mailbox, identifier, change, rights & RIGHTS_ALL};

	return is_identifier(identifier) ? db_write(store->pool, change_entry, &work) : STATUS_PEER;
}

/* ---- with mailboxes ---- */

void rights_inherit(struct db *db, int64_t account, int64_t from, int64_t to)
{
	struct db_query query = db_query(db, "INSERT INTO mailbox_right (account, mailbox, identifier, rights)"
					     " SELECT account, $3, identifier, rights FROM mailbox_right"
					     " WHERE account = $1 AND mailbox = $2 ON CONFLICT DO NOTHING");

	db_bind_i64(&query, account);
	db_bind_i64(&query, from);
	db_bind_i64(&query, to);
	db_run(&query);
}

static void forget(struct db *db, const char *sql, int64_t account, int64_t mailbox)
{
	struct db_query query = db_query(db, sql);

	db_bind_i64(&query, account);
	db_bind_i64(&query, mailbox);
	db_run(&query);
}

void rights_forget_mailbox(struct db *db, int64_t account, int64_t mailbox)
{
	forget(db, "DELETE FROM mailbox_right WHERE account = $1 AND mailbox = $2", account, mailbox);
	forget(db, "DELETE FROM mailbox_seen WHERE account = $1 AND mailbox = $2", account, mailbox);
}

static void forget_identifier(struct db *db, struct slice key)
{
	struct db_query query = db_query(db, "DELETE FROM mailbox_right WHERE identifier IN ($1, '-' || $1)");

	db_bind_text(&query, key);
	db_run(&query);
}

static void forget_viewer(struct db *db, const char *sql, int64_t account)
{
	struct db_query query = db_query(db, sql);

	db_bind_i64(&query, account);
	db_run(&query);
}

void rights_forget_account(struct db *db, int64_t account, struct slice address)
{
	forget_identifier(db, address);
	forget_viewer(db, "DELETE FROM mailbox_right WHERE account = $1", account);
	forget_viewer(db, "DELETE FROM group_member WHERE account = $1", account);
	forget_viewer(db, "DELETE FROM mailbox_seen WHERE account = $1 OR viewer = $1", account);
}

void rights_forget_domain(struct db *db, struct slice domain)
{
	struct arena arena SCOPED_ARENA;

	forget_identifier(db, slice_join(&arena, (const struct slice[]){SLICE("@"), domain}, 2));
}

/* ---- groups ---- */

struct group_work {
	struct slice name;
	int64_t account;
	bool is_member;
};

static enum status was_new(struct db *db, enum status otherwise)
{
	int64_t changes = db_changes(db);

	return db_status(db) != STATUS_OK ? db_status(db) : changes > 0 ? STATUS_OK : otherwise;
}

static enum status add_group(struct db *db, void *context)
{
	const struct group_work *work = context;
	struct db_query query = db_query(db, "INSERT INTO account_group (name) VALUES ($1) ON CONFLICT DO NOTHING");

	db_bind_text(&query, work->name);
	db_run(&query);
	return was_new(db, STATUS_EXISTS);
}

enum status group_add(struct store *store, struct slice name)
{
	struct arena arena SCOPED_ARENA;
	struct group_work work = {.name = slice_lower(&arena, name)};

	return is_group_name(work.name) ? db_write(store->pool, add_group, &work) : STATUS_REFUSED;
}

static enum status remove_group(struct db *db, void *context)
{
	const struct group_work *work = context;
	struct db_query query = db_query(db, "DELETE FROM group_member WHERE name = $1");

	db_bind_text(&query, work->name);
	db_run(&query);
	forget_identifier(db, work->name);
	query = db_query(db, "DELETE FROM account_group WHERE name = $1");
	db_bind_text(&query, work->name);
	db_run(&query);
	return was_new(db, STATUS_NOT_FOUND);
}

enum status group_remove(struct store *store, struct slice name)
{
	struct arena arena SCOPED_ARENA;
	struct group_work work = {.name = slice_lower(&arena, name)};

	return db_write(store->pool, remove_group, &work);
}

static enum status set_member(struct db *db, void *context)
{
	const struct group_work *work = context;

	if (!has_row(db, "SELECT 1 FROM account_group WHERE name = $1", work->name) || !counters_account(db, work->account))
		return read_status(db, false);
	struct db_query query =
		db_query(db, work->is_member ? "INSERT INTO group_member (account, name) VALUES ($1, $2) ON CONFLICT DO NOTHING"
					     : "DELETE FROM group_member WHERE account = $1 AND name = $2");

	db_bind_i64(&query, work->account);
	db_bind_text(&query, work->name);
	db_run(&query);
	return was_new(db, work->is_member ? STATUS_EXISTS : STATUS_NOT_FOUND);
}

enum status group_set_member(struct store *store, struct slice name, int64_t account, bool is_member)
{
	struct arena arena SCOPED_ARENA;
	struct group_work work = {slice_lower(&arena, name), account, is_member};

	return db_write(store->pool, set_member, &work);
}

enum status group_list(struct store *store, struct arena *arena, struct slice name, struct group_entry **entries, size_t *count)
{
	struct db *db SCOPED_DB = db_acquire(store->pool);
	struct list list = LIST(arena, struct group_entry);
	struct group_entry *entry;

	if (!db)
		return STATUS_TEMPORARY;
	struct db_query query =
		db_query(db, "SELECT g.name, coalesce(a.address, '') FROM account_group g"
			     " LEFT JOIN group_member m ON m.name = g.name LEFT JOIN account a ON a.id = m.account"
			     " WHERE $1 = '' OR g.name = $1 ORDER BY 1, 2");

	db_bind_text(&query, slice_lower(arena, name));
	while (db_row(&query) && (entry = list_add(&list)))
		*entry = (struct group_entry){slice_dup(arena, db_slice(&query, 0)), slice_dup(arena, db_slice(&query, 1))};
	db_done(&query);
	*entries = list.items;
	*count = list.count;
	return list.failed ? STATUS_LIMIT : db_status(db);
}
