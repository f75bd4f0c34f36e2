/* gather: what SORT and THREAD want to know of the messages found, by one ordered scan; without one where the view knows it all. */
#pragma once

#include "imap/search_run.h"
#include "imap/sort.h"

/* Memory for what is kept of the messages while they are put in order. */
#define GATHER_BYTES_MAX ((size_t)256 * 1024 * 1024)

/* Called by uid for each message that is still there, inside of the read snapshot. False: no more memory. */
typedef bool (*gather_each)(void *context, const struct view_message *message, const struct email *email);
MUST_CHECK enum status imap_gather(struct imap_session *s, const struct search_hits *hits, unsigned wanted, gather_each each,
				   void *context);
/* The hits (by uid) in the order that is asked for, with their keys, in the arena. LIMIT: it is full. */
MUST_CHECK enum status imap_sort_hits(struct imap_session *s, const struct sort_request *request, const struct search_hits *hits,
				      struct arena *keys, struct sort_entry **entries, size_t *count);
