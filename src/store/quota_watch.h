/* quota_watch: accounts whose quota is nearly used up, and whether they have been told. */
#pragma once

#include "store/store.h"

struct quota_full {
	int64_t account;
	struct slice address;
	unsigned times; /* that it was told before */
	uint64_t used_bytes, quota_bytes, used_messages, quota_messages; /* a quota of 0: none */
};
/* At most `max` enabled accounts, not shared ones, that have used `percent` of a quota and haven't been told; in the order of their ids,
 * behind `after`. */
MUST_CHECK enum status quota_find_full(struct store *store, struct arena *arena, unsigned percent, int64_t after, size_t max,
				       struct quota_full **full, size_t *count);
MUST_CHECK enum status quota_set_told(struct store *store, int64_t account);
/* Those that have been told and use less than `percent` again will be told the next time. */
MUST_CHECK enum status quota_forget_told(struct store *store, unsigned percent);
