/* search: the keys of SEARCH (RFC 9051 section 6.4.4) as a tree, and what a message says to it. */
#pragma once

#include "imap/set.h"
#include "store/attachment_text.h"
#include "store/email.h"
#include "store/mailbox_view.h"
#include "store/text_index.h"

#define SEARCH_KEYS_MAX 1000

enum search_type {
	SEARCH_ALL,
	SEARCH_NONE,
	SEARCH_FLAGS,   /* (flags & mask) == value */
	SEARCH_KEYWORD, /* `text` names it; becomes FLAGS before the search, if there is such a keyword */
	SEARCH_UIDS,    /* `set`; from here on the keys are found out from left to right, cheap ones first */
	SEARCH_SEQUENCES,
	SEARCH_LARGER,
	SEARCH_SMALLER,
	SEARCH_BEFORE, /* `number`: the day */
	SEARCH_ON,
	SEARCH_SINCE,
	SEARCH_OLDER, /* `number`: seconds; becomes a moment before the search (RFC 5032) */
	SEARCH_YOUNGER,
	SEARCH_MODSEQ,   /* at least `number` (RFC 7162 section 3.1.5) */
	SEARCH_THREAD_ID, /* likewise; `emails` before the search */
	SEARCH_EMAIL_ID, /* `text` (RFC 8474 section 6); `number` before the search */
	SEARCH_SAVED_BEFORE, /* `number`: the day (RFC 8514 section 4.3) */
	SEARCH_SAVED_ON,
	SEARCH_SAVED_SINCE,
	SEARCH_SENT_BEFORE,
	SEARCH_SENT_ON,
	SEARCH_SENT_SINCE,
	SEARCH_ENVELOPE, /* item `value` holds `text` */
	SEARCH_HEADER,   /* `name` holds `text` */
	SEARCH_BODY,
	SEARCH_TEXT,
	SEARCH_FUZZY, /* the first child, fuzzily (RFC 6203) */
	SEARCH_NOT,   /* of the first child */
	SEARCH_AND,
	SEARCH_OR,
};

struct search_key {
	enum search_type type;
	uint64_t mask, value;
	int64_t number;
	struct slice name, text; /* text: folded for comparison (RFC 5051) */
	const int64_t *emails; /* ascending */
	size_t email_count;
	struct imap_set set;
	struct imap_set given; /* UIDS: as they were given, "*" and all */
	bool prepared;         /* what is found out once: sequence numbers, moments */
	bool fuzzy;    /* a text that is looked for fuzzily */
	const struct text_hits *index; /* BODY, TEXT: what the full-text index says; NULL: nothing */
	struct search_key *children, *next;
};

enum {
	SEARCH_RETURN_MIN = 1 << 0,
	SEARCH_RETURN_MAX = 1 << 1,
	SEARCH_RETURN_ALL = 1 << 2,
	SEARCH_RETURN_COUNT = 1 << 3,
	SEARCH_RETURN_SAVE = 1 << 4,
	SEARCH_RETURN_PARTIAL = 1 << 5,
	SEARCH_RETURN_RELEVANCY = 1 << 6,
	SEARCH_RETURN_CONTEXT = 1 << 7, /* a hint, which nothing is made of (RFC 5267 section 4.2) */
	SEARCH_RETURN_UPDATE = 1 << 8,
};

/* RFC 9394 section 3.1: results first..last, counted from 1, from the end with `from_end`. */
struct search_window {
	bool from_end;
	uint32_t first, last;
};
/* "1:500", "-1:-500". */
MUST_CHECK bool imap_parse_window(struct imap_parser *p, struct search_window *window);

struct search_request {
	bool extended; /* RETURN was given */
	unsigned returns;
	struct search_window window; /* PARTIAL */
	bool unknown_charset;        /* answered by BADCHARSET; the keys have not been read */
	struct search_key *key;
	struct imap_parser program; /* where the keys begin, and UPDATE's items: a context reads them again */
	struct imap_parser update;
	bool has_items;    /* UPDATE has some (RFC 5465 section 7) */
	bool has_fuzzy;    /* there is a FUZZY key */
	bool wants_scores; /* RELEVANCY is asked for */
};
MUST_CHECK bool imap_parse_search(struct imap_parser *p, struct search_request *request);
/* The pieces, for SORT and THREAD: "RETURN (...) " if it is there; a charset and the keys behind it. */
MUST_CHECK bool imap_parse_search_return(struct imap_parser *p, struct search_request *request);
/* SEARCH's: "CHARSET charset keys" or keys. */
MUST_CHECK bool imap_parse_search_keys(struct imap_parser *p, struct search_request *request);
MUST_CHECK bool imap_parse_search_program(struct imap_parser *p, struct search_request *request);

/* ---- evaluation ---- */

enum search_answer { SEARCH_NO, SEARCH_YES, SEARCH_UNKNOWN /* takes the message's text */ };

/* What is known without the message's bytes. */
enum search_answer search_facts(const struct search_key *key, const struct view_message *message);
/* Is it asked for mod-sequences? Then the answer tells the highest. */
bool search_uses_modseq(const struct search_key *key);
/* EMAIL_* that the rest takes. */
unsigned search_needs(const struct search_key *key);
/* A message with its bytes (and the structure, if needed). */
struct search_text {
	const struct email *email;
	struct slice attachments;  /* what was read in them: attachment_texts_next */
	bool attachments_unread;   /* that isn't known */
};
/* UNKNOWN: only what stands in attachments can tell, and that isn't known. `arena` for the work on this message. */
enum search_answer search_judge(const struct search_key *key, const struct view_message *message, const struct search_text *text,
				struct arena *arena);

/* ---- fuzzily (RFC 6203): search_score.c ---- */

/* 0 to 100: how much of the key's text is in a value; what isn't looked into counts as nothing. */
unsigned search_key_score(const struct search_key *key, const struct view_message *message, const struct search_text *text,
			  struct arena *arena);
/* RFC 6203 section 4: 1 to 100, of a message that matches. `text` may be NULL: it has not been needed. */
unsigned search_score(const struct search_key *key, const struct view_message *message, const struct search_text *text,
		      struct arena *arena);
/* What the full-text index knows of a fuzzy BODY or TEXT key; false: nothing. */
MUST_CHECK bool search_index_score(const struct search_key *key, int64_t email, unsigned *percent);
