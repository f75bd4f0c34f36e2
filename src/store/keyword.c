/* Keywords of an account: names for the bits of a message's flags. */
#include "store/store_internal.h"

#define NAME_MAX_BYTES 200

static void read_keywords(struct db *db, struct arena *arena, int64_t account, struct keyword_table *table)
{
	struct db_query query = db_query(db, "SELECT bit, name FROM keyword WHERE account = $1");

	*table = (struct keyword_table){0};
	db_bind_i64(&query, account);
	while (db_row(&query)) {
		int64_t bit = db_i64(&query, 0);

		if (bit >= FLAG_KEYWORD_FIRST && bit <= FLAG_KEYWORD_LAST)
			table->names[bit] = slice_dup(arena, db_slice(&query, 1));
	}
	db_done(&query);
}

enum status keyword_list(struct store *store, struct arena *arena, int64_t account, struct keyword_table *table)
{
	struct db *db SCOPED_DB = db_acquire(store->pool);

	if (!db)
		return STATUS_TEMPORARY;
	read_keywords(db, arena, account, table);
	return db_status(db);
}

/* RFC 9051 section 2.3.2: keywords are compared without case. */
static bool find_bit(const struct keyword_table *table, struct slice name, unsigned *bit)
{
	for (unsigned i = FLAG_KEYWORD_FIRST; i <= FLAG_KEYWORD_LAST; i++)
		if (table->names[i].len > 0 && slice_eq_nocase(table->names[i], name)) {
			*bit = i;
			return true;
		}
	return false;
}

static bool find_free_bit(const struct keyword_table *table, unsigned *bit)
{
	for (*bit = FLAG_KEYWORD_FIRST; *bit <= FLAG_KEYWORD_LAST; (*bit)++)
		if (table->names[*bit].len == 0)
			return true;
	return false;
}

struct keyword_work {
	int64_t account;
	struct slice name;
	unsigned bit;
};

static enum status make_keyword(struct db *db, void *context)
{
	struct keyword_work *work = context;
	struct arena arena SCOPED_ARENA;
	struct keyword_table table;

	/* The account's row is locked: on PostgreSQL another node could take the same bit. */
	if (!counters_account(db, work->account))
		return counters_missing(db);
	read_keywords(db, &arena, work->account, &table);
	if (db_status(db) != STATUS_OK || find_bit(&table, work->name, &work->bit))
		return db_status(db);
	if (!find_free_bit(&table, &work->bit))
		return STATUS_LIMIT;
	struct db_query query = db_query(db, "INSERT INTO keyword (account, bit, name) VALUES ($1, $2, $3)");

	db_bind_i64(&query, work->account);
	db_bind_i64(&query, work->bit);
	db_bind_text(&query, work->name);
	db_run(&query);
	return db_status(db);
}

enum status keyword_find(struct store *store, int64_t account, struct slice name, bool create, unsigned *bit)
{
	struct arena arena SCOPED_ARENA;
	struct keyword_table table;
	struct keyword_work work = {.account = account, .name = name};
	enum status status = keyword_list(store, &arena, account, &table);

	if (status != STATUS_OK)
		return status;
	if (find_bit(&table, name, bit))
		return STATUS_OK;
	if (!create)
		return STATUS_NOT_FOUND;
	if (name.len == 0 || name.len > NAME_MAX_BYTES || !slice_is_utf8(name))
		return STATUS_REFUSED;
	status = db_write(store->pool, make_keyword, &work);
	*bit = work.bit;
	return status;
}
