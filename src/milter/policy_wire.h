/* policy_wire: Postfix's policy delegation protocol (its SMTPD_POLICY_README): a request is lines "name=value" and an empty line, the reply
 * a line "action=..." and an empty line. Pure.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

/* Where in the session it is asked; bits of a set. */
enum policy_stage {
	POLICY_CONNECT = 1 << 0,
	POLICY_HELO = 1 << 1,
	POLICY_MAIL = 1 << 2,
	POLICY_RCPT = 1 << 3,
	POLICY_DATA = 1 << 4,
	POLICY_MESSAGE = 1 << 5,
};
/* "connect", "helo", "mail", "rcpt", "data", "end-of-message"; 0: none of them. */
unsigned policy_stage_parse(struct slice name);

/* A line of the request. What would end it in the value becomes '?'. */
void policy_put(struct buf *out, const char *name, struct slice value);
void policy_put_number(struct buf *out, const char *name, uint64_t value);

enum policy_action {
	POLICY_DUNNO,           /* the next one may say */
	POLICY_OK,              /* nobody else is asked at this stage */
	POLICY_REFUSE,          /* with code, enhanced and text */
	POLICY_DEFER_IF_PERMIT, /* refuse for now, if nobody refuses for good */
	POLICY_DEFER_IF_REJECT, /* refuse for now what others refuse for good */
	POLICY_HOLD,
	POLICY_DISCARD,
	POLICY_PREPEND,  /* text: a header field */
	POLICY_REDIRECT, /* text: an address */
	POLICY_BCC,      /* likewise */
	POLICY_NOTE,     /* text: for the log */
	POLICY_MISTAKEN, /* it isn't an action that we know: 451 4.3.5, as Postfix has it */
};
struct policy_verdict {
	enum policy_action action;
	unsigned code; /* POLICY_REFUSE: 400 to 599; of the DEFER_... 450 */
	struct slice enhanced, text;
};
/* "DUNNO", "REJECT not today", "450 4.2.0 later". Slices of `text`, or literals. */
struct policy_verdict policy_parse_action(struct slice text);
/* The value of "action=", of a line of the reply. False: another line. */
MUST_CHECK bool policy_parse_line(struct slice line, struct slice *action);
