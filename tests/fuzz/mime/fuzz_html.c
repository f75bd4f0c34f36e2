/* Text out of HTML is never longer than it, but for what an entity may grow. */
#include <stdlib.h>

#include "mime/search_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf out SCOPED_BUF;

	html_to_text(&out, slice_of((const char *)data, size));
	if (out.len > 2 * size)
		abort();
	return 0;
}
