/* rates: token buckets that several nodes take from (guard/limiter.h). A bucket is the time at which it would be full again. Nodes bring
 * what they have taken in batches, and hear how full it is with what others took. Their clocks are taken to agree within a second or so. */
#pragma once

#include "store/store.h"

struct rate_change {
	uint64_t bucket; /* its key */
	int64_t taken_us; /* so much later will it be full */
	int64_t full_us;  /* wall clock; with what others have taken: filled in */
};

/* All in one transaction. The changes are sorted by it. */
MUST_CHECK enum status rates_add(struct store *store, struct rate_change *changes, size_t count, int64_t now_us);
/* Those that have been full since. */
MUST_CHECK enum status rates_forget(struct store *store, int64_t before_ms, size_t max, size_t *removed);
