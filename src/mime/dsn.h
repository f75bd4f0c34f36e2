/* dsn: a delivery status notification as a message (RFC 3464; RFC 6533 where addresses are UTF-8): a first part in plain English
 * for people, a second for programs, and the message it is about, or its header.
 *
 * Pure: the caller gives the times and a random token, which becomes the message id and the boundary. Texts of peers may hold
 * anything: control characters and line ends become spaces, and what must be ASCII is made so.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"

enum dsn_action { DSN_FAILED, DSN_DELAYED, DSN_DELIVERED, DSN_RELAYED, DSN_EXPANDED };

struct dsn_recipient {
	struct slice final;    /* the address as we had it */
	struct slice original; /* ORCPT with its type, "rfc822;alice@example.org", xtext taken off; or empty */
	enum dsn_action action;
	struct slice status;     /* RFC 3463: "5.1.1" */
	struct slice remote_mta; /* "mx.example.org" or "[192.0.2.1]"; empty: nobody was asked */
	struct slice diagnostic; /* what was said, "550 5.1.1 no such user", lines parted by LF; or empty */
	bool diagnostic_is_ours; /* not what a peer said in SMTP */
	int64_t last_attempt_ms; /* 0: absent */
	int64_t retry_until_ms;  /* of a delayed one; 0: absent */
};

struct dsn {
	struct slice reporting_mta; /* our host name, A-labels */
	struct slice to;            /* the sender of the message: where the notification goes */
	struct slice token;         /* random letters and digits, at least 16 */
	struct slice queue_id;      /* of the message; or empty */
	struct slice envelope_id;   /* ENVID, xtext taken off; or empty */
	int64_t arrival_ms, now_ms; /* arrival 0: absent */
	int64_t deliver_by_ms;       /* RFC 2852 section 5; 0: absent */
	struct slice future_release; /* RFC 4865 section 5.1.2: "for;3600"; or empty */
	const struct dsn_recipient *recipients;
	size_t recipient_count;
	struct slice original; /* the message, or its header */
	bool original_is_whole;
};

/* Whole, with its header and CRLF line ends. */
void dsn_write(struct buf *out, const struct dsn *dsn);
/* Whether it needs SMTPUTF8 (RFC 6531): an address in it is not ASCII. */
bool dsn_needs_utf8(const struct dsn *dsn);
