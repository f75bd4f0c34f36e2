#include "store/blob.h"

#include <pthread.h>
#include <stdlib.h>
#include <zstd.h>

/* Small ones are read and written more quickly without entropy coding, which pays where most bytes are: in large ones. */
#define COMPRESSION_LEVEL_SMALL (-1)
#define COMPRESSION_LEVEL       1
#define SMALL                   ((size_t)16 * 1024)
#define CODECS_KEPT       4 /* one that has seen a large message holds 1.5 MB */

struct codec {
	ZSTD_CCtx *compressor; /* made when needed */
	ZSTD_DCtx *decompressor;
};

struct blob_codecs {
	pthread_mutex_t mutex;
	struct codec kept[CODECS_KEPT];
	size_t count;
};

struct blob_codecs *blob_codecs_new(void)
{
	struct blob_codecs *codecs = calloc(1, sizeof *codecs);

	if (!codecs)
		abort();
	pthread_mutex_init(&codecs->mutex, NULL);
	return codecs;
}

static void free_codec(struct codec codec)
{
	ZSTD_freeCCtx(codec.compressor);
	ZSTD_freeDCtx(codec.decompressor);
}

void blob_codecs_free(struct blob_codecs *codecs)
{
	if (!codecs)
		return;
	for (size_t i = 0; i < codecs->count; i++)
		free_codec(codecs->kept[i]);
	pthread_mutex_destroy(&codecs->mutex);
	free(codecs);
}

static struct codec take_codec(struct blob_codecs *codecs)
{
	struct codec codec = {0};

	pthread_mutex_lock(&codecs->mutex);
	if (codecs->count > 0)
		codec = codecs->kept[--codecs->count];
	pthread_mutex_unlock(&codecs->mutex);
	return codec;
}

static void give_back(struct blob_codecs *codecs, struct codec codec)
{
	bool is_kept;

	pthread_mutex_lock(&codecs->mutex);
	is_kept = codecs->count < CODECS_KEPT;
	if (is_kept)
		codecs->kept[codecs->count++] = codec;
	pthread_mutex_unlock(&codecs->mutex);
	if (!is_kept)
		free_codec(codec);
}

/* As zstd's own functions: a length or an error code. */
static size_t compress_into(struct blob_codecs *codecs, char *data, size_t room, struct slice bytes)
{
	struct codec codec = take_codec(codecs);
	size_t length = (size_t)-1;

	if (!codec.compressor)
		codec.compressor = ZSTD_createCCtx();
	if (codec.compressor)
		length = ZSTD_compressCCtx(codec.compressor, data, room, bytes.data, bytes.len,
					   bytes.len <= SMALL ? COMPRESSION_LEVEL_SMALL : COMPRESSION_LEVEL);
	give_back(codecs, codec);
	return length;
}

static size_t decompress_into(struct blob_codecs *codecs, char *data, size_t room, struct slice stored)
{
	struct codec codec = take_codec(codecs);
	size_t length = (size_t)-1;

	if (!codec.decompressor)
		codec.decompressor = ZSTD_createDCtx();
	if (codec.decompressor)
		length = ZSTD_decompressDCtx(codec.decompressor, data, room, stored.data, stored.len);
	give_back(codecs, codec);
	return length;
}

/* Compressed, if that saves an eighth. */
static bool compress(struct blob_codecs *codecs, struct arena *arena, struct slice bytes, struct slice *compressed)
{
	size_t room = ZSTD_compressBound(bytes.len);
	struct buf out SCOPED_BUF;

	buf_init(&out, NULL, 0);
	char *data = buf_reserve(&out, room);
	size_t length = data ? compress_into(codecs, data, room, bytes) : 0;

	if (!data || ZSTD_isError(length) || length > bytes.len - bytes.len / 8)
		return false;
	*compressed = slice_dup(arena, slice_of(data, length));
	return true;
}

static struct blob_chunk make_chunk(struct blob_codecs *codecs, struct arena *arena, struct slice bytes, bool may_compress)
{
	struct blob_chunk chunk = {.bytes = bytes, .size = (uint32_t)bytes.len, .encoding = BLOB_RAW};

	if (may_compress && compress(codecs, arena, bytes, &chunk.bytes))
		chunk.encoding = BLOB_ZSTD;
	return chunk;
}

void blob_prepare(struct blob_codecs *codecs, struct arena *arena, struct slice prefix, struct slice bytes, size_t compress_from,
		  const struct blob *rest, struct blob *blob)
{
	bool may_compress = prefix.len + bytes.len >= compress_from;
	struct slice first = slice_sub(bytes, 0, BLOB_CHUNK);

	blob->size = prefix.len + bytes.len;
	blob->count = bytes.len <= BLOB_CHUNK ? 1 : (bytes.len + BLOB_CHUNK - 1) / BLOB_CHUNK;
	blob->chunks = ARENA_ARRAY(arena, struct blob_chunk, blob->count);
	if (prefix.len > 0)
		first = slice_join(arena, (const struct slice[]){prefix, first}, 2);
	blob->chunks[0] = make_chunk(codecs, arena, first, may_compress);
	for (size_t i = 1; i < blob->count; i++) {
		struct slice piece = slice_sub(bytes, i * BLOB_CHUNK, (i + 1) * BLOB_CHUNK);

		blob->chunks[i] = rest && i < rest->count ? rest->chunks[i] : make_chunk(codecs, arena, piece, may_compress);
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

struct slice blob_unpack(struct blob_codecs *codecs, struct buf *buffer, enum blob_encoding encoding, uint64_t size, struct slice stored)
{
	if (encoding == BLOB_RAW)
		return stored;
	buf_clear(buffer);
	char *data = size <= 64 * 1024 * 1024 ? buf_reserve(buffer, size) : NULL;
	size_t length = data ? decompress_into(codecs, data, size, stored) : 0;

	if (!data || ZSTD_isError(length) || length != size)
		return slice_of(NULL, 0);
	return slice_of(data, length);
}
