#include "imap/preview.h"

#include "base/slice.h"

#define TEXT_MAX   ((uint64_t)64 * 1024) /* so much of a part is looked at */
#define ENTITY_MAX 10
#define DEPTH_MAX  50

/* ---- words on one line ---- */

struct words {
	struct buf *out;
	size_t characters;
	bool space; /* is due before the next character */
};

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f' || c == '\v';
}

/* A character of UTF-8, of which `text` begins with the first byte; returns its length. */
static size_t put_character(struct words *words, struct slice text)
{
	size_t len = 1;

	while (len < text.len && ((unsigned char)text.data[len] & 0xc0) == 0x80)
		len++;
	if (len == 1 && is_space(text.data[0])) {
		words->space = words->characters > 0;
		return len;
	}
	if (words->space)
		buf_add_byte(words->out, ' ');
	words->characters += 1 + words->space;
	words->space = false;
	if (len > 1 || (unsigned char)text.data[0] >= 0x20)
		buf_add(words->out, slice_sub(text, 0, len));
	return len;
}

static bool is_full(const struct words *words)
{
	return words->characters + words->space >= PREVIEW_CHARACTERS;
}

static void put_plain(struct words *words, struct slice text)
{
	while (text.len > 0 && !is_full(words))
		text = slice_skip(text, put_character(words, text));
}

/* ---- HTML, as far as this takes it ---- */

static size_t behind(struct slice text, struct slice end)
{
	size_t at = 0;

	while (at + end.len <= text.len && !slice_eq_nocase(slice_sub(text, at, at + end.len), end))
		at++;
	return at + end.len <= text.len ? at + end.len : text.len;
}

/* A tag, a comment, or an element whose content isn't shown; returns its length. */
static size_t skip_tag(struct slice text)
{
	static const struct {
		struct slice begin, end;
	} hidden[] = {
		{{"<!--", 4}, {"-->", 3}},
		{{"<style", 6}, {"</style>", 8}},
		{{"<script", 7}, {"</script>", 9}},
		{{"<title", 6}, {"</title>", 8}},
	};

	for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++) {
		if (slice_starts_with_nocase(text, hidden[i].begin))
			return behind(text, hidden[i].end);
	}
	return behind(text, SLICE(">"));
}

static size_t put_utf8(char *to, uint32_t code)
{
	if (code < 0x80) {
		to[0] = (char)code;
		return 1;
	}
	if (code < 0x800) {
		to[0] = (char)(0xc0 | code >> 6);
		to[1] = (char)(0x80 | (code & 0x3f));
		return 2;
	}
	if (code < 0x10000) {
		to[0] = (char)(0xe0 | code >> 12);
		to[1] = (char)(0x80 | (code >> 6 & 0x3f));
		to[2] = (char)(0x80 | (code & 0x3f));
		return 3;
	}
	to[0] = (char)(0xf0 | code >> 18);
	to[1] = (char)(0x80 | (code >> 12 & 0x3f));
	to[2] = (char)(0x80 | (code >> 6 & 0x3f));
	to[3] = (char)(0x80 | (code & 0x3f));
	return 4;
}

/* 0: none that is known. */
static uint32_t entity_code(struct slice name)
{
	static const struct {
		struct slice name;
		uint32_t code;
	} known[] = {
		{{"amp", 3}, '&'},  {{"lt", 2}, '<'},    {{"gt", 2}, '>'},
		{{"quot", 4}, '"'}, {{"apos", 4}, '\''}, {{"nbsp", 4}, ' '},
	};
	uint32_t code = 0;

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (slice_eq(name, known[i].name))
			return known[i].code;
	}
	if (!slice_starts_with(name, SLICE("#")) || !slice_to_u32(slice_skip(name, 1), 0x10ffff, &code))
		return 0;
	return code >= 0xd800 && code < 0xe000 ? 0 : code == 0xa0 ? ' ' : code;
}

static size_t put_entity(struct words *words, struct slice text)
{
	size_t end = slice_find_byte(slice_sub(text, 0, text.len < ENTITY_MAX ? text.len : ENTITY_MAX), ';');
	uint32_t code = end == SLICE_NOT_FOUND ? 0 : entity_code(slice_sub(text, 1, end));
	char utf8[4];

	if (code < 0x20)
		return put_character(words, text);
	(void)put_character(words, slice_of(utf8, put_utf8(utf8, code)));
	return end + 1;
}

static void put_html(struct words *words, struct slice text)
{
	while (text.len > 0 && !is_full(words)) {
		if (text.data[0] == '<') {
			words->space |= words->characters > 0;
			text = slice_skip(text, skip_tag(text));
		} else if (text.data[0] == '&') {
			text = slice_skip(text, put_entity(words, text));
		} else {
			text = slice_skip(text, put_character(words, text));
		}
	}
}

/* ---- which part ---- */

static bool is_attached(const struct message_part *part)
{
	return part->disposition.data && slice_eq_nocase(part->disposition, SLICE("attachment"));
}

static const struct message_part *first_text(const struct message_part *part, unsigned depth)
{
	if (part->kind == MESSAGE_PART_LEAF)
		return slice_eq_nocase(part->type, SLICE("text")) && !is_attached(part) ? part : NULL;
	for (const struct message_part *child = part->children; child && depth < DEPTH_MAX; child = child->next) {
		const struct message_part *found = first_text(child, depth + 1);

		if (found)
			return found;
	}
	return NULL;
}

void preview_of(struct buf *out, struct arena *arena, const struct message *message)
{
	const struct message_part *part = first_text(message->root, 0);
	struct words words = {.out = out};
	struct message_part clipped;
	struct slice text;

	if (!part || part->body_start >= message->bytes.len)
		return;
	clipped = *part;
	if (clipped.body_end > message->bytes.len)
		clipped.body_end = message->bytes.len;
	if (clipped.body_end - clipped.body_start > TEXT_MAX)
		clipped.body_end = clipped.body_start + TEXT_MAX;
	text = message_part_text(arena, message, &clipped);
	if (slice_eq_nocase(part->subtype, SLICE("html")))
		put_html(&words, text);
	else
		put_plain(&words, text);
}
