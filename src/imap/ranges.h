/* ranges: a set of uids that grows and shrinks, as ascending, disjoint ranges in memory of its own. Pure. */
#pragma once

#include "base/buf.h"
#include "imap/set.h"

/* The buf holds struct imap_range. */
static inline struct imap_set ranges_set(const struct buf *ranges)
{
	return (struct imap_set){.ranges = (struct imap_range *)ranges->data, .count = ranges->len / sizeof(struct imap_range)};
}
/* Uids ascending; those to add aren't in it, those to remove are. */
void ranges_add(struct buf *ranges, const uint32_t *uids, size_t count);
void ranges_remove(struct buf *ranges, const uint32_t *uids, size_t count);
