#include "store/schema.h"

#include "base/buf.h"

#include "store/schema/0001_foundation.h"
#include "store/schema/0002_routing.h"
#include "store/schema/0003_moving.h"
#include "store/schema/0004_sending_security.h"
#include "store/schema/0005_guard.h"
#include "store/schema/0006_queue_care.h"
#include "store/schema/0007_save_date.h"
#include "store/schema/0008_text_index.h"
#include "store/schema/0009_recent.h"
#include "store/schema/0010_timing.h"
#include "store/schema/0011_rates.h"
#include "store/schema/0012_threads.h"
#include "store/schema/0013_tls_sent.h"
#include "store/schema/0014_sharing.h"
#include "store/schema/0015_annotation.h"
#include "store/schema/0016_url_key.h"
#include "store/schema/0017_quota_told.h"
#include "store/schema/0018_text_index_anew.h"
#include "store/schema/0019_deleting.h"
#include "store/schema/0020_attachment_text.h"

#define TRIES 3

static const char *const migrations[] = {
	MIGRATION_0001_FOUNDATION,
	MIGRATION_0002_ROUTING,
	MIGRATION_0003_MOVING,
	MIGRATION_0004_SENDING_SECURITY,
	MIGRATION_0005_GUARD,
	MIGRATION_0006_QUEUE_CARE,
	MIGRATION_0007_SAVE_DATE,
	MIGRATION_0008_TEXT_INDEX,
	MIGRATION_0009_RECENT,
	MIGRATION_0010_TIMING,
	MIGRATION_0011_RATES,
	MIGRATION_0012_THREADS,
	MIGRATION_0013_TLS_SENT,
	MIGRATION_0014_SHARING,
	MIGRATION_0015_ANNOTATION,
	MIGRATION_0016_URL_KEY,
	MIGRATION_0017_QUOTA_TOLD,
	MIGRATION_0018_TEXT_INDEX_ANEW,
	MIGRATION_0019_DELETING,
	MIGRATION_0020_ATTACHMENT_TEXT,
};

#define NEWEST ((int64_t)(sizeof migrations / sizeof migrations[0]))

struct word {
	struct slice word, sqlite, postgresql;
};

static const struct word words[] = {
	{{"BYTES", 5}, {"BLOB", 4}, {"BYTEA", 5}},
	{{"TEXT", 4}, {"TEXT", 4}, {"TEXT COLLATE \"C\"", 16}},
	{{" CLUSTERED", 10}, {" WITHOUT ROWID", 14}, {"", 0}},
	{{"KEY(id)", 7}, {"id INTEGER PRIMARY KEY", 22}, {"id BIGINT NOT NULL, PRIMARY KEY (account, id)", 45}},
};

/* The text with the words replaced. */
static struct slice translate(struct arena *arena, const char *sql, bool is_postgresql)
{
	struct slice rest = slice_from_cstr(sql);
	struct buf out;

	buf_init(&out, arena, 0);
	while (rest.len > 0) {
		const struct word *found = NULL;

		for (size_t i = 0; i < sizeof words / sizeof words[0] && !found; i++)
			if (slice_starts_with(rest, words[i].word))
				found = &words[i];
		if (found)
			buf_add(&out, is_postgresql ? found->postgresql : found->sqlite);
		else
			buf_add_byte(&out, rest.data[0]);
		rest = slice_skip(rest, found ? found->word.len : 1);
	}
	return buf_slice(&out);
}

int64_t schema_newest(void)
{
	return NEWEST;
}

static int64_t read_version(struct db *db)
{
	int64_t version = 0;
	struct db_query query = db_query(db, "SELECT coalesce(max(version), 0) FROM schema_version");

	if (db_row(&query))
		version = db_i64(&query, 0);
	db_done(&query);
	return version;
}

struct migration {
	int64_t from, to;
	struct arena *arena;
	bool is_postgresql;
};

static enum status make_version_table(struct db *db, void *context)
{
	(void)context;
	db_execute(db, "CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL PRIMARY KEY)");
	return db_status(db);
}

static enum status run_next(struct db *db, void *context)
{
	struct migration *migration = context;

	migration->from = read_version(db);
	if (db_status(db) != STATUS_OK || migration->from >= migration->to)
		return db_status(db);
	/* First its number: of two nodes that migrate at the same time one waits here and then fails. */
	struct db_query query = db_query(db, "INSERT INTO schema_version (version) VALUES ($1)");

	db_bind_i64(&query, migration->from + 1);
	db_run(&query);
	struct slice sql = translate(migration->arena, migrations[migration->from], migration->is_postgresql);

	db_execute(db, slice_cstr(migration->arena, sql));
	return db_status(db);
}

enum status schema_version(struct db_pool *pool, int64_t *version)
{
	*version = 0;
	enum status status = db_write(pool, make_version_table, NULL);

	if (status == STATUS_EXISTS)
		status = db_write(pool, make_version_table, NULL);
	if (status != STATUS_OK)
		return status;
	struct db *db SCOPED_DB = db_acquire(pool);

	if (!db)
		return STATUS_TEMPORARY;
	*version = read_version(db);
	return db_status(db);
}

enum status schema_migrate_to(struct db_pool *pool, int64_t version, struct arena *arena, struct error *error)
{
	struct migration migration = {.to = version, .arena = arena, .is_postgresql = db_pool_is_postgresql(pool)};
	enum status status = schema_version(pool, &migration.from);
	int tries = TRIES;

	while (status == STATUS_OK && migration.from < version) {
		status = db_write(pool, run_next, &migration);
		/* Another node was quicker. */
		if (status == STATUS_EXISTS && --tries > 0)
			status = STATUS_OK;
	}
	if (status != STATUS_OK)
		return error_set(error, arena, status, "the schema could not be brought from version %lld to %lld",
				 (long long)migration.from, (long long)version);
	if (migration.from > NEWEST)
		return error_set(error, arena, STATUS_REFUSED,
				 "the store's schema is version %lld, made by a newer program; this one "
				 "knows %lld: install the newer program again",
				 (long long)migration.from, (long long)NEWEST);
	return STATUS_OK;
}

enum status schema_migrate(struct db_pool *pool, struct arena *arena, struct error *error)
{
	return schema_migrate_to(pool, NEWEST, arena, error);
}
