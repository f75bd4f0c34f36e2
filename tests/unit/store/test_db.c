/* The database layer and group commit, on both back ends. */
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "store_fixture.h"

static void make_table(struct db *db)
{
	db_execute(db, "CREATE TABLE test (id BIGINT PRIMARY KEY, text TEXT, other TEXT); CREATE TABLE test_other (id BIGINT)");
	assert_int_equal(db_status(db), STATUS_OK);
}

static void insert(struct db *db, int64_t id, struct slice text)
{
	struct db_query query = db_query(db, "INSERT INTO test (id, text) VALUES ($1, $2)");

	db_bind_i64(&query, id);
	db_bind_text(&query, text);
	db_run(&query);
}

static int64_t count_rows(struct fixture *fixture)
{
	return fixture_number(fixture, "SELECT count(*) FROM test");
}

static struct db *acquire(struct fixture *fixture)
{
	struct db *db = db_acquire(fixture->store->pool);

	assert_non_null(db);
	return db;
}

static void test_values(void **state)
{
	struct fixture *fixture = *state;
	struct db *db = acquire(fixture);

	make_table(db);
	insert(db, INT64_MIN, SLICE("least"));
	insert(db, INT64_MAX, slice_of(NULL, 0));
	insert(db, 0, SLICE_EMPTY);
	struct db_query query = db_query(db, "SELECT id, text, other FROM test ORDER BY id");

	assert_true(db_row(&query));
	assert_true(db_i64(&query, 0) == INT64_MIN);
	assert_true(slice_eq(db_slice(&query, 1), SLICE("least")));
	assert_true(db_row(&query));
	assert_false(db_is_null(&query, 1));
	assert_int_equal(db_slice(&query, 1).len, 0);
	assert_true(db_is_null(&query, 2));
	assert_true(db_row(&query));
	assert_true(db_i64(&query, 0) == INT64_MAX);
	assert_true(db_is_null(&query, 1));
	assert_false(db_row(&query));
	assert_false(db_row(&query));
	db_done(&query);
	/* Parameters go by their numbers, however often and in whatever order they stand. */
	query = db_query(db, "SELECT id FROM test WHERE text = $2 AND id = $1 AND $1 < 0");
	db_bind_i64(&query, INT64_MIN);
	db_bind_text(&query, SLICE("least"));
	assert_true(db_row(&query));
	db_done(&query);
	db_release(db);
}

static void test_nested_queries(void **state)
{
	struct db *db = acquire(*state);
	int64_t sum = 0;

	make_table(db);
	for (int i = 1; i <= 3; i++)
		insert(db, i, SLICE("x"));
	/* The same text inside itself. */
	for (int depth = 0; depth < 2; depth++) {
		static const char sql[] = "SELECT id FROM test ORDER BY id";
		struct db_query outer = db_query(db, sql);

		while (db_row(&outer)) {
			struct db_query inner = db_query(db, sql);

			while (db_row(&inner))
				sum += db_i64(&inner, 0) * db_i64(&outer, 0);
			db_done(&inner);
		}
		db_done(&outer);
	}
	assert_int_equal(sum, 2 * 36);
	db_release(db);
}

static void test_errors_stick(void **state)
{
	struct fixture *fixture = *state;
	struct db *db = acquire(fixture);

	make_table(db);
	assert_int_equal(db_begin(db, DB_WRITE), STATUS_OK);
	insert(db, 1, SLICE("a"));
	insert(db, 1, SLICE("b"));
	insert(db, 2, SLICE("c"));
	assert_int_equal(db_changes(db), 0);
	assert_int_equal(db_status(db), STATUS_EXISTS);
	assert_int_equal(db_commit(db), STATUS_EXISTS);
	db_release(db);
	assert_int_equal(count_rows(fixture), 0);
	/* The connection is as good as new. */
	db = acquire(fixture);
	assert_int_equal(db_status(db), STATUS_OK);
	assert_int_equal(db_begin(db, DB_WRITE), STATUS_OK);
	insert(db, 1, SLICE("a"));
	assert_int_equal(db_changes(db), 1);
	assert_int_equal(db_commit(db), STATUS_OK);
	db_release(db);
	assert_int_equal(count_rows(fixture), 1);
}

static void test_wrong_statement_is_our_bug(void **state)
{
	struct db *db = acquire(*state);
	struct db_query query = db_query(db, "SELECT nothing FROM nowhere");

	assert_false(db_row(&query));
	db_done(&query);
	assert_int_equal(db_status(db), STATUS_BUG);
	db_release(db);
}

