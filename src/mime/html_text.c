#include <unicode/utf8.h>

#include "mime/search_text.h"

#define ENTITY_MAX 10 /* bytes of a name or a number */

struct html {
	struct buf *out;
	struct slice rest;
	bool no_more_tags; /* there is no ">" any more */
	bool space;        /* white space is pending */
};

/* U+00A0 to U+00FF in order. */
static const char *const latin1[] = {
	/* clang-format off */
	"nbsp", "iexcl", "cent", "pound", "curren", "yen", "brvbar", "sect", "uml", "copy", "ordf", "laquo", "not", "shy", "reg", "macr",
	"deg", "plusmn", "sup2", "sup3", "acute", "micro", "para", "middot", "cedil", "sup1", "ordm", "raquo", "frac14", "frac12",
	"frac34", "iquest",
	"Agrave", "Aacute", "Acirc", "Atilde", "Auml", "Aring", "AElig", "Ccedil", "Egrave", "Eacute", "Ecirc", "Euml", "Igrave",
	"Iacute", "Icirc", "Iuml", "ETH", "Ntilde", "Ograve", "Oacute", "Ocirc", "Otilde", "Ouml", "times", "Oslash", "Ugrave",
	"Uacute", "Ucirc", "Uuml", "Yacute", "THORN", "szlig",
	"agrave", "aacute", "acirc", "atilde", "auml", "aring", "aelig", "ccedil", "egrave", "eacute", "ecirc", "euml", "igrave",
	"iacute", "icirc", "iuml", "eth", "ntilde", "ograve", "oacute", "ocirc", "otilde", "ouml", "divide", "oslash", "ugrave",
	"uacute", "ucirc", "uuml", "yacute", "thorn", "yuml",
	/* clang-format on */
};

static const struct {
	const char *name;
	UChar32 character;
} others[] = {
	{"amp", '&'},       {"lt", '<'},        {"gt", '>'},        {"quot", '"'},      {"apos", '\''},    {"euro", 0x20ac},
	{"hellip", 0x2026}, {"ndash", 0x2013},  {"mdash", 0x2014},  {"lsquo", 0x2018},  {"rsquo", 0x2019}, {"sbquo", 0x201a},
	{"ldquo", 0x201c},  {"rdquo", 0x201d},  {"bdquo", 0x201e},  {"bull", 0x2022},   {"trade", 0x2122}, {"OElig", 0x152},
	{"oelig", 0x153},   {"Scaron", 0x160},  {"scaron", 0x161},  {"zwnj", 0x200c},   {"zwj", 0x200d},   {"ensp", 0x2002},
	{"emsp", 0x2003},   {"thinsp", 0x2009}, {"lsaquo", 0x2039}, {"rsaquo", 0x203a}, {"minus", 0x2212},
};

/* Elements that stand apart from what is around them. */
static const char *const blocks[] = {
	"address", "article", "blockquote", "body",  "br", "center", "dd",     "div",   "dl",    "dt", "footer", "form",   "h1",
	"h2",      "h3",      "h4",         "h5",    "h6", "head",   "header", "hr",    "html",  "li", "ol",     "option", "p",
	"pre",     "section", "table",      "tbody", "td", "tfoot",  "th",     "thead", "title", "tr", "ul"};

static bool is_white(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f';
}

static void add(struct html *h, struct slice text)
{
	if (h->space && h->out->len && h->out->data[h->out->len - 1] != '\n')
		buf_add_byte(h->out, ' ');
	h->space = false;
	buf_add(h->out, text);
}

static void add_character(struct html *h, UChar32 character)
{
	uint8_t bytes[4];
	int32_t len = 0;

	if (character == 0xa0)
		character = ' ';
	if (character <= 0 || character > 0x10ffff || U_IS_SURROGATE(character))
		character = 0xfffd;
	U8_APPEND_UNSAFE(bytes, len, character);
	add(h, slice_of((const char *)bytes, (size_t)len));
}

static void begin_line(struct html *h)
{
	h->space = false;
	if (h->out->len && h->out->data[h->out->len - 1] != '\n')
		buf_add_byte(h->out, '\n');
}

/* ---- entities ---- */

