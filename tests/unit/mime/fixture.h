/* What the tests of mime/ share. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/slice.h"

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

/* NULL: absent. */
static inline void assert_slice(struct arena *arena, struct slice got, const char *expected)
{
	if (!expected) {
		assert_null(got.data);
		return;
	}
	assert_non_null(got.data);
	assert_string_equal(slice_cstr(arena, got), expected);
	assert_int_equal(got.len, strlen(expected));
}

/* On the heap and of its exact size, so that the sanitizer sees who reads past its end. */
static inline char *exact_copy(struct slice text)
{
	char *copy = malloc(text.len ? text.len : 1);

	assert_non_null(copy);
	memcpy(copy, text.data, text.len);
	return copy;
}

/* With each LF as CRLF. */
static inline struct slice with_crlf(struct arena *arena, struct slice text)
{
	struct buf out;

	buf_init(&out, arena, 0);
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] == '\n' && (i == 0 || text.data[i - 1] != '\r'))
			buf_add_byte(&out, '\r');
		buf_add_byte(&out, text.data[i]);
	}
	return buf_slice(&out);
}
