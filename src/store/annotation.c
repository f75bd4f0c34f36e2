#include "store/annotation.h"

#include "store/annotation_internal.h"
#include "store/store_internal.h"

/* Removals are remembered for so many changes of the server, for sessions that are to be told. */
#define REMEMBERED 1000

bool annotation_is_private(struct slice entry)
{
	return slice_starts_with(entry, SLICE("/private"));
}

enum status annotation_list(struct store *store, struct arena *arena, int64_t account, int64_t mailbox, int64_t viewer,
			    struct annotation **annotations, size_t *count)
{
	struct db *db SCOPED_DB = db_acquire(store->pool);
	struct list list = LIST(arena, struct annotation);
	struct annotation *annotation;

	if (!db)
		return STATUS_TEMPORARY;
	struct db_query query = db_query(db, "SELECT entry, value FROM annotation WHERE account = $1 AND mailbox = $2"
					     " AND viewer IN (0, $3) AND value IS NOT NULL ORDER BY entry");

	db_bind_i64(&query, account);
	db_bind_i64(&query, mailbox);
	db_bind_i64(&query, viewer);
	while (db_row(&query) && (annotation = list_add(&list)))
		*annotation = (struct annotation){slice_dup(arena, db_slice(&query, 0)), slice_dup(arena, db_slice(&query, 1))};
	db_done(&query);
	*annotations = list.items;
	*count = list.count;
	return list.failed ? STATUS_LIMIT : db_status(db);
}

/* ---- setting ---- */

struct set_work {
	int64_t account, mailbox, viewer;
	const struct annotation *annotations;
	size_t count;
	int64_t number;
};

static int64_t next_number(struct db *db)
{
	int64_t number = 0;
	struct db_query query = db_query(db, "UPDATE counter SET value = value + 1 WHERE name = 'annotation' RETURNING value");

	if (db_row(&query))
		number = db_i64(&query, 0);
	db_done(&query);
	return number;
}

static void write_one(struct db *db, const struct set_work *work, const struct annotation *annotation)
{
	struct db_query query = db_query(
		db, "INSERT INTO annotation (account, mailbox, viewer, entry, number, value) VALUES ($1, $2, $3, $4, $5, $6)"
		    " ON CONFLICT (account, mailbox, viewer, entry) DO UPDATE SET number = excluded.number,"
		    " value = excluded.value");

	db_bind_i64(&query, work->account);
	db_bind_i64(&query, work->mailbox);
	db_bind_i64(&query, annotation_is_private(annotation->entry) ? work->viewer : 0);
	db_bind_text(&query, annotation->entry);
	db_bind_i64(&query, work->number);
	db_bind_bytes(&query, annotation->value);
	db_run(&query);
}

static void forget_removals(struct db *db, const struct set_work *work)
{
	struct db_query query =
		db_query(db, "DELETE FROM annotation WHERE account = $1 AND mailbox = $2 AND value IS NULL AND number < $3");

	db_bind_i64(&query, work->account);
	db_bind_i64(&query, work->mailbox);
	db_bind_i64(&query, work->number - REMEMBERED);
	db_run(&query);
}

/* One number and one owner in, one number out. */
static int64_t ask(struct db *db, const char *sql, const struct set_work *work, int64_t viewer)
{
	int64_t number = 0;
	struct db_query query = db_query(db, sql);

	db_bind_i64(&query, work->account);
	db_bind_i64(&query, viewer);
	db_bind_i64(&query, work->mailbox);
	if (db_row(&query))
		number = db_i64(&query, 0);
	db_done(&query);
	return number;
}

#define COUNT "SELECT count(*) FROM annotation WHERE account = $1 AND viewer = $2 AND mailbox = $3 AND value IS NOT NULL"
#define SHARED_BYTES                                                                                                \
	"SELECT CAST(coalesce(sum(length(value)), 0) AS BIGINT) FROM annotation WHERE account = $1 AND viewer = $2" \
	" AND $3 = $3"
#define OWN_BYTES \
	"SELECT CAST(coalesce(sum(length(value)), 0) AS BIGINT) FROM annotation WHERE viewer = $2 AND $1 = $1 AND $3 = $3"

static bool is_too_much(struct db *db, const struct set_work *work)
{
	return ask(db, COUNT, work, 0) > ANNOTATION_COUNT_MAX || ask(db, COUNT, work, work->viewer) > ANNOTATION_COUNT_MAX ||
	       ask(db, SHARED_BYTES, work, 0) > ANNOTATION_TOTAL_BYTES ||
	       ask(db, OWN_BYTES, work, work->viewer) > ANNOTATION_TOTAL_BYTES;
}

