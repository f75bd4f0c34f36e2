#include "extract/rtf.h"

#include "mime/words.h"

#define GROUPS_MAX 1000 /* deeper ones have the state of the last */
#define FONTS_MAX  1000
#define WORD_MAX   32

struct group {
	bool is_hidden;     /* a destination that holds no text */
	unsigned char_skip; /* \uc: characters that stand for one \u */
	unsigned code_page; /* of the font; 0: the document's */
};

struct rtf {
	struct buf *out;
	struct slice rest;
	struct group groups[GROUPS_MAX];
	unsigned depth;
	struct buf bytes;    /* characters of one code page that wait to be converted */
	unsigned code_page;  /* of the document */
	unsigned bytes_page; /* of what waits */
	unsigned to_skip;
	uint32_t surrogate; /* the first half of a pair */
	bool in_fonts;      /* the font table is being read */
	unsigned fonts_depth, font;
	uint16_t pages[FONTS_MAX]; /* of fonts by their number; 0: the document's */
};

static struct group *group_of(struct rtf *rtf)
{
	return &rtf->groups[rtf->depth < GROUPS_MAX ? rtf->depth : GROUPS_MAX - 1];
}

/* ---- characters ---- */

static void flush(struct rtf *rtf)
{
	char name[32];
	struct buf charset = {.data = name, .cap = sizeof(name), .limit = sizeof(name)};

	if (rtf->bytes.len == 0)
		return;
	/* Those that MIME knows by other names. */
	switch (rtf->bytes_page) {
	case 932:
		buf_add_literal(&charset, "shift_jis");
		break;
	case 936:
		buf_add_literal(&charset, "gbk");
		break;
	case 949:
		buf_add_literal(&charset, "euc-kr");
		break;
	case 950:
		buf_add_literal(&charset, "big5");
		break;
	case 10000:
		buf_add_literal(&charset, "macintosh");
		break;
	case 65001:
		buf_add_literal(&charset, "utf-8");
		break;
	default:
		buf_printf(&charset, "%s%u", rtf->bytes_page < 1000 ? "ibm" : "windows-", rtf->bytes_page);
		break;
	}
	(void)charset_to_utf8(rtf->out, buf_slice(&charset), buf_slice(&rtf->bytes));
	buf_clear(&rtf->bytes);
}

static bool is_skipped(struct rtf *rtf)
{
	if (rtf->to_skip == 0)
		return false;
	rtf->to_skip--;
	return true;
}

static void add_byte(struct rtf *rtf, char byte)
{
	const struct group *group = group_of(rtf);
	unsigned page = group->code_page ? group->code_page : rtf->code_page;

	if (is_skipped(rtf) || group->is_hidden)
		return;
	if (page != rtf->bytes_page)
		flush(rtf);
	rtf->bytes_page = page;
	buf_add_byte(&rtf->bytes, byte);
}

static void add_literal(struct rtf *rtf, struct slice utf8)
{
	if (is_skipped(rtf) || group_of(rtf)->is_hidden)
		return;
	flush(rtf);
	buf_add(rtf->out, utf8);
}

/* A \u: a UTF-16 unit, perhaps as a negative number. */
static void add_unit(struct rtf *rtf, int32_t number)
{
	uint32_t unit = (uint32_t)number & 0xffff;
	char pair[4];
	struct slice units;

	rtf->to_skip = 0;
	if (!group_of(rtf)->is_hidden) {
		flush(rtf);
		if (unit >= 0xd800 && unit < 0xdc00) {
			rtf->surrogate = unit;
		} else {
			bool is_pair = rtf->surrogate && unit >= 0xdc00 && unit < 0xe000;

			pair[0] = (char)(rtf->surrogate >> 8);
			pair[1] = (char)rtf->surrogate;
			pair[2] = (char)(unit >> 8);
			pair[3] = (char)unit;
			units = is_pair ? slice_of(pair, 4) : slice_of(pair + 2, 2);
			(void)charset_to_utf8(rtf->out, SLICE("utf-16be"), units);
			rtf->surrogate = 0;
		}
	}
	rtf->to_skip = group_of(rtf)->char_skip;
}

/* ---- control words ---- */

/* Destinations without text of the document. */
static const char *const hidden[] = {"fonttbl",
				     "colortbl",
				     "stylesheet",
				     "info",
				     "pict",
				     "object",
				     "objdata",
				     "themedata",
				     "colorschememapping",
				     "datastore",
				     "latentstyles",
				     "listtable",
				     "listoverridetable",
				     "rsidtbl",
				     "generator",
				     "xmlnstbl",
				     "fldinst",
				     "filetbl",
				     "revtbl",
				     "bkmkstart",
				     "bkmkend",
				     "pntext",
				     "fontemb",
				     "falt",
				     "panose"};
/* What ends a word. */
static const char *const breaks[] = {"par",  "line",   "tab",      "cell",    "row",     "sect",
				     "page", "column", "nestcell", "nestrow", "emspace", "enspace"};

static bool is_one_of(struct slice word, const char *const *words, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (slice_eq(word, slice_from_cstr(words[i])))
			return true;
	}
	return false;
}
#define IS_ONE_OF(word, words) is_one_of((word), (words), sizeof(words) / sizeof((words)[0]))

/* \fcharset: as Windows numbers them. */
static unsigned page_of_charset(int32_t charset)
{
	static const struct {
		uint16_t charset, page;
	} pages[] = {{128, 932},  {129, 949},  {134, 936},  {136, 950},  {161, 1253}, {162, 1254}, {163, 1258},
		     {177, 1255}, {178, 1256}, {186, 1257}, {204, 1251}, {222, 874},  {238, 1250}, {77, 10000}};

	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
		if (pages[i].charset == charset)
			return pages[i].page;
	}
	return 0;
}

