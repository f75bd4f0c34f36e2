/* incoming: a message as it comes in. Up to INCOMING_INLINE_MAX bytes stand in the arena; a larger one goes on in a memfd, so that
 * memory is bounded whatever its size. The first fault sticks, and what comes after it is thrown away.
 */
#pragma once

#include "base/arena.h"
#include "base/budget.h"
#include "base/buf.h"
#include "base/error.h"
#include "smtp/header.h"

#define INCOMING_INLINE_MAX (64 * 1024)
#define INCOMING_HEADER_MAX (256 * 1024) /* in memory until its end is seen; a longer one is passed on as it is */

enum incoming_fault {
	INCOMING_OK,
	INCOMING_TOO_LARGE,
	INCOMING_STORAGE, /* no memory (left) or no descriptor: temporary */
	INCOMING_LOOP,
	INCOMING_NUL,
};

struct incoming {
	struct arena *arena;
	struct buf head;  /* all of it, or what comes first */
	int fd;           /* -1: none */
	size_t next_look; /* at the header, when `head` is so long */
	size_t prefix;    /* our own trace header's length */
	uint64_t size, limit;
	char last[2]; /* bytes that came last */
	enum incoming_fault fault;
	struct budget *memory; /* what a memfd takes is taken from there; or NULL */
	uint64_t taken;
	struct header_facts facts; /* once the header is complete */
	bool header_done;
	bool is_raw; /* nothing is looked at or added: what was said is what there is */
	/* How the header is completed. */
	unsigned max_received;
	bool add_missing;
	struct header_origin origin;
};

/* Fields of `plan` from max_received on are the caller's; `trace` is the Received field. */
void incoming_begin(struct incoming *incoming, struct arena *arena, const struct incoming *plan, struct slice trace);
/* RFC 5322 section 2.2, RFC 2045 section 2.8: there is no NUL in text, and IMAP has no way to say it (RFC 9051 section 4.3). From our own users it is
 * left out, from others a fault. */
void incoming_add(struct incoming *incoming, struct slice bytes);
/* Completes header and last line; the message is then in `head`, or in the sealed `fd` if that is there. */
void incoming_end(struct incoming *incoming);
/* Puts another message in its place, whole and with its trace header: `header` with its blank line, in the incoming's arena or longer
 * lived; `body` may point into the message that is there. False: no memory or no descriptor. */
MUST_CHECK bool incoming_replace(struct incoming *incoming, struct slice header, struct slice body);
/* Closes what is open. Harmless twice, and on a zeroed struct whose fd is -1. */
void incoming_close(struct incoming *incoming);
