/* The words of GETMETADATA: options in front and behind, entries, entries alone. What is an entry stays one when it is read again. */
#include <stdlib.h>

#include "imap/metadata.h"

static void check(struct arena *arena, struct slice entry)
{
	struct imap_parser p;
	struct slice again;
	struct buf quoted;

	if (entry.len > ANNOTATION_ENTRY_MAX || entry.len < 7 || entry.data[0] != '/')
		abort();
	buf_init(&quoted, arena, 0);
	buf_printf(&quoted, "{%zu}\r\n", entry.len);
	buf_add(&quoted, entry);
	imap_parser_init(&p, arena, buf_slice(&quoted), true);
	if (!imap_parse_entry(&p, &again) || !slice_eq(entry, again) || p.rest.len > 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena SCOPED_ARENA;
	struct metadata_request request = {0};
	struct imap_parser p;
	struct slice entry;

	imap_parser_init(&p, &arena, slice_of((const char *)data, size), false);
	if (metadata_at_options(&p) && (!metadata_parse_options(&p, &request) || !imap_accept(&p, ' ')))
		return 0;
	if (!metadata_parse_entries(&p, &request)) {
		if (p.fault.len == 0)
			abort();
		return 0;
	}
	if (request.entry_count == 0 || request.entry_count > METADATA_ENTRIES_MAX)
		abort();
	for (size_t i = 0; i < request.entry_count; i++)
		check(&arena, request.entries[i]);
	if (imap_accept(&p, ' ') && imap_parse_entry(&p, &entry))
		check(&arena, entry);
	return 0;
}
