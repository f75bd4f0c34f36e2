#include "store/counters.h"

#include <stdlib.h>

#include <uthash.h>

#define EMAIL_NUMBERS_MAX UINT32_MAX

struct account_item {
	struct account_row row;
	uint64_t work_number; /* the work that modseq was raised for */
	bool may_differ;      /* from the table */
	UT_hash_handle hh;
};

struct mailbox_key {
	int64_t account, mailbox;
};

struct mailbox_item {
	struct mailbox_key key;
	struct mailbox_row row;
	bool may_differ;
	UT_hash_handle hh;
};

struct counters {
	struct account_item *accounts;
	struct mailbox_item *mailboxes;
	struct arena arena;
};

static void *counters_make(void)
{
	struct counters *counters = calloc(1, sizeof *counters);

	if (!counters)
		abort();
	arena_init(&counters->arena, 0);
	return counters;
}

static void counters_forget(void *cache)
{
	struct counters *counters = cache;

	HASH_CLEAR(hh, counters->accounts);
	HASH_CLEAR(hh, counters->mailboxes);
	arena_reset(&counters->arena);
}

static void counters_free(void *cache)
{
	struct counters *counters = cache;

	counters_forget(counters);
	arena_free(&counters->arena);
	free(counters);
}

/* ---- loading ---- */

static bool load_account(struct db *db, struct arena *arena, int64_t id, struct account_row *row)
{
	struct db_query query =
		db_query(db, "SELECT quota_bytes, quota_messages, used_bytes, used_messages, next_email, next_mailbox,"
			     " next_uid_validity, modseq, address FROM account WHERE id = $1 FOR UPDATE");

	db_bind_i64(&query, id);
	bool found = db_row(&query);

	if (found)
		*row = (struct account_row){
			.id = id,
			.quota_bytes = (uint64_t)db_i64(&query, 0),
			.quota_messages = (uint64_t)db_i64(&query, 1),
			.used_bytes = (uint64_t)db_i64(&query, 2),
			.used_messages = (uint64_t)db_i64(&query, 3),
			.next_email = db_i64(&query, 4),
			.next_mailbox = db_i64(&query, 5),
			.next_uid_validity = db_i64(&query, 6),
			.modseq = (uint64_t)db_i64(&query, 7),
			.address = slice_dup(arena, db_slice(&query, 8)),
		};
	db_done(&query);
	return found;
}

static bool load_mailbox(struct db *db, struct mailbox_key key, struct mailbox_row *row)
{
	struct db_query query =
		db_query(db, "SELECT uid_validity, uid_next, highest_modseq, messages, unseen, deleted, size_bytes,"
			     " selectable FROM mailbox WHERE account = $1 AND id = $2 FOR UPDATE");

	db_bind_i64(&query, key.account);
	db_bind_i64(&query, key.mailbox);
	bool found = db_row(&query);

	if (found)
		*row = (struct mailbox_row){
			.account = key.account,
			.id = key.mailbox,
			.uid_validity = (uint32_t)db_i64(&query, 0),
			.uid_next = (uint32_t)db_i64(&query, 1),
			.highest_modseq = (uint64_t)db_i64(&query, 2),
			.messages = (uint32_t)db_i64(&query, 3),
			.unseen = (uint32_t)db_i64(&query, 4),
			.deleted = (uint32_t)db_i64(&query, 5),
			.size_bytes = (uint64_t)db_i64(&query, 6),
			.selectable = db_i64(&query, 7) != 0,
		};
	db_done(&query);
	return found;
}

struct account_row *counters_account(struct db *db, int64_t account)
{
	struct counters *counters = db_cache(db);
	struct account_item *entry;
	struct account_row row;

	HASH_FIND(hh, counters->accounts, &account, sizeof account, entry);
	if (!entry) {
		if (!load_account(db, &counters->arena, account, &row))
			return NULL;
		entry = ARENA_NEW(&counters->arena, struct account_item);
		entry->row = row;
		HASH_ADD(hh, counters->accounts, row.id, sizeof entry->row.id, entry);
	}
	entry->may_differ = true;
	return &entry->row;
}

struct mailbox_row *counters_mailbox(struct db *db, int64_t account, int64_t mailbox)
{
	struct counters *counters = db_cache(db);
	struct mailbox_key key = {account, mailbox};
	struct mailbox_item *entry;
	struct mailbox_row row;

	HASH_FIND(hh, counters->mailboxes, &key, sizeof key, entry);
	if (!entry) {
		if (!load_mailbox(db, key, &row))
			return NULL;
		entry = ARENA_NEW(&counters->arena, struct mailbox_item);
		entry->key = key;
		entry->row = row;
		HASH_ADD(hh, counters->mailboxes, key, sizeof entry->key, entry);
	}
	entry->may_differ = true;
	return &entry->row;
}

