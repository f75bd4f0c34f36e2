/* proxy: HAProxy's PROXY protocol, versions 1 and 2, as receiver: a load balancer tells whom it speaks for.
 *
 * proxy_parse is a pure codec. A header is believed only from peers that the configuration names, and required from those:
 * nothing here guesses whether one is there.
 */
#pragma once

#include "base/error.h"
#include "net/conn.h"

#define PROXY_HEADER_MAX 4096 /* version 2 with its extra fields, which are passed over */

struct proxy_header {
	bool has_addresses; /* false (LOCAL, UNKNOWN, UNSPEC, Unix socket): the socket's own addresses hold */
	struct net_address source, destination;
};

/* STATUS_OK with the header's length; STATUS_NEED_MORE if `bytes` is the beginning of a header, all of it; STATUS_PEER if not. */
MUST_CHECK enum status proxy_parse(struct slice bytes, struct proxy_header *header, size_t *length);

/* Takes the header off a new conn, before TLS and before any other read, and not a byte more; then calls
 * conn_set_addresses if it has addresses. False: malformed, late, or the peer is gone. */
MUST_CHECK bool proxy_read(struct conn *conn);