static enum status set(struct db *db, void *context)
{
	struct set_work *work = context;
	bool sets = false;

	if (!counters_account(db, work->account) ||
	    (work->mailbox != ANNOTATION_SERVER && !counters_mailbox(db, work->account, work->mailbox)))
		return counters_missing(db);
	work->number = next_number(db);
	for (size_t i = 0; i < work->count && db_status(db) == STATUS_OK; i++) {
		write_one(db, work, &work->annotations[i]);
		sets |= work->annotations[i].value.data != NULL;
	}
	if (sets && is_too_much(db, work))
		return db_status(db) != STATUS_OK ? db_status(db) : STATUS_LIMIT;
	forget_removals(db, work);
	return db_status(db);
}

enum status annotation_set(struct store *store, int64_t account, int64_t mailbox, int64_t viewer,
			   const struct annotation *annotations, size_t count, int64_t *number)
{
	struct set_work work = {account, mailbox, viewer, annotations, count, 0};
	enum status status = db_write(store->pool, set, &work);

	*number = work.number;
	return status;
}

/* ---- news ---- */

enum status annotation_latest(struct store *store, int64_t *number)
{
	struct db *db SCOPED_DB = db_acquire(store->pool);

	*number = 0;
	if (!db)
		return STATUS_TEMPORARY;
	struct db_query query = db_query(db, "SELECT value FROM counter WHERE name = 'annotation'");

	if (db_row(&query))
		*number = db_i64(&query, 0);
	db_done(&query);
	return db_status(db);
}

enum status annotation_changes(struct store *store, struct arena *arena, int64_t viewer, int64_t after, size_t max,
			       struct annotation_change **changes, size_t *count)
{
	struct db *db SCOPED_DB = db_acquire(store->pool);
	struct list list = LIST(arena, struct annotation_change);
	struct annotation_change *change;

	if (!db)
		return STATUS_TEMPORARY;
	struct db_query query =
		db_query(db, "SELECT n.account, n.mailbox, n.number, a.address, a.shared, coalesce(m.name, ''), n.entry"
			     " FROM annotation n JOIN account a ON a.id = n.account"
			     " LEFT JOIN mailbox m ON m.account = n.account AND m.id = n.mailbox"
			     " WHERE n.number > $1 AND n.viewer IN (0, $2) ORDER BY n.number LIMIT $3");

	db_bind_i64(&query, after);
	db_bind_i64(&query, viewer);
	db_bind_i64(&query, (int64_t)max);
	while (db_row(&query) && (change = list_add(&list)))
		*change = (struct annotation_change){
			.account = db_i64(&query, 0),
			.mailbox = db_i64(&query, 1),
			.number = db_i64(&query, 2),
			.address = slice_dup(arena, db_slice(&query, 3)),
			.is_shared = db_i64(&query, 4) != 0,
			.name = slice_dup(arena, db_slice(&query, 5)),
			.entry = slice_dup(arena, db_slice(&query, 6)),
		};
	db_done(&query);
	*changes = list.items;
	*count = list.count;
	return list.failed ? STATUS_LIMIT : db_status(db);
}

/* ---- with mailboxes and accounts ---- */

void annotation_copy(struct db *db, int64_t account, int64_t from, int64_t to)
{
	struct db_query query =
		db_query(db, "INSERT INTO annotation (account, mailbox, viewer, entry, number, value)"
			     " SELECT account, $3, viewer, entry, number, value FROM annotation"
			     " WHERE account = $1 AND mailbox = $2 AND value IS NOT NULL ON CONFLICT DO NOTHING");

	db_bind_i64(&query, account);
	db_bind_i64(&query, from);
	db_bind_i64(&query, to);
	db_run(&query);
}

void annotation_forget_mailbox(struct db *db, int64_t account, int64_t mailbox)
{
	struct db_query query = db_query(db, "DELETE FROM annotation WHERE account = $1 AND mailbox = $2");

	db_bind_i64(&query, account);
	db_bind_i64(&query, mailbox);
	db_run(&query);
}

void annotation_forget_account(struct db *db, int64_t account)
{
	struct db_query query = db_query(db, "DELETE FROM annotation WHERE account = $1 OR viewer = $1");

	db_bind_i64(&query, account);
	db_run(&query);
}