static UChar32 find_entity(struct slice name)
{
	uint64_t number;

	if (slice_starts_with_nocase(name, SLICE("#x")))
		return slice_hex_to_u64(slice_skip(name, 2), &number) && number <= 0x10ffff ? (UChar32)number : 0;
	if (slice_starts_with(name, SLICE("#")))
		return slice_to_u64(slice_skip(name, 1), 0x10ffff, &number) ? (UChar32)number : 0;
	for (size_t i = 0; i < sizeof(latin1) / sizeof(latin1[0]); i++) {
		if (slice_eq(name, slice_from_cstr(latin1[i])))
			return 0xa0 + (UChar32)i;
	}
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		if (slice_eq(name, slice_from_cstr(others[i].name)))
			return others[i].character;
	}
	return 0;
}

/* At a "&". What is no entity stands for itself. */
static void take_entity(struct html *h)
{
	size_t end = 1;
	UChar32 character;

	while (end < h->rest.len && end <= ENTITY_MAX && (ascii_is_alnum(h->rest.data[end]) || h->rest.data[end] == '#'))
		end++;
	character = find_entity(slice_sub(h->rest, 1, end));
	if (!character) {
		add(h, SLICE("&"));
		h->rest = slice_skip(h->rest, 1);
		return;
	}
	add_character(h, character);
	h->rest = slice_skip(h->rest, end + (end < h->rest.len && h->rest.data[end] == ';'));
}

/* ---- tags ---- */

static bool is_block(struct slice name)
{
	for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
		if (slice_eq_nocase(name, slice_from_cstr(blocks[i])))
			return true;
	}
	return false;
}

/* To behind `end`, or to the end of all. */
static void skip_past(struct html *h, struct slice end)
{
	size_t at = slice_find_nocase(h->rest, end);

	h->rest = slice_skip(h->rest, at == SLICE_NOT_FOUND ? h->rest.len : at + end.len);
}

static void take_tag(struct html *h, struct slice tag)
{
	bool is_end = slice_starts_with(tag, SLICE("/"));
	size_t end = is_end;
	struct slice name;

	while (end < tag.len && ascii_is_alnum(tag.data[end]))
		end++;
	name = slice_sub(tag, is_end, end);
	if (is_block(name))
		begin_line(h);
	if (!is_end && slice_eq_nocase(name, SLICE("script")))
		skip_past(h, SLICE("</script"));
	else if (!is_end && slice_eq_nocase(name, SLICE("style")))
		skip_past(h, SLICE("</style"));
	else
		return;
	skip_past(h, SLICE(">"));
}

/* At a "<". What begins no tag, or one without an end, stands for itself. */
static void take_angle(struct html *h)
{
	char next = h->rest.len > 1 ? h->rest.data[1] : '\0';
	size_t end = SLICE_NOT_FOUND;
	struct slice tag;

	if (slice_starts_with(h->rest, SLICE("<!--"))) {
		skip_past(h, SLICE("-->"));
		return;
	}
	if (!h->no_more_tags && (ascii_is_alpha(next) || next == '/' || next == '!' || next == '?')) {
		end = slice_find_byte(h->rest, '>');
		h->no_more_tags = end == SLICE_NOT_FOUND;
	}
	if (end == SLICE_NOT_FOUND) {
		add(h, SLICE("<"));
		h->rest = slice_skip(h->rest, 1);
		return;
	}
	tag = slice_sub(h->rest, 1, end);
	h->rest = slice_skip(h->rest, end + 1);
	take_tag(h, tag);
}

/* Up to the next byte that means something. */
static void take_plain(struct html *h)
{
	size_t end = 0;

	while (end < h->rest.len && !is_white(h->rest.data[end]) && h->rest.data[end] != '<' && h->rest.data[end] != '&')
		end++;
	if (end) {
		add(h, slice_sub(h->rest, 0, end));
		h->rest = slice_skip(h->rest, end);
	}
}

void html_to_text(struct buf *out, struct slice html)
{
	struct html h = {.out = out, .rest = html};

	while (h.rest.len) {
		if (is_white(h.rest.data[0])) {
			h.space = true;
			h.rest = slice_skip(h.rest, 1);
		} else if (h.rest.data[0] == '<') {
			take_angle(&h);
		} else if (h.rest.data[0] == '&') {
			take_entity(&h);
		} else {
			take_plain(&h);
		}
	}
}
