/* Stored structures that are damaged: refused, or such that all answers about them are harmless. */
#include <stdlib.h>

#include "mime/imap_structure.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(struct arena *arena, const struct message *message)
{
	struct buf out;
	uint64_t start, end;
	uint32_t one = 1;

	buf_init(&out, arena, 0);
	imap_body_structure(&out, arena, message);
	for (unsigned count = 0; count < 2; count++)
		if (message_section_range(message, &one, count, MESSAGE_SECTION_TEXT, &start, &end) && start > end)
			abort();
	message_pack(&out, message);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena SCOPED_ARENA;
	struct slice bytes = slice_of((const char *)data, size);
	struct message *message = message_unpack(&arena, bytes, bytes);

	if (message)
		use(&arena, message);
	return 0;
}
