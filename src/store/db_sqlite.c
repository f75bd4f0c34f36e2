/* The SQLite back end. WAL with a sync at each commit; one writer at a time, and those who wait for it stand in line:
 *
 * Threads of this process wait for `writing`. Processes wait on two bytes of the lock file (open-file-description locks):
 * who waits for the writer's byte holds the byte of the next in line, so a process that has just written and wants to again comes
 * behind it. SQLite's own lock, whose waiters only poll, is then free unless a foreign program (a shell, a backup) holds it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <uthash.h>

#include "base/clock.h"
#include "base/thread.h"
#include "store/db_internal.h"
#include "store/db_sqlite_log.h"

#define CHECKPOINT_PAGES       12000 /* 48 MB: copy the log into the database, as far as readers let us */
#define CHECKPOINT_FORCE_PAGES 32000 /* 128 MB: wait for readers, so that the log begins anew */
#define CHECKPOINT_REST_PAGES  2000  /* 8 MB: what writers may be kept waiting for */
#define CHECKPOINT_WAIT_MS     250
#define LOG_KEEP_BYTES         "67108864"

struct sqlite_shared {
	pthread_mutex_t writing;
	int lock_file;
	pthread_mutex_t tidying;
	struct db *tidier;  /* its connection, or NULL */
	_Atomic int copied; /* pages of the log that it has copied; 0: none, or the log has begun anew */
	_Atomic int wait;   /* pages that the log must have before it is worth another try */
};

struct sqlite_statement {
	struct db_statement base;
	sqlite3_stmt *handle;
	struct sqlite_statement *spare; /* the same text again, for a query inside itself */
	UT_hash_handle hh;
};

struct sqlite_db {
	struct db base;
	sqlite3 *handle;
	struct sqlite_statement *statements; /* by the address of their text */
	bool holds_lock;
	int log_pages;
};

/* ---- errors ---- */

static enum status status_of(int code)
{
	switch (code & 0xff) {
	case SQLITE_OK:
	case SQLITE_DONE:
	case SQLITE_ROW:
		return STATUS_OK;
	case SQLITE_CONSTRAINT:
		return STATUS_EXISTS;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_FULL:
	case SQLITE_IOERR:
	case SQLITE_NOMEM:
	case SQLITE_CANTOPEN:
	case SQLITE_READONLY:
	case SQLITE_PERM:
	case SQLITE_INTERRUPT:
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_PROTOCOL:
		return STATUS_TEMPORARY;
	case SQLITE_TOOBIG:
		return STATUS_LIMIT;
	default:
		return STATUS_BUG;
	}
}

static bool check(struct db *db, int code, const char *doing)
{
	struct sqlite_db *sqlite = (struct sqlite_db *)db;
	enum status status = status_of(code);

	if (status == STATUS_OK)
		return true;
	db_fail(db, status, "%s (%d): %s", sqlite3_errmsg(sqlite->handle), sqlite3_extended_errcode(sqlite->handle), doing);
	return false;
}

/* ---- the line of writers ---- */

enum { LOCK_WRITER, LOCK_NEXT };

static bool lock_byte(int fd, short type, off_t byte)
{
	struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
	int result;

	do
		result = fcntl(fd, F_OFD_SETLKW, &lock);
	while (result != 0 && errno == EINTR);
	return result == 0;
}

static bool take_writer(struct db *db)
{
	struct sqlite_shared *shared = db->pool->shared;
	struct sqlite_db *sqlite = (struct sqlite_db *)db;

	if (!thread_lock_until(&shared->writing, clock_monotonic_ms() + db->pool->busy_timeout_ms + 1000)) {
		db_fail(db, STATUS_TEMPORARY, "another thread has been writing for too long");
		return false;
	}
	bool locked = lock_byte(shared->lock_file, F_WRLCK, LOCK_NEXT) && lock_byte(shared->lock_file, F_WRLCK, LOCK_WRITER);

	if (!locked)
		db_fail(db, STATUS_TEMPORARY, "the lock file: %s", strerrordesc_np(errno));
	(void)lock_byte(shared->lock_file, F_UNLCK, LOCK_NEXT);
	if (!locked)
		pthread_mutex_unlock(&shared->writing);
	sqlite->holds_lock = locked;
	return locked;
}

static void give_writer(struct db *db)
{
	struct sqlite_shared *shared = db->pool->shared;
	struct sqlite_db *sqlite = (struct sqlite_db *)db;

	if (!sqlite->holds_lock)
		return;
	(void)lock_byte(shared->lock_file, F_UNLCK, LOCK_WRITER);
	sqlite->holds_lock = false;
	pthread_mutex_unlock(&shared->writing);
}

