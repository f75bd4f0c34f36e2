/* context: searches whose results are kept up to date (RFC 5267 section 4.3): UPDATE, ADDTO, REMOVEFROM, CANCELUPDATE.
 *
 * A context keeps the keys and, of the results, runs of uids; with SORT also what each is sorted by. What has changed since is searched
 * again, and the difference is told. So a parked session with one costs little, and one without none.
 */
#pragma once

#include "imap/search_run.h"
#include "imap/sort.h"

struct view_news;

bool imap_context_is_used(struct imap_session *s, struct slice tag);
/* After the command's own answer; `sort` NULL: SEARCH; `mailbox` not NULL: ESEARCH, which names it (RFC 7377 section 2.1). If there can't be one more, the client is told (RFC 5267 section 4.3.1). */
void imap_context_begin(struct imap_session *s, const struct imap_command *command, const struct search_request *request,
			const struct sort_request *sort, const struct search_hits *hits, const struct mailbox *mailbox);
/* Before EXPUNGE is told (RFC 5267 section 4.3.4). */
void imap_contexts_expunged(struct imap_session *s, const struct view_news *news);
/* After EXISTS and FETCH are told; messages with uids from uid_next on are new. */
void imap_contexts_changed(struct imap_session *s, uint32_t uid_next);
void imap_contexts_end(struct imap_session *s);
