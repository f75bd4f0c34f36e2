/* Invariant: a version is given out once in the life of the tables, also across removal and anew. What was remembered under one
 * can't be mistaken for another credential's. */
#include "auth/credential.h"

#include <errno.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth/credential_schema.h"
#include "auth/password_scheme.h"
#include "auth/scram.h"
#include "base/base64.h"
#include "base/random.h"

#define DEFAULT_MEMORY_KB  19456
#define DEFAULT_PASSES     2
#define DEFAULT_ITERATIONS 15000
#define CONNECTIONS        8
#define THREADS_MAX        64
#define STORE_AT_ONCE      500

struct credentials {
	struct db_pool *pool;
	const struct log *log;
	struct arena arena;
	struct password_cost cost;
	uint32_t scram_iterations;
	struct slice dummy_hash;
	uint8_t secret[CREDENTIAL_SECRET_LENGTH];
};

/* What is to be written for one address: everything that takes time is done before the transaction. */
struct change {
	struct slice address;
	int64_t account;
	struct slice password_hash, scram;
	bool enabled;
	uint64_t old_version, new_version;
	enum status status;
};

/* ---- opening ---- */

/* "sqlite:DIRECTORY/auth.db": the directory is nobody else's. */
static enum status make_directory(struct slice url, struct arena *arena, struct error *error)
{
	struct stat stat_buf;

	if (!slice_starts_with(url, SLICE("sqlite:")))
		return STATUS_OK;
	struct slice file = slice_skip(url, 7);
	size_t slash = slice_find_last_byte(file, '/');

	/* In the role's chroot that directory is the root. */
	if (slash == 0)
		return STATUS_OK;
	if (slash == SLICE_NOT_FOUND)
		return error_set(error, arena, STATUS_REFUSED, "the credential file needs a directory of its own: %.*s",
				 SLICE_ARG(url));
	char *directory = slice_cstr(arena, slice_sub(file, 0, slash));

	if (stat(directory, &stat_buf) != 0) {
		if (mkdir(directory, 0700) == 0)
			return STATUS_OK;
		return error_set(error, arena, STATUS_TEMPORARY, "%s can't be made: %s", directory, strerrordesc_np(errno));
	}
	if ((stat_buf.st_mode & 077) != 0 && chmod(directory, 0700) != 0)
		return error_set(error, arena, STATUS_REFUSED, "%s can't be closed to others: %s", directory,
				 strerrordesc_np(errno));
	return STATUS_OK;
}

static bool make_dummy_hash(struct credentials *credentials)
{
	struct slice password = random_token(&credentials->arena, 32);

	return password_hash_new(&credentials->arena, &credentials->cost, password, &credentials->dummy_hash);
}

static enum status open_tables(struct credentials *credentials, struct slice url, struct arena *arena, struct error *error)
{
	struct db_options options = {.url = url, .connections = CONNECTIONS};

	credentials->pool = db_pool_new(&options, credentials->log, arena, error);
	if (!credentials->pool)
		return error ? error->status : STATUS_TEMPORARY;
	return credential_schema_migrate(credentials->pool, credentials->secret, arena, error);
}

struct credentials *credentials_open(const struct credential_options *options, const struct log *log, struct arena *arena,
				     struct error *error)
{
	struct credentials *credentials = calloc(1, sizeof *credentials);

	if (!credentials) {
		error_set(error, arena, STATUS_TEMPORARY, "out of memory");
		return NULL;
	}
	credentials->log = log;
	credentials->cost.argon2_memory_kb = options->argon2_memory_kb ? options->argon2_memory_kb : DEFAULT_MEMORY_KB;
	credentials->cost.argon2_passes = options->argon2_passes ? options->argon2_passes : DEFAULT_PASSES;
	credentials->scram_iterations = options->scram_iterations ? options->scram_iterations : DEFAULT_ITERATIONS;
	arena_init(&credentials->arena, 0);
	enum status status =
		auth_warm_up() ? make_directory(options->url, arena, error)
			       : error_set(error, arena, STATUS_BUG, "OpenSSL, ICU or libargon2 lacks what passwords need");

