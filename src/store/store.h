/* store: everything that Posthorn keeps. Opened once per process; thread-safe; functions take the store and find a
 * connection themselves. Every account's data is keyed by the account, so that the same schema shards on PostgreSQL.
 *
 * Statuses: STATUS_OK; NOT_FOUND; EXISTS; LIMIT (over quota); TEMPORARY (disk full, database away: the caller answers 4xx, NO,
 * 503); BUG. Results live in the arena that was given.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/log.h"
#include "base/slice.h"

struct store;

struct store_options {
	struct slice url;     /* "sqlite:DIRECTORY/posthorn.db" or "postgresql://..." */
	unsigned connections; /* 0: 16 */
	size_t compress_from; /* bodies of at least so many bytes are compressed (zstd); 0: 8192 */
	bool maps_file;       /* see db.h */
	bool keep_deleted;    /* what is expunged can be brought back until deleted_purge clears it away (deleted.h) */
};
/* Opens and, with `migrate`, brings the schema up to date (numbered migrations, each once); without, a schema that is older
 * or newer than this program's is an error that says which command to run. */
MUST_CHECK struct store *store_open(const struct store_options *options, bool migrate, const struct log *log,
				    struct arena *arena, struct error *error);
void store_close(struct store *store);
/* Is it there and writable? For `status` and tests. */
MUST_CHECK enum status store_check(struct store *store, struct arena *arena, struct error *error);
