#include "store/blob.h"

#include <zstd.h>

#define COMPRESSION_LEVEL 1

/* Compressed, if that saves an eighth. */
static bool compress(struct arena *arena, struct slice bytes, struct slice *compressed)
{
	size_t room = ZSTD_compressBound(bytes.len);
	struct buf out SCOPED_BUF;

	buf_init(&out, NULL, 0);
	char *data = buf_reserve(&out, room);
	size_t length = data ? ZSTD_compress(data, room, bytes.data, bytes.len, COMPRESSION_LEVEL) : 0;

	if (!data || ZSTD_isError(length) || length > bytes.len - bytes.len / 8)
		return false;
	*compressed = slice_dup(arena, slice_of(data, length));
	return true;
}

static struct blob_chunk make_chunk(struct arena *arena, struct slice bytes, bool may_compress)
{
	struct blob_chunk chunk = {.bytes = bytes, .size = (uint32_t)bytes.len, .encoding = BLOB_RAW};

	if (may_compress && compress(arena, bytes, &chunk.bytes))
		chunk.encoding = BLOB_ZSTD;
	return chunk;
}

void blob_prepare(struct arena *arena, struct slice prefix, struct slice bytes, size_t compress_from, const struct blob *rest,
		  struct blob *blob)
{
	bool may_compress = prefix.len + bytes.len >= compress_from;
	struct slice first = slice_sub(bytes, 0, BLOB_CHUNK);

	blob->size = prefix.len + bytes.len;
	blob->count = bytes.len <= BLOB_CHUNK ? 1 : (bytes.len + BLOB_CHUNK - 1) / BLOB_CHUNK;
	blob->chunks = ARENA_ARRAY(arena, struct blob_chunk, blob->count);
	if (prefix.len > 0)
		first = slice_join(arena, (const struct slice[]){prefix, first}, 2);
	blob->chunks[0] = make_chunk(arena, first, may_compress);
	for (size_t i = 1; i < blob->count; i++) {
		struct slice piece = slice_sub(bytes, i * BLOB_CHUNK, (i + 1) * BLOB_CHUNK);

		blob->chunks[i] = rest && i < rest->count ? rest->chunks[i] : make_chunk(arena, piece, may_compress);
	}
}

void blob_insert(struct db *db, int64_t account, int64_t id, const struct blob *blob)
{
	for (size_t i = 0; i < blob->count; i++) {
		const struct blob_chunk *chunk = &blob->chunks[i];
		struct db_query query =
			db_query(db, "INSERT INTO blob (account, id, encoding, size, bytes) VALUES ($1, $2, $3, $4, $5)");

		db_bind_i64(&query, account);
		db_bind_i64(&query, id + (int64_t)i);
		db_bind_i64(&query, chunk->encoding);
		db_bind_i64(&query, chunk->size);
		db_bind_bytes(&query, chunk->bytes);
		db_run(&query);
	}
}

void blob_delete(struct db *db, int64_t account, int64_t id, int64_t chunks)
{
	struct db_query query = db_query(db, "DELETE FROM blob WHERE account = $1 AND id >= $2 AND id < $3");

	db_bind_i64(&query, account);
	db_bind_i64(&query, id);
	db_bind_i64(&query, id + chunks);
	db_run(&query);
}

struct slice blob_unpack(struct buf *buffer, enum blob_encoding encoding, uint64_t size, struct slice stored)
{
	if (encoding == BLOB_RAW)
		return stored;
	buf_clear(buffer);
	char *data = size <= 64 * 1024 * 1024 ? buf_reserve(buffer, size) : NULL;
	size_t length = data ? ZSTD_decompress(data, size, stored.data, stored.len) : 0;

	if (!data || ZSTD_isError(length) || length != size)
		return slice_of(NULL, 0);
	return slice_of(data, length);
}