static void test_savepoints(void **state)
{
	struct fixture *fixture = *state;
	struct db *db = acquire(fixture);

	make_table(db);
	assert_int_equal(db_begin(db, DB_WRITE), STATUS_OK);
	insert(db, 1, SLICE("kept"));
	assert_int_equal(db_savepoint(db), STATUS_OK);
	insert(db, 2, SLICE("dropped"));
	insert(db, 1, SLICE("fails"));
	assert_int_equal(db_changes(db), 0);
	assert_int_equal(db_status(db), STATUS_EXISTS);
	db_savepoint_rollback(db);
	assert_int_equal(db_status(db), STATUS_OK);
	assert_int_equal(db_savepoint(db), STATUS_OK);
	insert(db, 3, SLICE("kept"));
	db_savepoint_release(db);
	assert_int_equal(db_commit(db), STATUS_OK);
	db_release(db);
	assert_int_equal(fixture_number(fixture, "SELECT CAST(sum(id) AS BIGINT) FROM test"), 4);
}

static void test_release_rolls_back(void **state)
{
	struct fixture *fixture = *state;
	struct db *db = acquire(fixture);

	make_table(db);
	assert_int_equal(db_begin(db, DB_WRITE), STATUS_OK);
	insert(db, 1, SLICE("gone"));
	db_release(db);
	assert_int_equal(count_rows(fixture), 0);
}

static void test_snapshot(void **state)
{
	struct fixture *fixture = *state;
	struct db *reader = acquire(fixture), *writer = acquire(fixture);

	make_table(writer);
	assert_int_equal(db_begin(reader, DB_READ), STATUS_OK);
	struct db_query query = db_query(reader, "SELECT count(*) FROM test");

	assert_true(db_row(&query));
	assert_int_equal(db_i64(&query, 0), 0);
	db_done(&query);
	assert_int_equal(db_begin(writer, DB_WRITE), STATUS_OK);
	insert(writer, 1, SLICE("later"));
	assert_int_equal(db_commit(writer), STATUS_OK);
	query = db_query(reader, "SELECT count(*) FROM test");
	assert_true(db_row(&query));
	assert_int_equal(db_i64(&query, 0), 0);
	db_done(&query);
	db_release(reader);
	db_release(writer);
	assert_int_equal(count_rows(fixture), 1);
}

/* Text that is no UTF-8 is refused where the database insists; never a trouble that looks temporary. */
static void test_bad_text(void **state)
{
	struct fixture *fixture = *state;
	struct db *db = acquire(fixture);

	make_table(db);
	struct db_query query = db_query(db, "INSERT INTO test (id, text) VALUES (1, $1)");

	db_bind_text(&query, SLICE("\xff\xfe"));
	db_run(&query);
	assert_int_equal(db_status(db), fixture->is_postgresql ? STATUS_REFUSED : STATUS_OK);
	db_release(db);
}

/* ---- group commit ---- */

struct work {
	int64_t id;
	enum status fails_with; /* after having written */
	unsigned runs;
};

static enum status run_work(struct db *db, void *context)
{
	struct work *work = context;

	work->runs++;
	insert(db, work->id, SLICE("by a work"));
	return work->fails_with;
}

static enum status make(struct db *db, void *context)
{
	(void)context;
	make_table(db);
	return STATUS_OK;
}

static void test_write_alone(void **state)
{
	struct fixture *fixture = *state;
	struct work good = {.id = 1}, refused = {.id = 2, .fails_with = STATUS_REFUSED}, twice = {.id = 1};

	assert_int_equal(db_write(fixture->store->pool, make, NULL), STATUS_OK);
	assert_int_equal(db_write(fixture->store->pool, run_work, &good), STATUS_OK);
	assert_int_equal(db_write(fixture->store->pool, run_work, &refused), STATUS_REFUSED);
	assert_int_equal(db_write(fixture->store->pool, run_work, &twice), STATUS_EXISTS);
	assert_int_equal(refused.runs, 1);
	assert_int_equal(count_rows(fixture), 1);
}

/* Its first row is there already, but it doesn't look before it has written a great many more. */
static enum status run_blindly(struct db *db, void *context)
{
	const int64_t *first = context;

	for (int64_t i = 0; i < 300; i++)
		insert(db, *first + i, SLICE("blindly"));
	return STATUS_OK;
}

static enum status make_lenient(struct db *db, void *context)
{
	(void)context;
	db_execute(db, "CREATE TABLE lenient (id BIGINT UNIQUE DEFERRABLE INITIALLY DEFERRED)");
	return STATUS_OK;
}

static enum status insert_leniently(struct db *db, void *context)
{
	(void)context;
	struct db_query query = db_query(db, "INSERT INTO lenient (id) VALUES (1)");

	db_run(&query);
	return STATUS_OK;
}

/* An error that shows only when the work is over is the work's all the same, and nothing of it is kept. */
static void test_late_errors(void **state)
{
	struct fixture *fixture = *state;
	struct work good = {.id = 1};
	int64_t first = 1, free = 1000;

	assert_int_equal(db_write(fixture->store->pool, make, NULL), STATUS_OK);
	assert_int_equal(db_write(fixture->store->pool, run_work, &good), STATUS_OK);
	assert_int_equal(db_write(fixture->store->pool, run_blindly, &first), STATUS_EXISTS);
	assert_int_equal(count_rows(fixture), 1);
	assert_int_equal(db_write(fixture->store->pool, run_blindly, &free), STATUS_OK);
	assert_int_equal(count_rows(fixture), 301);
	if (!fixture->is_postgresql)
		return;
	assert_int_equal(db_write(fixture->store->pool, make_lenient, NULL), STATUS_OK);
	assert_int_equal(db_write(fixture->store->pool, insert_leniently, NULL), STATUS_OK);
	assert_int_equal(db_write(fixture->store->pool, insert_leniently, NULL), STATUS_EXISTS);
	assert_int_equal(fixture_number(fixture, "SELECT count(*) FROM lenient"), 1);
}

