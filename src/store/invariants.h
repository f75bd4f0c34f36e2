/* invariants: what must be true of the store's rows between any two transactions, whatever failed or crashed before: counters equal
 * what they count, numbers are ahead of those given out, nothing refers to what isn't there, and nothing is there that nothing refers
 * to. For tests, and for people who suspect their disk. Reads everything, in one snapshot; writers go on meanwhile.
 */
#pragma once

#include "store/store.h"

struct store_violation {
	struct slice claim; /* what isn't so, as a sentence that should be true */
	int64_t rows;       /* how many say otherwise */
};
#define INVARIANTS_ALL (-1)
/* Of one account, or of everything. STATUS_OK: it could be checked; sound if *count is 0. */
MUST_CHECK enum status store_check_account(struct store *store, struct arena *arena, int64_t account,
					   struct store_violation **violations, size_t *count);
MUST_CHECK enum status store_check_invariants(struct store *store, struct arena *arena, struct store_violation **violations,
					      size_t *count);
/* Puts right what can be, in one transaction: what can be counted is counted anew; what refers to nothing goes; messages that nothing
 * refers to can be brought back as if they had been deleted; mailboxes that messages lie in are made again. Where something was
 * changed, clients' knowledge of changes begins anew. What was done: `claim` says it, `rows` how often. A body that is lost stays
 * lost. */
MUST_CHECK enum status store_repair(struct store *store, struct arena *arena, int64_t account, struct store_violation **repairs,
				    size_t *count);
