/* The PostgreSQL back end, by libpq. Binary parameters and results, prepared statements, always in pipeline mode: statements that
 * give no rows are sent and not waited for; the next query with rows, or the commit, collects their answers. An error then aborts
 * the rest of the pipeline on the server, which is what an error that sticks means here too.
 *
 * Invariant: COMMIT counts only if the server said COMMIT. Whatever else happens is reported as temporary.
 */
#include <endian.h>
#include <errno.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include <uthash.h>

#include "base/clock.h"
#include "store/db_internal.h"

#define OID_BYTEA 17
#define OID_INT8  20
#define OID_TEXT  25

#define DEFERRED_MAX      200   /* answers that may be outstanding */
#define ANSWER_TIMEOUT_MS 60000 /* for a server that hangs */
#define CONNECT_TIMEOUT   "5"

struct pg_statement {
	struct db_statement base;
	char name[24];
	bool is_prepared;
	uint64_t prepared_in;       /* the pipeline that it was prepared in */
	struct pg_statement *spare; /* the same text again, for a query inside itself */
	PGresult *result;
	int row;
	int count; /* of parameters */
	Oid types[DB_PARAMETERS_MAX];
	const char *values[DB_PARAMETERS_MAX];
	int lengths[DB_PARAMETERS_MAX];
	uint64_t numbers[DB_PARAMETERS_MAX];
	UT_hash_handle hh;
};

struct pg_db {
	struct db base;
	PGconn *connection;
	struct pg_statement *statements;
	unsigned names;
	uint64_t pipeline; /* number of the pipeline: from one synchronisation to the next */
	unsigned deferred; /* commands sent whose answers haven't been read */
	int64_t changes;   /* of the last command whose answer has been */
};

static const int all_binary[DB_PARAMETERS_MAX] = {[0 ... DB_PARAMETERS_MAX - 1] = 1};

/* ---- errors ---- */

static struct pg_db *pg_of(struct db *db)
{
	return (struct pg_db *)db;
}

static void lose(struct db *db, const char *doing)
{
	db->broken = true;
	db_fail(db, STATUS_TEMPORARY, "%s: %s", doing, PQerrorMessage(pg_of(db)->connection));
}

struct sql_state {
	struct slice prefix;
	enum status status;
	bool may_retry;
};

/* Appendix A of PostgreSQL's manual. The first prefix that fits. */
static const struct sql_state sql_states[] = {
	{{"40001", 5}, STATUS_TEMPORARY, true},  /* serialization_failure */
	{{"40P01", 5}, STATUS_TEMPORARY, true},  /* deadlock_detected */
	{{"55P03", 5}, STATUS_TEMPORARY, false}, /* lock_not_available */
	{{"23", 2}, STATUS_EXISTS, false},       /* a constraint */
	{{"22", 2}, STATUS_REFUSED, false},      /* data: text that isn't UTF-8 */
	{{"08", 2}, STATUS_TEMPORARY, false},    /* connection */
	{{"25", 2}, STATUS_TEMPORARY, false},    /* a standby, which can only read */
	{{"53", 2}, STATUS_TEMPORARY, false},    /* no space, memory, connections */
	{{"57", 2}, STATUS_TEMPORARY, false},    /* shut down */
	{{"58", 2}, STATUS_TEMPORARY, false},    /* I/O */
	{{"XX", 2}, STATUS_TEMPORARY, false},    /* damaged */
	{{"", 0}, STATUS_BUG, false},
};

static void note_error(struct db *db, const PGresult *result)
{
	struct slice state = slice_from_cstr(PQresultErrorField(result, PG_DIAG_SQLSTATE));
	const struct sql_state *entry = sql_states;

	if (db->status != STATUS_OK)
		return;
	/* libpq's own errors have no state: the connection is gone. */
	if (state.len == 0) {
		lose(db, "answer");
		return;
	}
	while (!slice_starts_with(state, entry->prefix))
		entry++;
	db->may_retry = entry->may_retry;
	db_fail(db, entry->status, "%.*s %s", SLICE_ARG(state), PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY));
}

/* ---- the pipeline ---- */

