/* Domains, accounts and aliases: making, changing, listing, and the one look-up of routing. */
#include "store/directory.h"

#include "base/clock.h"
#include "store/annotation_internal.h"
#include "store/url_key_internal.h"
#include "store/directory_internal.h"
#include "store/rights_internal.h"

#define TARGETS_MAX 10000

/* Addresses are kept and compared in lower case. */
static struct slice key_of(struct arena *arena, struct slice address)
{
	return slice_lower(arena, slice_trim(address));
}

static struct slice domain_of(struct slice address)
{
	size_t at = slice_find_last_byte(address, '@');

	return at == SLICE_NOT_FOUND ? SLICE_EMPTY : slice_skip(address, at + 1);
}

/* Does the statement find a row for this one text? */
static bool has_row(struct db *db, const char *sql, struct slice key)
{
	struct db_query query = db_query(db, sql);

	db_bind_text(&query, key);
	bool found = db_row(&query);

	db_done(&query);
	return found;
}

static bool has_domain(struct db *db, struct slice domain)
{
	return has_row(db, "SELECT 1 FROM domain WHERE name = $1", domain);
}

bool directory_is_domain(struct db *db, struct slice domain)
{
	return has_domain(db, domain);
}

static bool has_account(struct db *db, struct slice address)
{
	return has_row(db, "SELECT 1 FROM account WHERE address = $1", address);
}

static bool has_alias(struct db *db, struct slice address)
{
	return has_row(db, "SELECT 1 FROM alias WHERE address = $1 LIMIT 1", address);
}

/* ---- domains ---- */

static enum status add_domain(struct db *db, void *context)
{
	const struct slice *domain = context;
	struct arena arena SCOPED_ARENA;

	arena_init(&arena, 0);
	if (routing_is_domain(db, &arena, *domain))
		return STATUS_EXISTS;
	struct db_query query = db_query(db, "INSERT INTO domain (name, created_ms) VALUES ($1, $2) ON CONFLICT DO NOTHING");

	db_bind_text(&query, *domain);
	db_bind_i64(&query, clock_wall_ms());
	db_run(&query);
	return db_changes(db) == 0 && db_status(db) == STATUS_OK ? STATUS_EXISTS : db_status(db);
}

enum status directory_add_domain(struct store *store, struct slice domain)
{
	struct arena arena SCOPED_ARENA;
	struct slice key = key_of(&arena, domain);

	if (key.len == 0 || slice_find_byte(key, '@') != SLICE_NOT_FOUND)
		return STATUS_REFUSED;
	return db_write(store->pool, add_domain, &key);
}

void directory_forget_aliases(struct db *db, struct slice domain)
{
	struct db_query query = db_query(db, "DELETE FROM rule WHERE kind = $2 AND subject IN"
					     " (SELECT address FROM alias WHERE domain = $1)");

	db_bind_text(&query, domain);
	db_bind_i64(&query, RULE_LIST_SENDER);
	db_run(&query);
	query = db_query(db, "DELETE FROM alias WHERE domain = $1");
	db_bind_text(&query, domain);
	db_run(&query);
}

static enum status remove_domain(struct db *db, void *context)
{
	const struct slice *domain = context;

	if (has_row(db, "SELECT 1 FROM account WHERE domain = $1 LIMIT 1", *domain))
		return STATUS_REFUSED;
	directory_forget_aliases(db, *domain);
	rights_forget_domain(db, *domain);
	struct db_query query = db_query(db, "DELETE FROM domain WHERE name = $1");

	db_bind_text(&query, *domain);
	db_run(&query);
	return db_changes(db) == 0 && db_status(db) == STATUS_OK ? STATUS_NOT_FOUND : db_status(db);
}

enum status directory_remove_domain(struct store *store, struct slice domain)
{
	struct arena arena SCOPED_ARENA;
	struct slice key = key_of(&arena, domain);

	return db_write(store->pool, remove_domain, &key);
}

enum status directory_list_domains(struct store *store, struct arena *arena, struct slice **domains, size_t *count)
{
	struct db *db SCOPED_DB = db_acquire(store->pool);
	struct list list = LIST(arena, struct slice);
	struct slice *domain;

	if (!db)
		return STATUS_TEMPORARY;
	struct db_query query = db_query(db, "SELECT name FROM domain ORDER BY name");

