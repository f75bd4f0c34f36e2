/* Migration 11: rates that nodes share. bucket: what is counted, and for whom, hashed; full_us: when it would be full again. */
#pragma once

#define MIGRATION_0011_RATES                                                                            \
	"CREATE TABLE rate (bucket BIGINT NOT NULL PRIMARY KEY, full_us BIGINT NOT NULL) CLUSTERED;"   \
	"CREATE INDEX rate_full ON rate (full_us)"