static bool wait_for_answer(struct db *db)
{
	PGconn *connection = pg_of(db)->connection;
	int64_t deadline = clock_monotonic_ms() + ANSWER_TIMEOUT_MS;

	while (PQisBusy(connection)) {
		struct pollfd poll_fd = {.fd = PQsocket(connection), .events = POLLIN};
		int64_t left = deadline - clock_monotonic_ms();
		int result = left > 0 ? poll(&poll_fd, 1, (int)left) : 0;

		if (result < 0 && errno == EINTR)
			continue;
		if (result <= 0 || !PQconsumeInput(connection)) {
			lose(db, result == 0 ? "no answer in time" : "reading");
			return false;
		}
	}
	return true;
}

static void keep_result(struct db *db, PGresult *result, PGresult **last)
{
	struct slice tuples = slice_from_cstr(PQcmdTuples(result));
	uint64_t changes;

	pg_of(db)->changes = slice_to_u64(tuples, INT64_MAX, &changes) ? (int64_t)changes : 0;
	PQclear(*last);
	*last = result;
}

/* What was to be prepared in a pipeline that failed may or may not be: it will be again, by another name. */
static void end_pipeline(struct db *db)
{
	struct pg_db *pg = pg_of(db);
	struct pg_statement *statement, *next;

	pg->deferred = 0;
	pg->pipeline++;
	if (db->status == STATUS_OK)
		return;
	HASH_ITER(hh, pg->statements, statement, next)
	for (struct pg_statement *spare = statement; spare; spare = spare->spare)
		if (spare->prepared_in == pg->pipeline - 1)
			spare->is_prepared = false;
}

/* Reads answers up to the synchronisation point. The last good one is returned, or NULL; errors are in the status. */
static PGresult *collect(struct db *db)
{
	struct pg_db *pg = pg_of(db);
	PGresult *last = NULL;

	if (!db->broken && !PQpipelineSync(pg->connection))
		lose(db, "sending");
	while (!db->broken && wait_for_answer(db)) {
		PGresult *result = PQgetResult(pg->connection);

		if (!result) { /* the end of one command's answers */
			if (PQstatus(pg->connection) == CONNECTION_BAD)
				lose(db, "answer");
			continue;
		}
		ExecStatusType type = PQresultStatus(result);

		if (type == PGRES_COMMAND_OK || type == PGRES_TUPLES_OK) {
			keep_result(db, result, &last);
			continue;
		}
		if (type == PGRES_FATAL_ERROR)
			note_error(db, result);
		PQclear(result);
		if (type == PGRES_PIPELINE_SYNC)
			break;
	}
	end_pipeline(db);
	return last;
}

static void send_statement(struct db *db, struct pg_statement *statement)
{
	struct pg_db *pg = pg_of(db);
	bool sent = true;

	if (!statement->is_prepared) {
		snprintf(statement->name, sizeof statement->name, "s%u", pg->names++);
		statement->prepared_in = pg->pipeline;
		sent = PQsendPrepare(pg->connection, statement->name, statement->base.sql, statement->count, statement->types);
		statement->is_prepared = sent;
		pg->deferred++;
	}
	sent = sent && PQsendQueryPrepared(pg->connection, statement->name, statement->count, statement->values,
					   statement->lengths, all_binary, 1);
	pg->deferred++;
	if (!sent)
		lose(db, "sending");
}

/* ---- statements ---- */

static struct pg_statement *statement_new(struct db *db, const char *sql)
{
	struct pg_statement *statement = calloc(1, sizeof *statement);

	if (!statement) {
		db_fail(db, STATUS_TEMPORARY, "out of memory");
		return NULL;
	}
	statement->base.sql = sql;
	return statement;
}

static struct db_statement *pg_prepare(struct db *db, const char *sql)
{
	struct pg_db *pg = pg_of(db);
	struct pg_statement *first = NULL, *statement;

	HASH_FIND_PTR(pg->statements, &sql, first);
	for (statement = first; statement && statement->base.busy;)
		statement = statement->spare;
	if (!statement) {
		statement = statement_new(db, sql);
		if (!statement)
			return NULL;
		if (first) {
			statement->spare = first->spare;
			first->spare = statement;
		} else {
			HASH_ADD_PTR(pg->statements, base.sql, statement);
		}
	}
	statement->count = 0;
	return &statement->base;
}

static void bind_value(struct pg_statement *statement, int index, Oid type, const char *value, size_t length)
{
	if (index >= DB_PARAMETERS_MAX)
		abort();
	/* The types that a statement was prepared with stay. */
	if (!statement->is_prepared)
		statement->types[index] = type;
	statement->values[index] = value;
	statement->lengths[index] = (int)length;
	if (index >= statement->count)
		statement->count = index + 1;
}

