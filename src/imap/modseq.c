/* Mod-sequences: RFC 7162. What a client that was here before has missed. */
#include "imap/session.h"

#include "imap/write.h"

struct slice imap_highest_modseq(struct imap_session *s)
{
	struct buf code;

	buf_init(&code, imap_arena(s), 0);
	buf_add_literal(&code, "HIGHESTMODSEQ ");
	buf_add_u64(&code, mailbox_viewer_state(&s->viewer).told_modseq);
	return buf_slice(&code);
}

void imap_use_condstore(struct imap_session *s)
{
	struct buf *out = imap_output(s);

	if (s->condstore)
		return;
	s->condstore = true;
	if (!mailbox_viewer_is_open(&s->viewer))
		return;
	buf_add_literal(out, "* OK [");
	buf_add(out, imap_highest_modseq(s));
	buf_add_literal(out, "] Highest\r\n");
}

/* ---- VANISHED (EARLIER) ---- */

/* What may be gone: of all uids that the session's mailbox has ever had, above `above`, those that the log names, or all. */
static enum status find_candidates(struct imap_session *s, uint64_t since, uint32_t above, struct imap_set *candidates)
{
	struct mailbox_view_state state = mailbox_viewer_state(&s->viewer);
	struct uid_range all = {1, state.told_uid_next - 1}, *ranges;
	size_t count;
	bool too_old;
	enum status status = mailbox_expunged_since(imap_store(s), imap_arena(s), s->selected_account, state.mailbox, since, &ranges,
						    &count, &too_old);

	*candidates = (struct imap_set){0};
	if (status != STATUS_OK)
		return status;
	if (too_old) {
		ranges = &all;
		count = 1;
	}
	candidates->ranges = ARENA_ARRAY(imap_arena(s), struct imap_range, count + 1);
	for (size_t i = 0; i < count; i++) {
		uint32_t first = ranges[i].first > above ? ranges[i].first : above + 1;
		uint32_t last = ranges[i].last < state.told_uid_next ? ranges[i].last : state.told_uid_next - 1;

		if (ranges[i].last > above && first <= last)
			candidates->ranges[candidates->count++] = (struct imap_range){first, last};
	}
	return STATUS_OK;
}

/* In both; both are ascending and disjoint. */
static struct imap_set intersect(struct arena *arena, const struct imap_set *a, const struct imap_set *b)
{
	struct imap_set both = {.ranges = ARENA_ARRAY(arena, struct imap_range, a->count + b->count + 1)};

	for (size_t i = 0, j = 0; i < a->count && j < b->count;) {
		struct imap_range r = a->ranges[i], t = b->ranges[j];
		struct imap_range common = {r.first > t.first ? r.first : t.first, r.last < t.last ? r.last : t.last};

		if (common.first <= common.last)
			both.ranges[both.count++] = common;
		if (r.last < t.last)
			i++;
		else
			j++;
	}
	return both;
}

/* Ranges of what is missing, as the messages that are there are passed by. */
struct gaps {
	const struct imap_set *candidates;
	size_t at;
	uint64_t next; /* uids of the range from here on are open */
	struct buf found;
};

static void add_gap(struct gaps *gaps, uint64_t last)
{
	struct imap_range range = {(uint32_t)gaps->next, (uint32_t)last};

	if (gaps->next <= last)
		buf_add(&gaps->found, slice_of((const char *)&range, sizeof(range)));
}

/* Ends ranges that lie below `uid`. */
static void pass_ranges(struct gaps *gaps, uint64_t uid)
{
	while (gaps->at < gaps->candidates->count && gaps->candidates->ranges[gaps->at].last < uid) {
		add_gap(gaps, gaps->candidates->ranges[gaps->at].last);
		if (++gaps->at < gaps->candidates->count)
			gaps->next = gaps->candidates->ranges[gaps->at].first;
	}
}

/* The session's messages are not among those that are gone, whatever the log says that it hasn't been told yet. */
static struct imap_set without_messages(struct imap_session *s, const struct imap_set *candidates)
{
	struct gaps gaps = {.candidates = candidates, .next = candidates->count ? candidates->ranges[0].first : 0};
	struct imap_walk walk;

	buf_init(&gaps.found, imap_arena(s), 0);
	imap_walk_begin(&walk, s, candidates);
	while (imap_walk_next(&walk)) {
		for (size_t i = 0; i < walk.count; i++) {
			uint32_t uid = walk.messages[i].uid;

			pass_ranges(&gaps, uid);
			add_gap(&gaps, (uint64_t)uid - 1);
			gaps.next = (uint64_t)uid + 1;
		}
	}
	pass_ranges(&gaps, UINT64_MAX);
	return (struct imap_set){.ranges = (struct imap_range *)(void *)gaps.found.data,
				 .count = gaps.found.len / sizeof(struct imap_range)};
}

enum status imap_put_vanished(struct imap_session *s, const struct imap_set *known, uint64_t since, uint32_t above)
{
	struct buf *out = imap_output(s);
	struct imap_set gone;
	enum status status = find_candidates(s, since, above, &gone);

	if (status != STATUS_OK)
		return status;
	if (known)
		gone = intersect(imap_arena(s), &gone, known);
	gone = without_messages(s, &gone);
	if (gone.count == 0)
		return STATUS_OK;
	buf_add_literal(out, "* VANISHED (EARLIER) ");
	imap_put_set(out, &gone);
	buf_add_literal(out, "\r\n");
	return STATUS_OK;
}
