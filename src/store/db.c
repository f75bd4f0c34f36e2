/* Invariants: a connection is held by one thread; once its status isn't OK, no statement reaches the back end until the
 * transaction ends. */
#include "store/db.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/metrics.h"
#include "base/thread.h"
#include "store/db_internal.h"

#define CONNECTIONS_DEFAULT  16
#define BUSY_TIMEOUT_DEFAULT 10000
#define RETRY_DELAY_MIN_MS   50
#define RETRY_DELAY_MAX_MS   2000

/* ---- errors ---- */

void db_fail(struct db *db, enum status status, const char *format, ...)
{
	va_list args;

	if (db->status != STATUS_OK)
		return;
	db->status = status;
	va_start(args, format);
	vsnprintf(db->error, sizeof db->error, format, args);
	va_end(args);
	if (status == STATUS_EXISTS || db->may_retry)
		return;
	LOG_AT(db->pool->log, status == STATUS_BUG ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING, "db.error",
	       LOG_STR("status", status_name(status)), LOG_CSTR("detail", db->error));
}

void db_clear(struct db *db)
{
	db->status = STATUS_OK;
	db->may_retry = false;
	db->error[0] = '\0';
}

enum status db_status(const struct db *db)
{
	return db->status;
}

struct slice db_error_text(const struct db *db)
{
	return slice_from_cstr(db->error);
}

bool db_may_retry(const struct db *db)
{
	return db->may_retry;
}

static bool has_fault(struct db *db)
{
	if (db->pool->fault) {
		enum status status = db->pool->fault(db->pool->fault_context);

		if (status != STATUS_OK)
			db_fail(db, status, "fault made by a test");
	}
	return db->status != STATUS_OK;
}

/* ---- the pool ---- */

static const struct db_backend *backend_of(struct slice url, struct slice *place)
{
	if (slice_starts_with(url, SLICE("sqlite:"))) {
		*place = slice_skip(url, 7);
		return &db_sqlite;
	}
	*place = url;
	if (slice_starts_with(url, SLICE("postgresql://")) || slice_starts_with(url, SLICE("postgres://")))
		return &db_postgresql;
	return NULL;
}

static void pool_init_locks(struct db_pool *pool)
{
	thread_condition_init(&pool->freed);
	pthread_mutex_init(&pool->mutex, NULL);
	pthread_mutex_init(&pool->writer.mutex, NULL);
}

static struct db_pool *pool_make(const struct db_options *options, const struct db_backend *backend, struct slice place)
{
	struct db_pool *pool = calloc(1, sizeof *pool);

	if (!pool)
		return NULL;
	pool->place = strndup(place.data, place.len);
	if (!pool->place) {
		free(pool);
		return NULL;
	}
	pool->backend = backend;
	pool->connections_max = options->connections ? options->connections : CONNECTIONS_DEFAULT;
	pool->busy_timeout_ms = options->busy_timeout_ms ? options->busy_timeout_ms : BUSY_TIMEOUT_DEFAULT;
	pool->maps_file = options->maps_file;
	pool->fault = options->fault;
	pool->fault_context = options->fault_context;
	pool->retry_delay_ms = RETRY_DELAY_MIN_MS;
	pool_init_locks(pool);
	return pool;
}

struct db_pool *db_pool_new(const struct db_options *options, const struct log *log, struct arena *arena, struct error *error)
{
	struct slice place;
	const struct db_backend *backend = backend_of(options->url, &place);

	if (!backend || place.len == 0) {
		error_set(error, arena, STATUS_REFUSED, "the store's URL is neither sqlite:FILE nor postgresql://...");
		return NULL;
	}
	struct db_pool *pool = pool_make(options, backend, place);

	if (!pool) {
		error_set(error, arena, STATUS_TEMPORARY, "out of memory");
		return NULL;
	}
	pool->log = log;
	pool->shared = backend->attach(pool, arena, error);
	/* The first connection shows whether the database is there. */
	struct db *db = pool->shared ? backend->open(pool, arena, error) : NULL;

	if (!db) {
		db_pool_free(pool);
		return NULL;
	}
	pool->open = 1;
	pool->free = db;
	return pool;
}

