/* db: one thin layer over SQLite and PostgreSQL. SQL is written once, with $1 parameters, in the dialect both accept.
 *
 * All columns are BIGINT, TEXT or bytes. A connection (struct db) comes from a pool, belongs to one thread while it is held and
 * keeps its prepared statements: statements are identified by the address of their text, which is therefore a literal.
 * An error sticks to the connection until db_begin/db_end: straight-line code checks once.
 *
 *     struct db_query q = db_query(db, "SELECT uid, flags FROM mailbox_email WHERE account = $1 AND mailbox = $2 ORDER BY uid");
 *     db_bind_i64(&q, account); db_bind_i64(&q, mailbox);
 *     while (db_row(&q)) { uid = db_i64(&q, 0); ... }
 *     db_done(&q);
 *
 * Private to store/ (and to auth/'s credential file): SQL stands nowhere else.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/log.h"
#include "base/slice.h"

struct db_pool;
struct db;

struct db_options {
	struct slice url;     /* "sqlite:FILE" or "postgresql://..." (libpq's) */
	unsigned connections; /* at most, of this process; 0: 16 */
	int busy_timeout_ms;  /* 0: 10,000 */
	/* SQLite: for who reads much, the file's first 2 GB are mapped instead of copied page by page. A disk that can't be read then ends the process
	 * (SIGBUS). */
	bool maps_file;
	/* Tests: asked before each statement and each commit; anything but STATUS_OK is what it fails with. */
	enum status (*fault)(void *context);
	void *fault_context;
};
MUST_CHECK struct db_pool *db_pool_new(const struct db_options *options, const struct log *log, struct arena *arena,
				       struct error *error);
void db_pool_free(struct db_pool *pool);
bool db_pool_is_postgresql(const struct db_pool *pool);

/* Waits for a free connection at most busy_timeout_ms; NULL: temporary trouble. */
MUST_CHECK struct db *db_acquire(struct db_pool *pool);
void db_release(struct db *db);

enum db_mode { DB_READ, DB_WRITE };
/* A snapshot for reading, or the one writer. SQLite: BEGIN / BEGIN IMMEDIATE; writers of all processes queue fairly on a lock
 * file. PostgreSQL: REPEATABLE READ READ ONLY / READ COMMITTED. A single statement needs no db_begin. */
MUST_CHECK enum status db_begin(struct db *db, enum db_mode mode);
MUST_CHECK enum status db_commit(struct db *db);
void db_rollback(struct db *db);
MUST_CHECK enum status db_savepoint(struct db *db);
void db_savepoint_release(struct db *db);
void db_savepoint_rollback(struct db *db);

/* The sticky state: STATUS_OK, TEMPORARY (busy, full, gone), EXISTS (a unique constraint), REFUSED (text that isn't UTF-8), BUG. */
enum status db_status(const struct db *db);
struct slice db_error_text(const struct db *db);
/* A serialisation failure or deadlock: the whole transaction may be run again at once. */
bool db_may_retry(const struct db *db);

struct db_query {
	struct db *db;
	void *statement; /* NULL: the connection is in trouble, the query does nothing */
	int next_parameter;
	int state;
};
/* "SELECT ... FOR UPDATE" locks its rows until the end of the transaction; SQLite, whose writer is alone, leaves it out. */
struct db_query db_query(struct db *db, const char *sql);
void db_bind_i64(struct db_query *query, int64_t value);
void db_bind_text(struct db_query *query,
		  struct slice value); /* data NULL: NULL. The slice must live until db_run or db_done. */
void db_bind_bytes(struct db_query *query, struct slice value); /* likewise */
bool db_row(struct db_query *query);
int64_t db_i64(struct db_query *query, int column);
/* Valid until the next db_row or db_done. NULL column: data NULL. */
struct slice db_slice(struct db_query *query, int column);
bool db_is_null(struct db_query *query, int column);
/* Ends the query; the connection's status tells whether it went well. */
void db_done(struct db_query *query);
/* Runs a statement that gives no rows, and ends it. PostgreSQL: nobody waits for the answer; an error shows at the next query that
 * has rows, at db_changes or at the commit. */
void db_run(struct db_query *query);
/* Rows changed by the last query that db_run or db_done ended. */
int64_t db_changes(struct db *db);
/* For statements without parameters and rows; several separated by ';' allowed. */
void db_execute(struct db *db, const char *sql);
/* Wakes readers of other nodes: NOTIFY; nothing on SQLite, where the supervisor's hub does it. */
void db_notify(struct db *db, struct slice channel, struct slice payload);

static inline void db_release_scoped(struct db **db)
{
	if (*db)
		db_release(*db);
}
/* struct db *db SCOPED_DB = db_acquire(pool): given back when the scope is left. */
#define SCOPED_DB __attribute__((cleanup(db_release_scoped)))

/* Shall works keep what they delete for those who want it back? Set before the first db_write; a work asks. */
void db_pool_keep_deleted(struct db_pool *pool, bool keep);
bool db_keeps_deleted(const struct db *db);

/* ---- group commit ---- */

/* A unit of work inside a write transaction that it may share with others; it may be run more than once (when the whole
 * transaction is retried), so it sets its results anew each time. Its failure rolls back its own work only. */
typedef enum status (*db_work)(struct db *db, void *context);
/* Runs `work` in a write transaction and returns when it is durably committed or has failed. Threads that call at the same
 * time are served by one leader with one commit. */
MUST_CHECK enum status db_write(struct db_pool *pool, db_work work, void *context);
/* The same for a work that brings about `size` bytes: a batch is closed when it has enough of them. With STATUS_TEMPORARY, *in_doubt
 * tells that the work may be committed nevertheless: the server went away before its answer came. */
MUST_CHECK enum status db_write_sized(struct db_pool *pool, db_work work, void *context, size_t size, bool *in_doubt);

/* What the works of one transaction keep back and write together, such as counters of a row that all of them raise. `flush` comes
 * before the commit (and before a savepoint ends), `forget` when the transaction or savepoint is rolled back. One per writing
 * connection. Set before the first db_write. */
struct db_write_cache {
	void *(*make)(void);
	void (*flush)(struct db *db, void *cache);
	void (*forget)(void *cache);
	void (*free)(void *cache);
};
void db_pool_set_cache(struct db_pool *pool, const struct db_write_cache *cache);
/* The cache of this connection, inside a work. */
void *db_cache(struct db *db);
/* To be called when something is kept back: the work has changed something although no statement ran. */
void db_touch(struct db *db);
/* Differs for each run of each work. */
uint64_t db_work_number(const struct db *db);
