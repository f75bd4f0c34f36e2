/* bans: networks that are sent away for a while, or for good. They are in text, as "192.0.2.1" or "2001:db8::/64", in one form only: that is
 * the caller's to see to. */
#pragma once

#include "store/store.h"

#define BANS_FOREVER INT64_MAX

struct ban_row {
	struct slice network, reason;
	int64_t made_ms, until_ms;
	uint64_t times;
};

struct ban_growth {
	int64_t first_ms; /* how long the first ban lasts; each further one twice as long as the former */
	int64_t longest_ms;
	int64_t remember_ms; /* so long after its end a ban counts as a former one */
};

/* Bans for `growth`'s time and fills in *row. EXISTS: it is banned already, and nothing changes. */
MUST_CHECK enum status bans_offence(struct store *store, struct slice network, struct slice reason,
				    const struct ban_growth *growth, int64_t now_ms, struct ban_row *row);
/* Takes the place of what was there. */
MUST_CHECK enum status bans_set(struct store *store, const struct ban_row *row);
MUST_CHECK enum status bans_remove(struct store *store, struct slice network);
/* Those that hold at now_ms, by network in bytes' order, from behind `after` on; at most `max`. */
MUST_CHECK enum status bans_list(struct store *store, struct arena *arena, struct slice after, int64_t now_ms, size_t max,
				 struct ban_row **rows, size_t *count);
/* Forgets at most `max` bans that ended before then. */
MUST_CHECK enum status bans_forget(struct store *store, int64_t before_ms, size_t max, size_t *removed);
