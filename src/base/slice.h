/* slice: a pointer and a length, the only form in which input is handled.
 *
 * A slice owns nothing: it points into an arena, a connection's buffer or a literal, and is valid as long as that is.
 * It is never NUL-terminated; `slice_cstr` makes a C string at the border to a library.
 * Every function here is pure and may be called from any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct arena;

struct slice {
	const char *data;
	size_t len;
};

/* A slice of a string literal. */
#define SLICE(literal) ((struct slice){"" literal, sizeof(literal) - 1})
#define SLICE_EMPTY ((struct slice){"", 0})
/* For printf-like functions: printf("%.*s", SLICE_ARG(s)). */
#define SLICE_ARG(s) (int)((s).len > INT32_MAX ? INT32_MAX : (s).len), (s).data

static inline struct slice slice_of(const char *data, size_t len)
{
	return (struct slice){data, len};
}

/* The text of a C string (NULL gives the empty slice). */
static inline struct slice slice_from_cstr(const char *text)
{
	return text ? (struct slice){text, strlen(text)} : SLICE_EMPTY;
}

/* Bytes [from, to) of s; both ends are clamped to s. */
static inline struct slice slice_sub(struct slice s, size_t from, size_t to)
{
	if (to > s.len)
		to = s.len;
	if (from > to)
		from = to;
	return (struct slice){s.data + from, to - from};
}

static inline struct slice slice_skip(struct slice s, size_t count)
{
	return slice_sub(s, count, s.len);
}

static inline bool slice_eq(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* Equal but for the case of ASCII letters. */
bool slice_eq_nocase(struct slice a, struct slice b);
/* <0, 0, >0 by bytes; a prefix sorts first. */
int slice_compare(struct slice a, struct slice b);
int slice_compare_nocase(struct slice a, struct slice b);
bool slice_starts_with(struct slice s, struct slice prefix);
bool slice_starts_with_nocase(struct slice s, struct slice prefix);
bool slice_ends_with(struct slice s, struct slice suffix);
bool slice_ends_with_nocase(struct slice s, struct slice suffix);

#define SLICE_NOT_FOUND SIZE_MAX
/* The index of the first (last) `byte`, or SLICE_NOT_FOUND. */
size_t slice_find_byte(struct slice s, char byte);
size_t slice_find_last_byte(struct slice s, char byte);
/* The index of the first `needle`, or SLICE_NOT_FOUND. */
size_t slice_find(struct slice s, struct slice needle);
size_t slice_find_nocase(struct slice s, struct slice needle);

/* Takes what stands before the first `separator` off *rest and returns it; *rest then begins behind the separator.
 * Without a separator all of *rest is returned and *rest becomes empty. */
struct slice slice_cut(struct slice *rest, char separator);
/* Without leading and trailing space, tab, CR and LF. */
struct slice slice_trim(struct slice s);

/* The whole slice as a decimal number without sign or space, at most `max`. False, and *value untouched, if it isn't one. */
__attribute__((warn_unused_result)) bool slice_to_u64(struct slice s, uint64_t max, uint64_t *value);
__attribute__((warn_unused_result)) bool slice_to_u32(struct slice s, uint32_t max, uint32_t *value);
/* With an optional leading '-'. */
__attribute__((warn_unused_result)) bool slice_to_i64(struct slice s, int64_t *value);
/* Whole slice as hexadecimal digits. */
__attribute__((warn_unused_result)) bool slice_hex_to_u64(struct slice s, uint64_t *value);

/* Copies into the arena. The C string gets a NUL; a NUL inside s ends it early, so callers refuse those before. */
struct slice slice_dup(struct arena *arena, struct slice s);
char *slice_cstr(struct arena *arena, struct slice s);
struct slice slice_lower(struct arena *arena, struct slice s);
/* Joins the parts, in order. */
struct slice slice_join(struct arena *arena, const struct slice *parts, size_t count);
bool slice_is_ascii(struct slice s);
/* RFC 3629: shortest form, no surrogates, at most U+10FFFF. */
bool slice_is_utf8(struct slice s);

/* FNV-1a, for tables that hostile input can't choose the keys of; see base/random.h for a keyed hash. */
uint64_t slice_hash(struct slice s);

/* ASCII classes, independent of the locale. */
static inline char ascii_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}
static inline char ascii_upper(char c)
{
	return c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
}
static inline bool ascii_is_digit(char c)
{
	return c >= '0' && c <= '9';
}
static inline bool ascii_is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
static inline bool ascii_is_alnum(char c)
{
	return ascii_is_digit(c) || ascii_is_alpha(c);
}
