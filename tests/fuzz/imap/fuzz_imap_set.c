/* Sequence sets: what is resolved is ascending, disjoint and not adjacent; it holds what was asked for; and written out and read
 * again it is the same. */
#include <stdlib.h>

#include "imap/set.h"
#include "imap/write.h"

static void check(const struct imap_set *set)
{
	for (size_t i = 0; i < set->count; i++) {
		if (set->ranges[i].first > set->ranges[i].last)
			abort();
		if (i > 0 && set->ranges[i].first <= (uint64_t)set->ranges[i - 1].last + 1)
			abort();
		if (!imap_set_has(set, set->ranges[i].first) || !imap_set_has(set, set->ranges[i].last))
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena SCOPED_ARENA;
	struct imap_parser p;
	struct imap_set set, again;
	struct buf text;

	imap_parser_init(&p, &arena, slice_of((const char *)data, size), false);
	if (!imap_parse_set(&p, &set) || set.saved)
		return 0;
	imap_set_resolve(&set, 1000);
	check(&set);
	buf_init(&text, &arena, 0);
	imap_put_set(&text, &set);
	imap_parser_init(&p, &arena, buf_slice(&text), false);
	if (!imap_parse_set(&p, &again) || p.rest.len > 0)
		abort();
	imap_set_resolve(&again, 1);
	if (again.count != set.count || memcmp(again.ranges, set.ranges, set.count * sizeof(*set.ranges)) != 0)
		abort();
	return 0;
}