	while (db_row(&query) && (domain = list_add(&list)))
		*domain = slice_dup(arena, db_slice(&query, 0));
	db_done(&query);
	*domains = list.items;
	*count = list.count;
	return list.failed ? STATUS_LIMIT : db_status(db);
}

enum status directory_has_domain(struct store *store, struct slice domain)
{
	struct arena arena SCOPED_ARENA;
	struct slice key = key_of(&arena, domain);
	struct db *db SCOPED_DB = db_acquire(store->pool);

	if (!db)
		return STATUS_TEMPORARY;
	return read_status(db, has_domain(db, key));
}

/* ---- reading accounts ---- */

#define ACCOUNT_COLUMNS                                                                                          \
	"SELECT id, address, name, enabled, quota_bytes, used_bytes, quota_messages, used_messages, created_ms," \
	" shared FROM account "

static void take_account(struct db_query *query, struct arena *arena, struct account *account)
{
	*account = (struct account){
		.id = db_i64(query, 0),
		.address = slice_dup(arena, db_slice(query, 1)),
		.name = slice_dup(arena, db_slice(query, 2)),
		.enabled = db_i64(query, 3) != 0,
		.quota_bytes = (uint64_t)db_i64(query, 4),
		.used_bytes = (uint64_t)db_i64(query, 5),
		.quota_messages = (uint64_t)db_i64(query, 6),
		.used_messages = (uint64_t)db_i64(query, 7),
		.created_ms = db_i64(query, 8),
		.is_shared = db_i64(query, 9) != 0,
	};
}

/* `key` in lower case. */
static bool read_account(struct db *db, struct arena *arena, struct slice key, struct account *account)
{
	struct db_query query = db_query(db, ACCOUNT_COLUMNS "WHERE address = $1 AND id > 0");

	db_bind_text(&query, key);
	bool found = db_row(&query);

	if (found)
		take_account(&query, arena, account);
	db_done(&query);
	return found;
}

enum status directory_find_account(struct store *store, struct arena *arena, struct slice address, struct account *account)
{
	struct slice key = key_of(arena, address);
	struct db *db SCOPED_DB = db_acquire(store->pool);

	if (!db)
		return STATUS_TEMPORARY;
	return read_status(db, read_account(db, arena, key, account));
}

enum status directory_get_account(struct store *store, struct arena *arena, int64_t id, struct account *account)
{
	struct db *db SCOPED_DB = db_acquire(store->pool);

	if (!db)
		return STATUS_TEMPORARY;
	struct db_query query = db_query(db, ACCOUNT_COLUMNS "WHERE id = $1 AND id > 0");

	db_bind_i64(&query, id);
	bool found = db_row(&query);

	if (found)
		take_account(&query, arena, account);
	db_done(&query);
	return read_status(db, found);
}

enum status directory_list_accounts(struct store *store, struct arena *arena, struct slice domain, struct account **accounts,
				    size_t *count)
{
	struct slice key = key_of(arena, domain);
	struct db *db SCOPED_DB = db_acquire(store->pool);
	struct list list = LIST(arena, struct account);
	struct account *account;

	if (!db)
		return STATUS_TEMPORARY;
	struct db_query query = key.len > 0 ? db_query(db, ACCOUNT_COLUMNS "WHERE domain = $1 ORDER BY address")
					    : db_query(db, ACCOUNT_COLUMNS "WHERE id > 0 ORDER BY address");

	if (key.len > 0)
		db_bind_text(&query, key);
	while (db_row(&query) && (account = list_add(&list)))
		take_account(&query, arena, account);
	db_done(&query);
	*accounts = list.items;
	*count = list.count;
	return list.failed ? STATUS_LIMIT : db_status(db);
}

/* ---- making accounts ---- */

struct add_work {
	struct slice address, name;
	uint64_t quota_bytes;
	bool is_shared;
	int64_t id;
};

static int64_t next_account_id(struct db *db)
{
	int64_t id = 0;
	struct db_query query = db_query(db, "UPDATE counter SET value = value + 1 WHERE name = 'account' RETURNING value");

	if (db_row(&query))
		id = db_i64(&query, 0);
	db_done(&query);
	return id;
}

