/* RFC 2047. Lenient in reading: words need no white space around them, may be longer than 75 characters, and their text may hold
 * spaces; what is no word is text. */
#include "mime/words.h"

#include "base/base64.h"
#include "mime/charset.h"
#include "mime/lexer.h"

#define WORD_MAX 64 /* RFC 2047 section 2: at most 75, and lines at most 76, the first of which begins with the field's name */
#define HEAD     "=?utf-8?"
#define TAIL     "?="
#define ROOM     (WORD_MAX - (sizeof(HEAD) - 1) - 2 - (sizeof(TAIL) - 1))

/* ---- reading ---- */

struct word {
	struct slice charset;
	struct slice text;
	bool is_base64;
};

struct decoding {
	struct buf out;
	struct buf pending;   /* bytes of the words before, not yet converted: a character may be cut by their ends */
	struct slice charset; /* of the pending bytes */
};

/* A word at the beginning of *rest, which begins with "=?"; *rest then begins behind it, or is empty if no word can follow: a text
 * full of beginnings without an end must not be searched for one again and again. */
static bool take_word(struct slice *rest, struct word *word)
{
	struct slice text = slice_skip(*rest, 2), charset = slice_cut(&text, '?'), encoding = slice_cut(&text, '?');
	size_t end;

	if (charset.len == 0 || encoding.len != 1 || !memchr("bBqQ", *encoding.data, 4))
		return false;
	end = slice_find(text, SLICE(TAIL));
	*rest = end == SLICE_NOT_FOUND ? SLICE_EMPTY : slice_skip(text, end + 2);
	if (end == SLICE_NOT_FOUND)
		return false;
	/* RFC 2231 section 5: "charset*language" */
	word->charset = slice_cut(&charset, '*');
	word->is_base64 = ascii_lower(*encoding.data) == 'b';
	word->text = slice_sub(text, 0, end);
	return true;
}

/* RFC 2047 section 4.2 */
static void decode_q(struct buf *out, struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		char c = text.data[i];
		int high = c == '=' && i + 2 < text.len ? hex_value(text.data[i + 1]) : -1;
		int low = high >= 0 ? hex_value(text.data[i + 2]) : -1;

		if (low >= 0) {
			c = (char)(high << 4 | low);
			i += 2;
		} else if (c == '_') {
			c = ' ';
		}
		buf_add_byte(out, c);
	}
}

/* What is added is one line: control characters become spaces. */
static void add_text(struct buf *out, struct slice charset, struct slice bytes)
{
	size_t start = out->len;

	charset_to_utf8(out, charset, bytes);
	for (size_t i = start; i < out->len; i++) {
		if ((unsigned char)out->data[i] < ' ')
			out->data[i] = ' ';
	}
}

static void end_words(struct decoding *decoding)
{
	if (decoding->pending.len > 0)
		add_text(&decoding->out, decoding->charset, buf_slice(&decoding->pending));
	buf_clear(&decoding->pending);
}

static void add_word(struct decoding *decoding, const struct word *word)
{
	if (!slice_eq_nocase(decoding->charset, word->charset))
		end_words(decoding);
	decoding->charset = word->charset;
	if (word->is_base64)
		base64_decode_lenient(&decoding->pending, word->text);
	else
		decode_q(&decoding->pending, word->text);
}

/* Text as it stands. The CRLF of folding is no part of it, the white space behind is. */
static void add_plain(struct decoding *decoding, struct slice text)
{
	end_words(decoding);
	while (text.len > 0) {
		struct slice line = slice_cut(&text, '\n');

		if (line.len > 0 && line.data[line.len - 1] == '\r')
			line.len--;
		add_text(&decoding->out, SLICE_EMPTY, line);
	}
}

static void decode(struct decoding *decoding, struct slice value)
{
	bool after_word = false;
	size_t plain;

	while ((plain = slice_find(value, SLICE("=?"))) != SLICE_NOT_FOUND) {
		struct slice rest = slice_skip(value, plain), between = slice_sub(value, 0, plain);
		struct word word;

		if (!take_word(&rest, &word)) {
			if (rest.len == 0)
				break;
			add_plain(decoding, slice_sub(value, 0, plain + 2));
			value = slice_skip(value, plain + 2);
			after_word = false;
			continue;
		}
		/* RFC 2047 section 6.2: white space between two words is not shown. */
		if (!after_word || slice_trim(between).len > 0)
			add_plain(decoding, between);
		add_word(decoding, &word);
		value = rest;
		after_word = true;
	}
	add_plain(decoding, value);
}