	if (status == STATUS_OK)
		status = open_tables(credentials, options->url, arena, error);
	if (status == STATUS_OK && !make_dummy_hash(credentials))
		status = error_set(error, arena, STATUS_REFUSED, "Argon2 with %u KB and %u passes is over the limits (%u KB, about %u ms) or this machine's memory",
				   credentials->cost.argon2_memory_kb, credentials->cost.argon2_passes, PASSWORD_MEMORY_MAX_KB,
				   PASSWORD_TIME_MAX_MS);
	if (status == STATUS_OK)
		return credentials;
	credentials_close(credentials);
	return NULL;
}

void credentials_close(struct credentials *credentials)
{
	if (!credentials)
		return;
	if (credentials->pool)
		db_pool_free(credentials->pool);
	arena_free(&credentials->arena);
	explicit_bzero(credentials->secret, sizeof credentials->secret);
	free(credentials);
}

/* ---- reading ---- */

static bool read_row(struct db *db, struct arena *arena, struct slice address, struct credential *credential)
{
	struct db_query query = db_query(db, "SELECT account, password_hash, scram, enabled, version FROM credential"
					     " WHERE address = $1");

	db_bind_text(&query, address);
	bool found = db_row(&query);

	if (found)
		*credential = (struct credential){
			.address = address,
			.account = db_i64(&query, 0),
			.password_hash = slice_dup(arena, db_slice(&query, 1)),
			.scram = slice_dup(arena, db_slice(&query, 2)),
			.enabled = db_i64(&query, 3) != 0,
			.version = (uint64_t)db_i64(&query, 4),
		};
	db_done(&query);
	return found;
}

enum status credential_find(struct credentials *credentials, struct arena *arena, struct slice address,
			    struct credential *credential)
{
	struct slice prepared;

	if (!address_prepare(arena, address, &prepared))
		return STATUS_NOT_FOUND;
	struct db *db = db_acquire(credentials->pool);

	if (!db)
		return STATUS_TEMPORARY;
	bool found = read_row(db, arena, prepared, credential);
	enum status status = db_status(db);

	db_release(db);
	if (status != STATUS_OK)
		return status;
	return found ? STATUS_OK : STATUS_NOT_FOUND;
}

/* ---- making what is stored ---- */

static bool add_scram(const struct credentials *credentials, enum scram_hash hash, struct slice password, struct buf *text)
{
	uint8_t salt[SCRAM_SALT_LENGTH];
	struct scram_keys keys;

	random_bytes(salt, sizeof salt);
	if (!scram_keys_from_password(hash, password, slice_of((const char *)salt, sizeof salt), credentials->scram_iterations,
				      &keys))
		return false;
	scram_keys_format(text, &keys);
	return true;
}

static enum status make_scram(const struct credentials *credentials, struct arena *arena, struct slice password,
			      struct slice *scram)
{
	struct buf text;

	buf_init(&text, arena, 0);
	if (!add_scram(credentials, SCRAM_SHA_256, password, &text))
		return STATUS_BUG;
	buf_add_byte(&text, ' ');
	if (!add_scram(credentials, SCRAM_SHA_1, password, &text))
		return STATUS_BUG;
	*scram = buf_slice(&text);
	return STATUS_OK;
}

static enum status hash_password(const struct credentials *credentials, struct arena *arena, struct slice password,
				 struct change *change)
{
	if (password.len == 0 || slice_find_byte(password, '\0') != SLICE_NOT_FOUND)
		return STATUS_REFUSED;
	if (password.len > CREDENTIAL_PASSWORD_MAX)
		return STATUS_LIMIT;
	struct slice prepared = password_prepare(arena, password);

	if (!password_hash_new(arena, &credentials->cost, prepared, &change->password_hash))
		return STATUS_TEMPORARY;
	return make_scram(credentials, arena, prepared, &change->scram);
}

/* "{SCRAM-SHA-256}rounds,salt,stored,server" brings SCRAM's keys with it, as "{SCRAM-SHA-1}" does; other schemes don't. */
static struct slice scram_of_hash(struct arena *arena, struct slice stored)
{
	struct slice scheme = slice_skip(slice_cut(&stored, '}'), 1);
	bool is_sha1 = slice_eq_nocase(scheme, SLICE("SCRAM-SHA-1"));
	struct scram_keys keys;
	struct buf text;