#define THREADS    16
#define PER_THREAD 60

struct writer {
	struct db_pool *pool;
	int number;
	unsigned wrong;
	atomic_int *committed;
};

/* Every fifth work fails by itself, every seventh because its row is there already: neither may touch its neighbours. */
static void *write_many(void *context)
{
	struct writer *writer = context;

	for (int i = 0; i < PER_THREAD; i++) {
		struct work work = {.id = writer->number * 1000 + i};
		enum status expected = STATUS_OK;

		if (i % 5 == 4)
			expected = work.fails_with = STATUS_REFUSED;
		else if (i % 7 == 6 && (i - 1) % 5 != 4 && (i - 1) % 7 != 6) {
			work.id--;
			expected = STATUS_EXISTS;
		}
		enum status status = db_write(writer->pool, run_work, &work);

		writer->wrong += status != expected;
		if (status == STATUS_OK)
			atomic_fetch_add(writer->committed, 1);
	}
	return NULL;
}

static void test_write_together(void **state)
{
	struct fixture *fixture = *state;
	struct store *another = fixture_open_another(fixture);
	pthread_t threads[THREADS];
	struct writer writers[THREADS];
	atomic_int committed = 0;

	assert_int_equal(db_write(fixture->store->pool, make, NULL), STATUS_OK);
	for (int i = 0; i < THREADS; i++) {
		writers[i] = (struct writer){i % 4 ? fixture->store->pool : another->pool, i, 0, &committed};
		assert_int_equal(pthread_create(&threads[i], NULL, write_many, &writers[i]), 0);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(writers[i].wrong, 0);
	}
	store_close(another);
	assert_int_equal(count_rows(fixture), committed);
}

/* A work that waits for its turn longer than the time-out is withdrawn and never runs. */
static enum status sleep_work(struct db *db, void *context)
{
	(void)db;
	(void)context;
	usleep(2500000);
	return STATUS_OK;
}

static void *write_slowly(void *context)
{
	struct fixture *fixture = context;

	assert_int_equal(db_write(fixture->store->pool, sleep_work, NULL), STATUS_OK);
	return NULL;
}

static void test_write_gives_up(void **state)
{
	struct fixture *fixture = *state;
	struct work work = {.id = 1};
	pthread_t thread;

	fixture->store->pool->busy_timeout_ms = 100;
	pthread_create(&thread, NULL, write_slowly, fixture);
	usleep(200000);
	assert_int_equal(db_write(fixture->store->pool, run_work, &work), STATUS_TEMPORARY);
	pthread_join(thread, NULL);
	assert_int_equal(work.runs, 0);
}

static void test_pool_is_bounded(void **state)
{
	struct fixture *fixture = *state;
	struct db *connections[64];
	unsigned count = 0;

	fixture->store->pool->busy_timeout_ms = 50;
	while (count < 64 && (connections[count] = db_acquire(fixture->store->pool)))
		count++;
	assert_int_equal(count, 16);
	while (count > 0)
		db_release(connections[--count]);
	connections[0] = acquire(fixture);
	db_release(connections[0]);
}

static void test_urls(void **state)
{
	struct fixture *fixture = *state;
	static const char *const urls[] = {"", "sqlite:", "mysql://x", "sqlite:/nonexistent/folder/x.db",
					   "postgresql://nobody@/x?host=/nonexistent"};

	for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
		struct error error = {0};
		struct db_options options = {.url = slice_from_cstr(urls[i])};

		assert_null(db_pool_new(&options, &fixture->log, &fixture->arena, &error));
		assert_int_not_equal(error.status, STATUS_OK);
		assert_true(error.text.len > 0);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(test_values),          FIXTURE_TEST(test_nested_queries),
		FIXTURE_TEST(test_errors_stick),    FIXTURE_TEST(test_wrong_statement_is_our_bug),
		FIXTURE_TEST(test_savepoints),      FIXTURE_TEST(test_release_rolls_back),
		FIXTURE_TEST(test_snapshot),        FIXTURE_TEST(test_bad_text),
		FIXTURE_TEST(test_write_alone),     FIXTURE_TEST(test_late_errors),
		FIXTURE_TEST(test_write_together),  FIXTURE_TEST(test_write_gives_up),
		FIXTURE_TEST(test_pool_is_bounded), FIXTURE_TEST(test_urls),
	};

	return FIXTURE_MAIN(argc, argv, "store/db", tests);
}
