#include "extract/xml_text.h"

#include "mime/words.h"

#define NAME_MAX_BYTES 128
#define ENTITY_MAX     12

struct xml {
	struct buf *out;
	struct slice rest;
	const struct xml_rules *rules;
	unsigned text_depth, hidden_depth; /* elements of that kind that are open */
	bool is_reference;                 /* inside of a cell whose text stands elsewhere */
};

static bool has_name(const char *names, struct slice name)
{
	struct slice rest = slice_from_cstr(names);

	while (rest.len > 0) {
		if (slice_eq(slice_cut(&rest, ' '), name))
			return true;
	}
	return false;
}

/* ---- text ---- */

static void add_character(struct buf *out, uint32_t c)
{
	char bytes[4];
	size_t count = 0;

	if (c < 0x80) {
		bytes[count++] = (char)c;
	} else if (c < 0x800) {
		bytes[count++] = (char)(0xc0 | c >> 6);
		bytes[count++] = (char)(0x80 | (c & 0x3f));
	} else if (c < 0x10000) {
		bytes[count++] = (char)(0xe0 | c >> 12);
		bytes[count++] = (char)(0x80 | (c >> 6 & 0x3f));
		bytes[count++] = (char)(0x80 | (c & 0x3f));
	} else {
		bytes[count++] = (char)(0xf0 | c >> 18);
		bytes[count++] = (char)(0x80 | (c >> 12 & 0x3f));
		bytes[count++] = (char)(0x80 | (c >> 6 & 0x3f));
		bytes[count++] = (char)(0x80 | (c & 0x3f));
	}
	buf_add(out, slice_of(bytes, count));
}

/* "#252", "#xFC" */
static bool number_of(struct slice name, uint32_t *value)
{
	bool is_hexadecimal = name.len > 1 && (name.data[1] == 'x' || name.data[1] == 'X');
	size_t at = is_hexadecimal ? 2 : 1;

	*value = 0;
	for (size_t i = at; i < name.len; i++) {
		char c = name.data[i];
		uint32_t digit = c >= '0' && c <= '9' ? (uint32_t)(c - '0') : (uint32_t)((c | 0x20) - 'a') + 10;

		if (digit >= (is_hexadecimal ? 16u : 10u) || *value > 0x10ffff)
			return false;
		*value = *value * (is_hexadecimal ? 16 : 10) + digit;
	}
	return name.len > at && *value > 0 && *value <= 0x10ffff && (*value < 0xd800 || *value > 0xdfff);
}

/* `text` begins with "&": the length of what was understood. */
static size_t add_entity(struct buf *out, struct slice text)
{
	static const struct {
		struct slice name;
		char character;
	} entities[] = {{{"amp", 3}, '&'}, {{"lt", 2}, '<'}, {{"gt", 2}, '>'}, {{"quot", 4}, '"'}, {{"apos", 4}, '\''}};
	size_t end = slice_find_byte(slice_sub(text, 0, ENTITY_MAX), ';');
	struct slice name = slice_sub(text, 1, end);
	uint32_t value;

	if (end == SLICE_NOT_FOUND || end < 2)
		return 0;
	for (size_t i = 0; i < sizeof(entities) / sizeof(entities[0]); i++) {
		if (slice_eq(name, entities[i].name)) {
			buf_add_byte(out, entities[i].character);
			return end + 1;
		}
	}
	if (name.data[0] != '#' || !number_of(name, &value))
		return 0;
	add_character(out, value);
	return end + 1;
}

static bool is_wanted(const struct xml *xml)
{
	return xml->hidden_depth == 0 && !xml->is_reference && (!xml->rules->texts || xml->text_depth > 0);
}

static void add_text(struct xml *xml, struct slice text)
{
	while (is_wanted(xml) && text.len > 0) {
		size_t at = slice_find_byte(text, '&');

		buf_add(xml->out, slice_sub(text, 0, at));
		if (at == SLICE_NOT_FOUND)
			return;
		text = slice_skip(text, at);
		size_t taken = add_entity(xml->out, text);

		if (taken == 0)
			buf_add_byte(xml->out, '&');
		text = slice_skip(text, taken ? taken : 1);
	}
}

/* ---- markup ---- */

static struct slice local_name(struct slice tag)
{
	size_t end = 0, start = 0;

	for (; end < tag.len && end < NAME_MAX_BYTES && (unsigned char)tag.data[end] > ' ' && tag.data[end] != '/'; end++) {
		if (tag.data[end] == ':')
			start = end + 1;
	}
	return slice_sub(tag, start, end);
}