	if (!is_sha1 && !slice_eq_nocase(scheme, SLICE("SCRAM-SHA-256")))
		return SLICE_EMPTY;
	struct slice iterations = slice_cut(&stored, ',');
	struct slice salt = slice_cut(&stored, ',');
	struct slice stored_key = slice_cut(&stored, ',');

	buf_init(&text, arena, 0);
	buf_printf(&text, "SCRAM-SHA-%s$%.*s:%.*s$%.*s:%.*s", is_sha1 ? "1" : "256", SLICE_ARG(iterations), SLICE_ARG(salt), SLICE_ARG(stored_key),
		   SLICE_ARG(stored));
	return scram_keys_parse(arena, buf_slice(&text), is_sha1 ? SCRAM_SHA_1 : SCRAM_SHA_256, &keys) ? buf_slice(&text) : SLICE_EMPTY;
}

static enum status take_hash(const struct credentials *credentials, struct arena *arena, struct slice stored,
			     struct change *change)
{
	struct password_hash hash;

	if (!password_hash_parse(arena, stored, &hash))
		return STATUS_REFUSED;
	/* Nobody's password is kept as it is. */
	if (hash.kind == PASSWORD_PLAIN)
		return hash_password(credentials, arena, hash.text, change);
	change->password_hash = stored;
	change->scram = scram_of_hash(arena, stored);
	return STATUS_OK;
}

static enum status prepare_change(const struct credentials *credentials, struct arena *arena,
				  const struct credential_entry *entry, struct change *change)
{
	*change = (struct change){.account = entry->account};
	if (!address_prepare(arena, entry->address, &change->address))
		return STATUS_REFUSED;
	return entry->hash.len > 0 ? take_hash(credentials, arena, entry->hash, change)
				   : hash_password(credentials, arena, entry->password, change);
}

/* ---- writing ---- */

/* The first of `count` versions that nobody had. */
static int64_t take_versions(struct db *db, size_t count)
{
	int64_t last = 0;
	struct db_query query =
		db_query(db, "UPDATE credential_state SET version = version + $1 WHERE id = 1 RETURNING version");

	db_bind_i64(&query, (int64_t)count);
	if (db_row(&query))
		last = db_i64(&query, 0);
	db_done(&query);
	return last - (int64_t)count + 1;
}

/* Runs a statement that changes one row; STATUS_NOT_FOUND if there is none. */
static enum status change_row(struct db *db, struct db_query *query)
{
	db_run(query);
	int64_t changes = db_changes(db);

	if (db_status(db) != STATUS_OK)
		return db_status(db);
	return changes > 0 ? STATUS_OK : STATUS_NOT_FOUND;
}

static void put_row(struct db *db, const struct change *change, int64_t version)
{
	struct db_query query =
		db_query(db, "INSERT INTO credential (address, account, password_hash, scram, enabled, version)"
			     " VALUES ($1, $2, $3, $4, 1, $5)"
			     " ON CONFLICT (address) DO UPDATE SET account ="
			     " CASE WHEN excluded.account = 0 THEN credential.account ELSE excluded.account END,"
			     " password_hash = excluded.password_hash, scram = excluded.scram, version = excluded.version");

	db_bind_text(&query, change->address);
	db_bind_i64(&query, change->account);
	db_bind_text(&query, change->password_hash);
	db_bind_text(&query, change->scram);
	db_bind_i64(&query, version);
	db_run(&query);
}

static enum status store_change(struct db *db, void *context)
{
	put_row(db, context, take_versions(db, 1));
	return db_status(db);
}

static enum status store_upgrade(struct db *db, void *context)
{
	struct change *change = context;
	int64_t version = take_versions(db, 1);
	struct db_query query = db_query(db, "UPDATE credential SET password_hash = $3, scram = $4, version = $5"
					     " WHERE address = $1 AND version = $2");

