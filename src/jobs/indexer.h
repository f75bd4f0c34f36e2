/* indexer: brings the full-text index (store/text_index.h) on, at the start and each minute, in a thread of its own that rests as long as it
 * works: nobody waits for it. Each hour what is gone for the most part is written anew. What fails is logged and tried again.
 */
#pragma once

#include "base/error.h"
#include "base/log.h"

struct attachment_edition;
struct indexer;
struct store;

struct indexer_options {
	int interval_ms;      /* between rounds; 0: a minute */
	int rest_ms;          /* at least, between two steps; 0: 50 */
	int tidy_interval_ms; /* 0: an hour */
	const struct attachment_edition *edition; /* whose texts of attachments are in the index; outlives it. NULL: nobody's */
};
/* `store` and `log` must outlive it. NULL: no thread could be started. */
MUST_CHECK struct indexer *indexer_new(const struct indexer_options *options, struct store *store, const struct log *log);
/* There is something to do: the next round begins now. Any thread. */
void indexer_wake(struct indexer *indexer);
/* Ends after the step that is running. */
void indexer_free(struct indexer *indexer);
