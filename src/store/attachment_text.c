/* Invariant: a text of another edition is replaced together with the mark of its index segment, so that no segment counts as one that
 * holds what was read later. */
#include "store/attachment_text.h"

#include "store/store_internal.h"
#include "store/trigram.h"

#define SOURCES_AT_ONCE  200
#define ACCOUNTS_AT_ONCE 100
#define CHUNKS_MAX       1024

/* ---- packed ---- */

void attachment_texts_add(struct buf *packed, const struct attachment_text *text)
{
	trigram_put_number(packed, text->part);
	trigram_put_number(packed, text->reader);
	trigram_put_number(packed, text->utf8.len);
	buf_add(packed, text->utf8);
}

bool attachment_texts_next(struct slice *packed, struct attachment_text *text)
{
	uint64_t length;

	if (packed->len == 0 || !trigram_take_number(packed, &text->part) || !trigram_take_number(packed, &text->reader) ||
	    !trigram_take_number(packed, &length) || length > packed->len)
		return false;
	text->utf8 = slice_sub(*packed, 0, (size_t)length);
	*packed = slice_skip(*packed, (size_t)length);
	return true;
}

/* ---- one message ---- */

enum status attachment_texts_read(struct store *store, struct arena *arena, int64_t account, int64_t email, int64_t edition,
				  struct slice *packed)
{
	struct db *db SCOPED_DB = db_acquire(store->pool);
	struct buf whole, unpacked SCOPED_BUF;
	bool found = false, damaged = false;

	buf_init(&whole, arena, 0);
	buf_init(&unpacked, NULL, 0);
	if (!db)
		return STATUS_TEMPORARY;
	struct db_query query = db_query(db, "SELECT encoding, size, bytes FROM attachment_text"
					     " WHERE account = $1 AND email = $2 AND ($3 = -1 OR edition = $3) ORDER BY chunk");

	db_bind_i64(&query, account);
	db_bind_i64(&query, email);
	db_bind_i64(&query, edition);
	while (db_row(&query)) {
		struct slice chunk = blob_unpack(store->codecs, &unpacked, (enum blob_encoding)db_i64(&query, 0), (uint64_t)db_i64(&query, 1),
						 db_slice(&query, 2));

		found = true;
		damaged |= !chunk.data;
		buf_add(&whole, chunk.data ? chunk : SLICE_EMPTY);
	}
	db_done(&query);
	*packed = buf_slice(&whole);
	/* What is damaged is read anew. */
	return read_status(db, found && !damaged);
}

struct text_write {
	int64_t account, email, edition;
	struct blob blob;
};

static int64_t edition_of(struct db *db, const struct text_write *work)
{
	struct db_query query =
		db_query(db, "SELECT edition FROM attachment_text WHERE account = $1 AND email = $2 ORDER BY chunk LIMIT 1");
	int64_t edition = 0;

	db_bind_i64(&query, work->account);
	db_bind_i64(&query, work->email);
	if (db_row(&query))
		edition = db_i64(&query, 0);
	db_done(&query);
	return edition;
}

static void run_of_email(struct db *db, const char *sql, const struct text_write *work)
{
	struct db_query query = db_query(db, sql);

	db_bind_i64(&query, work->account);
	db_bind_i64(&query, work->email);
	db_run(&query);
}

static void forget_former(struct db *db, const struct text_write *work)
{
	run_of_email(db, "DELETE FROM attachment_text WHERE account = $1 AND email = $2", work);
	run_of_email(db, "UPDATE text_segment SET edition = 0 WHERE account = $1 AND first_email < $2 AND last_email >= $2",
		     work);
}

static bool is_there(struct db *db, const struct text_write *work)
{
	struct db_query query = db_query(db, "SELECT id FROM email WHERE account = $1 AND id = $2 FOR UPDATE");

	db_bind_i64(&query, work->account);
	db_bind_i64(&query, work->email);
	bool found = db_row(&query);

	db_done(&query);
	return found;
}

static enum status write_texts(struct db *db, void *context)
{
	const struct text_write *work = context;

	if (!is_there(db, work))
		return read_status(db, false);
	int64_t former = edition_of(db, work);

	if (former == work->edition)
		return db_status(db);
	if (former != 0)
		forget_former(db, work);
	for (size_t i = 0; i < work->blob.count; i++) {
		const struct blob_chunk *chunk = &work->blob.chunks[i];
		struct db_query query =
			db_query(db, "INSERT INTO attachment_text (account, email, chunk, edition, encoding, size, bytes)"
				     " VALUES ($1, $2, $3, $4, $5, $6, $7)");

		db_bind_i64(&query, work->account);
		db_bind_i64(&query, work->email);
		db_bind_i64(&query, (int64_t)i);
		db_bind_i64(&query, work->edition);
		db_bind_i64(&query, chunk->encoding);
		db_bind_i64(&query, chunk->size);
		db_bind_bytes(&query, chunk->bytes);
		db_run(&query);
	}
	return db_status(db);
}

enum status attachment_texts_write(struct store *store, int64_t account, int64_t email, int64_t edition, struct slice packed)
{
	struct arena arena SCOPED_ARENA;
	struct text_write work = {.account = account, .email = email, .edition = edition};

