/* sort: SORT's criteria (RFC 5256 section 3, RFC 5957), what a message says to them, and THREAD's arguments. Pure.
 *
 * All criteria of a message become one string of bytes; messages are in the order of these strings, and where they are the same in
 * that of their numbers.
 */
#pragma once

#include "imap/search.h"

#define SORT_CRITERIA_MAX 32

enum sort_by {
	SORT_ARRIVAL,
	SORT_CC,
	SORT_DATE,
	SORT_DISPLAYFROM,
	SORT_DISPLAYTO,
	SORT_FROM,
	SORT_RELEVANCY, /* RFC 6203 section 6 */
	SORT_SIZE,
	SORT_SUBJECT,
	SORT_TO,
};

struct sort_criterion {
	enum sort_by by;
	bool reverse;
};

struct sort_request {
	struct sort_criterion criteria[SORT_CRITERIA_MAX];
	unsigned count;
	struct search_request search;
};
/* "RETURN (...) (criteria) charset keys", RETURN may lack. */
MUST_CHECK bool imap_parse_sort(struct imap_parser *p, struct sort_request *request);

enum thread_algorithm { THREAD_ORDEREDSUBJECT, THREAD_REFERENCES, THREAD_REFS };
struct thread_request {
	enum thread_algorithm algorithm;
	struct search_request search;
};
/* "algorithm charset keys" */
MUST_CHECK bool imap_parse_thread(struct imap_parser *p, struct thread_request *request);

/* EMAIL_* that the keys take. */
unsigned sort_needs(const struct sort_request *request);
/* RFC 5256 section 2.2: the Date field's moment, else when the message came. */
int64_t sort_sent_ms(int64_t sent_ms, int64_t received_ms);
/* `email` may be all empty where nothing is needed; `arena` for the work. */
void sort_key(struct buf *key, struct arena *arena, const struct sort_request *request, const struct view_message *message,
	      const struct email *email, unsigned score);

struct sort_entry {
	uint32_t sequence, uid;
	unsigned score; /* RFC 6203 section 4 */
	uint64_t modseq;
	struct slice key;
};
void sort_entries(struct sort_entry *entries, size_t count);