static void take_font(struct rtf *rtf, struct slice word, int32_t number)
{
	if (slice_eq(word, SLICE("f")) && number >= 0 && number < FONTS_MAX) {
		rtf->font = (unsigned)number;
		if (!rtf->in_fonts)
			group_of(rtf)->code_page = rtf->pages[number];
	} else if (slice_eq(word, SLICE("fcharset")) && rtf->in_fonts) {
		rtf->pages[rtf->font] = (uint16_t)page_of_charset(number);
	}
}

static void take_word(struct rtf *rtf, struct slice word, bool has_number, int32_t number)
{
	struct group *group = group_of(rtf);

	if (slice_eq(word, SLICE("u")) && has_number) {
		add_unit(rtf, number);
	} else if (slice_eq(word, SLICE("uc"))) {
		group->char_skip = has_number && number >= 0 && number < 16 ? (unsigned)number : 1;
	} else if (slice_eq(word, SLICE("ansicpg")) && number > 0 && number <= UINT16_MAX) {
		rtf->code_page = (unsigned)number;
	} else if (slice_eq(word, SLICE("mac"))) {
		rtf->code_page = 10000;
	} else if (slice_eq(word, SLICE("bin")) && number > 0) {
		rtf->rest = slice_skip(rtf->rest, (size_t)number);
	} else if (IS_ONE_OF(word, breaks)) {
		add_literal(rtf, SLICE("\n"));
	} else if (IS_ONE_OF(word, hidden)) {
		group->is_hidden = true;
		if (slice_eq(word, SLICE("fonttbl"))) {
			rtf->in_fonts = true;
			rtf->fonts_depth = rtf->depth;
		}
	} else {
		take_font(rtf, word, number);
	}
}

/* "f0", "u-10179 ": the word, its number, and a space that belongs to it. */
static void take_control_word(struct rtf *rtf)
{
	size_t length = 0;
	int64_t number = 0;
	bool is_negative, has_number = false;

	while (length < rtf->rest.len && length < WORD_MAX && ascii_is_alpha(rtf->rest.data[length]))
		length++;
	struct slice word = slice_sub(rtf->rest, 0, length);

	rtf->rest = slice_skip(rtf->rest, length);
	is_negative = slice_starts_with(rtf->rest, SLICE("-"));
	rtf->rest = slice_skip(rtf->rest, is_negative);
	while (rtf->rest.len > 0 && ascii_is_digit(rtf->rest.data[0])) {
		number = number < 100000000 ? number * 10 + (rtf->rest.data[0] - '0') : number;
		has_number = true;
		rtf->rest = slice_skip(rtf->rest, 1);
	}
	if (slice_starts_with(rtf->rest, SLICE(" ")))
		rtf->rest = slice_skip(rtf->rest, 1);
	take_word(rtf, word, has_number, (int32_t)(is_negative ? -number : number));
}

static int hexadecimal(char c)
{
	if (ascii_is_digit(c))
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Behind a backslash. */
static void take_control(struct rtf *rtf)
{
	char c = rtf->rest.len > 0 ? rtf->rest.data[0] : '\0';

	if (ascii_is_alpha(c)) {
		take_control_word(rtf);
		return;
	}
	rtf->rest = slice_skip(rtf->rest, 1);
	switch (c) {
	case '\'':
		if (rtf->rest.len >= 2 && hexadecimal(rtf->rest.data[0]) >= 0 && hexadecimal(rtf->rest.data[1]) >= 0)
			add_byte(rtf, (char)(hexadecimal(rtf->rest.data[0]) << 4 | hexadecimal(rtf->rest.data[1])));
		rtf->rest = slice_skip(rtf->rest, 2);
		break;
	case '*': /* a destination that may be passed over */
		group_of(rtf)->is_hidden = true;
		break;
	case '~':
		add_literal(rtf, SLICE(" "));
		break;
	case '_':
		add_literal(rtf, SLICE("-"));
		break;
	case '\r':
	case '\n':
		add_literal(rtf, SLICE("\n"));
		break;
	case '\\':
	case '{':
	case '}':
		add_byte(rtf, c);
		break;
	default:
		break;
	}
}

static void begin_group(struct rtf *rtf)
{
	struct group outer = *group_of(rtf);

	rtf->depth++;
	*group_of(rtf) = outer;
	rtf->to_skip = 0;
}

static void end_group(struct rtf *rtf)
{
	rtf->to_skip = 0;
	if (rtf->in_fonts && rtf->depth == rtf->fonts_depth)
		rtf->in_fonts = false;
	if (rtf->depth > 0)
		rtf->depth--;
}

static void take_one(struct rtf *rtf)
{
	char c = rtf->rest.data[0];

	rtf->rest = slice_skip(rtf->rest, 1);
	switch (c) {
	case '\\':
		take_control(rtf);
		break;
	case '{':
		begin_group(rtf);
		break;
	case '}':
		end_group(rtf);
		break;
	case '\r':
	case '\n':
	case '\0':
		break;
	default:
		add_byte(rtf, c);
	}
}

bool rtf_to_text(struct buf *out, struct slice bytes)
{
	struct arena arena SCOPED_ARENA;
	struct rtf *rtf = ARENA_NEW(&arena, struct rtf);

	if (!slice_starts_with(bytes, SLICE("{\\rtf")))
		return false;
	rtf->out = out;
	rtf->rest = bytes;
	rtf->code_page = 1252;
	rtf->groups[0].char_skip = 1;
	buf_init(&rtf->bytes, NULL, 0);
	while (rtf->rest.len > 0 && buf_ok(out))
		take_one(rtf);
	flush(rtf);
	buf_free(&rtf->bytes);
	buf_add_byte(out, '\n');
	return true;
}
