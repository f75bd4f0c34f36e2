/* Headers without UTF-8: what comes out is ASCII, stays as it is when done again, has no more fields than went in and, where nothing had to be
 * done, the fields that went in. */
#include <stdlib.h>

#include "mime/downgrade.h"
#include "mime/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool claim)
{
	if (!claim)
		abort();
}

static unsigned count_fields(struct slice header, bool only_ascii)
{
	struct header_field field;
	unsigned count = 0;

	while (header_next(&header, &field))
		count += !only_ascii || slice_is_ascii(field.whole);
	return count;
}

/* The header alone, as message_header gives it. */
static struct slice header_of(struct arena *arena, struct slice bytes)
{
	const struct message *message = message_parse(arena, bytes, NULL);

	return message_header(message, message->root);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena SCOPED_ARENA;
	struct slice header = header_of(&arena, slice_of((const char *)data, size));
	struct buf once, again;

	buf_init(&once, &arena, 0);
	buf_init(&again, &arena, 0);
	downgrade_header(&once, &arena, header);
	require(!downgrade_is_needed(buf_slice(&once)));
	downgrade_header(&again, &arena, buf_slice(&once));
	require(slice_eq(buf_slice(&once), buf_slice(&again)));
	unsigned fields = count_fields(buf_slice(&once), false);

	require(fields <= count_fields(header, false) && fields >= count_fields(header, true));
	require(once.len <= header.len || downgrade_is_needed(header));
	return 0;
}
