/* Most mail is ASCII, UTF-8 or Windows-1252 under one name or another: these are converted here. The rest is ICU's, whose tables lie
 * in its library; it keeps those that were used (at most the two hundred that it has), so a converter of ours is made for each text
 * and thrown away. */
#include <pthread.h>
#include <stdlib.h>
#include <unicode/ucnv.h>
#include <unicode/udata.h>
#include <unicode/utf16.h>

#include "mime/charset.h"
#include "mime/words.h"

#define NAME_MAX_BYTES 64
#define PIVOT          512

enum kind {
	KIND_GUESS, /* nothing useful is said: UTF-8 if it is, else Windows-1252 */
	KIND_UTF8,
	KIND_WINDOWS_1252,
	KIND_ICU,
};

struct charset {
	enum kind kind;
	const char *icu_name;
};

/* Names in lower case without punctuation, in order. Where what is sent under a name is a superset of what the name means, the superset
 * is taken, as the WHATWG's Encoding Standard does. */
static const struct alias {
	const char *name;
	struct charset charset;
} aliases[] = {
	{"", {KIND_GUESS, NULL}},
	{"ansix341968", {KIND_GUESS, NULL}},
	{"ascii", {KIND_GUESS, NULL}},
	{"cp1252", {KIND_WINDOWS_1252, NULL}},
	{"cp819", {KIND_WINDOWS_1252, NULL}},
	{"csisolatin1", {KIND_WINDOWS_1252, NULL}},
	{"default", {KIND_GUESS, NULL}},
	{"euccn", {KIND_ICU, "gb18030"}},
	{"euckr", {KIND_ICU, "windows-949"}},
	{"gb2312", {KIND_ICU, "gb18030"}},
	{"gbk", {KIND_ICU, "gb18030"}},
	{"iso646us", {KIND_GUESS, NULL}},
	{"iso88591", {KIND_WINDOWS_1252, NULL}},
	{"iso885911", {KIND_ICU, "windows-874"}},
	{"iso88599", {KIND_ICU, "windows-1254"}},
	{"ksc56011987", {KIND_ICU, "windows-949"}},
	{"latin1", {KIND_WINDOWS_1252, NULL}},
	{"shiftjis", {KIND_ICU, "windows-31j"}},
	{"sjis", {KIND_ICU, "windows-31j"}},
	{"tis620", {KIND_ICU, "windows-874"}},
	{"unicode11utf7", {KIND_ICU, "utf-7"}},
	{"unknown", {KIND_GUESS, NULL}},
	{"unknown8bit", {KIND_GUESS, NULL}},
	{"us", {KIND_GUESS, NULL}},
	{"usascii", {KIND_GUESS, NULL}},
	{"utf8", {KIND_UTF8, NULL}},
	{"windows1252", {KIND_WINDOWS_1252, NULL}},
	{"xunknown", {KIND_GUESS, NULL}},
};

/* Windows-1252's 0x80 to 0x9f; the five that it leaves free stay what they are. */
static const uint16_t windows_1252[32] = {
	0x20ac, 0x81,   0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160,
	0x2039, 0x0152, 0x8d,   0x017d, 0x8f,   0x90,   0x2018, 0x2019, 0x201c, 0x201d, 0x2022,
	0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0x9d,   0x017e, 0x0178,
};

/* ---- names ---- */

static int compare_alias(const void *key, const void *alias)
{
	return strcmp(key, ((const struct alias *)alias)->name);
}

/* False if no charset has such a name. `name` keeps the text that an ICU charset's icu_name points to. */
static bool find(struct slice charset, char name[NAME_MAX_BYTES], struct charset *found)
{
	const struct alias *alias;
	size_t len = 0;

	charset = slice_trim(charset);
	if (charset.len >= NAME_MAX_BYTES)
		return false;
	for (size_t i = 0; i < charset.len; i++) {
		if (ascii_is_alnum(charset.data[i]))
			name[len++] = ascii_lower(charset.data[i]);
		else if (!memchr("-_.:+ ", charset.data[i], 6))
			return false; /* ICU would take what follows a comma as options */
	}
	name[len] = '\0';
	alias = bsearch(name, aliases, sizeof(aliases) / sizeof(aliases[0]), sizeof(aliases[0]), compare_alias);
	if (alias) {
		*found = alias->charset;
		return true;
	}
	memcpy(name, charset.data, charset.len);
	name[charset.len] = '\0';
	*found = (struct charset){KIND_ICU, name};
	return true;
}

bool charset_is_ascii_superset(struct slice charset)
{
	char name[NAME_MAX_BYTES];
	struct charset found;

	return find(charset, name, &found) && found.kind != KIND_ICU;
}

/* ---- our own ---- */

static void add_character(struct buf *out, uint32_t c)
{
	char bytes[4];
	size_t len = 0;

	if (c < 0x80) {
		bytes[len++] = (char)c;
	} else if (c < 0x800) {
		bytes[len++] = (char)(0xc0 | c >> 6);
		bytes[len++] = (char)(0x80 | (c & 0x3f));
	} else if (c < 0x10000) {
		bytes[len++] = (char)(0xe0 | c >> 12);
		bytes[len++] = (char)(0x80 | (c >> 6 & 0x3f));
		bytes[len++] = (char)(0x80 | (c & 0x3f));
	} else {
		bytes[len++] = (char)(0xf0 | c >> 18);
		bytes[len++] = (char)(0x80 | (c >> 12 & 0x3f));
		bytes[len++] = (char)(0x80 | (c >> 6 & 0x3f));
		bytes[len++] = (char)(0x80 | (c & 0x3f));
	}
	buf_add(out, slice_of(bytes, len));
}

