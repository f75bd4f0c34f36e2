/* What the door remembers. Never change a migration that was released: add the next. */
#pragma once

#define MIGRATION_0005_GUARD                                                                                 \
	/* network: "192.0.2.1", "2001:db8::/64"; times: bans one after the other, each longer than the former */ \
	"CREATE TABLE ban (network TEXT NOT NULL PRIMARY KEY, made_ms BIGINT NOT NULL, until_ms BIGINT NOT NULL," \
	" times BIGINT NOT NULL, reason BYTES NOT NULL) CLUSTERED;"                                          \
	"CREATE INDEX ban_until ON ban (until_ms);"                                                          \
	/* What an account has submitted in an hour since 1970. */                                           \
	"CREATE TABLE sending (account BIGINT NOT NULL, hour BIGINT NOT NULL, messages BIGINT NOT NULL,"     \
	" recipients BIGINT NOT NULL, alerted BIGINT NOT NULL, PRIMARY KEY (account, hour)) CLUSTERED;"      \
	"CREATE INDEX sending_hour ON sending (hour);"                                                       \
	/* key: a hash of network, sender and recipient, or of the network alone; passes: how often it came again in time */ \
	"CREATE TABLE greylist (key BYTES NOT NULL PRIMARY KEY, first_ms BIGINT NOT NULL, last_ms BIGINT NOT NULL," \
	" passes BIGINT NOT NULL) CLUSTERED;"                                                                \
	"CREATE INDEX greylist_last ON greylist (last_ms)"
