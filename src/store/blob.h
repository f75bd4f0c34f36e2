/* blob: a message's bytes, in chunks so that a large one is never in memory whole. The first chunk holds the first BLOB_CHUNK bytes of
 * the message and whatever a delivery put in front of them; each other chunk holds BLOB_CHUNK bytes. So a message to many accounts,
 * which differs in its first lines only, is cut and compressed once but for its first chunk. Private to store/.
 */
#pragma once

#include "base/buf.h"
#include "store/db.h"

#define BLOB_CHUNK (256 * 1024)

enum blob_encoding { BLOB_RAW = 0, BLOB_ZSTD = 1 };

struct blob_chunk {
	struct slice bytes; /* as stored */
	uint32_t size;      /* as read */
	enum blob_encoding encoding;
};

struct blob {
	uint64_t size;
	size_t count;
	struct blob_chunk *chunks;
};

/* What compressing and unpacking work with, kept for whoever does it next: making it costs more than a small message's bytes do. For any
 * thread. */
struct blob_codecs;
struct blob_codecs *blob_codecs_new(void);
void blob_codecs_free(struct blob_codecs *codecs);

/* Chunks of prefix + bytes, of which `bytes` must stay. `rest`: a blob of the same bytes with another prefix, whose further chunks are
 * shared; or NULL. */
void blob_prepare(struct blob_codecs *codecs, struct arena *arena, struct slice prefix, struct slice bytes, size_t compress_from,
		  const struct blob *rest, struct blob *blob);
void blob_insert(struct db *db, int64_t account, int64_t id, const struct blob *blob);
void blob_delete(struct db *db, int64_t account, int64_t id, int64_t chunks);
/* A chunk as read; NULL data: damaged. Raw ones are not copied. `buffer` holds unpacked ones and is reused. */
struct slice blob_unpack(struct blob_codecs *codecs, struct buf *buffer, enum blob_encoding encoding, uint64_t size, struct slice stored);
