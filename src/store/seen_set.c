/* Sets of uids, pure. */
#include "store/seen.h"

bool seen_has(const struct seen_set *set, uint32_t uid)
{
	size_t low = 0, high = set->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (set->ranges[middle].last < uid)
			low = middle + 1;
		else
			high = middle;
	}
	return low < set->count && set->ranges[low].first <= uid;
}

/* ---- changing ---- */

/* Appends behind all others; what touches the last becomes one with it. */
static void append(struct seen_set *set, uint32_t first, uint32_t last)
{
	struct uid_range *end = set->count ? &set->ranges[set->count - 1] : NULL;

	if (end && first <= (uint64_t)end->last + 1)
		end->last = last > end->last ? last : end->last;
	else
		set->ranges[set->count++] = (struct uid_range){first, last};
}

static void take_in(const struct seen_set *old, struct seen_set *set, const uint32_t *uids, size_t count)
{
	size_t at = 0;

	for (size_t i = 0; i < old->count; i++) {
		for (; at < count && uids[at] < old->ranges[i].first; at++)
			append(set, uids[at], uids[at]);
		append(set, old->ranges[i].first, old->ranges[i].last);
	}
	for (; at < count; at++)
		append(set, uids[at], uids[at]);
}

static void take_out(const struct seen_set *old, struct seen_set *set, const uint32_t *uids, size_t count)
{
	size_t at = 0;

	for (size_t i = 0; i < old->count; i++) {
		uint64_t from = old->ranges[i].first;

		for (; at < count && uids[at] <= old->ranges[i].last; at++) {
			if (uids[at] > from)
				set->ranges[set->count++] = (struct uid_range){(uint32_t)from, uids[at] - 1};
			from = uids[at] >= from ? (uint64_t)uids[at] + 1 : from;
		}
		if (from <= old->ranges[i].last)
			set->ranges[set->count++] = (struct uid_range){(uint32_t)from, old->ranges[i].last};
	}
}

void seen_change(struct arena *arena, struct seen_set *set, const uint32_t *uids, size_t count, bool seen)
{
	struct seen_set changed = {.ranges = ARENA_ARRAY(arena, struct uid_range, set->count + count + 1)};

	if (seen)
		take_in(set, &changed, uids, count);
	else
		take_out(set, &changed, uids, count);
	*set = changed;
}