void db_pool_free(struct db_pool *pool)
{
	if (!pool)
		return;
	if (pool->writer.db)
		db_close(pool->writer.db);
	while (pool->free) {
		struct db *db = pool->free;

		pool->free = db->next;
		db_close(db);
	}
	if (pool->shared)
		pool->backend->detach(pool->shared);
	pthread_mutex_destroy(&pool->writer.mutex);
	pthread_mutex_destroy(&pool->mutex);
	pthread_cond_destroy(&pool->freed);
	free(pool->place);
	free(pool);
}

bool db_pool_is_postgresql(const struct db_pool *pool)
{
	return pool->backend == &db_postgresql;
}

static bool is_away(struct db_pool *pool)
{
	pthread_mutex_lock(&pool->mutex);
	bool away = pool->retry_at_ms > clock_monotonic_ms();
	pthread_mutex_unlock(&pool->mutex);
	return away;
}

static void note_opened(struct db_pool *pool, bool opened)
{
	pthread_mutex_lock(&pool->mutex);
	if (opened) {
		pool->retry_at_ms = 0;
		pool->retry_delay_ms = RETRY_DELAY_MIN_MS;
	} else {
		pool->retry_at_ms = clock_monotonic_ms() + pool->retry_delay_ms;
		pool->retry_delay_ms *= 2;
		if (pool->retry_delay_ms > RETRY_DELAY_MAX_MS)
			pool->retry_delay_ms = RETRY_DELAY_MAX_MS;
	}
	pthread_mutex_unlock(&pool->mutex);
}

struct db *db_open(struct db_pool *pool)
{
	struct arena arena SCOPED_ARENA;
	struct error error = {0};

	if (is_away(pool))
		return NULL;
	struct db *db = pool->backend->open(pool, &arena, &error);

	note_opened(pool, db != NULL);
	if (!db)
		LOG_WARNING(pool->log, "db.away", LOG_STR("detail", error.text));
	return db;
}

void db_close(struct db *db)
{
	if (db->cache)
		db->pool->cache->free(db->cache);
	db->backend->close(db);
}

/* A free connection, or NULL with *may_open when there may be one more; NULL without it: none came free in time. */
static struct db *take_free(struct db_pool *pool, bool *may_open)
{
	int64_t deadline_ms = 0;
	bool in_time = true;

	*may_open = false;
	pthread_mutex_lock(&pool->mutex);
	while (!pool->free && pool->open >= pool->connections_max && in_time) {
		if (deadline_ms == 0)
			deadline_ms = clock_monotonic_ms() + pool->busy_timeout_ms;
		in_time = thread_wait_until(&pool->freed, &pool->mutex, deadline_ms);
	}
	struct db *db = pool->free;

	if (db) {
		pool->free = db->next;
	} else if (pool->open < pool->connections_max) {
		pool->open++;
		*may_open = true;
	}
	pthread_mutex_unlock(&pool->mutex);
	return db;
}

static void forget_one(struct db_pool *pool)
{
	pthread_mutex_lock(&pool->mutex);
	pool->open--;
	pthread_cond_signal(&pool->freed);
	pthread_mutex_unlock(&pool->mutex);
}

struct db *db_acquire(struct db_pool *pool)
{
	bool may_open;
	struct db *db;

	while ((db = take_free(pool, &may_open))) {
		db_clear(db);
		if (!pool->backend->is_alive || pool->backend->is_alive(db))
			return db;
		/* The server was restarted meanwhile: no caller need hear of it. */
		db_close(db);
		forget_one(pool);
	}
	db = may_open ? db_open(pool) : NULL;
	if (!db && may_open)
		forget_one(pool);
	if (!db)
		METRIC_ADD(pool->log, METRIC_STORE_NO_CONNECTION, 0, 1);
	return db;
}

void db_release(struct db *db)
{
	struct db_pool *pool = db->pool;

	if (db->in_transaction)
		db_rollback(db);
	if (db->broken) {
		db_close(db);
		forget_one(pool);
		return;
	}
	pthread_mutex_lock(&pool->mutex);
	db->next = pool->free;
	pool->free = db;
	pthread_cond_signal(&pool->freed);
	pthread_mutex_unlock(&pool->mutex);
}

/* ---- transactions ---- */

