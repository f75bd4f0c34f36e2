/* tls_counts: results of TLS with other hosts, gathered in memory and written to the store now and then, for reports (RFC 8460 section 4). What
 * a crash takes with it is the last few seconds' counts. Thread-safe. */
#pragma once

#include "relay/route.h"
#include "relay/tls_result.h"
#include "store/tls_report.h"

struct tls_counts;

struct tls_counts *tls_counts_new(void);
void tls_counts_free(struct tls_counts *counts);
/* One session. Copies. Beyond TLS_COUNTS_MAX different rows between two flushes what is new is not counted. */
#define TLS_COUNTS_MAX 20000
void tls_counts_add(struct tls_counts *counts, const struct tls_count *count);
/* Writes what there is; kept for the next time if the store is away. */
MUST_CHECK enum status tls_counts_flush(struct tls_counts *counts, struct store *store);

/* What a session with that host counts as, but for result, addresses and reason. Lives in the arena. */
void tls_counts_describe(struct arena *arena, const struct route_host *host, struct slice domain, struct tls_count *count);
