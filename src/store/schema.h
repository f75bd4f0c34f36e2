/* schema: the numbered migrations. Each runs once, in order, in one transaction with its number. The texts are written for both back
 * ends, with words that stand for what differs:
 *
 *     BYTES       bytes                                 BLOB                    BYTEA
 *     TEXT        text, compared by its bytes           TEXT                    TEXT COLLATE "C"
 *     CLUSTERED   after a table: rows lie by its key    WITHOUT ROWID           (nothing)
 *     KEY(c)      a number that alone names the row     c INTEGER PRIMARY KEY   c BIGINT NOT NULL, PRIMARY KEY (account, c)
 *
 * KEY makes SQLite keep the table by that number; on PostgreSQL the account comes first, so that tables can be sharded by it.
 */
#pragma once

#include "store/db.h"

int64_t schema_newest(void);
/* 0: no tables yet. */
MUST_CHECK enum status schema_version(struct db_pool *pool, int64_t *version);
/* Brings the tables up to date. */
MUST_CHECK enum status schema_migrate(struct db_pool *pool, struct arena *arena, struct error *error);
/* Up to that version only: for tests of upgrades. */
MUST_CHECK enum status schema_migrate_to(struct db_pool *pool, int64_t version, struct arena *arena, struct error *error);
