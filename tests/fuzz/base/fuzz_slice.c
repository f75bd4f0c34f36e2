/* The searching and checking functions against the plainest way to do the same. The first byte tells the needle's length. */
#include <stdlib.h>

#include "base/slice.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t plain_find(struct slice s, struct slice needle, bool (*equal)(struct slice, struct slice))
{
	for (size_t at = 0; at + needle.len <= s.len; at++) {
		if (equal(slice_sub(s, at, at + needle.len), needle))
			return at;
	}
	return SLICE_NOT_FOUND;
}

static bool equal_bytes(struct slice a, struct slice b)
{
	return slice_eq(a, b);
}

/* RFC 3629 by way of the code points. */
static bool plain_is_utf8(struct slice s)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};

	for (size_t at = 0; at < s.len;) {
		unsigned char first = (unsigned char)s.data[at];
		size_t length = first < 0x80 ? 1 : first >> 5 == 6 ? 2 : first >> 4 == 14 ? 3 : first >> 3 == 30 ? 4 : 0;
		uint32_t code = length == 1 ? first : first & (0x7fu >> length);

		if (length == 0 || length > s.len - at)
			return false;
		for (size_t i = 1; i < length; i++) {
			if ((s.data[at + i] & 0xC0) != 0x80)
				return false;
			code = code << 6 | (s.data[at + i] & 0x3f);
		}
		if (code < least[length] || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF))
			return false;
		at += length;
	}
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice all = slice_of((const char *)data, size), needle, text;

	if (size == 0)
		return 0;
	needle = slice_sub(all, 1, 1 + data[0] % 16);
	text = slice_skip(all, 1 + needle.len);
	if (slice_find(text, needle) != plain_find(text, needle, equal_bytes) ||
	    slice_find_nocase(text, needle) != plain_find(text, needle, slice_eq_nocase) ||
	    slice_is_utf8(text) != plain_is_utf8(text))
		abort();
	return 0;
}
