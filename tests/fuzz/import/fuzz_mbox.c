/* An mbox: cutting it comes to its end, its messages lie in it one behind the other, and what is put again is found again as one. */
#include <stdlib.h>

#include "import/mbox.h"

static void check_again(struct slice restored)
{
	struct mbox_facts facts = {.sender = SLICE_EMPTY, .received_ms = 1795532400000, .keywords = SLICE_EMPTY, .uid = 3};
	struct buf file SCOPED_BUF;
	struct mbox_message message;

	buf_init(&file, NULL, 0);
	mbox_put(&file, &facts, restored);
	struct mbox mbox = {.rest = buf_slice(&file)};

	if (!mbox_next(&mbox, &message) || message.uid != 3 || mbox_next(&mbox, &message))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mbox mbox = {.rest = slice_of((const char *)data, size)};
	struct mbox_message message;
	const char *before = mbox.rest.data;

	while (mbox_next(&mbox, &message)) {
		struct buf text SCOPED_BUF;

		if (message.header.data < before || message.body.data < message.header.data + message.header.len)
			abort();
		before = message.body.data + message.body.len;
		buf_init(&text, NULL, 0);
		mbox_restore(&text, &message);
		check_again(buf_slice(&text));
	}
	return 0;
}
