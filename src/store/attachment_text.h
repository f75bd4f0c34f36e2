/* attachment_text: what converters read in a message's attachments (extract/extract.h), kept beside the message until it goes: made once,
 * after the fact. A message that has attachments but nothing that could be read in them has an empty one.
 *
 * An edition is the number of a set of converters, greater than 0: what another edition has read is as good as nothing. 0 stands for no
 * converters at all.
 */
#pragma once

#include "base/buf.h"
#include "store/store.h"

struct attachment_edition {
	int64_t number;
	/* Is there anything in that message (message_pack) that it reads? Any thread. */
	bool (*wants)(const void *context, struct arena *arena, struct slice structure);
	const void *context;
};
static inline int64_t attachment_edition_number(const struct attachment_edition *edition)
{
	return edition ? edition->number : 0;
}

/* ---- the texts of a message, packed one after the other ---- */

struct attachment_text {
	uint64_t part;   /* where its body begins in the message */
	uint64_t reader; /* what read it */
	struct slice utf8;
};
void attachment_texts_add(struct buf *packed, const struct attachment_text *text);
/* The next one; false at the end. */
MUST_CHECK bool attachment_texts_next(struct slice *packed, struct attachment_text *text);

/* NOT_FOUND: that edition hasn't read them. ATTACHMENT_ANY_EDITION: whatever there is, for who knows what to make of it. */
#define ATTACHMENT_ANY_EDITION (-1)
MUST_CHECK enum status attachment_texts_read(struct store *store, struct arena *arena, int64_t account, int64_t email,
					     int64_t edition, struct slice *packed);
/* What stands there of that edition stays, whoever was first. NOT_FOUND: the message is gone. */
MUST_CHECK enum status attachment_texts_write(struct store *store, int64_t account, int64_t email, int64_t edition,
					      struct slice packed);

/* ---- for the jobs role: account by account, in the order of messages ---- */

struct attachment_source {
	int64_t email;
	struct slice structure; /* message_pack */
};
struct attachment_batch {
	int64_t account; /* 0: no account has anything that waits */
	int64_t up_to;   /* when these are read, all messages up to this one are */
	struct attachment_source *sources;
	size_t count; /* may be 0 */
};
/* Of the first account from `account` on that has messages whose attachments this edition hasn't looked at. */
MUST_CHECK enum status attachment_batch_next(struct store *store, struct arena *arena, int64_t edition, int64_t account,
					     struct attachment_batch *batch);
MUST_CHECK enum status attachment_batch_done(struct store *store, int64_t edition, const struct attachment_batch *batch);

/* How far it is. */
struct attachment_state {
	int64_t edition, last_email; /* 0: never begun */
	int64_t messages;            /* with texts, or attachments that hold none */
};
MUST_CHECK enum status attachment_state_of(struct store *store, int64_t account, struct attachment_state *state);
