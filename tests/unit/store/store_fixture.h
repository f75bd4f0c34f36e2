/* store_fixture: a fresh store for each test, on SQLite or PostgreSQL. A test program is run once per back end, with its name as the
 * argument:  test_store_X sqlite | postgresql SCRIPT,  SCRIPT being tests/tools/postgresql.sh. Where PostgreSQL isn't installed the
 * program ends with 77, which Meson counts as skipped.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "store/db_internal.h"
#include "store/directory.h"
#include "store/mailbox.h"
#include "store/queue.h"
#include "store/store_internal.h"

struct fixture {
	struct store *store;
	struct arena arena;
	struct log log;
	struct slice url;
	bool is_postgresql;
	char directory[64]; /* SQLite's */
	int64_t alice, bob; /* accounts at example.test */
};

/* setup and teardown of a test; *state is the fixture. */
int fixture_setup(void **state);
int fixture_teardown(void **state);
/* Closes the store and opens it again. */
void fixture_reopen(struct fixture *fixture);
/* A second handle on the same store, as another process has. */
struct store *fixture_open_another(struct fixture *fixture);

/* Runs the group on the back end that the arguments name. */
int fixture_main(int argc, char **argv, const char *name, const struct CMUnitTest *tests, size_t count);
#define FIXTURE_MAIN(argc, argv, name, tests) fixture_main((argc), (argv), (name), (tests), sizeof(tests) / sizeof((tests)[0]))
#define FIXTURE_TEST(test)                                                                                                       \
	{                                                                                                                        \
		#test, test, fixture_setup, fixture_teardown, NULL                                                               \
	}

/* Server control, for tests that take it away. Only on PostgreSQL. */
void fixture_stop_server(struct fixture *fixture);
void fixture_start_server(struct fixture *fixture);

/* ---- often needed ---- */

/* "Subject: SUBJECT", a few fields, and a body that makes the message about `size` bytes. */
struct slice fixture_message(struct arena *arena, const char *subject, size_t size);
/* Delivers to INBOX and returns the uid. */
uint32_t fixture_deliver(struct fixture *fixture, int64_t account, struct slice message);
enum status fixture_try_deliver(struct fixture *fixture, int64_t account, struct slice message, uint32_t *uid);
struct mailbox fixture_mailbox(struct fixture *fixture, int64_t account, const char *name);
/* The message's bytes by email_scan. */
struct slice fixture_read(struct fixture *fixture, int64_t account, int64_t mailbox, uint32_t uid);
/* One number from the database. */
int64_t fixture_number(struct fixture *fixture, const char *sql);
/* Counters equal what they count; nothing refers to what isn't there; nothing is left that nothing refers to. */
void fixture_check_invariants(struct fixture *fixture);
void fixture_set_fault(struct fixture *fixture, enum status (*fault)(void *context), void *context);
