/* Whatever a .forward says, its targets are of the four kinds, on one line and few. */
#include <stdint.h>
#include <stdlib.h>

#include "local/forward.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
	if (!holds)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena SCOPED_ARENA;
	struct slice *targets;
	size_t count;

	arena_init(&arena, 0);
	if (!forward_parse(&arena, slice_of((const char *)data, size), SLICE("/home/alice"), &targets, &count))
		return 0;
	check(count <= LOCAL_TARGETS_MAX);
	for (size_t i = 0; i < count; i++) {
		bool is_special = strchr("|/\\", targets[i].data[0]) != NULL;

		check(targets[i].len > 0 && slice_find_byte(targets[i], '\n') == SLICE_NOT_FOUND);
		check(is_special || slice_find_byte(targets[i], ' ') == SLICE_NOT_FOUND);
	}
	return 0;
}
