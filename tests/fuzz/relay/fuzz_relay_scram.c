/* A server's side of SCRAM: two messages, parted by a line end. None of them can make us believe that it knows the password. */
#include <stdlib.h>

#include "relay/scram.h"

/* Key derivation takes its time by design: a fuzzer doesn't want to wait for it. */
static bool asks_for_much(struct slice message)
{
	size_t at = slice_find(message, SLICE("i="));
	struct slice number;
	uint32_t iterations;

	if (at == SLICE_NOT_FOUND)
		return false;
	number = slice_skip(message, at + 2);
	return slice_to_u32(slice_cut(&number, ','), UINT32_MAX, &iterations) && iterations > 1000;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice rest = slice_of((const char *)data, size), first = slice_cut(&rest, '\n'), final;
	struct arena arena SCOPED_ARENA;
	struct scram scram;

	if (asks_for_much(first))
		return 0;
	/* A nonce of its own each time: the fuzzer looks at what is compared, and would bring the MAC that was wanted last time. */
	(void)scram_first(&scram, &arena, SLICE("us,er="), SLICE_EMPTY);
	const struct slice parts[] = {SLICE("r="), scram.nonce, first};
	if (!scram_final(&scram, slice_join(&arena, parts, 3), SLICE("pencil"), &final))
		return 0;
	if (!slice_starts_with(final, SLICE("c=biws,r=")) || slice_find(final, SLICE(",p=")) == SLICE_NOT_FOUND)
		abort();
	/* It would have to find a MAC. */
	if (scram_verify(&scram, rest))
		abort();
	return 0;
}
