#include "imap/limit.h"

uint32_t limit_of_messages(const struct imap_session *s)
{
	return s->context->options.limits_saving_only ? 0 : s->context->options.message_limit;
}

uint32_t limit_of_saving(const struct imap_session *s)
{
	return s->context->options.message_limit;
}

/* The set's messages; with `lowest`, only until the one that has so many before it, whose uid it becomes. */
static size_t walk_to(struct imap_session *s, const struct imap_set *set, size_t before, uint32_t *lowest)
{
	struct imap_walk walk;
	size_t count = 0;

	imap_walk_begin(&walk, s, set);
	while (imap_walk_next(&walk)) {
		if (lowest && before < count + walk.count) {
			*lowest = walk.messages[before - count].uid;
			return before;
		}
		count += walk.count;
	}
	return count;
}

void limit_find(struct imap_session *s, const struct imap_set *set, uint32_t max, struct message_limit *limit)
{
	size_t count = max > 0 ? walk_to(s, set, 0, NULL) : 0;

	*limit = (struct message_limit){.is_passed = count > max};
	if (limit->is_passed)
		walk_to(s, set, count - max, &limit->lowest);
}

void limit_cut(struct imap_session *s, struct imap_set *set, struct message_limit *limit)
{
	size_t first = 0;

	limit_find(s, set, limit_of_messages(s), limit);
	if (!limit->is_passed)
		return;
	while (first < set->count && set->ranges[first].last < limit->lowest)
		first++;
	set->ranges += first;
	set->count -= first;
	if (set->count > 0 && set->ranges[0].first < limit->lowest)
		set->ranges[0].first = limit->lowest;
}

struct slice limit_code(struct imap_session *s, uint32_t max, const struct message_limit *limit)
{
	struct buf code;

	buf_init(&code, imap_arena(s), 0);
	buf_add_literal(&code, "MESSAGELIMIT ");
	buf_add_u64(&code, max);
	if (limit) {
		buf_add_byte(&code, ' ');
		buf_add_u64(&code, limit->lowest);
	}
	return buf_slice(&code);
}

void limit_tell(struct imap_session *s, const struct message_limit *limit)
{
	struct buf *out = imap_output(s);

	if (!limit->is_passed)
		return;
	buf_add_literal(out, "* NO [");
	buf_add(out, limit_code(s, limit_of_messages(s), limit));
	buf_add_literal(out, "] That was a part of it\r\n");
}

enum next limit_ok(struct imap_session *s, struct imap_command *command, const struct message_limit *limit, struct slice code,
		   struct slice text)
{
	if (limit->is_passed && code.len == 0)
		return imap_ok_code(s, command, limit_code(s, limit_of_messages(s), limit), SLICE("That was a part of it"));
	limit_tell(s, limit);
	return imap_ok_code(s, command, code, text);
}

enum next limit_no(struct imap_session *s, struct imap_command *command, uint32_t max, const struct message_limit *limit)
{
	return imap_no(s, command, limit_code(s, max, limit), SLICE("Too many messages at once"));
}