/* ---- opening ---- */

static pthread_once_t configured = PTHREAD_ONCE_INIT;

/* SQLite's count of its memory costs a lock at every allocation. Refused, without harm, where somebody has used SQLite before. */
static void configure(void)
{
	(void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

/* DIRECTORY/posthorn.db is guarded by DIRECTORY/posthorn.lock. */
static char *lock_path(struct arena *arena, const char *place)
{
	struct slice path = slice_from_cstr(place);

	if (slice_ends_with(path, SLICE(".db")))
		path.len -= 3;
	struct slice parts[] = {path, SLICE(".lock")};

	return slice_cstr(arena, slice_join(arena, parts, 2));
}

/* SQLite gives its log the permissions of the database file, which is made here so that nobody else may read it. */
static bool make_file(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static void *sqlite_attach(struct db_pool *pool, struct arena *arena, struct error *error)
{
	struct sqlite_shared *shared = calloc(1, sizeof *shared);
	char *path = lock_path(arena, pool->place);

	pthread_once(&configured, configure);
	if (!shared) {
		error_set(error, arena, STATUS_TEMPORARY, "out of memory");
		return NULL;
	}
	shared->lock_file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (shared->lock_file < 0 || !make_file(pool->place)) {
		error_set(error, arena, STATUS_TEMPORARY, "%s can't be opened: %s", shared->lock_file < 0 ? path : pool->place,
			  strerrordesc_np(errno));
		if (shared->lock_file >= 0)
			close(shared->lock_file);
		free(shared);
		return NULL;
	}
	pthread_mutex_init(&shared->writing, NULL);
	pthread_mutex_init(&shared->tidying, NULL);
	return shared;
}

static void sqlite_close(struct db *db)
{
	struct sqlite_db *sqlite = (struct sqlite_db *)db;
	struct sqlite_statement *statement, *next;

	HASH_ITER(hh, sqlite->statements, statement, next)
	{
		HASH_DEL(sqlite->statements, statement);
		while (statement) {
			struct sqlite_statement *spare = statement->spare;

			sqlite3_finalize(statement->handle);
			free(statement);
			statement = spare;
		}
	}
	(void)sqlite3_close_v2(sqlite->handle);
	free(sqlite);
}

static void sqlite_detach(void *data)
{
	struct sqlite_shared *shared = data;

	if (shared->tidier)
		sqlite_close(shared->tidier);
	close(shared->lock_file);
	pthread_mutex_destroy(&shared->tidying);
	pthread_mutex_destroy(&shared->writing);
	free(shared);
}

static int note_log_pages(void *context, sqlite3 *handle, const char *name, int pages)
{
	struct sqlite_db *sqlite = context;

	(void)handle;
	(void)name;
	sqlite->log_pages = pages;
	return SQLITE_OK;
}

/* Deleted content is overwritten where that costs no further write. Nothing is ever put into a temporary file. */
static const char settings[] = "PRAGMA page_size = 4096;"
			       "PRAGMA journal_mode = WAL;"
			       "PRAGMA synchronous = FULL;"
			       "PRAGMA foreign_keys = OFF;"
			       "PRAGMA temp_store = MEMORY;"
			       "PRAGMA secure_delete = FAST;"
			       "PRAGMA cache_size = -8000;"
			       "PRAGMA journal_size_limit = " LOG_KEEP_BYTES ";";

/* SQLite's own limit. */
static const char mapped[] = "PRAGMA mmap_size = 2147418112;";

static struct db *sqlite_open(struct db_pool *pool, struct arena *arena, struct error *error)
{
	struct sqlite_db *sqlite = calloc(1, sizeof *sqlite);

	if (!sqlite) {
		error_set(error, arena, STATUS_TEMPORARY, "out of memory");
		return NULL;
	}
	sqlite->base.backend = &db_sqlite;
	sqlite->base.pool = pool;
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;
	int code = sqlite3_open_v2(pool->place, &sqlite->handle, flags, sqlite_log_vfs());

	if (code == SQLITE_OK) {
		sqlite3_extended_result_codes(sqlite->handle, 1);
		sqlite3_busy_timeout(sqlite->handle, pool->busy_timeout_ms);
		code = sqlite3_exec(sqlite->handle, settings, NULL, NULL, NULL);
		if (code == SQLITE_OK && pool->maps_file)
			code = sqlite3_exec(sqlite->handle, mapped, NULL, NULL, NULL);
	}
	if (code != SQLITE_OK) {
		error_set(error, arena, status_of(code), "%s can't be opened: %s", pool->place, sqlite3_errmsg(sqlite->handle));
		sqlite_close(&sqlite->base);
		return NULL;
	}
	(void)sqlite3_wal_hook(sqlite->handle, note_log_pages, sqlite);
	return &sqlite->base;
}

/* ---- statements ---- */

/* "$1" becomes "?1": to SQLite the former is a name, numbered by its place in the text. FOR UPDATE is dropped. */
static size_t translate(const char *sql, char out[DB_SQL_MAX])
{
	struct slice text = slice_from_cstr(sql);

	if (slice_ends_with(text, SLICE(" FOR UPDATE")))
		text.len -= strlen(" FOR UPDATE");
	if (text.len >= DB_SQL_MAX)
		return 0;
	for (size_t i = 0; i < text.len; i++)
		out[i] = text.data[i] == '$' ? '?' : text.data[i];
	out[text.len] = '\0';
	return text.len;
}

static struct sqlite_statement *prepare_new(struct db *db, const char *sql)
{
	struct sqlite_db *sqlite = (struct sqlite_db *)db;
	char text[DB_SQL_MAX];
	size_t length = translate(sql, text);
	sqlite3_stmt *handle = NULL;

	if (length == 0) {
		db_fail(db, STATUS_BUG, "a statement is too long");
		return NULL;
	}
	if (!check(db, sqlite3_prepare_v3(sqlite->handle, text, (int)length + 1, SQLITE_PREPARE_PERSISTENT, &handle, NULL),
		   sql))
		return NULL;
	struct sqlite_statement *statement = calloc(1, sizeof *statement);

	if (!statement) {
		sqlite3_finalize(handle);
		db_fail(db, STATUS_TEMPORARY, "out of memory");
		return NULL;
	}
	statement->base.sql = sql;
	statement->handle = handle;
	return statement;
}

static struct db_statement *sqlite_prepare(struct db *db, const char *sql)
{
	struct sqlite_db *sqlite = (struct sqlite_db *)db;
	struct sqlite_statement *first = NULL, *statement;

	HASH_FIND_PTR(sqlite->statements, &sql, first);
	for (statement = first; statement && statement->base.busy;)
		statement = statement->spare;
	if (statement)
		return &statement->base;
	statement = prepare_new(db, sql);
	if (!statement)
		return NULL;
	if (first) {
		statement->spare = first->spare;
		first->spare = statement;
	} else {
		HASH_ADD_PTR(sqlite->statements, base.sql, statement);
	}
	return &statement->base;
}

static void sqlite_bind_i64(struct db_statement *base, int index, int64_t value)
{
	(void)sqlite3_bind_int64(((struct sqlite_statement *)base)->handle, index + 1, value);
}

static void sqlite_bind(struct db_statement *base, int index, struct slice value, bool is_text)
{
	sqlite3_stmt *handle = ((struct sqlite_statement *)base)->handle;

	if (!value.data)
		(void)sqlite3_bind_null(handle, index + 1);
	else if (is_text)
		(void)sqlite3_bind_text64(handle, index + 1, value.data, value.len, SQLITE_STATIC, SQLITE_UTF8);
	else
		(void)sqlite3_bind_blob64(handle, index + 1, value.data, value.len, SQLITE_STATIC);
}

static enum db_step sqlite_step(struct db *db, struct db_statement *base)
{
	int code = sqlite3_step(((struct sqlite_statement *)base)->handle);

	if (code == SQLITE_ROW)
		return DB_STEP_ROW;
	(void)check(db, code, base->sql);
	return DB_STEP_END;
}

static void sqlite_reset(struct db *db, struct db_statement *base)
{
	(void)db;
	(void)sqlite3_reset(((struct sqlite_statement *)base)->handle);
}

static void sqlite_run(struct db *db, struct db_statement *base)
{
	while (sqlite_step(db, base) == DB_STEP_ROW)
		;
	sqlite_reset(db, base);
}

static int64_t sqlite_column_i64(struct db_statement *base, int column)
{
	return sqlite3_column_int64(((struct sqlite_statement *)base)->handle, column);
}

static struct slice sqlite_column(struct db_statement *base, int column)
{
	sqlite3_stmt *handle = ((struct sqlite_statement *)base)->handle;
	const char *data = sqlite3_column_blob(handle, column);

	if (data)
		return slice_of(data, (size_t)sqlite3_column_bytes(handle, column));
	return sqlite3_column_type(handle, column) == SQLITE_NULL ? slice_of(NULL, 0) : SLICE_EMPTY;
}

static int64_t sqlite_changes(struct db *db)
{
	return sqlite3_changes64(((struct sqlite_db *)db)->handle);
}

static void sqlite_execute(struct db *db, const char *sql)
{
	(void)check(db, sqlite3_exec(((struct sqlite_db *)db)->handle, sql, NULL, NULL, NULL), sql);
}

/* ---- transactions ---- */

static void run_text(struct db *db, const char *sql)
{
	struct db_statement *statement = sqlite_prepare(db, sql);

	if (statement)
		sqlite_run(db, statement);
}

/* SQLite rolls back by itself at some errors (disk full, I/O). */
static void sqlite_rollback(struct db *db)
{
	struct sqlite_db *sqlite = (struct sqlite_db *)db;

	if (!sqlite3_get_autocommit(sqlite->handle))
		(void)sqlite3_exec(sqlite->handle, "ROLLBACK", NULL, NULL, NULL);
	give_writer(db);
}

static void sqlite_begin(struct db *db, enum db_mode mode)
{
	if (mode == DB_READ) {
		run_text(db, "BEGIN");
		return;
	}
	if (!take_writer(db))
		return;
	run_text(db, "BEGIN IMMEDIATE");
	if (db->status != STATUS_OK)
		give_writer(db);
}

static void sqlite_commit(struct db *db)
{
	run_text(db, "COMMIT");
	if (db->status != STATUS_OK)
		sqlite_rollback(db);
	give_writer(db);
}

/* ---- the log copied into the database ----
 *
 * The log begins anew when all of it is copied and nobody writes. Copying most of it takes long on a slow disk and is done while others
 * write; the rest, which they have added meanwhile, is copied before the next may write. */

static int checkpoint(struct sqlite_db *sqlite, int mode)
{
	int code, pages = 0, copied = 0;

	sqlite3_busy_timeout(sqlite->handle, CHECKPOINT_WAIT_MS);
	code = sqlite3_wal_checkpoint_v2(sqlite->handle, NULL, mode, &pages, &copied);
	sqlite3_busy_timeout(sqlite->handle, sqlite->base.pool->busy_timeout_ms);
	/* Nothing is lost by a checkpoint that fails; the log only grows until the next try. */
	if (code != SQLITE_OK && code != SQLITE_BUSY)
		LOG_WARNING(sqlite->base.pool->log, "db.checkpoint", LOG_CSTR("detail", sqlite3_errmsg(sqlite->handle)),
			    LOG_INT("log_pages", pages), LOG_INT("copied", copied));
	return copied;
}

static bool sqlite_tidy(struct db *db)
{
	struct sqlite_db *sqlite = (struct sqlite_db *)db;
	struct sqlite_shared *shared = db->pool->shared;
	int pages = sqlite->log_pages, copied = shared->copied;

	if (pages < CHECKPOINT_PAGES) {
		shared->copied = shared->wait = 0;
		return false;
	}
	if (pages < shared->wait)
		return false;
	bool force = pages >= CHECKPOINT_FORCE_PAGES;

	if (!force && (copied == 0 || copied + CHECKPOINT_REST_PAGES < pages))
		return true;
	(void)checkpoint(sqlite, force ? SQLITE_CHECKPOINT_RESTART : SQLITE_CHECKPOINT_PASSIVE);
	/* If a reader keeps the log from beginning anew it goes on for a while. */
	shared->copied = 0;
	shared->wait = pages + CHECKPOINT_REST_PAGES;
	return false;
}

static void sqlite_tidy_aside(struct db_pool *pool)
{
	struct sqlite_shared *shared = pool->shared;

	if (pthread_mutex_trylock(&shared->tidying) != 0)
		return;
	if (!shared->tidier)
		shared->tidier = db_open(pool);
	if (shared->tidier)
		shared->copied = checkpoint((struct sqlite_db *)shared->tidier, SQLITE_CHECKPOINT_PASSIVE);
	pthread_mutex_unlock(&shared->tidying);
}

const struct db_backend db_sqlite = {
	.attach = sqlite_attach,
	.detach = sqlite_detach,
	.open = sqlite_open,
	.close = sqlite_close,
	.begin = sqlite_begin,
	.commit = sqlite_commit,
	.rollback = sqlite_rollback,
	.execute = sqlite_execute,
	.prepare = sqlite_prepare,
	.bind_i64 = sqlite_bind_i64,
	.bind = sqlite_bind,
	.step = sqlite_step,
	.run = sqlite_run,
	.reset = sqlite_reset,
	.column_i64 = sqlite_column_i64,
	.column = sqlite_column,
	.changes = sqlite_changes,
	.tidy = sqlite_tidy,
	.tidy_aside = sqlite_tidy_aside,
};
