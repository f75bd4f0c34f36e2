#include "base/slice.h"

#include "base/arena.h"

bool slice_eq_nocase(struct slice a, struct slice b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++) {
		if (a.data[i] != b.data[i] && ascii_lower(a.data[i]) != ascii_lower(b.data[i]))
			return false;
	}
	return true;
}

static int compare_lengths(size_t a, size_t b)
{
	return (a > b) - (a < b);
}

int slice_compare(struct slice a, struct slice b)
{
	size_t common = a.len < b.len ? a.len : b.len;
	int order = common ? memcmp(a.data, b.data, common) : 0;

	return order ? order : compare_lengths(a.len, b.len);
}

int slice_compare_nocase(struct slice a, struct slice b)
{
	size_t common = a.len < b.len ? a.len : b.len;

	for (size_t i = 0; i < common; i++) {
		int order = (unsigned char)ascii_lower(a.data[i]) - (unsigned char)ascii_lower(b.data[i]);

		if (order)
			return order;
	}
	return compare_lengths(a.len, b.len);
}

bool slice_starts_with(struct slice s, struct slice prefix)
{
	return s.len >= prefix.len && slice_eq(slice_sub(s, 0, prefix.len), prefix);
}

bool slice_starts_with_nocase(struct slice s, struct slice prefix)
{
	return s.len >= prefix.len && slice_eq_nocase(slice_sub(s, 0, prefix.len), prefix);
}

bool slice_ends_with(struct slice s, struct slice suffix)
{
	return s.len >= suffix.len && slice_eq(slice_skip(s, s.len - suffix.len), suffix);
}

bool slice_ends_with_nocase(struct slice s, struct slice suffix)
{
	return s.len >= suffix.len && slice_eq_nocase(slice_skip(s, s.len - suffix.len), suffix);
}

size_t slice_find_byte(struct slice s, char byte)
{
	const char *found = s.len ? memchr(s.data, byte, s.len) : NULL;

	return found ? (size_t)(found - s.data) : SLICE_NOT_FOUND;
}

size_t slice_find_last_byte(struct slice s, char byte)
{
	const char *found = s.len ? memrchr(s.data, byte, s.len) : NULL;

	return found ? (size_t)(found - s.data) : SLICE_NOT_FOUND;
}

size_t slice_find(struct slice s, struct slice needle)
{
	const char *found;

	if (needle.len == 0)
		return 0;
	if (needle.len > s.len)
		return SLICE_NOT_FOUND;
	found = memmem(s.data, s.len, needle.data, needle.len);
	return found ? (size_t)(found - s.data) : SLICE_NOT_FOUND;
}

/* Horspool's search: the byte under the needle's end tells how far it may jump. */
size_t slice_find_nocase(struct slice s, struct slice needle)
{
	uint16_t jump[256];
	size_t most, at = 0;

	if (needle.len == 0)
		return 0;
	if (needle.len > s.len)
		return SLICE_NOT_FOUND;
	most = needle.len < UINT16_MAX ? needle.len : UINT16_MAX;
	for (size_t i = 0; i < 256; i++)
		jump[i] = (uint16_t)most;
	for (size_t i = needle.len - most; i + 1 < needle.len; i++) {
		jump[(unsigned char)ascii_lower(needle.data[i])] = (uint16_t)(needle.len - 1 - i);
		jump[(unsigned char)ascii_upper(needle.data[i])] = (uint16_t)(needle.len - 1 - i);
	}
	while (at <= s.len - needle.len) {
		if (slice_eq_nocase(slice_of(s.data + at, needle.len), needle))
			return at;
		at += jump[(unsigned char)s.data[at + needle.len - 1]];
	}
	return SLICE_NOT_FOUND;
}

struct slice slice_cut(struct slice *rest, char separator)
{
	size_t at = slice_find_byte(*rest, separator);
	struct slice first = slice_sub(*rest, 0, at);

	*rest = at == SLICE_NOT_FOUND ? slice_skip(*rest, rest->len) : slice_skip(*rest, at + 1);
	return first;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct slice slice_trim(struct slice s)
{
	while (s.len && is_blank(s.data[s.len - 1]))
		s.len--;
	while (s.len && is_blank(s.data[0])) {
		s.data++;
		s.len--;
	}
	return s;
}

bool slice_to_u64(struct slice s, uint64_t max, uint64_t *value)
{
	uint64_t number = 0;

	if (s.len == 0)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		if (!ascii_is_digit(s.data[i]) || __builtin_mul_overflow(number, 10, &number) ||
		    __builtin_add_overflow(number, (uint64_t)(s.data[i] - '0'), &number))
			return false;
	}
	if (number > max)
		return false;
	*value = number;
	return true;
}

