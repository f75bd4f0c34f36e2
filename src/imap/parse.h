/* parse: the words of IMAP commands (RFC 9051 section 9), taken from a slice. Pure: no socket, no store, no options.
 *
 * A parser walks over the text of one whole command; literals are part of the text ("{3}\r\nabc"). Each function takes one thing
 * off the front and returns true, or returns false, leaves a fault in words and takes nothing more. Slices point into the text,
 * or into the arena where something had to be unescaped or decoded.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/slice.h"

#define IMAP_TAG_MAX      100
#define IMAP_KEYWORD_MAX  100 /* bytes of a flag's name */
#define IMAP_KEYWORDS_MAX 64  /* in one command */
#define IMAP_NAME_MAX     1000
#define IMAP_RANGES_MAX   50000
#define IMAP_DEPTH_MAX    50  /* of brackets */
#define IMAP_PARTS_MAX    101 /* numbers of a section: what message_parse makes at most, and the root */

struct imap_parser {
	struct slice rest;
	struct arena *arena;
	struct slice fault; /* the first; empty: none */
	bool is_impossible; /* the fault isn't one of grammar: no mailbox can have such a name (RFC 5530 section 3: CANNOT) */
	bool uid_only;      /* sequence numbers are a fault (RFC 9586) */
	bool needs_uid;     /* it is that */
	bool utf8;          /* mailbox names are UTF-8 (IMAP4rev2 enabled), else modified UTF-7 */
};

void imap_parser_init(struct imap_parser *p, struct arena *arena, struct slice text, bool utf8);
/* Notes the fault if it is the first; always false, so that a function can end with it. */
bool imap_fault(struct imap_parser *p, struct slice fault);

/* The fault of a sequence number where there are none; true where there are. */
bool imap_allow_sequence(struct imap_parser *p);

/* The next byte, 0 at the end. */
static inline char imap_peek(const struct imap_parser *p)
{
	return p->rest.len ? p->rest.data[0] : '\0';
}
/* Takes the byte if it is there; no fault otherwise. */
bool imap_accept(struct imap_parser *p, char byte);
/* Takes the word if it stands there as a whole, in any case; no fault otherwise. */
bool imap_accept_word(struct imap_parser *p, struct slice word);
MUST_CHECK bool imap_parse_byte(struct imap_parser *p, char byte);
MUST_CHECK bool imap_parse_space(struct imap_parser *p);
MUST_CHECK bool imap_parse_end(struct imap_parser *p);
/* At least one of A-Z a-z 0-9 . - : names of commands, items and keys. */
MUST_CHECK bool imap_parse_word(struct imap_parser *p, struct slice *word);
MUST_CHECK bool imap_parse_tag(struct imap_parser *p, struct slice *tag);
bool imap_is_atom(struct slice text);
MUST_CHECK bool imap_parse_atom(struct imap_parser *p, struct slice *atom);
/* Quoted or literal. */
MUST_CHECK bool imap_parse_string(struct imap_parser *p, struct slice *string);
/* data NULL for NIL. */
MUST_CHECK bool imap_parse_nstring(struct imap_parser *p, struct slice *string);
MUST_CHECK bool imap_parse_astring(struct imap_parser *p, struct slice *string);
MUST_CHECK bool imap_parse_u32(struct imap_parser *p, uint32_t *number);
MUST_CHECK bool imap_parse_u64(struct imap_parser *p, uint64_t *number);

/* ---- literals: RFC 9051 section 4.3, RFC 7888 ---- */

struct imap_literal {
	uint64_t size;
	bool waits;  /* {n}: the client waits for "+ " */
	bool binary; /* ~{n} */
};
/* Does a line end with the head of a literal? */
bool imap_line_literal(struct slice line, struct imap_literal *literal);

/* ---- flags ---- */

struct imap_flags {
	uint64_t system; /* FLAG_SEEN ... FLAG_DELETED */
	struct slice *keywords;
	size_t keyword_count;
};
/* "(\Seen $Forwarded)"; with `bare`, also without parentheses (STORE). */
MUST_CHECK bool imap_parse_flags(struct imap_parser *p, bool bare, struct imap_flags *flags);

/* ---- dates ---- */

/* "17-Jul-1996 02:44:25 -0700", in quotes. */
MUST_CHECK bool imap_parse_date_time(struct imap_parser *p, int64_t *wall_ms);
/* 1-Feb-1994, bare or in quotes: the days since 1970. */
MUST_CHECK bool imap_parse_date(struct imap_parser *p, int64_t *day);

/* ---- mailboxes ---- */

/* The name in UTF-8, INBOX in capitals. Only names that a mailbox can have pass. */
MUST_CHECK bool imap_parse_mailbox(struct imap_parser *p, struct slice *name);
/* Likewise, and a "/" at the end is passed over (RFC 9051 section 6.3.4). */
MUST_CHECK bool imap_parse_new_mailbox(struct imap_parser *p, struct slice *name);
/* A pattern or a reference of LIST, in UTF-8. */
MUST_CHECK bool imap_parse_pattern(struct imap_parser *p, struct slice *pattern);

/* Is this, from behind the tag, the beginning of an APPEND or REPLACE up to and with its mailbox? What follows such commands read
 * themselves, as it comes. */
bool imap_brings_message(struct imap_parser *p);
