#include "store_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "store/invariants.h"

/* Of the test program: cmocka's setups have no other place for it. */
static struct {
	bool is_postgresql;
	const char *script;
	char directory[64];
	char url[256];
} backend;

static bool run_script(const char *action, char *answer, size_t size)
{
	char command[512], ignored[256];

	if (!answer) {
		answer = ignored;
		size = sizeof ignored;
	}
	snprintf(command, sizeof command, "'%s' '%s' %s", backend.script, backend.directory, action);
	FILE *pipe = popen(command, "r");

	if (!pipe)
		return false;
	if (fgets(answer, (int)size, pipe))
		answer[strcspn(answer, "\n")] = '\0';
	return pclose(pipe) == 0;
}

static void remove_directory(const char *directory)
{
	char command[128];

	snprintf(command, sizeof command, "rm -rf '%s'", directory);
	if (system(command) != 0)
		fprintf(stderr, "%s can't be removed\n", directory);
}

int fixture_main(int argc, char **argv, const char *name, const struct CMUnitTest *tests, size_t count)
{
	backend.is_postgresql = argc > 1 && slice_eq(slice_from_cstr(argv[1]), SLICE("postgresql"));
	if (backend.is_postgresql) {
		backend.script = argc > 2 ? argv[2] : "tests/tools/postgresql.sh";
		snprintf(backend.directory, sizeof backend.directory, "/tmp/test-store-pg-XXXXXX");
		if (!mkdtemp(backend.directory) || !run_script("start", backend.url, sizeof backend.url)) {
			remove_directory(backend.directory);
			fprintf(stderr, "skipped: no PostgreSQL server could be started\n");
			return 77;
		}
	}
	int failed = _cmocka_run_group_tests(name, tests, count, NULL, NULL);

	if (backend.is_postgresql) {
		(void)run_script("stop immediate", NULL, 0);
		remove_directory(backend.directory);
	}
	return failed != 0;
}

void fixture_stop_server(struct fixture *fixture)
{
	assert_true(fixture->is_postgresql);
	assert_true(run_script("stop immediate", NULL, 0));
}

void fixture_start_server(struct fixture *fixture)
{
	assert_true(fixture->is_postgresql);
	assert_true(run_script("start", NULL, 0));
}

/* ---- a store ---- */

static void empty_database(struct fixture *fixture)
{
	struct error error = {0};
	struct db_options options = {.url = fixture->url};
	struct db_pool *pool = db_pool_new(&options, &fixture->log, &fixture->arena, &error);

	assert_non_null(pool);
	struct db *db = db_acquire(pool);

	db_execute(db, "DROP SCHEMA public CASCADE; CREATE SCHEMA public");
	assert_int_equal(db_status(db), STATUS_OK);
	db_release(db);
	db_pool_free(pool);
}

struct store *fixture_open_another(struct fixture *fixture)
{
	struct error error = {0};
	struct store_options options = {.url = fixture->url};
	struct store *store = store_open(&options, true, &fixture->log, &fixture->arena, &error);

	if (!store)
		fail_msg("%.*s", SLICE_ARG(error.text));
	return store;
}

int fixture_setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof *fixture);
	char url[128];

	arena_init(&fixture->arena, 0);
	log_init(&fixture->log, getenv("POSTHORN_TEST_LOG") ? 2 : -1, LOG_FORMAT_LOGFMT, LOG_LEVEL_INFO, SLICE("test"));
	fixture->is_postgresql = backend.is_postgresql;
	fixture->url = slice_from_cstr(backend.url);
	if (backend.is_postgresql) {
		empty_database(fixture);
	} else {
		snprintf(fixture->directory, sizeof fixture->directory, "/tmp/test-store-XXXXXX");
		assert_non_null(mkdtemp(fixture->directory));
		snprintf(url, sizeof url, "sqlite:%s/posthorn.db", fixture->directory);
		fixture->url = slice_dup(&fixture->arena, slice_from_cstr(url));
	}
	fixture->store = fixture_open_another(fixture);
	assert_int_equal(directory_add_domain(fixture->store, SLICE("example.test")), STATUS_OK);
	assert_int_equal(directory_add_account(fixture->store, SLICE("alice@example.test"), SLICE("Alice"), 0, &fixture->alice),
			 0);
	assert_int_equal(directory_add_account(fixture->store, SLICE("bob@example.test"), SLICE("Bob"), 0, &fixture->bob), 0);
	*state = fixture;
	return 0;
}