static void pg_bind_i64(struct db_statement *base, int index, int64_t value)
{
	struct pg_statement *statement = (struct pg_statement *)base;

	if (index < DB_PARAMETERS_MAX)
		statement->numbers[index] = htobe64((uint64_t)value);
	bind_value(statement, index, OID_INT8, (const char *)&statement->numbers[index], sizeof(uint64_t));
}

static void pg_bind(struct db_statement *base, int index, struct slice value, bool is_text)
{
	bind_value((struct pg_statement *)base, index, is_text ? OID_TEXT : OID_BYTEA, value.data, value.len);
}

static void pg_reset(struct db *db, struct db_statement *base)
{
	struct pg_statement *statement = (struct pg_statement *)base;

	(void)db;
	PQclear(statement->result);
	statement->result = NULL;
}

static enum db_step pg_step(struct db *db, struct db_statement *base)
{
	struct pg_statement *statement = (struct pg_statement *)base;

	if (!statement->result) {
		send_statement(db, statement);
		statement->result = collect(db);
		statement->row = -1;
		if (db->status != STATUS_OK || !statement->result)
			return DB_STEP_END;
	}
	return ++statement->row < PQntuples(statement->result) ? DB_STEP_ROW : DB_STEP_END;
}

static void pg_run(struct db *db, struct db_statement *base)
{
	send_statement(db, (struct pg_statement *)base);
	/* Outside a transaction a statement is its own, and its outcome is wanted now. */
	if (!db->in_transaction || pg_of(db)->deferred >= DEFERRED_MAX)
		PQclear(collect(db));
}

static int64_t pg_column_i64(struct db_statement *base, int column)
{
	struct pg_statement *statement = (struct pg_statement *)base;
	const char *value = PQgetvalue(statement->result, statement->row, column);
	uint64_t wide;
	uint32_t narrow;

	if (PQgetisnull(statement->result, statement->row, column))
		return 0;
	switch (PQgetlength(statement->result, statement->row, column)) {
	case sizeof wide:
		memcpy(&wide, value, sizeof wide);
		return (int64_t)be64toh(wide);
	case sizeof narrow:
		memcpy(&narrow, value, sizeof narrow);
		return (int32_t)be32toh(narrow);
	default:
		return value[0] != 0;
	}
}

static struct slice pg_column(struct db_statement *base, int column)
{
	struct pg_statement *statement = (struct pg_statement *)base;

	if (PQgetisnull(statement->result, statement->row, column))
		return slice_of(NULL, 0);
	return slice_of(PQgetvalue(statement->result, statement->row, column),
			(size_t)PQgetlength(statement->result, statement->row, column));
}

static int64_t pg_changes(struct db *db)
{
	if (pg_of(db)->deferred > 0)
		PQclear(collect(db));
	return db->status == STATUS_OK ? pg_of(db)->changes : 0;
}

/* ---- transactions ---- */

static void send_text(struct db *db, const char *sql)
{
	struct db_statement *statement = pg_prepare(db, sql);

	if (statement)
		send_statement(db, (struct pg_statement *)statement);
}

static void pg_begin(struct db *db, enum db_mode mode)
{
	send_text(db,
		  mode == DB_READ ? "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY" : "BEGIN ISOLATION LEVEL READ COMMITTED");
}

static void pg_rollback(struct db *db)
{
	if (db->broken)
		return;
	if (pg_of(db)->deferred > 0)
		PQclear(collect(db));
	if (db->broken)
		return;
	send_text(db, "ROLLBACK");
	PQclear(collect(db));
}

static void pg_commit(struct db *db)
{
	send_text(db, "COMMIT");
	PGresult *result = collect(db);
	bool committed = result && db->status == STATUS_OK && slice_eq(slice_from_cstr(PQcmdStatus(result)), SLICE("COMMIT"));

	PQclear(result);
	if (committed)
		return;
	db->in_doubt = db->broken;
	db_fail(db, STATUS_TEMPORARY, "the server did not commit");
	pg_rollback(db);
}

