#include "imap/name.h"

#include "base/base64.h"
#include "imap/parse.h"
#include "imap/write.h"

/* ---- modified UTF-7 ---- */

static bool is_direct(unsigned char c)
{
	return c >= 0x20 && c <= 0x7e;
}

/* One character of valid UTF-8. */
static uint32_t take_character(struct slice *utf8)
{
	const unsigned char *s = (const unsigned char *)utf8->data;
	size_t len = s[0] < 0x80 ? 1 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	uint32_t character = len == 1 ? s[0] : s[0] & (0xffu >> (len + 1));

	for (size_t i = 1; i < len && i < utf8->len; i++)
		character = character << 6 | (s[i] & 0x3f);
	*utf8 = slice_skip(*utf8, len);
	return character;
}

static void put_u16(struct buf *out, uint32_t unit)
{
	buf_add_byte(out, (char)(unit >> 8));
	buf_add_byte(out, (char)unit);
}

/* The run of characters that can't stand directly, as UTF-16 in base64. */
static void encode_run(struct buf *out, struct slice *utf8)
{
	struct buf utf16 SCOPED_BUF;

	buf_init(&utf16, NULL, 0);
	while (utf8->len && !is_direct((unsigned char)utf8->data[0])) {
		uint32_t character = take_character(utf8);

		if (character >= 0x10000) {
			put_u16(&utf16, 0xd800 + ((character - 0x10000) >> 10));
			put_u16(&utf16, 0xdc00 + ((character - 0x10000) & 0x3ff));
		} else {
			put_u16(&utf16, character);
		}
	}
	buf_add_byte(out, '&');
	base64_imap_encode(out, buf_slice(&utf16));
	buf_add_byte(out, '-');
}

void imap_utf7_encode(struct buf *out, struct slice utf8)
{
	while (utf8.len) {
		if (!is_direct((unsigned char)utf8.data[0])) {
			encode_run(out, &utf8);
			continue;
		}
		buf_add_byte(out, utf8.data[0]);
		if (utf8.data[0] == '&')
			buf_add_byte(out, '-');
		utf8 = slice_skip(utf8, 1);
	}
}

static void put_utf8(struct buf *out, uint32_t c)
{
	if (c < 0x80) {
		buf_add_byte(out, (char)c);
		return;
	}
	if (c < 0x800) {
		buf_add_byte(out, (char)(0xc0 | c >> 6));
	} else if (c < 0x10000) {
		buf_add_byte(out, (char)(0xe0 | c >> 12));
		buf_add_byte(out, (char)(0x80 | (c >> 6 & 0x3f)));
	} else {
		buf_add_byte(out, (char)(0xf0 | c >> 18));
		buf_add_byte(out, (char)(0x80 | (c >> 12 & 0x3f)));
		buf_add_byte(out, (char)(0x80 | (c >> 6 & 0x3f)));
	}
	buf_add_byte(out, (char)(0x80 | (c & 0x3f)));
}

static bool decode_utf16(struct buf *out, struct slice utf16)
{
	const unsigned char *s = (const unsigned char *)utf16.data;

	if (utf16.len == 0 || utf16.len % 2)
		return false;
	for (size_t i = 0; i < utf16.len; i += 2) {
		uint32_t c = (uint32_t)s[i] << 8 | s[i + 1];

		if (c < 0x80 && is_direct((unsigned char)c))
			return false; /* should have stood directly */
		if (c >= 0xd800 && c < 0xe000) {
			uint32_t low = i + 3 < utf16.len ? (uint32_t)s[i + 2] << 8 | s[i + 3] : 0;

			if (c >= 0xdc00 || low < 0xdc00 || low >= 0xe000)
				return false;
			c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
			i += 2;
		}
		put_utf8(out, c);
	}
	return true;
}

/* RFC 3501 section 5.1.3: two encoded runs may not stand side by side. */
bool imap_utf7_decode(struct buf *out, struct slice utf7)
{
	bool after_run = false;

	while (utf7.len) {
		struct buf utf16 SCOPED_BUF;
		size_t end;

		if (!is_direct((unsigned char)utf7.data[0]))
			return false;
		if (utf7.data[0] != '&') {
			buf_add_byte(out, utf7.data[0]);
			utf7 = slice_skip(utf7, 1);
			after_run = false;
			continue;
		}
		end = slice_find_byte(utf7, '-');
		if (end == SLICE_NOT_FOUND)
			return false;
		buf_init(&utf16, NULL, 0);
		if (end == 1)
			buf_add_byte(out, '&');
		else if (after_run || !base64_imap_decode(&utf16, slice_sub(utf7, 1, end)) ||
			 !decode_utf16(out, buf_slice(&utf16)))
			return false;
		after_run = end != 1;
		utf7 = slice_skip(utf7, end + 1);
	}
	return true;
}

