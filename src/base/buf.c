#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"

#define FIRST_CAPACITY 128

void buf_init(struct buf *buf, struct arena *arena, size_t limit)
{
	*buf = (struct buf){.arena = arena, .limit = limit ? limit : SIZE_MAX / 2};
}

void buf_free(struct buf *buf)
{
	if (!buf->arena)
		free(buf->data);
	buf_init(buf, buf->arena, buf->limit);
}

static bool grow(struct buf *buf, size_t need)
{
	size_t limit = buf->limit ? buf->limit : SIZE_MAX / 2;
	size_t cap = buf->cap < FIRST_CAPACITY ? FIRST_CAPACITY : 2 * buf->cap;
	char *data;

	if (need > limit)
		return false;
	if (cap < need)
		cap = need;
	if (cap > limit)
		cap = limit;
	data = buf->arena ? arena_try_grow(buf->arena, buf->data, buf->cap, cap) : realloc(buf->data, cap);
	if (!data)
		return false;
	buf->data = data;
	buf->cap = cap;
	return true;
}

char *buf_reserve(struct buf *buf, size_t count)
{
	if (buf->failed)
		return NULL;
	if ((!buf->data || count > buf->cap - buf->len) && (count > SIZE_MAX / 2 || !grow(buf, buf->len + count))) {
		buf->failed = true;
		return NULL;
	}
	return buf->data + buf->len;
}

void buf_advance(struct buf *buf, size_t count)
{
	if (count > buf->cap - buf->len)
		buf->failed = true;
	else
		buf->len += count;
}

void buf_add(struct buf *buf, struct slice s)
{
	char *to = s.len ? buf_reserve(buf, s.len) : NULL;

	if (!to)
		return;
	memcpy(to, s.data, s.len);
	buf->len += s.len;
}

void buf_add_byte(struct buf *buf, char byte)
{
	char *to = buf_reserve(buf, 1);

	if (!to)
		return;
	*to = byte;
	buf->len++;
}

void buf_add_u64(struct buf *buf, uint64_t value)
{
	char digits[20], *at = digits + sizeof(digits);

	do {
		*--at = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	buf_add(buf, slice_of(at, (size_t)(digits + sizeof(digits) - at)));
}

void buf_add_i64(struct buf *buf, int64_t value)
{
	if (value < 0)
		buf_add_byte(buf, '-');
	buf_add_u64(buf, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

/* The final NUL of vsnprintf needs a byte of room too, which may lie beyond the limit: such texts are made aside. */
static void add_long_text(struct buf *buf, const char *format, va_list args)
{
	char *text = NULL;
	int len = vasprintf(&text, format, args);

	if (len < 0)
		buf->failed = true;
	else
		buf_add(buf, slice_of(text, (size_t)len));
	free(text);
}

void buf_vprintf(struct buf *buf, const char *format, va_list args)
{
	char text[256];
	va_list again;
	int len;

	if (buf->failed)
		return;
	va_copy(again, args);
	len = vsnprintf(text, sizeof(text), format, args);
	if (len < 0)
		buf->failed = true;
	else if ((size_t)len < sizeof(text))
		buf_add(buf, slice_of(text, (size_t)len));
	else
		add_long_text(buf, format, again);
	va_end(again);
}

void buf_printf(struct buf *buf, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	buf_vprintf(buf, format, args);
	va_end(args);
}