int fixture_teardown(void **state)
{
	struct fixture *fixture = *state;

	store_close(fixture->store);
	if (!fixture->is_postgresql)
		remove_directory(fixture->directory);
	arena_free(&fixture->arena);
	free(fixture);
	return 0;
}

void fixture_reopen(struct fixture *fixture)
{
	store_close(fixture->store);
	fixture->store = fixture_open_another(fixture);
}

void fixture_set_fault(struct fixture *fixture, enum status (*fault)(void *context), void *context)
{
	fixture->store->pool->fault_context = context;
	fixture->store->pool->fault = fault;
}

/* ---- often needed ---- */

struct slice fixture_message(struct arena *arena, const char *subject, size_t size)
{
	struct buf text;

	buf_init(&text, arena, 0);
	buf_printf(&text,
		   "Date: Tue, 24 Nov 2026 15:00:00 +0000\r\nFrom: A Sender <sender@example.org>\r\nTo: alice@example.test\r\n"
		   "Subject: %s\r\nMessage-ID: <%s@example.org>\r\n\r\n",
		   subject, subject);
	for (unsigned i = 0; text.len + 60 < size; i++)
		buf_printf(&text, "%08x the quick brown fox, line %u\r\n", i * 2654435761u, i);
	buf_add_literal(&text, "The end.\r\n");
	return buf_slice(&text);
}

enum status fixture_try_deliver(struct fixture *fixture, int64_t account, struct slice message, uint32_t *uid)
{
	struct delivery_target target = {.account = account};
	struct delivery delivery = {
		.queue_id = SLICE("0TESTQUEUEID0000"),
		.sender = SLICE("sender@example.org"),
		.received_ms = clock_wall_ms(),
		.bytes = message,
		.targets = &target,
		.target_count = 1,
		.trace_from = SLICE("test"),
		.all_or_nothing = true,
	};
	enum status status = store_deliver(fixture->store, &delivery);

	assert_int_equal(target.status, status);
	if (uid)
		*uid = target.uid;
	return status;
}

uint32_t fixture_deliver(struct fixture *fixture, int64_t account, struct slice message)
{
	uint32_t uid = 0;

	assert_int_equal(fixture_try_deliver(fixture, account, message, &uid), STATUS_OK);
	return uid;
}

struct mailbox fixture_mailbox(struct fixture *fixture, int64_t account, const char *name)
{
	struct mailbox mailbox;

	assert_int_equal(mailbox_find(fixture->store, &fixture->arena, account, slice_from_cstr(name), &mailbox), STATUS_OK);
	return mailbox;
}

struct read_context {
	struct arena *arena;
	struct slice bytes;
};

static bool keep_bytes(void *context, const struct email *email)
{
	struct read_context *read = context;

	read->bytes = email->bytes.data ? slice_dup(read->arena, email->bytes) : email->bytes;
	return true;
}

struct slice fixture_read(struct fixture *fixture, int64_t account, int64_t mailbox, uint32_t uid)
{
	struct read_context read = {.arena = &fixture->arena};

	assert_int_equal(email_scan(fixture->store, account, mailbox, &uid, 1, EMAIL_BYTES, keep_bytes, &read), STATUS_OK);
	return read.bytes;
}

int64_t fixture_number(struct fixture *fixture, const char *sql)
{
	int64_t number = -1;
	struct db *db = db_acquire(fixture->store->pool);

	assert_non_null(db);
	struct db_query query = db_query(db, sql);

	if (db_row(&query))
		number = db_i64(&query, 0);
	db_done(&query);
	assert_int_equal(db_status(db), STATUS_OK);
	db_release(db);
	return number;
}

void fixture_check_invariants(struct fixture *fixture)
{
	struct store_violation *violations;
	size_t count;

	assert_int_equal(store_check_invariants(fixture->store, &fixture->arena, &violations, &count), STATUS_OK);
	for (size_t i = 0; i < count; i++)
		print_error("%lld rows against: %.*s\n", (long long)violations[i].rows, SLICE_ARG(violations[i].claim));
	assert_int_equal(count, 0);
}