	change->new_version = (uint64_t)version;
	db_bind_text(&query, change->address);
	db_bind_i64(&query, (int64_t)change->old_version);
	db_bind_text(&query, change->password_hash);
	db_bind_text(&query, change->scram);
	db_bind_i64(&query, version);
	return change_row(db, &query);
}

static enum status store_enabled(struct db *db, void *context)
{
	struct change *change = context;
	int64_t version = take_versions(db, 1);
	struct db_query query = db_query(db, "UPDATE credential SET enabled = $2, version = $3 WHERE address = $1");

	db_bind_text(&query, change->address);
	db_bind_i64(&query, change->enabled);
	db_bind_i64(&query, version);
	return change_row(db, &query);
}

static enum status store_removal(struct db *db, void *context)
{
	struct change *change = context;
	struct db_query query = db_query(db, "DELETE FROM credential WHERE address = $1");

	db_bind_text(&query, change->address);
	return change_row(db, &query);
}

static enum status set_one(struct credentials *credentials, const struct credential_entry *entry)
{
	struct arena arena SCOPED_ARENA;
	struct change change;

	arena_init(&arena, 0);
	enum status status = prepare_change(credentials, &arena, entry, &change);

	return status == STATUS_OK ? db_write(credentials->pool, store_change, &change) : status;
}

enum status credential_set_password(struct credentials *credentials, struct slice address, int64_t account,
				    struct slice password)
{
	struct credential_entry entry = {.address = address, .account = account, .password = password};

	return set_one(credentials, &entry);
}

enum status credential_set_hash(struct credentials *credentials, struct slice address, int64_t account, struct slice hash)
{
	struct credential_entry entry = {.address = address, .account = account, .hash = hash};

	return hash.len > 0 ? set_one(credentials, &entry) : STATUS_REFUSED;
}

enum status credential_enable(struct credentials *credentials, struct slice address, bool enabled)
{
	struct arena arena SCOPED_ARENA;
	struct change change = {.enabled = enabled};

	arena_init(&arena, 0);
	if (!address_prepare(&arena, address, &change.address))
		return STATUS_NOT_FOUND;
	return db_write(credentials->pool, store_enabled, &change);
}

enum status credential_remove(struct credentials *credentials, struct slice address)
{
	struct arena arena SCOPED_ARENA;
	struct change change = {0};

	arena_init(&arena, 0);
	if (!address_prepare(&arena, address, &change.address))
		return STATUS_NOT_FOUND;
	return db_write(credentials->pool, store_removal, &change);
}

enum status credential_upgrade(struct credentials *credentials, struct slice address, uint64_t version, struct slice password,
			       uint64_t *new_version)
{
	struct arena arena SCOPED_ARENA;
	struct change change = {.old_version = version};

	arena_init(&arena, 0);
	if (!address_prepare(&arena, address, &change.address))
		return STATUS_NOT_FOUND;
	enum status status = hash_password(credentials, &arena, password, &change);

	if (status == STATUS_OK)
		status = db_write(credentials->pool, store_upgrade, &change);
	*new_version = change.new_version;
	return status;
}

/* ---- many at once ---- */

struct import {
	struct credentials *credentials;
	struct credential_entry *entries;
	struct change *changes;
	size_t count;
	_Atomic size_t next;
};

struct import_worker {
	struct import *import;
	struct arena arena; /* holds the hashes until they are stored */
	pthread_t thread;
	bool runs;
};

static void *hash_entries(void *context)
{
	struct import_worker *worker = context;
	struct import *import = worker->import;
	size_t i;

	while ((i = atomic_fetch_add(&import->next, 1)) < import->count)
		import->changes[i].status =
			prepare_change(import->credentials, &worker->arena, &import->entries[i], &import->changes[i]);
	return NULL;
}

static unsigned thread_count(unsigned wanted, size_t count)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	size_t threads = wanted > 0 ? wanted : (processors > 0 ? (size_t)processors : 1);

	if (threads > count)
		threads = count;
	return (unsigned)(threads > THREADS_MAX ? THREADS_MAX : threads);
}