static void count(unsigned *depth, bool opens)
{
	if (opens)
		(*depth)++;
	else if (*depth > 0)
		(*depth)--;
}

static bool is_at_break(const struct buf *out)
{
	return out->len == 0 || out->data[out->len - 1] == '\n';
}

/* What stands between "<" and ">". */
static void take_tag(struct xml *xml, struct slice tag)
{
	bool ends = tag.len > 0 && tag.data[0] == '/', is_empty = tag.len > 0 && tag.data[tag.len - 1] == '/';
	struct slice name = local_name(ends ? slice_skip(tag, 1) : tag);

	if ((ends || is_empty) && !is_at_break(xml->out) && has_name(xml->rules->breaks, name))
		buf_add_byte(xml->out, '\n');
	if (is_empty && !ends)
		return;
	if (xml->rules->has_cells && slice_eq(name, SLICE("c")))
		xml->is_reference = !ends && (slice_find(tag, SLICE(" t=\"s\"")) != SLICE_NOT_FOUND ||
					      slice_find(tag, SLICE(" t='s'")) != SLICE_NOT_FOUND);
	if (xml->rules->texts && has_name(xml->rules->texts, name))
		count(&xml->text_depth, !ends);
	if (xml->rules->hidden && has_name(xml->rules->hidden, name))
		count(&xml->hidden_depth, !ends);
}

/* Where a tag ends: a ">" in quotes doesn't count. */
static size_t tag_end(struct slice text)
{
	char quote = 0;

	for (size_t i = 0; i < text.len; i++) {
		char c = text.data[i];

		if (quote)
			quote = c == quote ? 0 : quote;
		else if (c == '"' || c == '\'')
			quote = c;
		else if (c == '>')
			return i;
	}
	return SLICE_NOT_FOUND;
}

/* Takes off what begins with `open`, up to `close`; its inside. Without an end: all of it. */
static bool take_between(struct xml *xml, struct slice open, struct slice close, struct slice *inside)
{
	if (!slice_starts_with(xml->rest, open))
		return false;
	struct slice rest = slice_skip(xml->rest, open.len);
	size_t end = slice_find(rest, close);

	*inside = slice_sub(rest, 0, end);
	xml->rest = end == SLICE_NOT_FOUND ? SLICE_EMPTY : slice_skip(rest, end + close.len);
	return true;
}

/* A document type's own declarations stand in brackets. */
static void skip_declaration(struct xml *xml)
{
	size_t end = slice_find_byte(xml->rest, '>');

	if (slice_find_byte(slice_sub(xml->rest, 0, end), '[') != SLICE_NOT_FOUND) {
		size_t close = slice_find(xml->rest, SLICE("]>"));

		end = close == SLICE_NOT_FOUND ? close : close + 1;
	}
	xml->rest = end == SLICE_NOT_FOUND ? SLICE_EMPTY : slice_skip(xml->rest, end + 1);
}

/* At a "<". */
static void take_markup(struct xml *xml)
{
	struct slice inside;
	size_t end;

	if (take_between(xml, SLICE("<!--"), SLICE("-->"), &inside) || take_between(xml, SLICE("<?"), SLICE("?>"), &inside))
		return;
	if (take_between(xml, SLICE("<![CDATA["), SLICE("]]>"), &inside)) {
		if (is_wanted(xml))
			buf_add(xml->out, inside);
		return;
	}
	if (slice_starts_with(xml->rest, SLICE("<!"))) {
		skip_declaration(xml);
		return;
	}
	end = tag_end(xml->rest);
	take_tag(xml, slice_sub(xml->rest, 1, end));
	xml->rest = end == SLICE_NOT_FOUND ? SLICE_EMPTY : slice_skip(xml->rest, end + 1);
}

void xml_to_text(struct buf *out, struct slice text, const struct xml_rules *rules)
{
	struct buf converted SCOPED_BUF;
	struct xml xml = {.out = out, .rest = text, .rules = rules};

	buf_init(&converted, NULL, 0);
	if (slice_starts_with(text, SLICE("\xff\xfe")) || slice_starts_with(text, SLICE("\xfe\xff"))) {
		(void)charset_to_utf8(&converted, SLICE("utf-16"), text);
		xml.rest = buf_slice(&converted);
	}
	while (xml.rest.len > 0 && buf_ok(out)) {
		size_t at = slice_find_byte(xml.rest, '<');

		add_text(&xml, slice_sub(xml.rest, 0, at));
		xml.rest = at == SLICE_NOT_FOUND ? SLICE_EMPTY : slice_skip(xml.rest, at);
		if (xml.rest.len > 0)
			take_markup(&xml);
	}
	buf_add_byte(out, '\n');
}