struct slice words_decode(struct arena *arena, struct slice value)
{
	struct decoding decoding = {.charset = SLICE_EMPTY};

	value = slice_trim(value);
	if (slice_is_ascii(value) && slice_find(value, SLICE("=?")) == SLICE_NOT_FOUND) {
		bool is_plain = true;

		for (size_t i = 0; i < value.len && is_plain; i++)
			is_plain = (unsigned char)value.data[i] >= ' ';
		if (is_plain)
			return value;
	}
	buf_init(&decoding.out, arena, 0);
	buf_init(&decoding.pending, arena, 0);
	decode(&decoding, value);
	return buf_slice(&decoding.out);
}

/* ---- writing ---- */

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* RFC 2047 section 5 rule 3, the narrowest set, so that the word may stand in a phrase too. */
static bool is_q_plain(char c)
{
	return ascii_is_alnum(c) || memchr("!*+-/", c, 5) != NULL;
}

static size_t character_length(struct slice text)
{
	size_t len = 1;

	while (len < text.len && len < 4 && ((unsigned char)text.data[len] & 0xc0) == 0x80)
		len++;
	return len;
}

static size_t q_cost(struct slice text)
{
	size_t cost = 0;

	for (size_t i = 0; i < text.len; i++)
		cost += is_q_plain(text.data[i]) || text.data[i] == ' ' ? 1 : 3;
	return cost;
}

static void add_q(struct buf *out, struct slice text)
{
	static const char digits[] = "0123456789ABCDEF";

	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.data[i];

		if (is_q_plain((char)c)) {
			buf_add_byte(out, (char)c);
		} else if (c == ' ') {
			buf_add_byte(out, '_');
		} else {
			buf_add_byte(out, '=');
			buf_add_byte(out, digits[c >> 4]);
			buf_add_byte(out, digits[c & 15]);
		}
	}
}

/* How much of the text fits into one word, whole characters only. */
static size_t piece_length(struct slice text, bool by_q)
{
	size_t len = 0, room = ROOM;

	while (len < text.len) {
		size_t next = len + character_length(slice_skip(text, len));
		size_t cost = by_q ? q_cost(slice_sub(text, 0, next)) : (next + 2) / 3 * 4;

		if (cost > room)
			break;
		len = next;
	}
	return len;
}

static void encode_run(struct buf *out, struct slice text)
{
	bool by_q = q_cost(text) <= (text.len + 2) / 3 * 4;

	while (text.len > 0) {
		size_t len = piece_length(text, by_q);
		struct slice piece = slice_sub(text, 0, len);

		buf_add_literal(out, HEAD);
		buf_add(out, by_q ? SLICE("q?") : SLICE("b?"));
		if (by_q)
			add_q(out, piece);
		else
			base64_encode(out, piece);
		buf_add_literal(out, TAIL);
		text = slice_skip(text, len);
		if (text.len > 0)
			buf_add_byte(out, ' ');
	}
}

void words_encode_phrase(struct buf *out, struct slice utf8)
{
	encode_run(out, utf8);
}

/* The next word with the white space before it. */
static size_t word_end(struct slice text, size_t from)
{
	while (from < text.len && is_space(text.data[from]))
		from++;
	while (from < text.len && !is_space(text.data[from]))
		from++;
	return from;
}

static bool needs_encoding(struct slice word)
{
	return !slice_is_ascii(word) || slice_find(word, SLICE("=?")) != SLICE_NOT_FOUND;
}

void words_encode(struct buf *out, struct slice utf8)
{
	while (utf8.len > 0) {
		size_t end = word_end(utf8, 0), space = 0;
		struct slice run;

		if (!needs_encoding(slice_sub(utf8, 0, end))) {
			buf_add(out, slice_sub(utf8, 0, end));
			utf8 = slice_skip(utf8, end);
			continue;
		}
		/* Neighbours are encoded together, with the white space between them. */
		while (end < utf8.len && needs_encoding(slice_sub(utf8, end, word_end(utf8, end))))
			end = word_end(utf8, end);
		while (is_space(utf8.data[space]))
			space++;
		run = slice_sub(utf8, space, end);
		buf_add(out, slice_sub(utf8, 0, space));
		encode_run(out, run);
		utf8 = slice_skip(utf8, end);
	}
}
