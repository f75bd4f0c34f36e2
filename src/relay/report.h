/* report: the text of a delivery status notification (RFC 3464, with RFC 6533 where addresses are UTF-8): what happened to which
 * recipients, for people and for programs, and the message it is about. Pure but for the boundary and the message id. */
#pragma once

#include "base/buf.h"
#include "relay/reply.h"

enum report_action {
	REPORT_FAILED,
	REPORT_DELAYED,
	REPORT_RELAYED, /* RFC 3461 section 6.1: success, but the next host gives no DSN */
};

struct report_recipient {
	struct slice address;
	struct slice original; /* ORCPT as it came, "rfc822;" and xtext; or empty */
	enum report_action action;
	struct slice status; /* "5.1.1" */
	struct reply reply;
	struct slice remote;    /* "mx.example.org [192.0.2.1]"; empty: nobody was asked */
	int64_t retry_until_ms; /* delayed */
};

struct report {
	struct slice hostname;    /* the reporting MTA */
	struct slice sender;      /* to whom it goes */
	struct slice queue_id;    /* of the message it is about */
	struct slice envelope_id; /* ENVID as it came, xtext; or empty */
	int64_t arrived_ms, now_ms;
	const struct report_recipient *recipients;
	size_t count;
	struct slice original; /* the message, or its header */
	bool original_is_whole;
};

/* With header, CRLF line ends. *is_utf8: it needs SMTPUTF8. */
void report_write(struct buf *out, struct arena *arena, const struct report *report, bool *is_utf8);
/* RFC 3461 section 4: "+2B" is "+"; what isn't xtext is left as it stands. */
struct slice report_decode_xtext(struct arena *arena, struct slice xtext);
