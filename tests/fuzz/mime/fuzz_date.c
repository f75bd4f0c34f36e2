/* Dates: what is understood is written and understood again. */
#include <stdlib.h>

#include "mime/words.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena SCOPED_ARENA;
	struct buf out;
	int64_t at, again;
	int zone, zone_again;

	if (!date_parse(slice_of((const char *)data, size), &at, &zone))
		return 0;
	buf_init(&out, &arena, 0);
	date_format(&out, at, zone);
	if (!date_parse(buf_slice(&out), &again, &zone_again) || again != at || zone_again != zone)
		abort();
	return 0;
}
