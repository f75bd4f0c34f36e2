/* dnslist: block and allow lists in the DNS (RFC 5782): what to ask them, and what their answers mean. Pure. */
#pragma once

#include "base/arena.h"
#include "net/conn.h"

/* "zen.example.net=127.0.0.2-11*3": answers from 127.0.0.2 to 127.0.0.11 mean 3 points. Without "=": any answer in 127.0.0.0/8 but
 * 127.0.0.1, which no list gives (RFC 5782 section 2.1), and 127.255.0.0/16, in which lists say that they don't answer us. Without "*": 1
 * point. "*-2" takes two away: an allow list. */
struct dnslist {
	struct slice zone;
	uint32_t from, to; /* answers that count, in host order */
	int points;        /* -100 to 100 */
};

__attribute__((warn_unused_result)) bool dnslist_parse(struct slice text, struct dnslist *list);
/* RFC 5782 section 2.1, section 2.4: "2.0.0.127.zen.example.net", or 32 nibbles for IPv6. The length of a name is the caller's look-up's
 * affair. */
struct slice dnslist_query(struct arena *arena, const struct dnslist *list, const struct net_address *peer);
bool dnslist_matches(const struct dnslist *list, const struct net_address *answer);
