/* Encoded words and parameters: what comes out is UTF-8 of one line; what is encoded is decoded to the same; folding to search keys is
 * stable. */
#include <stdlib.h>

#include "mime/message.h"
#include "mime/words.h"
#include "mime/writer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool claim)
{
	if (!claim)
		abort();
}

static bool is_one_line(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if ((unsigned char)text.data[i] < ' ')
			return false;
	return true;
}

static void check_round_trip(struct arena *arena, struct slice text)
{
	struct buf encoded;

	buf_init(&encoded, arena, 0);
	words_encode(&encoded, text);
	require(slice_is_ascii(buf_slice(&encoded)));
	require(slice_eq(words_decode(arena, buf_slice(&encoded)), text));
}

static void check_field(struct arena *arena, struct slice text)
{
	struct buf field;
	struct header_field read;
	struct slice rest;

	buf_init(&field, arena, 0);
	header_write_text(&field, SLICE("Subject"), text);
	rest = buf_slice(&field);
	require(header_next(&rest, &read) && rest.len == 0 && slice_eq(read.name, SLICE("Subject")));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena SCOPED_ARENA;
	struct slice text = slice_of((const char *)data, size), decoded = words_decode(&arena, text);
	struct buf folded, again;

	require(slice_is_utf8(decoded) && is_one_line(decoded));
	buf_init(&folded, &arena, 0);
	buf_init(&again, &arena, 0);
	text_fold(&folded, decoded);
	text_fold(&again, buf_slice(&folded));
	require(slice_is_utf8(buf_slice(&folded)));
	require(slice_eq(buf_slice(&folded), buf_slice(&again)));
	if (slice_is_utf8(text) && is_one_line(text) && slice_trim(text).len == text.len)
		check_round_trip(&arena, text);
	check_field(&arena, text);
	return 0;
}
