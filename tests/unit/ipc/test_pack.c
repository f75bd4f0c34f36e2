#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "ipc/pack.h"

static void what_is_packed_is_unpacked(void **state)
{
	struct buf out SCOPED_BUF;
	struct unpack in;

	(void)state;
	pack_u8(&out, 200);
	pack_u32(&out, 0x01020304);
	pack_u64(&out, UINT64_MAX - 1);
	pack_slice(&out, SLICE("a\0b"));
	pack_slice(&out, SLICE_EMPTY);
	pack_u32(&out, 3);
	assert_int_equal(out.data[1], 4); /* little-endian */
	in = unpack_begin(buf_slice(&out));
	assert_int_equal(unpack_u8(&in), 200);
	assert_int_equal(unpack_u32(&in), 0x01020304);
	assert_true(unpack_u64(&in) == UINT64_MAX - 1);
	assert_true(slice_eq(unpack_slice(&in), SLICE("a\0b")));
	assert_int_equal(unpack_slice(&in).len, 0);
	assert_false(unpack_ok(&in)); /* something is left over */
	assert_int_equal(unpack_count(&in, 3), 3);
	assert_true(unpack_ok(&in));
	assert_int_equal(unpack_u8(&in), 0);
	assert_false(unpack_ok(&in));
}

static void the_first_error_sticks(void **state)
{
	struct unpack in = unpack_begin(SLICE("\x0f\0\0\0abcd\x01\0\0\0"));

	(void)state;
	assert_int_equal(unpack_slice(&in).len, 0);
	assert_int_equal(unpack_u32(&in), 0);
	assert_false(unpack_ok(&in));
	in = unpack_begin(SLICE("\xff\xff\xff\xff"));
	assert_int_equal(unpack_count(&in, 1000), 0);
	assert_false(unpack_ok(&in));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_packed_is_unpacked),
		cmocka_unit_test(the_first_error_sticks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
