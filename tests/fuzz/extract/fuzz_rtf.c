/* RTF: text is at most three bytes for one. */
#include <stdlib.h>

#include "extract/rtf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf out SCOPED_BUF;

	if (rtf_to_text(&out, slice_of((const char *)data, size)) && out.len > 4 * size + 1)
		abort();
	return 0;
}
