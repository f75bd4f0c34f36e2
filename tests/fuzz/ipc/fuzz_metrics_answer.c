#include <stdint.h>

#include "ipc/metrics.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What a role that was taken over may answer the metrics role. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena SCOPED_ARENA;
	struct metric_source source = {.role = SLICE("relay")};
	struct buf out SCOPED_BUF;

	arena_init(&arena, 0);
	buf_init(&out, NULL, 0);
	if (ipc_metrics_unpack(&arena, slice_of((const char *)data, size), &source))
		metrics_write(&out, &source, 1);
	return 0;
}
