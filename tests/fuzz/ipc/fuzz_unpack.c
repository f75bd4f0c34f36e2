/* Reads a frame as instructions and data at once: whatever comes, slices stay inside the frame and the first error sticks. */
#include <stdlib.h>

#include "ipc/pack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void inside(struct slice part, const uint8_t *data, size_t size)
{
	if (part.len && (part.data < (const char *)data || part.data + part.len > (const char *)data + size))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct unpack in = unpack_begin(slice_of((const char *)data, size));
	size_t steps = 0;

	while (!in.failed && in.rest.len && steps++ < size + 1) {
		struct slice part = SLICE_EMPTY;

		switch (unpack_u8(&in) % 4) {
		case 0:
			(void)unpack_u32(&in);
			break;
		case 1:
			(void)unpack_u64(&in);
			break;
		case 2:
			if (unpack_count(&in, 1000) > 1000)
				abort();
			break;
		case 3:
			part = unpack_slice(&in);
			break;
		}
		inside(part, data, size);
		inside(in.rest, data, size);
	}
	if (in.failed && (unpack_ok(&in) || unpack_u64(&in) || unpack_slice(&in).len))
		abort();
	return 0;
}
