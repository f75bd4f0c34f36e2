/* Rules of routing. Never change a migration that was released: add the next. */
#pragma once

#define MIGRATION_0002_ROUTING                                                                              \
	/* kind: enum rule_kind of routing.h, which says what the columns mean. */                          \
	"CREATE TABLE rule (kind BIGINT NOT NULL, subject TEXT NOT NULL, target TEXT NOT NULL,"             \
	" detail TEXT NOT NULL, PRIMARY KEY (kind, subject, target)) CLUSTERED"
