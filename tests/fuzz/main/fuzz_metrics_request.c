#include <stdint.h>
#include <stdlib.h>

#include "main/metrics_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Once it is known what to answer, more bytes don't change it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice bytes = slice_of((const char *)data, size);
	enum metrics_answer answer, earlier;

	if (metrics_request_parse(bytes, &answer) != STATUS_OK)
		return 0;
	size_t end = slice_find(bytes, SLICE("\r\n\r\n"));

	if (end != SLICE_NOT_FOUND && (metrics_request_parse(slice_sub(bytes, 0, end + 4), &earlier) != STATUS_OK || earlier != answer))
		abort();
	struct buf out SCOPED_BUF;

	buf_init(&out, NULL, 0);
	metrics_answer_write(&out, answer, size);
	return 0;
}
