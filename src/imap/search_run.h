/* search_run: the messages of the selected mailbox that match, for SEARCH, SORT and THREAD. */
#pragma once

#include "base/error.h"
#include "imap/search.h"

struct imap_session;

/* By uid, in the command's arena. */
struct search_hits {
	uint32_t *uids, *sequences;
	uint64_t *modseqs; /* NULL: nobody asks */
	size_t count;
};
/* RFC 7162 section 3.1.5, 3.1.10: the highest mod-sequence of the results that are shown; 0: none are, or nobody asks. */
uint64_t search_hits_modseq(const struct search_hits *hits, unsigned returns, struct search_window window);
/* `key` is changed on the way: names become bits, sequence numbers uids. */
MUST_CHECK enum status imap_search_run(struct imap_session *s, struct search_key *key, struct search_hits *hits);
/* RFC 5182 section 2.1: what "$" is from now on. */
void imap_search_save(struct imap_session *s, const uint32_t *uids, size_t count);

/* "* ESEARCH": RFC 9051 section 7.3.4, for SORT too (RFC 5267 section 3). `numbers` in the order of the answer. */
struct esearch {
	struct slice tag;
	bool uid;
	unsigned returns;
	struct search_window window; /* PARTIAL */
	const uint32_t *numbers;
	size_t count;
	uint64_t modseq; /* 0: not told */
};
void imap_put_esearch(struct imap_session *s, const struct esearch *esearch);
/* "* SEARCH 1 2 3", and the same for SORT. */
void imap_put_numbers(struct imap_session *s, struct slice name, const uint32_t *numbers, size_t count);
/* With "(MODSEQ n)" behind (RFC 7162 section 3.1.5); 0: without. */
void imap_put_numbers_modseq(struct imap_session *s, struct slice name, const uint32_t *numbers, size_t count, uint64_t modseq);
/* RFC 9394 section 3.1: the part of `count` results that a window shows; *length 0: none. */
void search_window_clip(struct search_window window, size_t count, size_t *first, size_t *length);
