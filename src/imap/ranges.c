#include "imap/ranges.h"

static void append(struct buf *out, struct imap_range range)
{
	struct imap_range *last = out->len ? (struct imap_range *)(out->data + out->len) - 1 : NULL;

	if (last && last->last != UINT32_MAX && last->last + 1 == range.first)
		last->last = range.last;
	else
		buf_add(out, slice_of((const char *)&range, sizeof(range)));
}

static void replace(struct buf *ranges, struct buf *by)
{
	buf_clear(ranges);
	buf_add(ranges, buf_slice(by));
}

void ranges_add(struct buf *ranges, const uint32_t *uids, size_t count)
{
	struct imap_set set = ranges_set(ranges);
	struct buf out SCOPED_BUF;
	size_t at = 0;

	for (size_t i = 0; i < set.count; i++) {
		for (; at < count && uids[at] < set.ranges[i].first; at++)
			append(&out, (struct imap_range){uids[at], uids[at]});
		append(&out, set.ranges[i]);
	}
	for (; at < count; at++)
		append(&out, (struct imap_range){uids[at], uids[at]});
	replace(ranges, &out);
}

void ranges_remove(struct buf *ranges, const uint32_t *uids, size_t count)
{
	struct imap_set set = ranges_set(ranges);
	struct buf out SCOPED_BUF;
	size_t at = 0;

	for (size_t i = 0; i < set.count; i++) {
		struct imap_range range = set.ranges[i];
		bool is_empty = false;

		for (; at < count && uids[at] <= range.last; at++) {
			if (uids[at] > range.first)
				append(&out, (struct imap_range){range.first, uids[at] - 1});
			is_empty = uids[at] == range.last;
			range.first = uids[at] + 1;
		}
		if (!is_empty)
			append(&out, range);
	}
	replace(ranges, &out);
}
