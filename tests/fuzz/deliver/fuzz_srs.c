/* A sender that is rewritten comes back as it was; what strangers make up doesn't come back at all. */
#include <stdint.h>
#include <stdlib.h>

#include "deliver/srs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
	if (!holds)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = slice_of((const char *)data, size), secret = SLICE("secret"), rewritten, back;
	struct arena arena SCOPED_ARENA;

	arena_init(&arena, 0);
	check(!srs_reverse(&arena, secret, 1, text, &back));
	if (!srs_rewrite(&arena, secret, 1, text, SLICE("ours.test"), &rewritten))
		return 0;
	check(srs_is_rewritten(rewritten) && slice_ends_with(rewritten, SLICE("@ours.test")));
	bool returns = srs_reverse(&arena, secret, 1, rewritten, &back);

	/* Of one that another forwarder made, the first forwarder's comes back; one whose domain has a = is none. */
	if (returns && !srs_is_rewritten(text))
		check(slice_eq(back, text));
	return 0;
}
