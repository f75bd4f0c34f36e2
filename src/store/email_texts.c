#include "store/email_texts.h"

#include <string.h>
#include <sys/mman.h>

#include "mime/search_text.h"
#include "store/store_internal.h"

struct filling {
	struct email_reader *reader;
	struct email_texts *texts;
	uint64_t max;
	enum status status;
};

static void fill(void *context, uint64_t start, uint64_t end)
{
	struct filling *filling = context;
	struct email_texts *texts = filling->texts;
	struct slice piece;

	end = end < texts->bytes.len ? end : texts->bytes.len;
	for (uint64_t at = start; at < end && filling->status == STATUS_OK; at += piece.len) {
		filling->status = email_read(filling->reader, at, &piece);
		piece = slice_sub(piece, 0, (size_t)(end - at));
		texts->read += piece.len;
		if (filling->status == STATUS_OK && (piece.len == 0 || texts->read > filling->max))
			filling->status = piece.len == 0 ? STATUS_BUG : STATUS_LIMIT;
		if (filling->status == STATUS_OK)
			memcpy((char *)texts->map + at, piece.data, piece.len);
	}
}

/* A structure that doesn't tell all is no guide. */
static void fill_all(struct filling *filling, struct arena *arena, struct slice structure)
{
	struct email_texts *texts = filling->texts;
	const struct message *message = message_unpack(arena, structure, texts->bytes);

	texts->message = message;
	if (message && !message->truncated) {
		message_text_ranges(message, fill, filling);
		return;
	}
	fill(filling, 0, texts->bytes.len);
	if (!message && filling->status == STATUS_OK)
		texts->message = message_parse(arena, texts->bytes, NULL);
}

static enum status fill_map(struct filling *filling, struct arena *arena, uint64_t size, struct slice structure)
{
	struct email_texts *texts = filling->texts;

	texts->map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (texts->map == MAP_FAILED) {
		texts->map = NULL;
		return STATUS_TEMPORARY;
	}
	texts->bytes = slice_of(texts->map, size);
	fill_all(filling, arena, structure);
	return filling->status;
}

static enum status take_whole(struct email_texts *texts, struct arena *arena, struct slice bytes, struct slice structure)
{
	texts->bytes = bytes;
	texts->read = bytes.len;
	texts->message = message_unpack(arena, structure, bytes);
	if (!texts->message)
		texts->message = message_parse(arena, bytes, NULL);
	return STATUS_OK;
}

enum status email_texts_open(struct store *store, struct arena *arena, int64_t account, int64_t email, uint64_t size,
			     struct slice structure, uint64_t max, struct email_texts *texts)
{
	struct filling filling = {.texts = texts, .max = max};
	struct slice first;
	enum status status;

	*texts = (struct email_texts){.bytes = SLICE_EMPTY};
	status = email_open_sized(store, arena, account, email, size, &texts->reader);
	if (status != STATUS_OK)
		return status;
	filling.reader = texts->reader;
	status = email_read(texts->reader, 0, &first);
	if (status == STATUS_OK)
		status = first.len == size ? take_whole(texts, arena, first, structure) : fill_map(&filling, arena, size, structure);
	if (status != STATUS_OK)
		email_texts_close(texts);
	return status;
}

void email_texts_close(struct email_texts *texts)
{
	if (texts->map)
		(void)munmap(texts->map, texts->bytes.len);
	if (texts->reader)
		email_close(texts->reader);
	texts->map = NULL;
	texts->reader = NULL;
}
