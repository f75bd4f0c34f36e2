/* Migration 7: when a message came into its mailbox (RFC 8514). 0: before this was kept. */
#pragma once

#define MIGRATION_0007_SAVE_DATE "ALTER TABLE mailbox_email ADD COLUMN saved_ms BIGINT NOT NULL DEFAULT 0"
