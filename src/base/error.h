/* error: one enum of error classes for the whole tree, and a detail for people.
 *
 * A function that can fail for its caller's sake returns `enum status` (or bool) and must be looked at. One function per
 * protocol turns the class into its reply (4xx, 5xx, NO, BAD, BYE, 503): no call site invents codes.
 */
#pragma once

#include "base/slice.h"

struct arena;

enum status {
	STATUS_OK = 0,
	STATUS_NEED_MORE, /* the input ends too early: more may come */
	STATUS_PEER,      /* the peer's fault: malformed, out of order */
	STATUS_NOT_FOUND, /* no such account, mailbox, message, ... */
	STATUS_EXISTS,    /* it is there already */
	STATUS_REFUSED,   /* permanent: policy, permission, disabled */
	STATUS_TEMPORARY, /* try again: disk full, database or role down, time-out */
	STATUS_LIMIT,     /* a limit is reached: size, count, quota */
	STATUS_BUG,       /* ours */
};

/* The detail of a failure. `text` is plain English without a full stop, fit for a log and for the person who must act;
 * it lives in the arena it was made from, or is a literal. */
struct error {
	enum status status;
	struct slice text;
};

/* "ok", "need-more", "peer", ...: for logs. */
struct slice status_name(enum status status);

/* Fills *error (which may be NULL) and returns `status`, so that a function can end with `return error_set(...)`. */
__attribute__((format(printf, 4, 5))) enum status error_set(struct error *error, struct arena *arena, enum status status,
                                                     const char *format, ...);
#define MUST_CHECK __attribute__((warn_unused_result))
