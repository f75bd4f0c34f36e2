#include "base/base64.h"

#include "base/buf.h"

#define DIGITS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+"

/* Value + 1 of each digit, 0 for what is none; the 64th digit differs and is added by the tables below. */
#define COMMON_VALUES                                                                                                  \
	['A'] = 1, ['B'] = 2, ['C'] = 3, ['D'] = 4, ['E'] = 5, ['F'] = 6, ['G'] = 7, ['H'] = 8, ['I'] = 9, ['J'] = 10, \
	['K'] = 11, ['L'] = 12, ['M'] = 13, ['N'] = 14, ['O'] = 15, ['P'] = 16, ['Q'] = 17, ['R'] = 18, ['S'] = 19,    \
	['T'] = 20, ['U'] = 21, ['V'] = 22, ['W'] = 23, ['X'] = 24, ['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28,    \
	['c'] = 29, ['d'] = 30, ['e'] = 31, ['f'] = 32, ['g'] = 33, ['h'] = 34, ['i'] = 35, ['j'] = 36, ['k'] = 37,    \
	['l'] = 38, ['m'] = 39, ['n'] = 40, ['o'] = 41, ['p'] = 42, ['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46,    \
	['u'] = 47, ['v'] = 48, ['w'] = 49, ['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54, ['2'] = 55,    \
	['3'] = 56, ['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62, ['+'] = 63

static const unsigned char standard_values[256] = {COMMON_VALUES, ['/'] = 64};
static const unsigned char imap_values[256] = {COMMON_VALUES, [','] = 64};

static void encode(struct buf *out, struct slice in, const char digits[64], bool pad)
{
	const unsigned char *from = (const unsigned char *)in.data;
	char *start = in.len ? buf_reserve(out, in.len / 3 * 4 + 4) : NULL, *to = start;
	size_t left = in.len;

	if (!start)
		return;
	for (; left >= 3; left -= 3, from += 3) {
		*to++ = digits[from[0] >> 2];
		*to++ = digits[(from[0] & 3) << 4 | from[1] >> 4];
		*to++ = digits[(from[1] & 15) << 2 | from[2] >> 6];
		*to++ = digits[from[2] & 63];
	}
	if (left) {
		*to++ = digits[from[0] >> 2];
		*to++ = digits[(from[0] & 3) << 4 | (left == 2 ? from[1] >> 4 : 0)];
		if (left == 2)
			*to++ = digits[(from[1] & 15) << 2];
		for (size_t i = left; pad && i < 3; i++)
			*to++ = '=';
	}
	buf_advance(out, (size_t)(to - start));
}

/* Decodes digits only; bits left over must be zero, as every encoder makes them. */
static bool decode(struct buf *out, struct slice in, const unsigned char values[256])
{
	const unsigned char *from = (const unsigned char *)in.data;
	char *start = in.len ? buf_reserve(out, in.len / 4 * 3 + 3) : NULL, *to = start;
	uint32_t bits = 0;
	unsigned held = 0;
	bool valid = true;

	if (!start)
		return in.len == 0;
	for (size_t i = 0; valid && i < in.len; i++) {
		unsigned value = values[from[i]];

		if (value == 0) {
			valid = false;
			break;
		}
		bits = bits << 6 | (value - 1);
		held += 6;
		if (held >= 8) {
			held -= 8;
			*to++ = (char)(bits >> held);
			bits &= (1u << held) - 1;
		}
	}
	buf_advance(out, (size_t)(to - start));
	return valid && held < 6 && bits == 0;
}

void base64_encode(struct buf *out, struct slice in)
{
	encode(out, in, DIGITS "/", true);
}

bool base64_decode(struct buf *out, struct slice in)
{
	size_t padding = 0;

	while (padding < 2 && padding < in.len && in.data[in.len - 1 - padding] == '=')
		padding++;
	return decode(out, slice_sub(in, 0, in.len - padding), standard_values) && in.len % 4 == 0;
}

void base64_imap_encode(struct buf *out, struct slice in)
{
	encode(out, in, DIGITS ",", false);
}

bool base64_imap_decode(struct buf *out, struct slice in)
{
	return decode(out, in, imap_values);
}

void base64_decode_lenient(struct buf *out, struct slice in)
{
	char *start = in.len ? buf_reserve(out, in.len / 4 * 3 + 3) : NULL, *to = start;
	uint32_t bits = 0;
	unsigned held = 0;

	if (!start)
		return;
	for (size_t i = 0; i < in.len; i++) {
		unsigned value = standard_values[(unsigned char)in.data[i]];

		if (value == 0) {
			if (in.data[i] == '=') /* what follows begins anew: texts joined from several */
				held = 0;
			continue;
		}
		bits = bits << 6 | (value - 1);
		held += 6;
		if (held >= 8) {
			held -= 8;
			*to++ = (char)(bits >> held);
		}
	}
	buf_advance(out, (size_t)(to - start));
}

void hex_encode(struct buf *out, struct slice in)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < in.len; i++) {
		buf_add_byte(out, digits[(unsigned char)in.data[i] >> 4]);
		buf_add_byte(out, digits[in.data[i] & 15]);
	}
}

bool hex_decode(struct buf *out, struct slice in)
{
	for (size_t i = 0; i + 1 < in.len; i += 2) {
		uint64_t byte;

		if (!slice_hex_to_u64(slice_of(in.data + i, 2), &byte))
			return false;
		buf_add_byte(out, (char)byte);
	}
	return in.len % 2 == 0;
}
