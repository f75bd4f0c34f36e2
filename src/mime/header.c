#include "mime/message.h"

/* The end of the line that begins at `from`, behind its LF. */
static size_t line_end(struct slice text, size_t from)
{
	const char *lf = memchr(text.data + from, '\n', text.len - from);

	return lf ? (size_t)(lf - text.data) + 1 : text.len;
}

/* The end of the field that begins at 0: behind its last continuation line (RFC 5322 section 2.2.3). */
static size_t field_end(struct slice text)
{
	size_t end = line_end(text, 0);

	while (end < text.len && (text.data[end] == ' ' || text.data[end] == '\t'))
		end = line_end(text, end);
	return end;
}

static struct slice without_line_end(struct slice line)
{
	if (line.len > 0 && line.data[line.len - 1] == '\n')
		line.len--;
	if (line.len > 0 && line.data[line.len - 1] == '\r')
		line.len--;
	return line;
}

static struct slice without_end_space(struct slice text)
{
	while (text.len > 0 && (text.data[text.len - 1] == ' ' || text.data[text.len - 1] == '\t'))
		text.len--;
	return text;
}

static bool is_blank_line(struct slice text)
{
	return text.len > 0 && (text.data[0] == '\n' || (text.data[0] == '\r' && text.len > 1 && text.data[1] == '\n'));
}

bool header_next_line(struct slice *rest, struct header_field *field)
{
	struct slice whole, name = SLICE_EMPTY;
	size_t colon;

	if (rest->len == 0 || is_blank_line(*rest))
		return false;
	whole = slice_sub(*rest, 0, field_end(*rest));
	colon = slice_find_byte(whole, ':');
	*rest = slice_skip(*rest, whole.len);
	/* RFC 5322 section 4.5.8: white space before the colon is obsolete, but was. */
	if (colon != SLICE_NOT_FOUND && !memchr(whole.data, '\n', colon) && *whole.data != ' ' && *whole.data != '\t')
		name = without_end_space(slice_sub(whole, 0, colon));
	*field = (struct header_field){name, without_line_end(slice_skip(whole, name.len > 0 ? colon + 1 : 0)), whole};
	return true;
}

bool header_next(struct slice *rest, struct header_field *field)
{
	while (header_next_line(rest, field)) {
		if (field->name.len > 0)
			return true;
	}
	return false;
}

struct slice header_find(struct slice header, struct slice name)
{
	while (header.len > 0 && !is_blank_line(header)) {
		struct slice whole = slice_sub(header, 0, field_end(header));

		if (name.len > 0 && whole.len > name.len && ascii_lower(whole.data[0]) == ascii_lower(name.data[0])) {
			struct header_field field;
			struct slice rest = whole;

			if (header_next(&rest, &field) && slice_eq_nocase(field.name, name))
				return field.value;
		}
		header = slice_skip(header, whole.len);
	}
	return slice_of(NULL, 0);
}

struct slice header_unfold(struct arena *arena, struct slice value)
{
	char *start, *to;

	value = slice_trim(value);
	if (!memchr(value.data, '\n', value.len) && !memchr(value.data, '\r', value.len))
		return value;
	to = start = arena_alloc(arena, value.len);
	for (size_t i = 0; i < value.len; i++) {
		if (value.data[i] != '\r' && value.data[i] != '\n')
			*to++ = value.data[i];
	}
	return slice_of(start, (size_t)(to - start));
}
