/* auth_fixture: a credential file in a folder of its own, with hashes as cheap as Argon2 allows. If POSTHORN_TEST_POSTGRESQL names a
 * database (a URL; see on_postgresql.sh), the credentials are tables in it instead, made anew each time. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "auth/credential.h"
#include "store/db.h"

struct auth_fixture {
	char directory[64];
	char file[96];
	char url[256];
	struct log log;
	struct arena arena;
	struct credential_options options;
	struct credentials *credentials;
};

static inline void auth_fixture_open(struct auth_fixture *fixture)
{
	struct error error = {0};

	fixture->credentials = credentials_open(&fixture->options, &fixture->log, &fixture->arena, &error);
	if (!fixture->credentials)
		fail_msg("%.*s", SLICE_ARG(error.text));
}

static inline bool auth_fixture_on_postgresql(void)
{
	return getenv("POSTHORN_TEST_POSTGRESQL") != NULL;
}

static inline void auth_fixture_drop_tables(struct auth_fixture *fixture)
{
	struct error error = {0};
	struct db_options options = {.url = slice_from_cstr(fixture->url)};
	struct db_pool *pool = db_pool_new(&options, &fixture->log, &fixture->arena, &error);

	assert_non_null(pool);
	struct db *db = db_acquire(pool);

	assert_non_null(db);
	db_execute(db, "DROP TABLE IF EXISTS credential; DROP TABLE IF EXISTS credential_state;"
		       "DROP TABLE IF EXISTS credential_schema");
	assert_int_equal(db_status(db), STATUS_OK);
	db_release(db);
	db_pool_free(pool);
}

static inline void auth_fixture_init(struct auth_fixture *fixture, uint32_t memory_kb)
{
	snprintf(fixture->directory, sizeof fixture->directory, "/tmp/test-auth-XXXXXX");
	assert_non_null(mkdtemp(fixture->directory));
	snprintf(fixture->file, sizeof fixture->file, "%s/secrets/auth.db", fixture->directory);
	log_init(&fixture->log, -1, LOG_FORMAT_LOGFMT, LOG_LEVEL_INFO, SLICE("test"));
	arena_init(&fixture->arena, 0);
	snprintf(fixture->url, sizeof fixture->url, "sqlite:%s", fixture->file);
	if (auth_fixture_on_postgresql()) {
		snprintf(fixture->url, sizeof fixture->url, "%s", getenv("POSTHORN_TEST_POSTGRESQL"));
		auth_fixture_drop_tables(fixture);
	}
	fixture->options = (struct credential_options){
		.url = slice_from_cstr(fixture->url),
		.argon2_memory_kb = memory_kb,
		.argon2_passes = 1,
		.scram_iterations = 4096,
	};
	auth_fixture_open(fixture);
}

/* The credentials are closed by the caller, or by the service that took them over. */
static inline void auth_fixture_remove(struct auth_fixture *fixture)
{
	char command[128];

	snprintf(command, sizeof command, "rm -rf '%s'", fixture->directory);
	assert_int_equal(system(command), 0);
	arena_free(&fixture->arena);
}
