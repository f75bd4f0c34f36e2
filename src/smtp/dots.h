/* dots: the text after DATA, taken apart at memchr's speed (RFC 5321 section 4.5.2). Pure.
 *
 * The end is CRLF "." CRLF and nothing else; "lines" end with CRLF and nothing else. A bare CR or LF is remembered, so that the message
 * is refused after its real end: a peer that takes it for a line end would see commands where we saw text (SMTP smuggling).
 */
#pragma once

#include <stdbool.h>

#include "base/slice.h"

enum dots_state {
	DOTS_START,  /* at the beginning of a line */
	DOTS_DOT,    /* behind a dot there */
	DOTS_DOT_CR, /* behind that and a CR */
	DOTS_LINE,
	DOTS_CR, /* behind a CR in a line */
};

struct dots {
	enum dots_state state;
	bool has_bare; /* a bare CR or LF was in it */
	bool ended;    /* the end was found: what is left of the input is the next command */
};

/* Takes the next run of the message off *in: true with *run, false when *in is used up or the end was reached. */
bool dots_next(struct dots *dots, struct slice *in, struct slice *run);
/* For BDAT, where dots mean nothing: looks for bare CR and LF only. */
void dots_check(struct dots *dots, struct slice bytes);
/* After the last byte: a CR that nothing followed is bare. */
static inline bool dots_has_bare(const struct dots *dots)
{
	return dots->has_bare || dots->state == DOTS_CR;
}
