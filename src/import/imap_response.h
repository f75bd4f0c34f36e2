/* imap_response: what an IMAP server says, as values (RFC 9051 section 7). Pure: a whole response with its literals in, values that
 * point into it out. Tolerant of what servers of all ages send; what can't be understood is no response.
 */
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "base/slice.h"

#define IMAP_VALUES_MAX 100000
#define IMAP_VALUE_DEPTH_MAX  20

enum imap_value_kind { IMAP_ATOM, IMAP_STRING, IMAP_LIST, IMAP_NIL };

struct imap_value {
	enum imap_value_kind kind;
	struct slice text;         /* of atoms and strings */
	struct imap_value *values; /* of a list: the first */
	struct imap_value *next;
};

enum imap_response_kind {
	IMAP_RESPONSE_TAGGED,    /* "a1 OK ..." */
	IMAP_RESPONSE_CONDITION, /* "* OK ...", PREAUTH, BYE, ... */
	IMAP_RESPONSE_DATA,      /* "* LIST ...", "* 3 FETCH ..." */
	IMAP_RESPONSE_GO_ON,     /* "+ ..." */
};

struct imap_response {
	enum imap_response_kind kind;
	struct slice tag;
	struct slice name; /* "OK", "NO", "BAD", "BYE", "PREAUTH"; "LIST", "FETCH", "EXISTS", ... */
	uint32_t number;   /* before the name; 0: none */
	struct slice code; /* "UIDVALIDITY 4711", without the brackets */
	struct slice text; /* for people; of GO_ON all of it */
	struct imap_value *values;
};
/* `bytes`: with literals in their places, "{3}" CRLF and three bytes, without the final CRLF. */
MUST_CHECK bool imap_response_parse(struct arena *arena, struct slice bytes, struct imap_response *response);
/* Does the line end in "{123}"? Then so many bytes follow it. */
bool imap_line_announces(struct slice line, uint64_t *size);

/* The value behind the name in FETCH's list of pairs; NULL: not there. "BODY[]" finds "BODY[]". */
const struct imap_value *imap_value_find(const struct imap_value *list, struct slice name);
/* "17-Jul-1996 02:44:25 -0700" */
MUST_CHECK bool imap_date_parse(struct slice text, int64_t *wall_ms);
