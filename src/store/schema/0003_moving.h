/* Migration 3: what was deleted and may come back; what imports have brought. */
#pragma once

#define MIGRATION_0003_MOVING                                                                                                                                                                    \
	/* Expunged messages. Each row is a reference to its email, as a row of mailbox_email is. */                                                                                             \
	"CREATE TABLE deleted_email ("                                                                                                                                                           \
	" account BIGINT NOT NULL, mailbox BIGINT NOT NULL, uid BIGINT NOT NULL, email BIGINT NOT NULL,"                                                                                         \
	" flags BIGINT NOT NULL, size BIGINT NOT NULL, received_ms BIGINT NOT NULL, deleted_ms BIGINT NOT NULL,"                                                                                 \
	" PRIMARY KEY (account, mailbox, uid, email)) CLUSTERED;"                                                                                                                                \
	"CREATE INDEX deleted_email_at ON deleted_email (deleted_ms);"                                                                                                                           \
	"CREATE TABLE deleted_mailbox (account BIGINT NOT NULL, id BIGINT NOT NULL, deleted_ms BIGINT NOT NULL,"                                                                                 \
	" role TEXT NOT NULL, name TEXT NOT NULL, PRIMARY KEY (account, id)) CLUSTERED;"                                                                                                         \
                                                                                                                                                                                                 \
	/* A mailbox elsewhere. uids below next_uid were its own when it was last looked at. */                                                                                                  \
	"CREATE TABLE import_source ("                                                                                                                                                           \
	" account BIGINT NOT NULL, id BIGINT NOT NULL, mailbox BIGINT NOT NULL, uid_validity BIGINT NOT NULL,"                                                                                   \
	" keeps_uids BIGINT NOT NULL, next_uid BIGINT NOT NULL, name BYTES NOT NULL,"                                                                                                            \
	" PRIMARY KEY (account, id)) CLUSTERED;"                                                                                                                                                 \
	"CREATE UNIQUE INDEX import_source_name ON import_source (account, name);" /* item: what the source calls the message: its uid, or a hash. uid: its uid there, or 0. flags: as there. */ \
	"CREATE TABLE import_item ("                                                                                                                                                             \
	" account BIGINT NOT NULL, source BIGINT NOT NULL, item BIGINT NOT NULL, uid BIGINT NOT NULL,"                                                                                           \
	" local_uid BIGINT NOT NULL, flags BIGINT NOT NULL, PRIMARY KEY (account, source, item)) CLUSTERED"
