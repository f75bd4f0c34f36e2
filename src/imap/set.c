#include "imap/set.h"

#include <stdlib.h>

static bool parse_number(struct imap_parser *p, uint32_t *number)
{
	*number = 0;
	if (imap_accept(p, '*'))
		return true;
	return imap_parse_u32(p, number) && (*number > 0 || imap_fault(p, SLICE("numbers of messages begin with 1")));
}

static bool add_range(struct imap_parser *p, struct imap_set *set, size_t *capacity)
{
	struct imap_range *range;

	if (set->count == IMAP_RANGES_MAX)
		return imap_fault(p, SLICE("too many ranges"));
	if (set->count == *capacity) {
		struct imap_range *more = ARENA_ARRAY(p->arena, struct imap_range, 2 * *capacity);

		memcpy(more, set->ranges, *capacity * sizeof(*more));
		set->ranges = more;
		*capacity *= 2;
	}
	range = &set->ranges[set->count++];
	if (!parse_number(p, &range->first))
		return false;
	range->last = range->first;
	return !imap_accept(p, ':') || parse_number(p, &range->last);
}

bool imap_parse_set(struct imap_parser *p, struct imap_set *set)
{
	size_t capacity = 4;

	*set = (struct imap_set){0};
	if (imap_accept(p, '$')) {
		set->saved = true;
		return true;
	}
	set->ranges = ARENA_ARRAY(p->arena, struct imap_range, capacity);
	do {
		if (!add_range(p, set, &capacity))
			return false;
	} while (imap_accept(p, ','));
	return true;
}

static int compare_ranges(const void *a, const void *b)
{
	const struct imap_range *left = a, *right = b;

	return (left->first > right->first) - (left->first < right->first);
}

void imap_set_resolve(struct imap_set *set, uint32_t last)
{
	size_t count = 0;

	for (size_t i = 0; i < set->count; i++) {
		struct imap_range r = set->ranges[i];

		r.first = r.first ? r.first : last;
		r.last = r.last ? r.last : last;
		set->ranges[i] = r.first <= r.last ? r : (struct imap_range){r.last, r.first};
	}
	if (set->count > 1)
		qsort(set->ranges, set->count, sizeof(*set->ranges), compare_ranges);
	for (size_t i = 0; i < set->count; i++) {
		struct imap_range r = set->ranges[i];

		if (count > 0 && r.first <= (uint64_t)set->ranges[count - 1].last + 1) {
			if (r.last > set->ranges[count - 1].last)
				set->ranges[count - 1].last = r.last;
		} else {
			set->ranges[count++] = r;
		}
	}
	set->count = count;
}

bool imap_set_has(const struct imap_set *resolved, uint32_t number)
{
	size_t low = 0, high = resolved->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (resolved->ranges[middle].last < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low < resolved->count && resolved->ranges[low].first <= number;
}

uint32_t imap_set_greatest(const struct imap_set *resolved)
{
	return resolved->count ? resolved->ranges[resolved->count - 1].last : 0;
}

struct imap_set imap_set_of(struct arena *arena, const uint32_t *numbers, size_t count)
{
	struct imap_set set = {0};
	size_t runs = 0;

	for (size_t i = 0; i < count; i++)
		runs += i == 0 || numbers[i] != numbers[i - 1] + 1;
	set.ranges = ARENA_ARRAY(arena, struct imap_range, runs + 1);
	for (size_t i = 0; i < count; i++) {
		if (set.count == 0 || numbers[i] != set.ranges[set.count - 1].last + 1)
			set.ranges[set.count++] = (struct imap_range){numbers[i], numbers[i]};
		else
			set.ranges[set.count - 1].last = numbers[i];
	}
	return set;
}
