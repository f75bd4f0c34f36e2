/* sts_cache: MTA-STS policies that were fetched (RFC 8461 section 3.3): kept until they expire, so that they hold when record or web
 * server are gone, also after a restart. */
#pragma once

#include "store/store.h"

struct sts_cached {
	struct slice id;   /* of the DNS record when it was fetched */
	struct slice text; /* the policy as it came */
	int64_t fetched_ms, refresh_ms, expires_ms;
};

/* NOT_FOUND also for one that has expired. */
MUST_CHECK enum status sts_cache_find(struct store *store, struct arena *arena, struct slice domain, int64_t now_ms,
				      struct sts_cached *cached);
MUST_CHECK enum status sts_cache_put(struct store *store, struct slice domain, const struct sts_cached *cached);
/* Not to be refreshed before then. */
MUST_CHECK enum status sts_cache_put_off(struct store *store, struct slice domain, int64_t refresh_ms);
/* Domains whose policies are to be refreshed, the longest waiting first. */
MUST_CHECK enum status sts_cache_due(struct store *store, struct arena *arena, int64_t now_ms, size_t max,
				     struct slice **domains, size_t *count);
MUST_CHECK enum status sts_cache_forget_expired(struct store *store, int64_t now_ms);
