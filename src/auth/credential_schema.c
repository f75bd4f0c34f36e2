#include "auth/credential_schema.h"

#include "base/base64.h"
#include "base/buf.h"
#include "base/random.h"

/* Each runs once, in this order. Never change one that was released: add the next. */
static const char *const migrations[] = {
	"CREATE TABLE credential ("
	" address TEXT PRIMARY KEY, account BIGINT NOT NULL, password_hash TEXT NOT NULL, scram TEXT NOT NULL,"
	" enabled BIGINT NOT NULL, version BIGINT NOT NULL);"
	"CREATE TABLE credential_state (id BIGINT PRIMARY KEY, version BIGINT NOT NULL, secret TEXT NOT NULL)",
};

#define NEWEST ((int64_t)(sizeof migrations / sizeof migrations[0]))

struct migration {
	uint8_t *secret;
	int64_t found; /* version of the tables before */
};

static int64_t schema_version(struct db *db)
{
	int64_t version = 0;
	struct db_query query = db_query(db, "SELECT coalesce(max(version), 0) FROM credential_schema");

	if (db_row(&query))
		version = db_i64(&query, 0);
	db_done(&query);
	return version;
}

static void run_migration(struct db *db, int64_t version)
{
	db_execute(db, migrations[version - 1]);
	struct db_query query = db_query(db, "INSERT INTO credential_schema (version) VALUES ($1)");

	db_bind_i64(&query, version);
	db_run(&query);
}

static void make_state(struct db *db)
{
	uint8_t secret[CREDENTIAL_SECRET_LENGTH];
	struct buf text SCOPED_BUF;

	buf_init(&text, NULL, 0);
	random_bytes(secret, sizeof secret);
	hex_encode(&text, slice_of((const char *)secret, sizeof secret));
	struct db_query query = db_query(db, "INSERT INTO credential_state (id, version, secret) VALUES (1, 0, $1)"
					     " ON CONFLICT (id) DO NOTHING");

	db_bind_text(&query, buf_slice(&text));
	db_run(&query);
}

static enum status read_state(struct db *db, uint8_t secret[CREDENTIAL_SECRET_LENGTH])
{
	struct buf bytes SCOPED_BUF;
	enum status status = STATUS_BUG;
	struct db_query query = db_query(db, "SELECT secret FROM credential_state WHERE id = 1");

	buf_init(&bytes, NULL, 0);
	if (db_row(&query) && hex_decode(&bytes, db_slice(&query, 0)) && bytes.len == CREDENTIAL_SECRET_LENGTH) {
		memcpy(secret, bytes.data, bytes.len);
		status = STATUS_OK;
	}
	db_done(&query);
	return db_status(db) == STATUS_OK ? status : db_status(db);
}

static enum status migrate(struct db *db, void *context)
{
	struct migration *migration = context;

	db_execute(db, "CREATE TABLE IF NOT EXISTS credential_schema (version BIGINT NOT NULL)");
	migration->found = schema_version(db);
	if (migration->found > NEWEST)
		return STATUS_REFUSED;
	for (int64_t version = migration->found + 1; version <= NEWEST; version++)
		run_migration(db, version);
	make_state(db);
	return read_state(db, migration->secret);
}

enum status credential_schema_migrate(struct db_pool *pool, uint8_t secret[CREDENTIAL_SECRET_LENGTH], struct arena *arena,
				      struct error *error)
{
	struct migration migration = {.secret = secret};
	enum status status = db_write(pool, migrate, &migration);

	/* PostgreSQL: another node may have made the tables at this moment, which ends our transaction. */
	if (status != STATUS_OK && status != STATUS_REFUSED)
		status = db_write(pool, migrate, &migration);
	if (status == STATUS_REFUSED)
		return error_set(error, arena, status,
				 "the credential tables are of a newer version (%lld) than this program (%lld)",
				 (long long)migration.found, (long long)NEWEST);
	if (status != STATUS_OK)
		return error_set(error, arena, status, "the credential tables could not be brought up to date");
	return STATUS_OK;
}