/* The caller's own thread is one of them; one that can't be started is done without. */
static void hash_all(struct import *import, struct import_worker *workers, unsigned threads)
{
	for (unsigned i = 0; i < threads; i++) {
		workers[i] = (struct import_worker){.import = import};
		arena_init(&workers[i].arena, 0);
		if (i > 0)
			workers[i].runs = pthread_create(&workers[i].thread, NULL, hash_entries, &workers[i]) == 0;
	}
	hash_entries(&workers[0]);
	for (unsigned i = 1; i < threads; i++)
		if (workers[i].runs)
			pthread_join(workers[i].thread, NULL);
}

static enum status store_changes(struct db *db, void *context)
{
	struct import *range = context;
	int64_t version = take_versions(db, range->count);

	for (size_t i = 0; i < range->count && db_status(db) == STATUS_OK; i++)
		if (range->changes[i].status == STATUS_OK)
			put_row(db, &range->changes[i], version + (int64_t)i);
	return db_status(db);
}

static void store_range(struct import *import, size_t from, size_t count)
{
	struct import range = {.entries = import->entries + from, .changes = import->changes + from, .count = count};
	enum status status = db_write(import->credentials->pool, store_changes, &range);

	for (size_t i = 0; i < count; i++)
		if (range.entries[i].status == STATUS_OK)
			range.entries[i].status = status;
}

static enum status first_failure(const struct credential_entry *entries, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (entries[i].status != STATUS_OK)
			return entries[i].status;
	return STATUS_OK;
}

enum status credentials_set_many(struct credentials *credentials, struct credential_entry *entries, size_t count,
				 unsigned threads)
{
	struct arena arena SCOPED_ARENA;
	struct import import = {.credentials = credentials, .entries = entries, .count = count};

	if (count == 0)
		return STATUS_OK;
	arena_init(&arena, 0);
	threads = thread_count(threads, count);
	import.changes = ARENA_ARRAY(&arena, struct change, count);
	struct import_worker *workers = ARENA_ARRAY(&arena, struct import_worker, threads);

	hash_all(&import, workers, threads);
	for (size_t i = 0; i < count; i++)
		entries[i].status = import.changes[i].status;
	for (size_t from = 0; from < count; from += STORE_AT_ONCE)
		store_range(&import, from, count - from < STORE_AT_ONCE ? count - from : STORE_AT_ONCE);
	for (unsigned i = 0; i < threads; i++)
		arena_free(&workers[i].arena);
	return first_failure(entries, count);
}

/* ---- for the auth role ---- */

bool credential_is_current(const struct credentials *credentials, const struct credential *credential)
{
	return slice_find_byte(credential->scram, ' ') != SLICE_NOT_FOUND &&
	       password_hash_is_current(credential->password_hash, &credentials->cost);
}

struct slice credentials_dummy_hash(const struct credentials *credentials)
{
	return credentials->dummy_hash;
}

/* Keys made from the secret and the name: no password fits them, and nobody can tell that. */
static bool derive(const struct credentials *credentials, const char *use, struct slice address, uint8_t out[SCRAM_HASH_MAX])
{
	struct arena arena SCOPED_ARENA;

	arena_init(&arena, 0);
	struct slice text = slice_join(&arena, (const struct slice[]){slice_from_cstr(use), slice_of("", 1), address}, 3);

	return EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, credentials->secret, sizeof credentials->secret,
			 (const unsigned char *)text.data, text.len, out, SCRAM_HASH_MAX, NULL) != NULL;
}

struct slice credentials_fake_scram(struct credentials *credentials, struct arena *arena, struct slice address,
				    enum scram_hash hash)
{
	struct scram_keys keys = {.hash = hash, .iterations = credentials->scram_iterations, .salt_len = SCRAM_SALT_LENGTH};
	uint8_t salt[SCRAM_HASH_MAX];
	struct buf text;

	if (!derive(credentials, hash == SCRAM_SHA_1 ? "salt of SHA-1" : "salt", address, salt) || !derive(credentials, "stored key", address, keys.stored_key) ||
	    !derive(credentials, "server key", address, keys.server_key))
		return SLICE_EMPTY;
	memcpy(keys.salt, salt, SCRAM_SALT_LENGTH);
	buf_init(&text, arena, 0);
	scram_keys_format(&text, &keys);
	return buf_slice(&text);
}
