/* received: the trace header that every message gets on top (RFC 5321 section 4.4). Pure. */
#pragma once

#include "base/buf.h"
#include "net/conn.h"

struct received {
	struct slice helo;
	struct net_address peer;
	struct slice hostname;
	struct slice queue_id;
	struct slice tls_version, tls_cipher; /* empty: no TLS */
	bool extended, authenticated, smtputf8, lmtp;
	struct slice client_name; /* by its address; empty: not known */
	bool peer_is_unknown;
	struct slice local_peer; /* of a program on this machine: "uid 1000"; empty: none */
	struct slice recipient;  /* the only one; empty: several, of whom none shall hear of the others */
	bool has_priority; /* RFC 6710 */
	int priority;
	int64_t wall_ms;
};
/* RFC 3848, RFC 6531 section 4.3: "ESMTPSA", "UTF8SMTPS", ... */
struct slice received_protocol(const struct received *received);
void received_write(struct buf *out, const struct received *received);
