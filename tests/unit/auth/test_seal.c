/* Sealed passwords: they come back under the same key for the same context, and else not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "auth/seal.h"

static void comes_back(void **state)
{
	static const struct seal_key KEY = {{1}}, OTHER = {{2}};
	struct arena arena SCOPED_ARENA;
	struct slice context = SLICE("relay.example:587/bob"), secret = SLICE("pass word"), opened, damaged;
	struct slice sealed = seal_close(&arena, &KEY, context, secret);

	(void)state;
	assert_int_equal(sealed.len, 2 * (12 + secret.len + 16));
	assert_true(seal_open(&arena, &KEY, context, sealed, &opened) && slice_eq(opened, secret));
	assert_false(seal_open(&arena, &OTHER, context, sealed, &opened));
	assert_false(seal_open(&arena, &KEY, SLICE("evil.example:587/bob"), sealed, &opened));
	assert_false(slice_eq(sealed, seal_close(&arena, &KEY, context, secret))); /* never twice the same */
	for (size_t i = 0; i < sealed.len; i++) {
		damaged = slice_dup(&arena, sealed);
		((char *)damaged.data)[i] = damaged.data[i] == '0' ? '1' : '0';
		assert_false(seal_open(&arena, &KEY, context, damaged, &opened));
		assert_false(seal_open(&arena, &KEY, context, slice_sub(sealed, 0, i), &opened));
	}
	sealed = seal_close(&arena, &KEY, context, SLICE_EMPTY);
	assert_true(seal_open(&arena, &KEY, context, sealed, &opened) && opened.len == 0);
}

static void key_file(void **state)
{
	char folder[] = "/tmp/posthorn-seal-XXXXXX", path[64];
	struct arena arena SCOPED_ARENA;
	struct seal_key made, read;
	struct error error = {0};
	struct stat status;

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/key", folder);
	assert_true(seal_load_key(path, &made, &arena, &error));
	assert_true(seal_load_key(path, &read, &arena, &error));
	assert_memory_equal(made.bytes, read.bytes, SEAL_KEY_SIZE);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	assert_int_equal(truncate(path, 5), 0);
	assert_false(seal_load_key(path, &read, &arena, &error));
	assert_true(error.text.len > 0);
	unlink(path);
	rmdir(folder);
	assert_false(seal_load_key(path, &read, &arena, &error));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(comes_back), cmocka_unit_test(key_file)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
