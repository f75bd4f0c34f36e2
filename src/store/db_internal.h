/* db_internal: what the parts of db share: the pool, a connection, and what a back end has to be able to do. Private to db*.c
 * and write.c. */
#pragma once

#include <pthread.h>

#include "store/db.h"

#define DB_SQL_MAX        4096
#define DB_PARAMETERS_MAX 32

/* A prepared statement of one connection; each back end has its own kind, which begins with this. */
struct db_statement {
	const char *sql; /* the literal: its address is the key */
	bool busy;       /* between db_query and db_done */
};

enum db_step { DB_STEP_ROW, DB_STEP_END };

/* Faults are reported by db_fail; the front then asks nothing more of the connection until the transaction ends. */
struct db_backend {
	/* The part of the back end that all connections share. */
	void *(*attach)(struct db_pool *pool, struct arena *arena, struct error *error);
	void (*detach)(void *shared);
	struct db *(*open)(struct db_pool *pool, struct arena *arena, struct error *error);
	void (*close)(struct db *db);
	void (*begin)(struct db *db, enum db_mode mode);
	void (*commit)(struct db *db);
	void (*rollback)(struct db *db);
	void (*execute)(struct db *db, const char *sql);
	struct db_statement *(*prepare)(struct db *db, const char *sql);
	void (*bind_i64)(struct db_statement *statement, int index, int64_t value);
	void (*bind)(struct db_statement *statement, int index, struct slice value, bool is_text);
	enum db_step (*step)(struct db *db, struct db_statement *statement);
	void (*run)(struct db *db, struct db_statement *statement);
	void (*reset)(struct db *db, struct db_statement *statement);
	int64_t (*column_i64)(struct db_statement *statement, int column);
	struct slice (*column)(struct db_statement *statement, int column);
	int64_t (*changes)(struct db *db);
	/* After a commit, when its owners have been told, but before others may write. True: there is more to do aside of them. */
	bool (*tidy)(struct db *db);
	void (*tidy_aside)(struct db_pool *pool);
	/* Is a connection that has lain idle still good? NULL: always. */
	bool (*is_alive)(struct db *db);
};
extern const struct db_backend db_sqlite, db_postgresql;

struct db {
	const struct db_backend *backend;
	struct db_pool *pool;
	struct db *next; /* free connections */
	enum status status;
	bool may_retry;
	bool in_transaction;
	bool broken; /* to be closed instead of given back */
	bool in_doubt; /* the server went away over a COMMIT */
	uint64_t writes;
	uint64_t work_number;
	void *cache;
	char error[256];
};

struct db_pending;

/* Group commit: who leads, who waits. */
struct db_writer {
	pthread_mutex_t mutex;
	struct db_pending *queue; /* utlist: oldest first */
	bool led;
	struct db *db; /* the leader's */
};

struct db_pool {
	const struct db_backend *backend;
	const struct log *log;
	void *shared;
	char *place; /* file name or URL */
	unsigned connections_max;
	int busy_timeout_ms;
	bool maps_file;
	enum status (*fault)(void *context);
	void *fault_context;
	const struct db_write_cache *cache;
	bool keep_deleted;
	pthread_mutex_t mutex; /* of what follows */
	pthread_cond_t freed;
	struct db *free;
	unsigned open;
	int64_t retry_at_ms; /* monotonic; the database is away until then, as far as we know */
	int64_t retry_delay_ms;
	struct db_writer writer;
};

/* Notes the first error of a transaction and logs it. */
__attribute__((format(printf, 3, 4))) void db_fail(struct db *db, enum status status, const char *format, ...);
/* The connection afresh: no error. */
void db_clear(struct db *db);
/* Opens one more connection, with back-off while the database is away; NULL: temporary trouble. */
struct db *db_open(struct db_pool *pool);
void db_close(struct db *db);
