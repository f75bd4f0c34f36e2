/* The text after DATA, cut into pieces, against the plainest way to do the same; and the look for bare CR and LF in chunks. */
#include <stdlib.h>

#include "simple_dots.h"

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void check_data(struct slice text, size_t piece)
{
	char *expected_bytes = malloc(text.len + 1), *found = malloc(text.len + 1);
	struct simple_text expected = simple_text_decode(text, expected_bytes);
	struct dots dots = {.state = DOTS_START};
	size_t len = 0, used = 0;

	while (used < text.len && !dots.ended) {
		struct slice in = slice_sub(text, used, used + piece), rest = in, run;

		while (dots_next(&dots, &rest, &run)) {
			must(run.len > 0 && run.len <= text.len - len);
			memcpy(found + len, run.data, run.len);
			len += run.len;
		}
		must(dots.ended || rest.len == 0);
		used += in.len - rest.len;
	}
	/* A CR behind a dot may still be the end's. */
	bool pending = !dots.ended && dots.state == DOTS_DOT_CR;

	must(dots.ended == expected.ended && used == expected.used);
	must((dots_has_bare(&dots) || pending) == expected.has_bare);
	must(len + pending == expected.len && memcmp(found, expected_bytes, len) == 0);
	free(expected_bytes);
	free(found);
}

static void check_chunks(struct slice text, size_t piece)
{
	struct dots lines = {.state = DOTS_START};

	for (size_t at = 0; at < text.len; at += piece)
		dots_check(&lines, slice_sub(text, at, at + piece));
	must(dots_has_bare(&lines) == simple_text_has_bare(text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = slice_of((const char *)data, size);

	if (size < 1)
		return 0;
	text = slice_skip(text, 1);
	check_data(text, (size_t)data[0] + 1);
	check_chunks(text, (size_t)data[0] + 1);
	return 0;
}
