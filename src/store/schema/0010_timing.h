/* When a message may go, by when it must have gone, and before which others; accounts as recipients in the queue. Never change a
 * migration that was released: add the next. */
#pragma once

#define MIGRATION_0010_TIMING                                                        \
	/* struct envelope_timing of store/email.h */                                \
	"ALTER TABLE queue_message ADD COLUMN release_ms BIGINT NOT NULL DEFAULT 0;" \
	"ALTER TABLE queue_message ADD COLUMN release_request BYTES NOT NULL DEFAULT '';" \
	"ALTER TABLE queue_message ADD COLUMN by_ms BIGINT NOT NULL DEFAULT 0;"      \
	"ALTER TABLE queue_message ADD COLUMN by_mode BIGINT NOT NULL DEFAULT 0;"    \
	"ALTER TABLE queue_message ADD COLUMN priority BIGINT NOT NULL DEFAULT 0;"   \
	"ALTER TABLE queue_message ADD COLUMN verp BYTES NOT NULL DEFAULT '';"       \
	/* mailbox_account: a recipient here, whose account that is; 0: elsewhere. addressed_to: as whom he was written to, if that is \
	 * another address than his. */                                              \
	"ALTER TABLE queue_recipient ADD COLUMN mailbox_account BIGINT NOT NULL DEFAULT 0;" \
	"ALTER TABLE queue_recipient ADD COLUMN addressed_to BYTES NOT NULL DEFAULT ''"
