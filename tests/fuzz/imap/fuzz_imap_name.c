/* Names of mailboxes: what modified UTF-7 decodes to is UTF-8 and encodes to the same bytes; and patterns never run away. */
#include <stdlib.h>

#include "imap/name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena SCOPED_ARENA;
	struct slice input = slice_of((const char *)data, size), pattern = input, name;
	struct buf decoded, encoded;

	buf_init(&decoded, &arena, 0);
	buf_init(&encoded, &arena, 0);
	if (imap_utf7_decode(&decoded, input)) {
		if (!slice_is_utf8(buf_slice(&decoded)))
			abort();
		imap_utf7_encode(&encoded, buf_slice(&decoded));
		if (!slice_eq(buf_slice(&encoded), input))
			abort();
	}
	if (imap_name_decode(&arena, input, true, &name) && imap_name_is_valid(name)) {
		name = imap_name_canonical(&arena, name);
		buf_clear(&encoded);
		imap_utf7_encode(&encoded, name);
		buf_clear(&decoded);
		if (!imap_utf7_decode(&decoded, buf_slice(&encoded)) || !slice_eq(buf_slice(&decoded), name))
			abort();
	}
	name = slice_cut(&pattern, '\n');
	if (name.len < 200 && pattern.len < 200)
		(void)imap_pattern_matches(pattern, name);
	return 0;
}
