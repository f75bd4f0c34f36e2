#include <stdint.h>
#include <stdlib.h>

#include "cli/log_line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* No line is longer than what it was made of, its front apart. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena SCOPED_ARENA;
	struct log_line line;
	size_t total = 0;

	arena_init(&arena, 0);
	if (!log_line_parse(&arena, slice_of((const char *)data, size), &line))
		return 0;
	for (size_t i = 0; i < line.count; i++)
		total += line.fields[i].key.len + line.fields[i].value.len;
	if (total > size || line.count > LOG_LINE_FIELDS_MAX)
		abort();
	return 0;
}
