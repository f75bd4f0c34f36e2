/* Migration 4: MTA-STS policies, results of TLS, and what a message demands of the way it goes. */
#pragma once

#define MIGRATION_0004_SENDING_SECURITY                                                                             \
	"CREATE TABLE sts_policy (domain TEXT NOT NULL PRIMARY KEY, policy_id BYTES NOT NULL, policy BYTES NOT NULL," \
	" fetched_ms BIGINT NOT NULL, refresh_ms BIGINT NOT NULL, expires_ms BIGINT NOT NULL) CLUSTERED;"             \
	"CREATE TABLE tls_count ("                                                                                  \
	" day BIGINT NOT NULL, domain BYTES NOT NULL, policy_type BYTES NOT NULL, result BYTES NOT NULL,"            \
	" receiving_host BYTES NOT NULL, receiving_ip BYTES NOT NULL, receiving_helo BYTES NOT NULL,"                \
	" sending_ip BYTES NOT NULL, reason BYTES NOT NULL, policy BYTES NOT NULL, sessions BIGINT NOT NULL,"        \
	" PRIMARY KEY (day, domain, policy_type, result, receiving_host, receiving_ip, receiving_helo, sending_ip,"  \
	" reason)) CLUSTERED;"                                                                                      \
	/* enum tls_wish of store/email.h */                                                                        \
	"ALTER TABLE queue_message ADD COLUMN tls_wish BIGINT NOT NULL DEFAULT 0"
