/* auth_fixture: a credential file in a folder of its own, with hashes as cheap as Argon2 allows. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "auth/credential.h"

struct auth_fixture {
	char directory[64];
	char file[96];
	char url[128];
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

static inline void auth_fixture_init(struct auth_fixture *fixture, uint32_t memory_kb)
{
	snprintf(fixture->directory, sizeof fixture->directory, "/tmp/test-auth-XXXXXX");
	assert_non_null(mkdtemp(fixture->directory));
	snprintf(fixture->file, sizeof fixture->file, "%s/secrets/auth.db", fixture->directory);
	snprintf(fixture->url, sizeof fixture->url, "sqlite:%s", fixture->file);
	log_init(&fixture->log, -1, LOG_FORMAT_LOGFMT, LOG_LEVEL_INFO, SLICE("test"));
	arena_init(&fixture->arena, 0);
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
