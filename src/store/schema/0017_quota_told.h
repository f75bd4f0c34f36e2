/* Migration 17. How often an account has been told that its quota is nearly used up; negative: there was room again since. */
#pragma once

#define MIGRATION_0017_QUOTA_TOLD "ALTER TABLE account ADD COLUMN quota_told BIGINT NOT NULL DEFAULT 0"