/* Deviation: UTF-8 is understood from IMAP4rev1 clients too; they may not send it, but it can't mean anything else. */
bool imap_name_decode(struct arena *arena, struct slice raw, bool utf8, struct slice *name)
{
	struct buf decoded;

	*name = raw;
	if (utf8 || !slice_is_ascii(raw))
		return slice_is_utf8(raw);
	if (slice_find_byte(raw, '&') == SLICE_NOT_FOUND)
		return true;
	buf_init(&decoded, arena, 0);
	if (!imap_utf7_decode(&decoded, raw))
		return false;
	*name = buf_slice(&decoded);
	return true;
}

/* ---- names ---- */

/* Control characters of ASCII and of U+0080 to U+009F, and the line separators U+2028 and U+2029 (RFC 9051 section 5.1). */
static bool has_control(struct slice name)
{
	for (size_t i = 0; i < name.len; i++) {
		unsigned char c = (unsigned char)name.data[i];
		unsigned char after = i + 1 < name.len ? (unsigned char)name.data[i + 1] : 0;
		unsigned char third = i + 2 < name.len ? (unsigned char)name.data[i + 2] : 0;

		if (c < 0x20 || c == 0x7f || (c == 0xc2 && after < 0xa0) ||
		    (c == 0xe2 && after == 0x80 && (third & 0xfe) == 0xa8))
			return true;
	}
	return false;
}

bool imap_name_is_valid(struct slice name)
{
	struct slice rest = name;

	if (name.len == 0 || name.len > IMAP_NAME_MAX || slice_ends_with(name, SLICE("/")) || has_control(name) ||
	    slice_find_byte(name, '*') != SLICE_NOT_FOUND || slice_find_byte(name, '%') != SLICE_NOT_FOUND)
		return false;
	while (rest.len) {
		struct slice level = slice_cut(&rest, '/');

		if (level.len == 0 || level.len > 255)
			return false;
	}
	return true;
}

struct slice imap_name_canonical(struct arena *arena, struct slice name)
{
	struct slice rest = name, first = slice_cut(&rest, '/');

	if (!slice_eq_nocase(first, SLICE("INBOX")))
		return name;
	return slice_join(arena, (struct slice[]){SLICE("INBOX"), slice_skip(name, first.len)}, 2);
}

void imap_put_mailbox(struct buf *out, struct slice name, bool utf8)
{
	struct buf encoded SCOPED_BUF;

	if (utf8 || (slice_is_ascii(name) && slice_find_byte(name, '&') == SLICE_NOT_FOUND)) {
		imap_put_string(out, name, utf8);
		return;
	}
	buf_init(&encoded, NULL, 0);
	imap_utf7_encode(&encoded, name);
	imap_put_string(out, buf_slice(&encoded), false);
}

/* On a mismatch the last wildcard takes one byte more. A "%" can't pass a "/": then an earlier "*" has to. */
bool imap_pattern_matches(struct slice pattern, struct slice name)
{
	size_t at = 0, in = 0, percent = SLICE_NOT_FOUND, percent_in = 0, star = SLICE_NOT_FOUND, star_in = 0;

	for (;;) {
		char want = at < pattern.len ? pattern.data[at] : '\0';

		if (at < pattern.len && want == '*') {
			star = at++;
			star_in = in;
			percent = SLICE_NOT_FOUND;
		} else if (at < pattern.len && want == '%') {
			percent = at++;
			percent_in = in;
		} else if (at < pattern.len && in < name.len && want == name.data[in]) {
			at++;
			in++;
		} else if (at == pattern.len && in == name.len) {
			return true;
		} else if (percent != SLICE_NOT_FOUND && percent_in < name.len && name.data[percent_in] != '/') {
			at = percent + 1;
			in = ++percent_in;
		} else if (star != SLICE_NOT_FOUND && star_in < name.len) {
			at = star + 1;
			in = ++star_in;
			percent = SLICE_NOT_FOUND;
		} else {
			return false;
		}
	}
}

static int rank(char c)
{
	return c == '/' ? 0 : (unsigned char)c + 1;
}

int imap_name_compare(struct slice a, struct slice b)
{
	for (size_t i = 0; i < a.len && i < b.len; i++) {
		if (a.data[i] != b.data[i])
			return rank(a.data[i]) - rank(b.data[i]);
	}
	return (a.len > b.len) - (a.len < b.len);
}

bool imap_name_is_below(struct slice name, struct slice parent)
{
	return name.len > parent.len && name.data[parent.len] == '/' && slice_starts_with(name, parent);
}
