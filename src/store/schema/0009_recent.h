/* Migration 9: which messages nobody has been told of yet (RFC 3501 section 2.3.2): those with uids from recent_uid on. What there is
 * when this comes has been seen. */
#pragma once

#define MIGRATION_0009_RECENT                                                 \
	"ALTER TABLE mailbox ADD COLUMN recent_uid BIGINT NOT NULL DEFAULT 1;" \
	"UPDATE mailbox SET recent_uid = uid_next"
