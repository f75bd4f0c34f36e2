/* What clients call themselves: whatever is a host name or literal is fit to be said, and nothing longer than one. */
#include <stdlib.h>

#include "guard/hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice hello = slice_of((const char *)data, size);

	if (!hello_is_well_formed(hello))
		return 0;
	if (size < 3 || size > 255)
		abort();
	for (size_t i = 0; i < size; i++)
		if (data[i] <= ' ' || data[i] == 127)
			abort();
	return 0;
}