enum status db_begin(struct db *db, enum db_mode mode)
{
	db_clear(db);
	if (!has_fault(db))
		db->backend->begin(db, mode);
	db->in_transaction = db->status == STATUS_OK;
	return db->status;
}

enum status db_commit(struct db *db)
{
	if (has_fault(db)) {
		enum status status = db->status;

		db_rollback(db);
		return db->status = status;
	}
	db->backend->commit(db);
	db->in_transaction = false;
	return db->status;
}

void db_rollback(struct db *db)
{
	if (db->in_transaction)
		db->backend->rollback(db);
	db->in_transaction = false;
}

enum status db_savepoint(struct db *db)
{
	struct db_query query = db_query(db, "SAVEPOINT work");

	db_run(&query);
	return db->status;
}

void db_savepoint_release(struct db *db)
{
	struct db_query query = db_query(db, "RELEASE SAVEPOINT work");

	db_run(&query);
}

void db_savepoint_rollback(struct db *db)
{
	db_clear(db);
	struct db_query query = db_query(db, "ROLLBACK TO SAVEPOINT work");

	db_run(&query);
	db_savepoint_release(db);
}

/* ---- queries ---- */

enum query_state { QUERY_BINDING, QUERY_ROWS, QUERY_ENDED };

struct db_query db_query(struct db *db, const char *sql)
{
	struct db_query query = {.db = db, .state = QUERY_BINDING};
	struct db_statement *statement = db->status == STATUS_OK ? db->backend->prepare(db, sql) : NULL;

	if (statement)
		statement->busy = true;
	query.statement = statement;
	return query;
}

void db_bind_i64(struct db_query *query, int64_t value)
{
	int index = query->next_parameter++;

	if (query->statement)
		query->db->backend->bind_i64(query->statement, index, value);
}

void db_bind_text(struct db_query *query, struct slice value)
{
	int index = query->next_parameter++;

	if (query->statement)
		query->db->backend->bind(query->statement, index, value, true);
}

void db_bind_bytes(struct db_query *query, struct slice value)
{
	int index = query->next_parameter++;

	if (query->statement)
		query->db->backend->bind(query->statement, index, value, false);
}

/* Whatever doesn't begin with SELECT may have changed something. */
static void note_write(struct db *db, const struct db_statement *statement)
{
	if (statement->sql[0] != 'S')
		db->writes++;
}

bool db_row(struct db_query *query)
{
	struct db *db = query->db;

	if (!query->statement || db->status != STATUS_OK || query->state == QUERY_ENDED)
		return false;
	if (query->state == QUERY_BINDING && has_fault(db))
		return false;
	if (query->state == QUERY_BINDING)
		note_write(db, query->statement);
	query->state = QUERY_ROWS;
	if (db->backend->step(db, query->statement) == DB_STEP_ROW && db->status == STATUS_OK)
		return true;
	query->state = QUERY_ENDED;
	return false;
}

int64_t db_i64(struct db_query *query, int column)
{
	return query->db->backend->column_i64(query->statement, column);
}

struct slice db_slice(struct db_query *query, int column)
{
	return query->db->backend->column(query->statement, column);
}

bool db_is_null(struct db_query *query, int column)
{
	return db_slice(query, column).data == NULL;
}

void db_done(struct db_query *query)
{
	struct db_statement *statement = query->statement;

	if (!statement)
		return;
	if (query->state != QUERY_BINDING)
		query->db->backend->reset(query->db, statement);
	statement->busy = false;
	query->statement = NULL;
}

void db_run(struct db_query *query)
{
	struct db_statement *statement = query->statement;

	if (!statement)
		return;
	if (!has_fault(query->db)) {
		note_write(query->db, statement);
		query->db->backend->run(query->db, statement);
	}
	statement->busy = false;
	query->statement = NULL;
}

int64_t db_changes(struct db *db)
{
	return db->status == STATUS_OK ? db->backend->changes(db) : 0;
}

void db_execute(struct db *db, const char *sql)
{
	if (!has_fault(db))
		db->backend->execute(db, sql);
}

void db_notify(struct db *db, struct slice channel, struct slice payload)
{
	if (!db_pool_is_postgresql(db->pool))
		return;
	struct db_query query = db_query(db, "SELECT pg_notify($1, $2)");

	db_bind_text(&query, channel);
	db_bind_text(&query, payload);
	db_run(&query);
}
