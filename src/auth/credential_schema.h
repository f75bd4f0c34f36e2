/* credential_schema: the credential tables' migrations and their one row of state. Private to credential.c. */
#pragma once

#include "store/db.h"

#define CREDENTIAL_SECRET_LENGTH 32

/* Brings the tables up to date and reads the installation's secret, which is made at the first call. */
MUST_CHECK enum status credential_schema_migrate(struct db_pool *pool, uint8_t secret[CREDENTIAL_SECRET_LENGTH],
						 struct arena *arena, struct error *error);
