/* Every text of up to eight bytes from {x . CR LF} behind every beginning of a line, cut at every place, against a decoder that is too
 * simple to be wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "simple_dots.h"

#define LENGTH_MAX 8

static void feed(struct dots *dots, struct slice in, struct simple_text *d)
{
	struct slice run, rest = in;

	while (dots_next(dots, &rest, &run)) {
		assert_true(run.len > 0 && d->len + run.len <= LENGTH_MAX);
		memcpy(d->bytes + d->len, run.data, run.len);
		d->len += run.len;
	}
	d->used += in.len - rest.len;
}

static void check(struct slice text)
{
	char expected_bytes[LENGTH_MAX], found_bytes[LENGTH_MAX];
	struct simple_text expected = simple_text_decode(text, expected_bytes);

	for (size_t cut = 0; cut <= text.len; cut++) {
		struct dots dots = {.state = DOTS_START};
		struct simple_text found = {.bytes = found_bytes};

		feed(&dots, slice_sub(text, 0, cut), &found);
		feed(&dots, slice_skip(text, cut), &found);
		/* A dot or CR that may still be something else isn't out yet. */
		bool pending = !dots.ended && dots.state == DOTS_DOT_CR;

		assert_int_equal(dots.ended, expected.ended);
		assert_int_equal(found.used, expected.used);
		assert_int_equal(dots_has_bare(&dots) || pending, expected.has_bare);
		assert_int_equal(found.len + pending, expected.len);
		assert_memory_equal(found.bytes, expected.bytes, found.len);
	}
}

static void test_every_text(void **state)
{
	static const char alphabet[] = "x.\r\n";
	char text[LENGTH_MAX];

	(void)state;
	for (size_t len = 0; len <= LENGTH_MAX; len++) {
		for (unsigned number = 0; number < 1u << (2 * len); number++) {
			for (size_t i = 0; i < len; i++)
				text[i] = alphabet[number >> (2 * i) & 3];
			check(slice_of(text, len));
		}
	}
}

static void test_every_text_of_chunks(void **state)
{
	static const char alphabet[] = "x.\r\n";
	char text[LENGTH_MAX];

	(void)state;
	for (size_t len = 0; len <= LENGTH_MAX; len++) {
		for (unsigned number = 0; number < 1u << (2 * len); number++) {
			for (size_t i = 0; i < len; i++)
				text[i] = alphabet[number >> (2 * i) & 3];
			for (size_t cut = 0; cut <= len; cut++) {
				struct dots lines = {.state = DOTS_START};

				dots_check(&lines, slice_of(text, cut));
				dots_check(&lines, slice_of(text + cut, len - cut));
				assert_int_equal(dots_has_bare(&lines), simple_text_has_bare(slice_of(text, len)));
			}
		}
	}
}

/* A stream of CRs must cost no more than its length: quadratic work would take minutes here. */
static void test_hostile_text_is_linear(void **state)
{
	static char text[4 << 20];
	struct dots dots = {.state = DOTS_START};
	struct slice rest = slice_of(text, sizeof(text)), run;
	size_t len = 0;

	(void)state;
	memset(text, '\r', sizeof(text));
	while (dots_next(&dots, &rest, &run))
		len += run.len;
	assert_int_equal(len, sizeof(text));
	assert_true(dots_has_bare(&dots));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_text),
		cmocka_unit_test(test_every_text_of_chunks),
		cmocka_unit_test(test_hostile_text_is_linear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