static size_t ascii_run(struct slice s)
{
	size_t len = 0;

	while (len < s.len && !(s.data[len] & 0x80))
		len++;
	return len;
}

static void add_windows_1252(struct buf *out, struct slice in)
{
	while (in.len > 0) {
		size_t plain = ascii_run(in);

		buf_add(out, slice_sub(in, 0, plain));
		in = slice_skip(in, plain);
		if (in.len == 0)
			return;
		unsigned char c = (unsigned char)*in.data;

		add_character(out, c < 0xa0 ? windows_1252[c - 0x80] : c);
		in = slice_skip(in, 1);
	}
}

static void add_ascii(struct buf *out, struct slice in)
{
	while (in.len > 0) {
		size_t plain = ascii_run(in);

		buf_add(out, slice_sub(in, 0, plain));
		if (plain < in.len)
			add_character(out, 0xfffd);
		in = slice_skip(in, plain + 1);
	}
}

/* The length of the character at the beginning of s, which isn't ASCII; 0 if it is none. */
static size_t utf8_length(struct slice s)
{
	for (size_t len = 2; len <= 4 && len <= s.len; len++) {
		if (slice_is_utf8(slice_sub(s, 0, len)))
			return len;
	}
	return 0;
}

static void add_utf8(struct buf *out, struct slice in)
{
	if (slice_is_utf8(in)) {
		buf_add(out, in);
		return;
	}
	while (in.len > 0) {
		size_t plain = ascii_run(in), character;

		buf_add(out, slice_sub(in, 0, plain));
		in = slice_skip(in, plain);
		if (in.len == 0)
			return;
		character = utf8_length(in);
		if (character > 0) {
			buf_add(out, slice_sub(in, 0, character));
			in = slice_skip(in, character);
			continue;
		}
		/* One replacement for a lead byte with what follows it. */
		add_character(out, 0xfffd);
		do
			in = slice_skip(in, 1);
		while (in.len > 0 && ((unsigned char)*in.data & 0xc0) == 0x80);
	}
}

/* ---- ICU's ---- */

static pthread_once_t icu_once = PTHREAD_ONCE_INIT;

/* The roles that read mail can open no file. */
static void forbid_files(void)
{
	UErrorCode error = U_ZERO_ERROR;

	udata_setFileAccess(UDATA_NO_FILES, &error);
}

void charset_use_icu(void)
{
	pthread_once(&icu_once, forbid_files);
}

static UConverter *converter_open(const char *name)
{
	UErrorCode error = U_ZERO_ERROR;
	UConverter *converter;

	charset_use_icu();
	if (*name == '\0')
		return NULL;
	converter = ucnv_open(name, &error);
	return U_SUCCESS(error) ? converter : NULL;
}

/* *lead holds the first half of a pair that was cut by the end of the pivot. */
static void add_utf16(struct buf *out, const UChar *from, const UChar *to, UChar *lead)
{
	for (; from < to; from++) {
		if (U16_IS_LEAD(*from)) {
			*lead = *from;
		} else if (U16_IS_TRAIL(*from)) {
			add_character(out, *lead ? (uint32_t)U16_GET_SUPPLEMENTARY(*lead, *from) : 0xfffd);
			*lead = 0;
		} else {
			/* U+001A is what ICU puts for a byte that has no meaning. */
			add_character(out, *from == 0x1a ? 0xfffd : *from);
		}
	}
}

static bool add_by_icu(struct buf *out, const char *name, struct slice in)
{
	UConverter *converter = converter_open(name);
	const char *at = in.data, *end = in.data + in.len;
	UErrorCode error = U_BUFFER_OVERFLOW_ERROR;
	UChar pivot[PIVOT], lead = 0;

	if (!converter)
		return false;
	while (error == U_BUFFER_OVERFLOW_ERROR && buf_ok(out)) {
		UChar *to = pivot;

		error = U_ZERO_ERROR;
		ucnv_toUnicode(converter, &to, pivot + PIVOT, &at, end, NULL, true, &error);
		add_utf16(out, pivot, to, &lead);
	}
	ucnv_close(converter);
	return true;
}

bool charset_is_known(struct slice charset)
{
	char name[NAME_MAX_BYTES];
	struct charset found;
	UConverter *converter;

	if (!find(charset, name, &found))
		return false;
	if (found.kind != KIND_ICU)
		return charset.len > 0;
	converter = converter_open(found.icu_name);
	if (converter)
		ucnv_close(converter);
	return converter != NULL;
}

bool charset_to_utf8(struct buf *out, struct slice charset, struct slice bytes)
{
	char name[NAME_MAX_BYTES];
	struct charset found;

	if (find(charset, name, &found)) {
		switch (found.kind) {
		case KIND_GUESS:
			if (slice_is_utf8(bytes))
				buf_add(out, bytes);
			else
				add_windows_1252(out, bytes);
			return true;
		case KIND_UTF8:
			add_utf8(out, bytes);
			return true;
		case KIND_WINDOWS_1252:
			add_windows_1252(out, bytes);
			return true;
		case KIND_ICU:
			if (add_by_icu(out, found.icu_name, bytes))
				return true;
		}
	}
	add_ascii(out, bytes);
	return false;
}
