/* email_texts: a message as far as its texts go (mime/search_text.h): headers and text parts are read, attachments aren't. It looks
 * like a whole message, of which the rest is zeros that take no memory. A small one is there whole. */
#pragma once

#include "store/email.h"

struct email_texts {
	struct slice bytes;             /* as long as the message */
	const struct message *message;  /* its structure, over `bytes` */
	uint64_t read;                  /* how much of it is there */
	void *map;                      /* private, as is what follows; NULL: it's small enough for the reader's buffer */
	struct email_reader *reader;
};
/* The structure as the store has it. LIMIT: more than `max` bytes are texts. The rest as email_open. */
MUST_CHECK enum status email_texts_open(struct store *store, struct arena *arena, int64_t account, int64_t email, uint64_t size,
					struct slice structure, uint64_t max, struct email_texts *texts);
/* Harmless on a zeroed struct. */
void email_texts_close(struct email_texts *texts);
