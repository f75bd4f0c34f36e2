/* attachments: has what nobody has searched yet read beforehand (extract/extractor.h): every message with attachments, once, in a thread of its
 * own that rests as long as it works. What fails is logged and tried again.
 */
#pragma once

#include "base/error.h"
#include "base/log.h"

struct attachments;
struct extractor;
struct indexer;

struct attachments_options {
	int interval_ms;         /* between rounds; 0: 20 seconds */
	int rest_ms;             /* at least, between two messages that had to be read; 0: 20 */
	struct indexer *indexer; /* is woken when some have been read; outlives this. May be NULL */
};
/* `extractor` and `log` must outlive it. NULL: no thread could be started. */
MUST_CHECK struct attachments *attachments_new(const struct attachments_options *options, const struct extractor *extractor,
					       const struct log *log);
/* Ends after the message at work. */
void attachments_free(struct attachments *attachments);
