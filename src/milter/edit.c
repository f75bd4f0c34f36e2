#include "milter/edit.h"

void edit_init(struct edit *edit, struct arena *arena)
{
	*edit = (struct edit){.arena = arena};
}

/* ---- the list ---- */

/* Before `next`; NULL: at the end. */
static void link_field(struct edit *edit, struct edit_field *field, struct edit_field *next)
{
	field->next = next;
	field->prev = next ? next->prev : edit->last;
	*(field->prev ? &field->prev->next : &edit->first) = field;
	*(next ? &next->prev : &edit->last) = field;
	edit->bytes += field->text.len;
}

static void unlink_field(struct edit *edit, struct edit_field *field)
{
	*(field->prev ? &field->prev->next : &edit->first) = field->next;
	*(field->next ? &field->next->prev : &edit->last) = field->prev;
	edit->bytes -= field->text.len;
	edit->is_changed = true;
}

/* The length of the field that `rest` begins with: its lines, as long as they go on with a space. */
static size_t field_length(struct slice rest)
{
	size_t len = 0;

	do {
		size_t end = slice_find_byte(slice_skip(rest, len), '\n');

		if (end == SLICE_NOT_FOUND)
			return rest.len;
		len += end + 1;
	} while (len < rest.len && (rest.data[len] == ' ' || rest.data[len] == '\t'));
	return len;
}

void edit_load(struct edit *edit, struct slice header, bool is_ours)
{
	while (header.len > 0) {
		struct edit_field *field = ARENA_NEW(edit->arena, struct edit_field);

		field->text = slice_sub(header, 0, field_length(header));
		field->name = slice_trim(slice_sub(field->text, 0, slice_find_byte(field->text, ':')));
		field->is_ours = is_ours;
		link_field(edit, field, NULL);
		header = slice_skip(header, field->text.len);
	}
}

/* ---- what a milter sees ---- */

struct slice edit_value(struct arena *arena, const struct edit_field *field, bool with_space)
{
	struct slice value = slice_skip(field->text, slice_find_byte(field->text, ':') + 1);
	struct buf out;

	while (value.len > 0 && (value.data[value.len - 1] == '\n' || value.data[value.len - 1] == '\r'))
		value.len--;
	if (!with_space && slice_starts_with(value, SLICE(" ")))
		value = slice_skip(value, 1);
	if (slice_find_byte(value, '\r') == SLICE_NOT_FOUND)
		return value;
	buf_init(&out, arena, 0);
	buf_reserve(&out, value.len);
	while (value.len > 0) {
		size_t end = slice_find_byte(value, '\r');

		buf_add(&out, slice_sub(value, 0, end));
		value = slice_skip(value, end == SLICE_NOT_FOUND ? value.len : end + 1);
	}
	return buf_slice(&out);
}

/* ---- what it changes ---- */

static bool is_blank(struct slice line)
{
	return slice_trim(line).len == 0;
}

/* A line that doesn't go on with a space would be a field of its own, an empty one the header's end. */
static void add_line(struct buf *out, struct slice line, bool is_first)
{
	if (!is_first && is_blank(line))
		return;
	if (!is_first) {
		buf_add_literal(out, "\r\n");
		if (line.data[0] != ' ' && line.data[0] != '\t')
			buf_add_byte(out, '\t');
	}
	for (size_t i = 0; i < line.len; i++)
		if (line.data[i] != '\r' && line.data[i] != '\0')
			buf_add_byte(out, line.data[i]);
}

static struct edit_field *make_field(struct edit *edit, struct slice name, struct slice value, bool with_space)
{
	struct edit_field *field = ARENA_NEW(edit->arena, struct edit_field);
	bool is_first = true;
	struct buf out;

	buf_init(&out, edit->arena, EDIT_HEADER_MAX);
	buf_reserve(&out, name.len + value.len + 8);
	buf_add(&out, name);
	buf_add_literal(&out, ":");
	if (!with_space)
		buf_add_byte(&out, ' ');
	do {
		add_line(&out, slice_cut(&value, '\n'), is_first);
		is_first = false;
	} while (value.len > 0);
	buf_add_literal(&out, "\r\n");
	field->name = slice_dup(edit->arena, name);
	field->text = buf_slice(&out);
	return buf_ok(&out) && edit->bytes + out.len <= EDIT_HEADER_MAX ? field : NULL;
}

static bool put(struct edit *edit, struct edit_field *field, struct edit_field *next)
{
	if (!field)
		return false;
	link_field(edit, field, next);
	edit->is_changed = true;
	return true;
}

bool edit_add(struct edit *edit, struct slice name, struct slice value, bool with_space)
{
	return put(edit, make_field(edit, name, value, with_space), NULL);
}

bool edit_insert(struct edit *edit, uint32_t index, struct slice name, struct slice value, bool with_space)
{
	struct edit_field *next = edit->first;

	while (next && index-- > 0)
		next = next->next;
	return put(edit, make_field(edit, name, value, with_space), next);
}

static struct edit_field *find(const struct edit *edit, struct slice name, uint32_t index)
{
	for (struct edit_field *field = edit->first; field; field = field->next)
		if (!field->is_ours && slice_eq_nocase(field->name, name) && index-- <= 1)
			return field;
	return NULL;
}

bool edit_change(struct edit *edit, uint32_t index, struct slice name, struct slice value, bool with_space)
{
	struct edit_field *old = find(edit, name, index), *next = old ? old->next : NULL;

	if (old)
		unlink_field(edit, old);
	if (value.len == 0)
		return true;
	return put(edit, make_field(edit, name, value, with_space), next);
}

bool edit_prepend(struct edit *edit, struct slice line)
{
	struct slice value = line, name = slice_cut(&value, ':');

	return put(edit, make_field(edit, slice_trim(name), value, true), edit->first);
}

void edit_write(const struct edit *edit, struct buf *out)
{
	for (const struct edit_field *field = edit->first; field; field = field->next)
		buf_add(out, field->text);
}
