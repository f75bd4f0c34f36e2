/* Names and small files of a Maildir; the first byte chooses. What a list holds must be found in it. */
#include <stdlib.h>

#include "import/maildir.h"

static void touch(void *context, struct slice s)
{
	volatile char sum = 0;

	(void)context;
	for (size_t i = 0; i < s.len; i++)
		sum = (char)(sum + s.data[i]);
}

static void uidlist(struct slice input, struct arena *arena)
{
	struct maildir_uidlist list;

	maildir_uidlist_parse(arena, input, &list);
	for (size_t i = 0; i < list.count; i++)
		if (maildir_uidlist_find(&list, list.uids[i].base) == 0)
			abort();
}

static void folder(struct slice input, struct arena *arena)
{
	struct slice name;
	struct buf out;

	if (!maildir_folder_decode(arena, input, '.', &name))
		return;
	buf_init(&out, arena, 0);
	maildir_folder_encode(&out, name);
	touch(NULL, buf_slice(&out));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena SCOPED_ARENA;
	struct slice input = slice_of((const char *)data + 1, size - (size > 0)), keywords[MAILDIR_KEYWORDS];
	struct maildir_name name;

	if (size == 0)
		return 0;
	switch (data[0] % 5) {
	case 0:
		if (maildir_name_parse(input, &name) && (name.unique.len == 0 || name.unique.len > name.base.len))
			abort();
		break;
	case 1:
		uidlist(input, &arena);
		break;
	case 2:
		maildir_keywords_parse(input, keywords);
		for (size_t i = 0; i < MAILDIR_KEYWORDS; i++)
			touch(NULL, keywords[i]);
		break;
	case 3:
		maildir_subscriptions_parse(&arena, input, '.', touch, NULL);
		break;
	default:
		folder(input, &arena);
	}
	return 0;
}
