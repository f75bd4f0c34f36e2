#include "store/store.h"

#include <stdlib.h>

#include "store/schema.h"
#include "store/store_internal.h"

#define COMPRESS_FROM_DEFAULT 8192

/* Of a page of rows PostgreSQL's answer is in memory whole: bodies are up to BLOB_CHUNK each. SQLite goes from row to row. */
#define POSTGRESQL_ROWS_PER_PAGE   2000
#define POSTGRESQL_BODIES_PER_PAGE 64

static enum status check_schema(struct store *store, bool migrate, struct arena *arena, struct error *error)
{
	int64_t version;

	if (migrate)
		return schema_migrate(store->pool, arena, error);
	enum status status = schema_version(store->pool, &version);

	if (status != STATUS_OK)
		return error_set(error, arena, status, "the store's schema version can't be read");
	if (version < schema_newest())
		return error_set(error, arena, STATUS_REFUSED,
				 "the store's schema is version %lld, this program needs %lld: run \"posthorn "
				 "setup\"",
				 (long long)version, (long long)schema_newest());
	if (version > schema_newest())
		return error_set(error, arena, STATUS_REFUSED,
				 "the store's schema is version %lld, made by a newer program; this one "
				 "knows %lld: install the newer program again",
				 (long long)version, (long long)schema_newest());
	return STATUS_OK;
}

struct store *store_open(const struct store_options *options, bool migrate, const struct log *log, struct arena *arena,
			 struct error *error)
{
	struct db_options db_options = {.url = options->url, .connections = options->connections, .maps_file = options->maps_file};
	struct store *store = calloc(1, sizeof *store);

	if (!store) {
		error_set(error, arena, STATUS_TEMPORARY, "out of memory");
		return NULL;
	}
	store->log = log;
	store->codecs = blob_codecs_new();
	store->compress_from = options->compress_from ? options->compress_from : COMPRESS_FROM_DEFAULT;
	store->pool = db_pool_new(&db_options, log, arena, error);
	if (!store->pool) {
		blob_codecs_free(store->codecs);
		free(store);
		return NULL;
	}
	bool is_postgresql = db_pool_is_postgresql(store->pool);

	store->rows_per_page = is_postgresql ? POSTGRESQL_ROWS_PER_PAGE : INT64_MAX;
	store->bodies_per_page = is_postgresql ? POSTGRESQL_BODIES_PER_PAGE : INT64_MAX;
	db_pool_set_cache(store->pool, &counters_cache);
	db_pool_keep_deleted(store->pool, options->keep_deleted);
	if (check_schema(store, migrate, arena, error) == STATUS_OK)
		return store;
	store_close(store);
	return NULL;
}

void store_close(struct store *store)
{
	if (!store)
		return;
	db_pool_free(store->pool);
	blob_codecs_free(store->codecs);
	free(store);
}

/* A write that changes nothing, and is committed. */
static enum status touch(struct db *db, void *context)
{
	(void)context;
	struct db_query query = db_query(db, "UPDATE counter SET value = value WHERE name = 'account'");

	db_run(&query);
	return db_status(db);
}

enum status store_check(struct store *store, struct arena *arena, struct error *error)
{
	enum status status = db_write(store->pool, touch, NULL);

	return status == STATUS_OK ? STATUS_OK : error_set(error, arena, status, "the store can't be written to");
}
