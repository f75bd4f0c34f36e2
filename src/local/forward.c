#include "local/forward.h"

#define TARGET_MAX 1000

struct forward_reader {
	struct arena *arena;
	struct slice home;
	struct slice *targets;
	size_t count;
};

/* Takes what stands before the next comma or line end off *rest. Quotes go, what they hold stays as it is, but for a backslash before a
 * quote or a backslash. False: a quote isn't closed. */
static bool cut_target(struct arena *arena, struct slice *rest, struct slice *target)
{
	struct buf out;
	bool quoted = false;
	size_t i = 0;

	buf_init(&out, arena, 0);
	for (; i < rest->len; i++) {
		char c = rest->data[i];

		if (!quoted && (c == ',' || c == '\n'))
			break;
		if (quoted && c == '\n')
			return false;
		if (c == '"') {
			quoted = !quoted;
			continue;
		}
		if (quoted && c == '\\' && i + 1 < rest->len && (rest->data[i + 1] == '"' || rest->data[i + 1] == '\\'))
			c = rest->data[++i];
		buf_add_byte(&out, c);
	}
	*rest = slice_skip(*rest, i < rest->len ? i + 1 : i);
	*target = slice_trim(buf_slice(&out));
	return !quoted;
}

static bool is_plain(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if ((unsigned char)text.data[i] < ' ' || text.data[i] == 0x7f)
			return false;
	return text.len <= TARGET_MAX;
}

static bool is_address(struct slice text)
{
	return slice_find_byte(text, ' ') == SLICE_NOT_FOUND && slice_find_byte(text, '<') == SLICE_NOT_FOUND &&
	       slice_find_byte(text, ':') == SLICE_NOT_FOUND && slice_find_byte(text, '\\') == SLICE_NOT_FOUND;
}

static bool add(struct forward_reader *reader, struct slice target)
{
	const struct slice at_home[] = {reader->home, slice_skip(target, 1)};

	if (target.len == 0)
		return true;
	if (reader->count == LOCAL_TARGETS_MAX || !is_plain(target))
		return false;
	if (slice_starts_with(target, SLICE("~/")))
		target = slice_join(reader->arena, at_home, 2);
	if (target.data[0] == '|' ? slice_trim(slice_skip(target, 1)).len == 0
				  : target.data[0] == '\\' ? !is_address(slice_skip(target, 1))
							   : target.data[0] != '/' && !is_address(target))
		return false;
	reader->targets[reader->count++] = target;
	return true;
}

/* Without comments; a continued line is one line. */
static struct slice without_comments(struct arena *arena, struct slice text)
{
	struct buf out;

	buf_init(&out, arena, 0);
	while (text.len > 0) {
		bool continues = text.data[0] == ' ' || text.data[0] == '\t';
		struct slice line = slice_cut(&text, '\n');

		if (slice_starts_with(slice_trim(line), SLICE("#")))
			continue;
		buf_add_byte(&out, continues ? ' ' : '\n');
		buf_add(&out, slice_ends_with(line, SLICE("\r")) ? slice_sub(line, 0, line.len - 1) : line);
	}
	return buf_slice(&out);
}

bool forward_parse(struct arena *arena, struct slice text, struct slice home, struct slice **targets, size_t *count)
{
	struct forward_reader reader = {arena, home, ARENA_ARRAY(arena, struct slice, LOCAL_TARGETS_MAX), 0};
	struct slice rest = without_comments(arena, text), target;

	while (rest.len > 0)
		if (!cut_target(arena, &rest, &target) || !add(&reader, target))
			return false;
	*targets = reader.targets;
	*count = reader.count;
	return true;
}
