/* A large message piece by piece. Between the pieces no connection is held: the reader waits for a slow peer meanwhile. A message that
 * is expunged in the middle ends with NOT_FOUND.
 */
#include "store/store_internal.h"

struct email_reader {
	struct store *store;
	int64_t account, email;
	uint64_t size;
	uint64_t first_size; /* of the first chunk; all others hold BLOB_CHUNK */
	uint64_t from;       /* the chunk in hand begins here */
	struct slice chunk;
	struct buf buffer, unpacked;
};

/* Chunk `number`, into the reader's buffer. */
static enum status fetch_chunk(struct email_reader *reader, int64_t number, uint64_t from)
{
	struct db *db SCOPED_DB = db_acquire(reader->store->pool);

	reader->chunk = SLICE_EMPTY;
	if (!db)
		return STATUS_TEMPORARY;
	struct db_query query = db_query(db, "SELECT encoding, size, bytes FROM blob WHERE account = $1 AND id = $2");

	db_bind_i64(&query, reader->account);
	db_bind_i64(&query, reader->email + number);
	bool found = db_row(&query);

	if (found) {
		struct slice bytes = blob_unpack(reader->store->codecs, &reader->unpacked, (enum blob_encoding)db_i64(&query, 0),
						 (uint64_t)db_i64(&query, 1), db_slice(&query, 2));

		buf_clear(&reader->buffer);
		if (bytes.data != reader->unpacked.data)
			buf_add(&reader->buffer, bytes.data ? bytes : SLICE_EMPTY);
		reader->chunk = bytes.data && bytes.data == reader->unpacked.data ? bytes : buf_slice(&reader->buffer);
		reader->from = from;
	}
	db_done(&query);
	enum status status = read_status(db, found);

	return status == STATUS_OK && (reader->chunk.len == 0 || !buf_ok(&reader->buffer)) && reader->size > 0 ? STATUS_BUG
													       : status;
}

enum status email_open_sized(struct store *store, struct arena *arena, int64_t account, int64_t email, uint64_t size,
			     struct email_reader **opened)
{
	struct email_reader *reader = ARENA_NEW(arena, struct email_reader);

	*reader = (struct email_reader){.store = store, .account = account, .email = email, .size = size};
	buf_init(&reader->buffer, NULL, 0);
	buf_init(&reader->unpacked, NULL, 0);
	enum status status = fetch_chunk(reader, 0, 0);

	reader->first_size = reader->chunk.len;
	if (status != STATUS_OK)
		email_close(reader);
	else
		*opened = reader;
	return status;
}

static enum status find_size(struct store *store, const char *sql, int64_t account, int64_t id, uint64_t *size)
{
	struct db *db SCOPED_DB = db_acquire(store->pool);

	if (!db)
		return STATUS_TEMPORARY;
	struct db_query query = db_query(db, sql);

	db_bind_i64(&query, account);
	db_bind_i64(&query, id);
	bool found = db_row(&query);

	if (found)
		*size = (uint64_t)db_i64(&query, 0);
	db_done(&query);
	return read_status(db, found);
}

enum status email_open(struct store *store, struct arena *arena, int64_t account, int64_t email, struct email_reader **reader)
{
	uint64_t size;
	enum status status = find_size(store, "SELECT size FROM email WHERE account = $1 AND id = $2", account, email, &size);

	return status == STATUS_OK ? email_open_sized(store, arena, account, email, size, reader) : status;
}

enum status queue_open(struct store *store, struct arena *arena, int64_t message, struct email_reader **reader)
{
	uint64_t size;
	enum status status = find_size(store, "SELECT size FROM queue_message WHERE account = $1 AND id = $2", QUEUE_ACCOUNT,
				       message, &size);

	return status == STATUS_OK ? email_open_sized(store, arena, QUEUE_ACCOUNT, message, size, reader) : status;
}

uint64_t email_reader_size(const struct email_reader *reader)
{
	return reader->size;
}

enum status email_read(struct email_reader *reader, uint64_t offset, struct slice *bytes)
{
	*bytes = SLICE_EMPTY;
	if (offset >= reader->size)
		return STATUS_OK;
	if (offset < reader->from || offset >= reader->from + reader->chunk.len) {
		uint64_t number = offset < reader->first_size ? 0 : 1 + (offset - reader->first_size) / BLOB_CHUNK;
		uint64_t from = number == 0 ? 0 : reader->first_size + (number - 1) * BLOB_CHUNK;
		enum status status = fetch_chunk(reader, (int64_t)number, from);

		if (status != STATUS_OK)
			return status;
	}
	*bytes = slice_skip(reader->chunk, offset - reader->from);
	return STATUS_OK;
}

void email_close(struct email_reader *reader)
{
	buf_free(&reader->buffer);
	buf_free(&reader->unpacked);
}