bool slice_to_u32(struct slice s, uint32_t max, uint32_t *value)
{
	uint64_t number;

	if (!slice_to_u64(s, max, &number))
		return false;
	*value = (uint32_t)number;
	return true;
}

bool slice_to_i64(struct slice s, int64_t *value)
{
	bool negative = s.len && s.data[0] == '-';
	uint64_t number;

	if (!slice_to_u64(slice_skip(s, negative), (uint64_t)INT64_MAX + negative, &number))
		return false;
	*value = negative ? (int64_t)(0 - number) : (int64_t)number;
	return true;
}

static int hex_digit(char c)
{
	if (ascii_is_digit(c))
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool slice_hex_to_u64(struct slice s, uint64_t *value)
{
	uint64_t number = 0;

	if (s.len == 0)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		int digit = hex_digit(s.data[i]);

		if (digit < 0 || number >> 60)
			return false;
		number = number << 4 | (uint64_t)digit;
	}
	*value = number;
	return true;
}

char *slice_cstr(struct arena *arena, struct slice s)
{
	char *copy = arena_alloc(arena, s.len + 1);

	if (s.len)
		memcpy(copy, s.data, s.len);
	return copy;
}

struct slice slice_dup(struct arena *arena, struct slice s)
{
	return s.len ? slice_of(slice_cstr(arena, s), s.len) : SLICE_EMPTY;
}

struct slice slice_lower(struct arena *arena, struct slice s)
{
	char *copy = slice_cstr(arena, s);

	for (size_t i = 0; i < s.len; i++)
		copy[i] = ascii_lower(copy[i]);
	return slice_of(copy, s.len);
}

struct slice slice_join(struct arena *arena, const struct slice *parts, size_t count)
{
	size_t len = 0, at = 0;
	char *joined;

	for (size_t i = 0; i < count; i++)
		len += parts[i].len;
	joined = arena_alloc(arena, len + 1);
	for (size_t i = 0; i < count; i++) {
		if (parts[i].len)
			memcpy(joined + at, parts[i].data, parts[i].len);
		at += parts[i].len;
	}
	return slice_of(joined, len);
}

/* How many bytes at the front are ASCII, found eight at a time; exact only when all are, else rounded down to eight. */
static size_t skip_ascii(const char *data, size_t len)
{
	size_t at = 0;
	uint64_t word;

	for (; at + sizeof(word) <= len; at += sizeof(word)) {
		memcpy(&word, data + at, sizeof(word));
		if (word & UINT64_C(0x8080808080808080))
			return at;
	}
	return at;
}

bool slice_is_ascii(struct slice s)
{
	for (size_t i = skip_ascii(s.data, s.len); i < s.len; i++) {
		if ((unsigned char)s.data[i] >= 0x80)
			return false;
	}
	return true;
}

/* RFC 3629 section 4: the length of the well-formed character at p, 0 if there is none. */
static size_t utf8_length(const unsigned char *p, size_t len)
{
	size_t need;
	unsigned char low = 0x80, high = 0xBF; /* bounds of the second byte */

	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xC2 || p[0] > 0xF4)
		return 0;
	need = p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : 4;
	if (p[0] == 0xE0)
		low = 0xA0;
	else if (p[0] == 0xED)
		high = 0x9F;
	else if (p[0] == 0xF0)
		low = 0x90;
	else if (p[0] == 0xF4)
		high = 0x8F;
	if (need > len || p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < need; i++) {
		if ((p[i] & 0xC0) != 0x80)
			return 0;
	}
	return need;
}

bool slice_is_utf8(struct slice s)
{
	size_t at = 0;

	while (at < s.len) {
		size_t step;

		if ((unsigned char)s.data[at] < 0x80 && (step = skip_ascii(s.data + at, s.len - at)) > 0) {
			at += step;
			continue;
		}
		step = utf8_length((const unsigned char *)s.data + at, s.len - at);
		if (step == 0)
			return false;
		at += step;
	}
	return true;
}

uint64_t slice_hash(struct slice s)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < s.len; i++)
		hash = (hash ^ (unsigned char)s.data[i]) * UINT64_C(0x100000001b3);
	return hash;
}
