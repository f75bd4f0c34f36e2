/* arena and buf */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"

static void blocks_are_aligned_zeroed_and_apart(void **state)
{
	struct arena arena SCOPED_ARENA;
	unsigned char *blocks[2000];

	(void)state;
	arena_init(&arena, 0);
	assert_int_equal(arena.used, 0);
	for (size_t i = 0; i < 2000; i++) {
		size_t size = i % 97 + (i % 50 == 0) * 5000;

		blocks[i] = arena_alloc(&arena, size);
		assert_int_equal((uintptr_t)blocks[i] % 16, 0);
		for (size_t at = 0; at < size; at++)
			assert_int_equal(blocks[i][at], 0);
		memset(blocks[i], (int)(i % 255 + 1), size);
	}
	for (size_t i = 0; i < 2000; i++) {
		for (size_t at = 0; at < i % 97; at++)
			assert_int_equal(blocks[i][at], i % 255 + 1);
	}
	arena_free(&arena);
	assert_int_equal(arena.used, 0);
}

static void reset_keeps_little(void **state)
{
	struct arena arena SCOPED_ARENA;

	(void)state;
	for (int i = 0; i < 1000; i++)
		arena_alloc(&arena, 1000);
	arena_alloc(&arena, 1000000);
	assert_true(arena.used > 2000000);
	arena_reset(&arena);
	assert_true(arena.used > 0 && arena.used <= ARENA_LARGE);
	assert_non_null(arena_alloc(&arena, 100));
	arena_reset(&arena);
	assert_true(arena.used <= ARENA_LARGE);
}

static void a_full_arena_says_so(void **state)
{
	struct arena arena SCOPED_ARENA;

	(void)state;
	arena_init(&arena, 100000);
	assert_null(arena_try_alloc(&arena, 200000));
	assert_true(arena_is_full(&arena));
	assert_non_null(arena_alloc(&arena, 10));
	arena_reset(&arena);
	assert_false(arena_is_full(&arena));
	for (int i = 0; i < 200; i++)
		assert_non_null(arena_alloc(&arena, 1000));
	assert_true(arena_is_full(&arena));
	arena_free(&arena);
	assert_false(arena_is_full(&arena));
	assert_int_equal(arena.limit, 100000);
}

static void growing_keeps_content(void **state)
{
	struct arena arena SCOPED_ARENA;
	size_t size = 10;
	char *block = arena_try_grow(&arena, NULL, 0, size), *last;

	(void)state;
	memset(block, 'x', size);
	last = block;
	block = arena_try_grow(&arena, block, size, 100);
	assert_ptr_equal(block, last); /* the last block grows in place */
	arena_alloc(&arena, 1);
	for (size = 100; size < 4000000; size *= 3) {
		memset(block, 'x', size);
		block = arena_try_grow(&arena, block, size, size * 3);
		assert_non_null(block);
		for (size_t i = 0; i < size; i++)
			assert_int_equal(block[i], 'x');
		arena_alloc(&arena, 3);
	}
	assert_true(arena.used < size * 2); /* large blocks are not left behind as copies */
	arena.limit = arena.used + 1000;
	assert_null(arena_try_grow(&arena, block, size, size * 2));
	assert_true(arena_is_full(&arena));
}

static void a_buf_grows(struct arena *arena)
{
	struct buf buf;

	buf_init(&buf, arena, 0);
	for (int i = 0; i < 100000; i++) {
		buf_add_literal(&buf, "ab");
		buf_add_byte(&buf, 'c');
	}
	assert_true(buf_ok(&buf));
	assert_int_equal(buf.len, 300000);
	for (size_t i = 0; i < buf.len; i++)
		assert_int_equal(buf.data[i], "abc"[i % 3]);
	buf_free(&buf);
	assert_int_equal(buf.len, 0);
}

static void buf_on_heap_and_in_arena(void **state)
{
	struct arena arena SCOPED_ARENA;

	(void)state;
	a_buf_grows(NULL);
	a_buf_grows(&arena);
}

static void the_first_error_sticks(void **state)
{
	struct buf buf SCOPED_BUF;

	(void)state;
	buf_init(&buf, NULL, 5);
	buf_add_literal(&buf, "1234");
	assert_true(buf_ok(&buf));
	buf_add_literal(&buf, "56");
	assert_false(buf_ok(&buf));
	buf_add_byte(&buf, '5');
	assert_true(slice_eq(buf_slice(&buf), SLICE("1234")));
	assert_null(buf_reserve(&buf, 0));
	buf_clear(&buf);
	buf_printf(&buf, "%d", 12345);
	assert_true(buf_ok(&buf));
	assert_true(slice_eq(buf_slice(&buf), SLICE("12345")));
	buf_printf(&buf, "%s", "");
	assert_true(buf_ok(&buf));
}

static void numbers_and_formats(void **state)
{
	struct buf buf SCOPED_BUF;
	char longer[1001];

	(void)state;
	buf_add_u64(&buf, UINT64_MAX);
	buf_add_byte(&buf, ' ');
	buf_add_i64(&buf, INT64_MIN);
	buf_add_byte(&buf, ' ');
	buf_add_u64(&buf, 0);
	assert_true(slice_eq(buf_slice(&buf), SLICE("18446744073709551615 -9223372036854775808 0")));
	buf_clear(&buf);
	memset(longer, 'z', 1000);
	longer[1000] = 0;
	buf_printf(&buf, "<%s>", longer);
	assert_int_equal(buf.len, 1002);
	assert_int_equal(buf.data[1001], '>');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks_are_aligned_zeroed_and_apart),
		cmocka_unit_test(reset_keeps_little),
		cmocka_unit_test(a_full_arena_says_so),
		cmocka_unit_test(growing_keeps_content),
		cmocka_unit_test(buf_on_heap_and_in_arena),
		cmocka_unit_test(the_first_error_sticks),
		cmocka_unit_test(numbers_and_formats),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
