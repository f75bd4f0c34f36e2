/* Migration 13: which reports on TLS were sent (store/tls_report.h). */
#pragma once

#define MIGRATION_0013_TLS_SENT                                                                                     \
	"CREATE TABLE tls_sent (day BIGINT NOT NULL, domain BYTES NOT NULL, due_ms BIGINT NOT NULL,"                 \
	" tries BIGINT NOT NULL, done BIGINT NOT NULL, PRIMARY KEY (day, domain)) CLUSTERED;"                      \
	"CREATE INDEX tls_sent_due ON tls_sent (due_ms)"