static void insert_account(struct db *db, const struct add_work *work)
{
	struct db_query query =
		db_query(db, "INSERT INTO account (id, address, domain, name, enabled, created_ms, quota_bytes,"
			     " quota_messages, used_bytes, used_messages, modseq, log_modseq, next_email, next_mailbox,"
			     " next_uid_validity, shared) VALUES ($1, $2, $3, $4, 1, $5, $6, 0, 0, 0, 0, 0, 1, 1, 1, $7)");

	db_bind_i64(&query, work->id);
	db_bind_text(&query, work->address);
	db_bind_text(&query, domain_of(work->address));
	db_bind_text(&query, work->name.data ? work->name : SLICE_EMPTY);
	db_bind_i64(&query, clock_wall_ms());
	db_bind_i64(&query, (int64_t)work->quota_bytes);
	db_bind_i64(&query, work->is_shared);
	db_run(&query);
}

struct special_mailbox {
	struct slice name, role;
};

/* INBOX first: it is MAILBOX_INBOX_ID. */
static const struct special_mailbox special_mailboxes[] = {
	{{"INBOX", 5}, {"inbox", 5}}, {{"Drafts", 6}, {"drafts", 6}}, {{"Sent", 4}, {"sent", 4}},
	{{"Junk", 4}, {"junk", 4}},   {{"Trash", 5}, {"trash", 5}},   {{"Archive", 7}, {"archive", 7}},
};

static enum status make_mailboxes(struct db *db, int64_t id, bool is_shared)
{
	size_t count = is_shared ? 1 : sizeof special_mailboxes / sizeof special_mailboxes[0];
	struct account_row *account = counters_account(db, id);
	enum status status = account ? STATUS_OK : counters_missing(db);

	for (size_t i = 0; i < count && status == STATUS_OK; i++) {
		int64_t mailbox;
		bool made;

		status = mailbox_ensure(db, account, special_mailboxes[i].name, special_mailboxes[i].role, &mailbox, &made);
		struct db_query query = db_query(db, "INSERT INTO subscription (account, name) VALUES ($1, $2)");

		db_bind_i64(&query, id);
		db_bind_text(&query, special_mailboxes[i].name);
		db_run(&query);
	}
	return status != STATUS_OK ? status : db_status(db);
}

static enum status add_account(struct db *db, void *context)
{
	struct add_work *work = context;

	if (!has_domain(db, domain_of(work->address)))
		return read_status(db, false);
	if (has_account(db, work->address) || has_alias(db, work->address))
		return STATUS_EXISTS;
	work->id = next_account_id(db);
	if (work->id > INT32_MAX)
		return STATUS_LIMIT;
	insert_account(db, work);
	return make_mailboxes(db, work->id, work->is_shared);
}

static enum status add(struct store *store, struct slice address, struct slice name, uint64_t quota_bytes, bool is_shared,
		       int64_t *account_id)
{
	struct arena arena SCOPED_ARENA;
	struct add_work work = {
		.address = key_of(&arena, address), .name = name, .quota_bytes = quota_bytes, .is_shared = is_shared};

	if (domain_of(work.address).len == 0 || work.address.data[0] == '@' || quota_bytes > INT64_MAX)
		return STATUS_REFUSED;
	enum status status = db_write(store->pool, add_account, &work);

	if (account_id)
		*account_id = work.id;
	return status;
}

enum status directory_add_account(struct store *store, struct slice address, struct slice name, uint64_t quota_bytes,
				  int64_t *account_id)
{
	return add(store, address, name, quota_bytes, false, account_id);
}

enum status directory_add_shared_account(struct store *store, struct slice address, struct slice name, uint64_t quota_bytes,
					 int64_t *account_id)
{
	return add(store, address, name, quota_bytes, true, account_id);
}

/* ---- changing accounts ---- */

struct set_work {
	struct slice address;
	bool enabled;
	uint64_t bytes, messages;
};

static enum status was_there(struct db *db)
{
	int64_t changes = db_changes(db);

	return db_status(db) != STATUS_OK ? db_status(db) : changes > 0 ? STATUS_OK : STATUS_NOT_FOUND;
}

static enum status set_enabled(struct db *db, void *context)
{
	const struct set_work *work = context;
	struct db_query query = db_query(db, "UPDATE account SET enabled = $2 WHERE address = $1 AND id > 0");

	db_bind_text(&query, work->address);
	db_bind_i64(&query, work->enabled);
	db_run(&query);
	return was_there(db);
}

enum status directory_enable_account(struct store *store, struct slice address, bool enabled)
{
	struct arena arena SCOPED_ARENA;
	struct set_work work = {.address = key_of(&arena, address), .enabled = enabled};

