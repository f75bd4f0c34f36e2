/* Migration 19. When the deletion of a mailbox began that is done in parts: what they removed comes back with the mailbox. 0: none has. Private
 * to schema.c. */
#pragma once

#define MIGRATION_0019_DELETING "ALTER TABLE mailbox ADD COLUMN deleting_ms BIGINT NOT NULL DEFAULT 0"
