/* search_run: the messages of the selected mailbox that match, for SEARCH, SORT and THREAD. */
#pragma once

#include "base/error.h"
#include "imap/limit.h"
#include "imap/search.h"
#include "net/engine.h"

/* By uid, in the command's arena. */
struct search_hits {
	uint32_t *uids, *sequences;
	uint64_t *modseqs; /* NULL: nobody asks */
	uint8_t *scores;   /* RFC 6203 section 4; NULL: nobody asks */
	size_t count;
	struct message_limit limit; /* of the messages that were looked at */
	bool missing; /* messages that the client still counts are gone and were passed over */
};
/* The keys are changed on the way: names become bits, sequence numbers uids. */
MUST_CHECK enum status imap_search_run(struct imap_session *s, const struct search_request *request, struct search_hits *hits);
/* Likewise of some messages only (uids; NULL: all), with keys that live in `keep` and are searched with again. */
MUST_CHECK enum status imap_search_among(struct imap_session *s, const struct search_request *request, const struct imap_set *among,
					 struct arena *keep, struct search_hits *hits);
/* SAVE, where it was asked for: "$" becomes what was found and told (`hits` in any order), or empty where the search failed. */
void imap_search_saved(struct imap_session *s, const struct search_request *request, enum status status,
		       const struct search_hits *hits);
/* imap_answer, with OK [EXPUNGEISSUED] where messages are missing (RFC 5530 section 3). */
enum next imap_answer_hits(struct imap_session *s, struct imap_command *command, enum status status, const struct search_hits *hits,
			   struct slice text);
/* NO [BADCHARSET]. */
enum next imap_no_charset(struct imap_session *s, struct imap_command *command, const struct search_request *request);

/* The answer: "* SEARCH 1 2 3", "* SORT 3 1 2" (RFC 3501 section 7.2.5), with `request->extended` "* ESEARCH" (RFC 9051 section 7.3.4,
 * RFC 5267 section 3). Hits in the order of the answer. */
void imap_put_hits(struct imap_session *s, const struct imap_command *command, const struct search_request *request,
		   const struct search_hits *hits, struct slice name);
/* ESEARCH's, which names the mailbox (RFC 7377 section 2.1). */
void imap_put_mailbox_hits(struct imap_session *s, const struct imap_command *command, const struct search_request *request,
			   const struct search_hits *hits, const struct mailbox *mailbox);
/* RFC 9394 section 3.1: the part of `count` results that a window shows; *length 0: none. */
void search_window_clip(struct search_window window, size_t count, size_t *first, size_t *length);