enum status counters_missing(const struct db *db)
{
	return db_status(db) == STATUS_OK ? STATUS_NOT_FOUND : db_status(db);
}

/* ---- changing ---- */

uint64_t counters_modseq(struct db *db, struct account_row *account)
{
	struct account_item *entry = (struct account_item *)account;

	if (entry->work_number != db_work_number(db)) {
		entry->work_number = db_work_number(db);
		account->modseq++;
		db_touch(db);
	}
	return account->modseq;
}

void counters_add(struct account_row *account, struct mailbox_row *mailbox, uint64_t size, uint64_t flags, uint64_t modseq)
{
	account->used_bytes += size;
	account->used_messages++;
	mailbox->messages++;
	mailbox->unseen += !(flags & FLAG_SEEN);
	mailbox->deleted += !!(flags & FLAG_DELETED);
	mailbox->size_bytes += size;
	mailbox->highest_modseq = modseq;
}

void counters_remove(struct account_row *account, struct mailbox_row *mailbox, uint64_t size, uint64_t flags, uint64_t modseq)
{
	account->used_bytes -= size;
	account->used_messages--;
	mailbox->messages--;
	mailbox->unseen -= !(flags & FLAG_SEEN);
	mailbox->deleted -= !!(flags & FLAG_DELETED);
	mailbox->size_bytes -= size;
	mailbox->highest_modseq = modseq;
}

enum status counters_check_quota(const struct account_row *account, uint64_t messages, uint64_t bytes)
{
	if (account->quota_bytes > 0 && account->used_bytes + bytes > account->quota_bytes)
		return STATUS_LIMIT;
	if (account->quota_messages > 0 && account->used_messages + messages > account->quota_messages)
		return STATUS_LIMIT;
	return account->next_email + 100000 > EMAIL_NUMBERS_MAX ? STATUS_LIMIT : STATUS_OK;
}

int64_t counters_take_ids(struct account_row *account, int64_t count)
{
	int64_t first = account->id << 32 | account->next_email;

	account->next_email += count;
	return first;
}

/* ---- writing back ---- */

static void store_account(struct db *db, const struct account_row *row)
{
	struct db_query query = db_query(db, "UPDATE account SET used_bytes = $2, used_messages = $3, next_email = $4,"
					     " next_mailbox = $5, next_uid_validity = $6, modseq = $7 WHERE id = $1");

	db_bind_i64(&query, row->id);
	db_bind_i64(&query, (int64_t)row->used_bytes);
	db_bind_i64(&query, (int64_t)row->used_messages);
	db_bind_i64(&query, row->next_email);
	db_bind_i64(&query, row->next_mailbox);
	db_bind_i64(&query, row->next_uid_validity);
	db_bind_i64(&query, (int64_t)row->modseq);
	db_run(&query);
}

static void store_mailbox(struct db *db, const struct mailbox_row *row)
{
	struct db_query query = db_query(
		db, "UPDATE mailbox SET uid_validity = $3, uid_next = $4, highest_modseq = $5, messages = $6, unseen = $7,"
		    " deleted = $8, size_bytes = $9 WHERE account = $1 AND id = $2");

	db_bind_i64(&query, row->account);
	db_bind_i64(&query, row->id);
	db_bind_i64(&query, row->uid_validity);
	db_bind_i64(&query, row->uid_next);
	db_bind_i64(&query, (int64_t)row->highest_modseq);
	db_bind_i64(&query, row->messages);
	db_bind_i64(&query, row->unseen);
	db_bind_i64(&query, row->deleted);
	db_bind_i64(&query, (int64_t)row->size_bytes);
	db_run(&query);
}

static void flush_cache(struct db *db, void *cache)
{
	struct counters *counters = cache;
	struct account_item *account, *next_account;
	struct mailbox_item *mailbox, *next_mailbox;

	HASH_ITER(hh, counters->accounts, account, next_account)
	{
		if (account->may_differ)
			store_account(db, &account->row);
		account->may_differ = false;
	}
	HASH_ITER(hh, counters->mailboxes, mailbox, next_mailbox)
	{
		if (mailbox->may_differ)
			store_mailbox(db, &mailbox->row);
		mailbox->may_differ = false;
	}
}

void counters_flush(struct db *db)
{
	flush_cache(db, db_cache(db));
}

void counters_drop(struct db *db)
{
	counters_flush(db);
	counters_forget(db_cache(db));
}

const struct db_write_cache counters_cache = {
	.make = counters_make,
	.flush = flush_cache,
	.forget = counters_forget,
	.free = counters_free,
};