	if (packed.len > (size_t)BLOB_CHUNK * CHUNKS_MAX)
		return STATUS_LIMIT;
	blob_prepare(store->codecs, &arena, SLICE_EMPTY, packed, store->compress_from, NULL, &work.blob);
	return db_write(store->pool, write_texts, &work);
}

/* ---- account by account ---- */

struct waiting {
	int64_t account, from, next;
};

/* Messages from an account's first number on; what another edition has done doesn't count. */
static void list_waiting(struct db *db, int64_t edition, int64_t *account, struct waiting *waiting)
{
	struct db_query query =
		db_query(db, "SELECT a.id, a.next_email, CASE WHEN p.edition = $1 THEN p.last_email END FROM account a"
			     " LEFT JOIN attachment_progress p ON p.account = a.id WHERE a.id >= $2 ORDER BY a.id LIMIT $3");

	db_bind_i64(&query, edition);
	db_bind_i64(&query, *account);
	db_bind_i64(&query, ACCOUNTS_AT_ONCE);
	*account = 0;
	while (waiting->account == 0 && db_row(&query)) {
		int64_t id = db_i64(&query, 0), first = id << 32, last = db_is_null(&query, 2) ? first : db_i64(&query, 2);

		*account = id + 1;
		if (db_is_null(&query, 2) || first + db_i64(&query, 1) - 1 > last)
			*waiting = (struct waiting){id, last, first + db_i64(&query, 1)};
	}
	db_done(&query);
}

static void list_sources(struct db *db, struct arena *arena, const struct waiting *waiting, struct attachment_batch *batch)
{
	struct list sources = LIST(arena, struct attachment_source);
	struct attachment_source *source;
	struct db_query query = db_query(db, "SELECT id, structure FROM email WHERE account = $1 AND id > $2 AND id < $3"
					     " ORDER BY id LIMIT $4");

	db_bind_i64(&query, waiting->account);
	db_bind_i64(&query, waiting->from);
	db_bind_i64(&query, waiting->next);
	db_bind_i64(&query, SOURCES_AT_ONCE);
	while (db_row(&query) && (source = list_add(&sources)) != NULL)
		*source = (struct attachment_source){db_i64(&query, 0), slice_dup(arena, db_slice(&query, 1))};
	db_done(&query);
	batch->account = waiting->account;
	batch->sources = sources.items;
	batch->count = sources.count;
	batch->up_to = sources.count < SOURCES_AT_ONCE ? waiting->next - 1 : batch->sources[sources.count - 1].email;
}

enum status attachment_batch_next(struct store *store, struct arena *arena, int64_t edition, int64_t account,
				  struct attachment_batch *batch)
{
	struct waiting waiting = {0};

	*batch = (struct attachment_batch){0};
	/* Account 0 is the queue's. */
	for (int64_t from = account > 0 ? account : 1; from != 0 && waiting.account == 0;) {
		struct db *db SCOPED_DB = db_acquire(store->pool);

		/* One snapshot: what isn't in it has a greater number than the account has given out in it. */
		if (!db || db_begin(db, DB_READ) != STATUS_OK)
			return STATUS_TEMPORARY;
		list_waiting(db, edition, &from, &waiting);
		if (waiting.account != 0)
			list_sources(db, arena, &waiting, batch);
		if (db_status(db) != STATUS_OK)
			return db_status(db);
	}
	return STATUS_OK;
}

struct progress {
	int64_t account, edition, last_email;
};

static enum status write_progress(struct db *db, void *context)
{
	const struct progress *progress = context;
	struct db_query query = db_query(db, "SELECT id FROM account WHERE id = $1 FOR UPDATE");

	db_bind_i64(&query, progress->account);
	bool found = db_row(&query);

	db_done(&query);
	if (!found)
		return read_status(db, false);
	query = db_query(db, "INSERT INTO attachment_progress (account, edition, last_email) VALUES ($1, $2, $3)"
			     " ON CONFLICT (account) DO UPDATE SET edition = $2, last_email = $3");
	db_bind_i64(&query, progress->account);
	db_bind_i64(&query, progress->edition);
	db_bind_i64(&query, progress->last_email);
	db_run(&query);
	return db_status(db);
}

enum status attachment_batch_done(struct store *store, int64_t edition, const struct attachment_batch *batch)
{
	struct progress progress = {batch->account, edition, batch->up_to};
	enum status status = db_write(store->pool, write_progress, &progress);

	return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

enum status attachment_state_of(struct store *store, int64_t account, struct attachment_state *state)
{
	struct db *db SCOPED_DB = db_acquire(store->pool);

	*state = (struct attachment_state){0};
	if (!db)
		return STATUS_TEMPORARY;
	struct db_query query = db_query(db, "SELECT edition, last_email FROM attachment_progress WHERE account = $1");

	db_bind_i64(&query, account);
	if (db_row(&query)) {
		state->edition = db_i64(&query, 0);
		state->last_email = db_i64(&query, 1);
	}
	db_done(&query);
	query = db_query(db, "SELECT count(*) FROM attachment_text WHERE account = $1 AND chunk = 0");
	db_bind_i64(&query, account);
	if (db_row(&query))
		state->messages = db_i64(&query, 0);
	db_done(&query);
	return db_status(db);
}