	return db_write(store->pool, set_enabled, &work);
}

static enum status set_quota(struct db *db, void *context)
{
	const struct set_work *work = context;

	counters_drop(db);
	struct db_query query =
		db_query(db, "UPDATE account SET quota_bytes = $2, quota_messages = $3 WHERE address = $1 AND id > 0");

	db_bind_text(&query, work->address);
	db_bind_i64(&query, (int64_t)work->bytes);
	db_bind_i64(&query, (int64_t)work->messages);
	db_run(&query);
	return was_there(db);
}

enum status directory_set_quota(struct store *store, struct slice address, uint64_t bytes, uint64_t messages)
{
	struct arena arena SCOPED_ARENA;
	struct set_work work = {.address = key_of(&arena, address), .bytes = bytes, .messages = messages};

	return bytes > INT64_MAX || messages > INT64_MAX ? STATUS_REFUSED : db_write(store->pool, set_quota, &work);
}

/* ---- removing accounts ---- */

/* The account is gone at once, with all that others can see of it; its messages follow in pieces, so that the writer's lock is
 * never held for long. What a crash leaves is in the table `removal`, and the next removal goes on with it. */
#define EMAILS_PER_PIECE 500

struct remove_work {
	struct slice address;
	int64_t id;
	bool finished;
};

static void delete_of_account(struct db *db, const char *sql, int64_t account)
{
	struct db_query query = db_query(db, sql);

	db_bind_i64(&query, account);
	db_run(&query);
}

static int64_t id_of(struct db *db, struct slice address)
{
	int64_t id = 0;
	struct db_query query = db_query(db, "SELECT id FROM account WHERE address = $1 AND id > 0");

	db_bind_text(&query, address);
	if (db_row(&query))
		id = db_i64(&query, 0);
	db_done(&query);
	return id;
}

static enum status remove_account(struct db *db, void *context)
{
	struct remove_work *work = context;

	counters_drop(db);
	work->id = id_of(db, work->address);
	if (work->id == 0)
		return read_status(db, false);
	delete_of_account(db, "INSERT INTO removal (account) VALUES ($1)", work->id);
	delete_of_account(db, "DELETE FROM account WHERE id = $1", work->id);
	routing_forget(db, RULE_MAY_SEND, work->address);
	rights_forget_account(db, work->id, work->address);
	annotation_forget_account(db, work->id);
	url_key_forget_account(db, work->id);
	delete_of_account(db, "DELETE FROM mailbox WHERE account = $1", work->id);
	delete_of_account(db, "DELETE FROM subscription WHERE account = $1", work->id);
	delete_of_account(db, "DELETE FROM thread_state WHERE account = $1", work->id);
	delete_of_account(db, "DELETE FROM keyword WHERE account = $1", work->id);
	return db_status(db);
}

/* The id behind the next EMAILS_PER_PIECE emails; 0: none are left. */
static int64_t end_of_piece(struct db *db, int64_t account)
{
	int64_t end = 0;
	struct db_query query =
		db_query(db, "SELECT id, chunks FROM email WHERE account = $1 AND id >= $2 AND id < $3 ORDER BY id LIMIT $4");

	db_bind_i64(&query, account);
	db_bind_i64(&query, account << 32);
	db_bind_i64(&query, (account + 1) << 32);
	db_bind_i64(&query, EMAILS_PER_PIECE);
	while (db_row(&query))
		end = db_i64(&query, 0) + db_i64(&query, 1);
	db_done(&query);
	return end;
}

static void delete_emails(struct db *db, const char *sql, int64_t account, int64_t end)
{
	struct db_query query = db_query(db, sql);

	db_bind_i64(&query, account);
	db_bind_i64(&query, account << 32);
	db_bind_i64(&query, end);
	db_run(&query);
}

static enum status remove_piece(struct db *db, void *context)
{
	struct remove_work *work = context;
	int64_t end = end_of_piece(db, work->id);

