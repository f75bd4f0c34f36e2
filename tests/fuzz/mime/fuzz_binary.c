/* Messages with binary parts: what comes out has none any more, so that doing it again changes nothing. */
#include <stdlib.h>

#include "base/buf.h"
#include "mime/binary.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void add(void *out, struct slice bytes)
{
	buf_add(out, bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf once SCOPED_BUF, twice SCOPED_BUF;

	buf_init(&once, NULL, 0);
	buf_init(&twice, NULL, 0);
	binary_to_lines(slice_of((const char *)data, size), add, &once);
	binary_to_lines(buf_slice(&once), add, &twice);
	if (!slice_eq(buf_slice(&once), buf_slice(&twice)))
		abort();
	return 0;
}
