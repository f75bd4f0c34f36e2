/* PROXY headers: what is complete has a length within the input, and is needed whole: each part of it asks for more. */
#include <stdlib.h>

#include "net/proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice bytes = {(const char *)data, size};
	struct proxy_header header, part;
	size_t length, part_length;

	if (proxy_parse(bytes, &header, &length) != STATUS_OK)
		return 0;
	if (length == 0 || length > size || length > PROXY_HEADER_MAX)
		abort();
	if (header.has_addresses && (header.source.family == 0 || header.destination.family == 0))
		abort();
	if (proxy_parse(slice_sub(bytes, 0, length), &part, &part_length) != STATUS_OK || part_length != length ||
	    memcmp(&part, &header, sizeof(part)) != 0)
		abort();
	for (size_t i = 0; i < length; i += 1 + length / 64)
		if (proxy_parse(slice_sub(bytes, 0, i), &part, &part_length) != STATUS_NEED_MORE)
			abort();
	return 0;
}
