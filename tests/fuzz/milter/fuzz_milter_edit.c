/* A header under a milter's hands: whatever it adds and changes, it is a header that can be read again, field by field. Input: a header, an
 * empty line, and changes, a line each: what, index, name, value. */
#include <stdlib.h>

#include "milter/edit.h"

static void must(bool holds)
{
	if (!holds)
		abort();
}

static bool is_name(struct slice name)
{
	for (size_t i = 0; i < name.len; i++)
		if (name.data[i] <= ' ' || name.data[i] > '~' || name.data[i] == ':')
			return false;
	return name.len > 0;
}

/* The same many fields of the same names. */
static void check_read_again(const struct edit *edit, struct arena *arena)
{
	struct edit again;
	struct buf out;

	buf_init(&out, arena, 0);
	edit_write(edit, &out);
	must(out.len == edit->bytes);
	edit_init(&again, arena);
	edit_load(&again, buf_slice(&out), false);
	const struct edit_field *b = again.first;

	for (const struct edit_field *a = edit->first; a; a = a->next, b = b->next) {
		must(b && slice_eq(a->name, b->name) && slice_eq(a->text, b->text));
		must(edit_value(arena, a, true).len <= a->text.len);
	}
	must(!b);
}

static void change(struct edit *edit, struct slice line)
{
	if (line.len < 3)
		return;
	uint32_t index = (unsigned char)line.data[1] % 8;
	bool with_space = line.data[0] & 4;
	struct slice value = slice_skip(line, 2), name = slice_cut(&value, ' ');
	char lines[256];
	size_t len = value.len < sizeof(lines) ? value.len : sizeof(lines);

	if (!is_name(name))
		return;
	for (size_t i = 0; i < len; i++)
		lines[i] = value.data[i] == '|' ? '\n' : value.data[i];
	value = slice_of(lines, len);
	if ((line.data[0] & 3) == 0)
		(void)!edit_add(edit, name, value, with_space);
	else if ((line.data[0] & 3) == 1)
		(void)!edit_insert(edit, index, name, value, with_space);
	else
		(void)!edit_change(edit, index, name, value, with_space);
}

/* Lines that are fields, as the header's reader makes sure. */
static void load(struct edit *edit, struct arena *arena, struct slice header)
{
	struct buf out;

	buf_init(&out, arena, 0);
	while (header.len > 0) {
		struct slice line = slice_cut(&header, '\n'), rest = line;

		if (is_name(slice_cut(&rest, ':')) && slice_find_byte(line, ':') != SLICE_NOT_FOUND &&
		    slice_find_byte(line, '\r') == SLICE_NOT_FOUND) {
			buf_add(&out, line);
			buf_add_literal(&out, "\r\n");
		} else if (out.len > 0 && line.len > 1 && line.data[0] == ' ' &&
			   slice_find_byte(line, '\r') == SLICE_NOT_FOUND) {
			buf_add(&out, line);
			buf_add_literal(&out, "\r\n");
		}
	}
	edit_load(edit, buf_slice(&out), false);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena SCOPED_ARENA;
	struct slice text = slice_of((const char *)data, size);
	size_t end = slice_find(text, SLICE("\n\n"));
	struct edit edit;

	if (end == SLICE_NOT_FOUND || size > 16384)
		return 0;
	edit_init(&edit, &arena);
	load(&edit, &arena, slice_sub(text, 0, end));
	text = slice_skip(text, end + 2);
	while (text.len > 0)
		change(&edit, slice_cut(&text, '\n'));
	check_read_again(&edit, &arena);
	return 0;
}
