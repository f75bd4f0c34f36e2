/* text_index: the full-text index: which messages of an account may hold a text. It narrows a search down, it never answers it: who asks looks
 * into the messages that it names, and into all that it doesn't know yet.
 *
 * It holds what message_texts tells, and what was read in attachments (attachment_text.h), folded by text_fold, as byte triples, in segments of some hundred messages (by their ids, which
 * only grow); a segment is written once, in one transaction, some time after its messages came. So a delivery has no part in it, and
 * an index that lags makes a search slower, not wrong.
 */
#pragma once

#include "store/attachment_text.h"

/* In percents: nothing is known of that one. */
#define TEXT_INDEX_UNKNOWN 255

/* An account is indexed when so many messages wait; fewer are as quickly looked into. */
#define TEXT_INDEX_PENDING 200

struct text_hits {
	int64_t covered;       /* messages with greater ids are not in the index; 0: none is, or the text is too short for it */
	const int64_t *emails; /* ascending */
	const uint8_t *percents; /* how much of the text's triples each has; or TEXT_INDEX_UNKNOWN */
	size_t count;
};
/* Messages that have at least so much of the text's triples (100: all, so that whoever isn't named doesn't hold the text), neither in
 * themselves nor in what that edition read in their attachments (0: attachments don't matter). */
MUST_CHECK enum status text_index_find(struct store *store, struct arena *arena, int64_t account, struct slice folded,
				       int64_t edition, unsigned least_percent, struct text_hits *hits);

/* Is the message known to be without it? */
static inline bool text_hits_exclude(const struct text_hits *hits, int64_t email)
{
	size_t low = 0, high = hits->count;

	if (email > hits->covered)
		return false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (hits->emails[middle] < email)
			low = middle + 1;
		else
			high = middle;
	}
	return low == hits->count || hits->emails[low] != email;
}

/* ---- for the jobs role ---- */

/* One segment for the first account from *account on that has enough waiting. *indexed: its messages; 0: there was none. *account moves on;
 * begin with 1. With an edition (NULL: none) only messages that it has been through are taken. */
MUST_CHECK enum status text_index_step(struct store *store, const struct attachment_edition *edition, int64_t *account, size_t *indexed);
/* Writes segments of one account anew in which less than half of the messages are left. *account as above; *more false: all have been
 * looked at. */
MUST_CHECK enum status text_index_tidy(struct store *store, const struct attachment_edition *edition, int64_t *account,
				       size_t *rewritten, bool *more);
/* Likewise one segment that was written before this edition had read its messages' attachments, once it has. *rewritten 0: no account has
 * such a one. */
MUST_CHECK enum status text_index_renew(struct store *store, const struct attachment_edition *edition, int64_t *account,
					size_t *rewritten);

struct text_index_state {
	int64_t last_email; /* messages with greater ids are not in it */
	int64_t messages, segments, bytes;
};
MUST_CHECK enum status text_index_state_of(struct store *store, int64_t account, struct text_index_state *state);
/* Forgets an account's index and what was read in its attachments: jobs makes them anew. */
MUST_CHECK enum status text_index_forget(struct store *store, int64_t account);