	work->finished = end == 0;
	if (!work->finished) {
		delete_emails(db, "DELETE FROM email WHERE account = $1 AND id >= $2 AND id < $3", work->id, end);
		delete_emails(db, "DELETE FROM blob WHERE account = $1 AND id >= $2 AND id < $3", work->id, end);
		delete_emails(db, "DELETE FROM attachment_text WHERE account = $1 AND email >= $2 AND email < $3", work->id, end);
		return db_status(db);
	}
	delete_of_account(db, "DELETE FROM mailbox_email WHERE account = $1", work->id);
	delete_of_account(db, "DELETE FROM deleted_email WHERE account = $1", work->id);
	delete_of_account(db, "DELETE FROM deleted_mailbox WHERE account = $1", work->id);
	delete_of_account(db, "DELETE FROM import_item WHERE account = $1", work->id);
	delete_of_account(db, "DELETE FROM import_source WHERE account = $1", work->id);
	delete_of_account(db, "DELETE FROM change WHERE account = $1", work->id);
	delete_of_account(db, "DELETE FROM text_segment WHERE account = $1", work->id);
	delete_of_account(db, "DELETE FROM text_posting WHERE account = $1", work->id);
	delete_of_account(db, "DELETE FROM attachment_progress WHERE account = $1", work->id);
	delete_of_account(db, "DELETE FROM email_thread WHERE account = $1", work->id);
	delete_of_account(db, "DELETE FROM thread_ref WHERE account = $1", work->id);
	delete_of_account(db, "DELETE FROM removal WHERE account = $1", work->id);
	return db_status(db);
}

static enum status next_removal(struct store *store, int64_t *account)
{
	struct db *db SCOPED_DB = db_acquire(store->pool);

	if (!db)
		return STATUS_TEMPORARY;
	struct db_query query = db_query(db, "SELECT account FROM removal ORDER BY account LIMIT 1");
	bool found = db_row(&query);

	if (found)
		*account = db_i64(&query, 0);
	db_done(&query);
	return read_status(db, found);
}

enum status directory_finish_removals(struct store *store)
{
	struct remove_work work = {0};
	enum status status;

	while ((status = next_removal(store, &work.id)) == STATUS_OK) {
		for (work.finished = false; status == STATUS_OK && !work.finished;)
			status = db_write(store->pool, remove_piece, &work);
		if (status != STATUS_OK)
			return status;
	}
	return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

enum status directory_remove_account(struct store *store, struct slice address)
{
	struct arena arena SCOPED_ARENA;
	struct remove_work work = {.address = key_of(&arena, address)};
	enum status status = work.address.len > 0 ? db_write(store->pool, remove_account, &work) : STATUS_NOT_FOUND;

	if (status != STATUS_OK)
		return status;
	/* What is left over is invisible, and goes with the next clean-up if not now. */
	status = directory_finish_removals(store);
	if (status != STATUS_OK)
		LOG_WARNING(store->log, "store.removal-unfinished", LOG_INT("account", work.id));
	return STATUS_OK;
}

/* ---- aliases ---- */

static bool is_relay_domain(struct db *db, struct slice domain)
{
	struct arena arena SCOPED_ARENA;

	arena_init(&arena, 0);
	return routing_is_relay_domain(db, &arena, domain);
}

static enum status add_alias(struct db *db, void *context)
{
	const struct alias *alias = context;

	if (!has_domain(db, domain_of(alias->address)) && !is_relay_domain(db, domain_of(alias->address)))
		return read_status(db, false);
	if (has_account(db, alias->address))
		return STATUS_EXISTS;
	struct db_query query =
		db_query(db, "INSERT INTO alias (address, target, domain) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING");

	db_bind_text(&query, alias->address);
	db_bind_text(&query, alias->target);
	db_bind_text(&query, domain_of(alias->address));
	db_run(&query);
	return db_changes(db) == 0 && db_status(db) == STATUS_OK ? STATUS_EXISTS : db_status(db);
}

/* local:NAME (routing.h). */
static bool is_local_target(struct slice target)
{
	return slice_starts_with(target, HOP_LOCAL) && target.len > HOP_LOCAL.len;
}

enum status directory_add_alias(struct store *store, struct slice address, struct slice target)
{
	struct arena arena SCOPED_ARENA;
	struct alias alias = {key_of(&arena, address), slice_trim(target)};

	if (domain_of(alias.address).len == 0 || (domain_of(alias.target).len == 0 && !is_local_target(alias.target)))
		return STATUS_REFUSED;
	return db_write(store->pool, add_alias, &alias);
}

static enum status remove_alias(struct db *db, void *context)
{
	const struct alias *alias = context;
	struct db_query query = db_query(db, "DELETE FROM alias WHERE address = $1 AND ($2 = '' OR target = $2)");

