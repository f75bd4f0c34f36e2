/* buf: a growable run of bytes for output. Its first error sticks: later appends do nothing, and the owner looks once,
 * at the end, with `buf_ok`.
 *
 * A buf lives in an arena (its memory goes with the arena) or on the heap (arena NULL; `buf_free` gives it back).
 * One thread at a time.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

struct arena;

struct buf {
	char *data;
	size_t len;
	size_t cap;
	size_t limit;        /* bytes at most; 0: SIZE_MAX / 2 */
	struct arena *arena; /* NULL: heap */
	bool failed;
};

void buf_init(struct buf *buf, struct arena *arena, size_t limit);
void buf_free(struct buf *buf);
static inline void buf_clear(struct buf *buf)
{
	buf->len = 0;
	buf->failed = false;
}
static inline bool buf_ok(const struct buf *buf)
{
	return !buf->failed;
}
static inline struct slice buf_slice(const struct buf *buf)
{
	return (struct slice){buf->data ? buf->data : "", buf->len};
}

/* Makes room for `count` more bytes and returns where they go (NULL if the buf has failed); buf_advance then counts them in. */
char *buf_reserve(struct buf *buf, size_t count);
void buf_advance(struct buf *buf, size_t count);

void buf_add(struct buf *buf, struct slice s);
void buf_add_byte(struct buf *buf, char byte);
void buf_add_u64(struct buf *buf, uint64_t value);
void buf_add_i64(struct buf *buf, int64_t value);
__attribute__((format(printf, 2, 3))) void buf_printf(struct buf *buf, const char *format, ...);
__attribute__((format(printf, 2, 0))) void buf_vprintf(struct buf *buf, const char *format, va_list args);
#define buf_add_literal(buf, literal) buf_add((buf), SLICE(literal))

static inline void buf_cleanup(struct buf *buf)
{
	buf_free(buf);
}
/* struct buf b SCOPED_BUF; buf_init(&b, NULL, limit): a heap buf given back when the scope is left. */
#define SCOPED_BUF __attribute__((cleanup(buf_cleanup))) = {0}
