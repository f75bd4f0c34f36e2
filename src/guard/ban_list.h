/* ban_list: whom a role that takes connections sends away at once. It is in memory, brought up to date by ban_keeper.h; what is kept is
 * in store/bans.h. A question takes no lock while nobody is banned, and a binary search for each length of prefix that is in use.
 * Any thread may call.
 */
#pragma once

#include "base/arena.h"
#include "net/conn.h"

struct ban_list;

struct ban {
	struct net_prefix network;
	int64_t until_ms; /* wall clock */
};

/* Never banned, whatever is in the list: `exempt`, which outlives it. */
struct ban_list *ban_list_new(const struct net_prefix *exempt, size_t exempt_count);
void ban_list_free(struct ban_list *list);
/* These and no others from now on. */
void ban_list_replace(struct ban_list *list, const struct ban *bans, size_t count);
/* Until when (BANS_FOREVER of store/bans.h: for good); 0: it is not banned. */
int64_t ban_list_until(struct ban_list *list, const struct net_address *peer, int64_t wall_ms);

/* The network that is banned for what an address did: itself, or an IPv6 /64, of which a peer has all addresses (RFC 6177). */
struct net_prefix ban_network_of(const struct net_address *address);
/* Without the bits that are not the network's. */
struct net_prefix ban_prefix_canonical(const struct net_prefix *prefix);
/* "192.0.2.1", "2001:db8::/64" */
struct slice ban_prefix_text(struct arena *arena, const struct net_prefix *prefix);
