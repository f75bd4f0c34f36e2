/* Archives and the XML in them; XML by itself too, since few mutations of an archive unpack. Never more text than may come of it. */
#include <stdlib.h>

#include "extract/office.h"
#include "extract/xml_text.h"

#define LIMIT (1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct xml_rules rules = {.texts = "t", .hidden = "h", .breaks = "p c", .has_cells = true},
				      all = {.breaks = "p"};
	struct slice bytes = slice_of((const char *)data, size);
	struct buf out SCOPED_BUF;

	buf_init(&out, NULL, LIMIT);
	bool is_archive = office_to_text(&out, bytes);

	if (out.len > LIMIT || (!is_archive && out.len > 0))
		abort();
	buf_clear(&out);
	xml_to_text(&out, bytes, &rules);
	buf_clear(&out);
	xml_to_text(&out, bytes, &all);
	/* UTF-16 may grow; all else becomes shorter. */
	if (out.len > 3 * size + 1)
		abort();
	return 0;
}