	db_bind_text(&query, alias->address);
	db_bind_text(&query, alias->target);
	db_run(&query);
	enum status status = was_there(db);

	/* An alias made anew is open to everybody again. */
	if (status == STATUS_OK && !has_alias(db, alias->address))
		routing_forget(db, RULE_LIST_SENDER, alias->address);
	return status;
}

enum status directory_remove_alias(struct store *store, struct slice address, struct slice target)
{
	struct arena arena SCOPED_ARENA;
	struct alias alias = {key_of(&arena, address), target.data ? slice_trim(target) : SLICE_EMPTY};

	return db_write(store->pool, remove_alias, &alias);
}

enum status directory_list_aliases(struct store *store, struct arena *arena, struct alias **aliases, size_t *count)
{
	struct db *db SCOPED_DB = db_acquire(store->pool);
	struct list list = LIST(arena, struct alias);
	struct alias *alias;

	if (!db)
		return STATUS_TEMPORARY;
	struct db_query query = db_query(db, "SELECT address, target FROM alias ORDER BY address, target");

	while (db_row(&query) && (alias = list_add(&list)))
		*alias = (struct alias){slice_dup(arena, db_slice(&query, 0)), slice_dup(arena, db_slice(&query, 1))};
	db_done(&query);
	*aliases = list.items;
	*count = list.count;
	return list.failed ? STATUS_LIMIT : db_status(db);
}

/* ---- the look-up of routing ---- */

static bool read_targets(struct db *db, struct arena *arena, struct slice address, struct directory_entry *entry)
{
	struct list list = LIST(arena, struct slice);
	struct slice *target;
	struct db_query query = db_query(db, "SELECT target FROM alias WHERE address = $1 ORDER BY target LIMIT $2");

	db_bind_text(&query, address);
	db_bind_i64(&query, TARGETS_MAX);
	while (db_row(&query) && (target = list_add(&list)))
		*target = slice_dup(arena, db_slice(&query, 0));
	db_done(&query);
	entry->targets = list.items;
	entry->target_count = list.count;
	if (list.count == 0)
		return false;
	entry->kind = DIRECTORY_ALIAS;
	routing_read_senders(db, arena, address, entry);
	return true;
}

static bool look_up_exact(struct db *db, struct arena *arena, struct slice address, struct directory_entry *entry)
{
	if (read_account(db, arena, address, &entry->account)) {
		entry->kind = DIRECTORY_ACCOUNT;
		return true;
	}
	return read_targets(db, arena, address, entry);
}

/* "local+detail@domain" without its detail; data NULL: it has none. */
static struct slice without_detail(struct arena *arena, struct slice address, struct slice domain, char separator)
{
	struct slice local = slice_sub(address, 0, address.len - domain.len - 1);
	size_t at = separator ? slice_find_byte(local, separator) : SLICE_NOT_FOUND;

	if (at == SLICE_NOT_FOUND || at == 0)
		return slice_of(NULL, 0);
	return slice_join(arena, (const struct slice[]){slice_sub(local, 0, at), SLICE("@"), domain}, 3);
}

static void look_up(struct db *db, struct arena *arena, struct slice address, char separator, struct directory_entry *entry)
{
	struct slice domain = domain_of(address), base;

	if (look_up_exact(db, arena, address, entry))
		return;
	if (!has_domain(db, domain)) {
		routing_look_up(db, arena, address, domain, entry);
		return;
	}
	base = without_detail(arena, address, domain, separator);
	if (base.data && look_up_exact(db, arena, base, entry))
		return;
	base = slice_join(arena, (const struct slice[]){SLICE("@"), domain}, 2);
	entry->is_catch_all = read_targets(db, arena, base, entry);
	if (!entry->is_catch_all)
		entry->kind = DIRECTORY_UNKNOWN;
}

enum status directory_look_up(struct store *store, struct arena *arena, struct slice address, char separator,
			      struct directory_entry *entry)
{
	struct slice key = key_of(arena, address);
	struct db *db SCOPED_DB = db_acquire(store->pool);

	*entry = (struct directory_entry){.kind = DIRECTORY_NOT_LOCAL};
	if (!db || db_begin(db, DB_READ) != STATUS_OK)
		return STATUS_TEMPORARY;
	if (domain_of(key).len > 0)
		look_up(db, arena, key, separator, entry);
	return db_status(db);
}