/* Several statements at once are beyond the pipeline. */
static void pg_execute(struct db *db, const char *sql)
{
	struct pg_db *pg = pg_of(db);

	if (pg->deferred > 0)
		PQclear(collect(db));
	if (db->status != STATUS_OK)
		return;
	if (!PQexitPipelineMode(pg->connection)) {
		lose(db, "leaving the pipeline");
		return;
	}
	PGresult *result = PQexec(pg->connection, sql);

	if (PQresultStatus(result) != PGRES_COMMAND_OK && PQresultStatus(result) != PGRES_TUPLES_OK)
		note_error(db, result);
	PQclear(result);
	if (!PQenterPipelineMode(pg->connection))
		lose(db, "entering the pipeline");
}

static bool pg_tidy(struct db *db)
{
	(void)db;
	return false;
}

/* An idle server says nothing but good-bye (or a notice, which is read away). */
static bool pg_is_alive(struct db *db)
{
	PGconn *connection = pg_of(db)->connection;
	struct pollfd poll_fd = {.fd = PQsocket(connection), .events = POLLIN};

	if (PQstatus(connection) != CONNECTION_OK)
		return false;
	return poll(&poll_fd, 1, 0) == 0 || (PQconsumeInput(connection) && PQstatus(connection) == CONNECTION_OK);
}

/* ---- opening ---- */

static void *pg_attach(struct db_pool *pool, struct arena *arena, struct error *error)
{
	(void)arena;
	(void)error;
	return pool; /* nothing is shared */
}

static void pg_detach(void *shared)
{
	(void)shared;
}

static void pg_close(struct db *db)
{
	struct pg_statement *statement, *next;

	HASH_ITER(hh, pg_of(db)->statements, statement, next)
	{
		HASH_DEL(pg_of(db)->statements, statement);
		while (statement) {
			struct pg_statement *spare = statement->spare;

			PQclear(statement->result);
			free(statement);
			statement = spare;
		}
	}
	PQfinish(pg_of(db)->connection);
	free(db);
}

static void ignore_notice(void *context, const PGresult *result)
{
	(void)context;
	(void)result;
}

/* A server that says COMMIT has it on disk, whatever its default is. */
static const char session[] =
	"SET synchronous_commit = on; SET client_min_messages = error; SET standard_conforming_strings = on;"
	"SET idle_in_transaction_session_timeout = '300s'";

static bool start_session(struct db_pool *pool, PGconn *connection)
{
	char lock_timeout[64];

	if (PQstatus(connection) != CONNECTION_OK)
		return false;
	PQsetNoticeReceiver(connection, ignore_notice, NULL);
	snprintf(lock_timeout, sizeof lock_timeout, "SET lock_timeout = %d", pool->busy_timeout_ms);
	PGresult *first = PQexec(connection, session), *second = PQexec(connection, lock_timeout);
	bool good = PQresultStatus(first) == PGRES_COMMAND_OK && PQresultStatus(second) == PGRES_COMMAND_OK;

	PQclear(first);
	PQclear(second);
	return good && PQenterPipelineMode(connection);
}

static struct db *pg_open(struct db_pool *pool, struct arena *arena, struct error *error)
{
	static const char *const keywords[] = {
		"dbname", "connect_timeout", "client_encoding", "fallback_application_name", "tcp_user_timeout", NULL};
	const char *values[] = {pool->place, CONNECT_TIMEOUT, "UTF8", "posthorn", "30000", NULL};
	struct pg_db *pg = calloc(1, sizeof *pg);

	if (!pg) {
		error_set(error, arena, STATUS_TEMPORARY, "out of memory");
		return NULL;
	}
	pg->base.backend = &db_postgresql;
	pg->base.pool = pool;
	pg->connection = PQconnectdbParams(keywords, values, 1);
	if (start_session(pool, pg->connection))
		return &pg->base;
	struct slice reason = slice_trim(slice_dup(arena, slice_from_cstr(PQerrorMessage(pg->connection))));

	error_set(error, arena, STATUS_TEMPORARY, "%.*s", SLICE_ARG(reason));
	pg_close(&pg->base);
	return NULL;
}

const struct db_backend db_postgresql = {
	.attach = pg_attach,
	.detach = pg_detach,
	.open = pg_open,
	.close = pg_close,
	.begin = pg_begin,
	.commit = pg_commit,
	.rollback = pg_rollback,
	.execute = pg_execute,
	.prepare = pg_prepare,
	.bind_i64 = pg_bind_i64,
	.bind = pg_bind,
	.step = pg_step,
	.run = pg_run,
	.reset = pg_reset,
	.column_i64 = pg_column_i64,
	.column = pg_column,
	.changes = pg_changes,
	.tidy = pg_tidy,
	.is_alive = pg_is_alive,
};
