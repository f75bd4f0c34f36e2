/* extractor: the text of a message's attachments, for who searches (imap) and who indexes (jobs): what the store has, or else what the role
 * convert makes of them now, which is then in the store. One for a role; any thread. */
#pragma once

#include "extract/converters.h"
#include "store/attachment_text.h"

struct ipc;

struct extractor_options {
	struct converters converters; /* slices outlive the extractor */
	uint32_t time_s;              /* a converter may take so long */
};
struct extractor {
	struct extractor_options options;
	struct attachment_edition edition;
	struct store *store;
	struct ipc *ipc;
	const struct log *log;
};
/* All three outlive it. `ipc` NULL: there are no other roles, and what isn't in the store is TEMPORARY. Not to be copied: its edition points
 * to it. */
void extractor_init(struct extractor *extractor, const struct extractor_options *options, struct store *store, struct ipc *ipc,
		    const struct log *log);
/* Are there attachments in it that have a converter? */
bool extractor_wants(const struct extractor *extractor, struct arena *arena, struct slice structure);
/* *packed: attachment_texts_next. Blocks, at most until until_ms (monotonic). TEMPORARY: not to be known now; LIMIT: `until_ms` has come;
 * NOT_FOUND: the message is gone. What can't be read counts as without text, and is logged once. */
MUST_CHECK enum status extractor_read(const struct extractor *extractor, struct arena *arena, int64_t account,
				      const struct attachment_source *source, int64_t until_ms, struct slice *packed);
