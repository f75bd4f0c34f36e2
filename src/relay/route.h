/* route: from a next hop to the addresses to try, in order (RFC 5321 section 5.1, RFC 7505). Blocks for the DNS.
 *
 * A next hop is a domain ("example.org": MX, implicit MX), an address literal ("[192.0.2.1]", "[IPv6:2001:db8::1]"), or a
 * host with a port ("relay.example.net:587", "[192.0.2.1]:25"), which is taken as it is, without MX; each may have ROUTE_MARK before it.
 */
#pragma once

#include "net/conn.h"
#include "relay/relay.h"
#include "relay/reply.h"
#include "relay/security.h"
#include "store/email.h"

#define ROUTE_HOSTS_MAX 10 /* addresses tried for one connection */

struct route_host {
	struct slice name; /* as the MX or next hop names it: SNI, certificate */
	struct net_address address;
	bool name_is_secure;    /* DNSSEC vouches for the MX record, or the name was configured */
	bool address_is_secure; /* and for the address, with all aliases on the way */
	struct slice canonical; /* what the name is an alias of; empty: it is none */
	struct security security;
};

struct route {
	struct route_host hosts[ROUTE_HOSTS_MAX];
	size_t count;
	struct slice domain;  /* whose MX was asked; empty: a literal or a host of the configuration */
	struct reply failure; /* when count is 0: 4xx try later, 5xx there is no way */
};

struct route_options {
	struct slice hostname;
	uint16_t port;
	const struct net_address *own_addresses; /* a port of 0 matches any */
	size_t own_address_count;
	int family; /* of the addresses that are used; 0: both */
};

/* `hop` in lower case. */
void route_find(const struct resolver *resolver, const struct route_options *options, struct arena *arena, struct slice hop,
		struct route *route);

/* A hop with what its messages ask of the way (RFC 8689) behind it, so that they have connections of their own; and taken apart again. */
struct slice route_join_wish(struct arena *arena, struct slice hop, enum tls_wish wish);
struct slice route_split_wish(struct slice hop, enum tls_wish *wish);

/* The next hop of a recipient where the queue has none that fits: the domain, in lower case. */
struct slice route_domain_of(struct arena *arena, struct slice address);
/* A next hop that a rule of routing has set (store/routing.h): it has a mark, and stands above the smarthost. */
bool route_is_rule(struct slice hop);
/* "host:port", "[address]:port". False if there is no port. */
MUST_CHECK bool route_parse_host_port(struct slice hop, struct slice *host, uint16_t *port);
