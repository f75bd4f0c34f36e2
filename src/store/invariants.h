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
/* STATUS_OK: it could be checked; sound if *count is 0. */
MUST_CHECK enum status store_check_invariants(struct store *store, struct arena *arena, struct store_violation **violations,
					      size_t *count);
