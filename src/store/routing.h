/* routing: the rules of where mail goes beyond domains, accounts and aliases. One table; a rule is a kind, a subject (what it is
 * about, in lower case), a target, and sometimes a detail. Addresses are normalised by the caller.
 *
 *     kind             | subject                      | target                        | detail
 *     DOMAIN_ALIAS     | domain                       | the domain it stands for      |
 *     RELAY_DOMAIN     | domain taken for another host| (empty)                       | "listed": known recipients only
 *     RELAY_RECIPIENT  | address in such a domain     | (empty)                       |
 *     ROUTE            | pattern of recipients        | next hop                      | struct route_terms
 *     SENDER_ROUTE     | pattern of senders           | next hop                      | likewise
 *     MAY_SEND         | an account's address         | address or @domain            | "on-behalf": with a Sender field
 *     LIST_SENDER      | an alias's address           | RULE_MEMBERS, address, @domain|
 *     REWRITE_SENDER   | address or @domain           | address or @domain            |
 *     REWRITE_RECIPIENT| address or @domain           | address or @domain            |
 *     BCC_SENDER       | address or @domain           | address                       |
 *     BCC_RECIPIENT    | address or @domain           | address                       |
 *     SECRET           | name                         | hexadecimal                   |
 *     TLS              | domain, .domain, host        | a level (relay/relay.h)       |
 *     DOMAIN_SIZE      | domain taken here            | largest message, bytes        |
 *     DOMAIN_QUOTA     | domain here                  | quota of new accounts, bytes  |
 *     ROUTE_PATTERN    | domain                       | a route's subject with "*" in it: kept with the routes, so that
 *                      |                              | who has none in a domain asks one question
 *
 * Patterns of routes, the most precise goes first: "user@example.org", "news-*@example.org" ("*": any text or none; the longest
 * first), "example.org", ".example.org" (domains below it, the longest first), "*". The rules for recipients go before those for senders, but for "*". */
#pragma once

#include "store/directory.h"

enum rule_kind {
	RULE_DOMAIN_ALIAS = 1,
	RULE_RELAY_DOMAIN,
	RULE_RELAY_RECIPIENT,
	RULE_ROUTE,
	RULE_SENDER_ROUTE,
	RULE_MAY_SEND,
	RULE_LIST_SENDER,
	RULE_REWRITE_SENDER,
	RULE_REWRITE_RECIPIENT,
	RULE_BCC_SENDER,
	RULE_BCC_RECIPIENT,
	RULE_SECRET,
	RULE_TLS,
	RULE_DOMAIN_SIZE,
	RULE_DOMAIN_QUOTA,
	RULE_ROUTE_PATTERN,
	RULE_KIND_END,
};
/* A route's next hop: "host", "host:port", "[192.0.2.1]:port": that host, without MX; ROUTE_DIRECT: the domain's own MX hosts;
 * ROUTE_MX and a domain: the MX hosts of that domain; ROUTE_LMTP and a host with its port: by LMTP (RFC 2033). Or no host at all: ROUTE_ERROR
 * and ROUTE_RETRY with an enhanced status code and a text, ROUTE_DISCARD.
 * In the queue it has ROUTE_MARK before it (and stands alone behind it: a domain), which tells it from a domain of the same name; and
 * behind it, after a slash, the user who logs in there: who logs in as another has connections of his own. */
#define ROUTE_DIRECT SLICE("direct")
#define ROUTE_MX     SLICE("mx:")
#define ROUTE_LMTP    SLICE("lmtp:")
#define ROUTE_ERROR   SLICE("error:")
#define ROUTE_RETRY   SLICE("retry:")
#define ROUTE_DISCARD SLICE("discard:")
#define ROUTE_MARK   SLICE("route:")
/* Hops that stay on this machine (local/local.h); the first is an alias's target as well. */
#define HOP_LOCAL   SLICE("local:")
#define HOP_UNIX    SLICE("unix:")
#define HOP_FORWARD SLICE("forward:")
static inline bool hop_is_local(struct slice hop)
{
	return slice_starts_with(hop, HOP_LOCAL) || slice_starts_with(hop, HOP_UNIX) || slice_starts_with(hop, HOP_FORWARD);
}
#define RULE_LISTED  SLICE("listed")
#define RULE_ON_BEHALF SLICE("on-behalf")
#define RULE_MEMBERS SLICE("members")

struct rule {
	enum rule_kind kind;
	struct slice subject, target, detail;
};

/* EXISTS: it is there, with that target. A subject of DOMAIN_ALIAS, RELAY_DOMAIN, routes and rewriting has one target: another one takes
 * its place. REFUSED: DOMAIN_ALIAS or RELAY_DOMAIN of a domain that has mailboxes here; DOMAIN_ALIAS of itself. */
MUST_CHECK enum status routing_add(struct store *store, const struct rule *rule);
/* Many of one kind, in one transaction: what is there already stays, with the new detail. */
MUST_CHECK enum status routing_add_all(struct store *store, const struct rule *rules, size_t count);
/* target empty: all of the subject. */
MUST_CHECK enum status routing_remove(struct store *store, enum rule_kind kind, struct slice subject, struct slice target);
/* A RELAY_DOMAIN with its listed recipients and its aliases. */
MUST_CHECK enum status routing_remove_relay_domain(struct store *store, struct slice domain);
/* By subject. Those of one domain, with `domain`: subjects that end with @domain. */
MUST_CHECK enum status routing_list(struct store *store, struct arena *arena, enum rule_kind kind, struct slice domain,
				    struct rule **rules, size_t *count);

/* Which kinds have rules: bit 1 << kind. So whoever has none pays for none. */
MUST_CHECK enum status routing_kinds(struct store *store, unsigned *mask);

/* The next hop that rules give a recipient ("local@domain"), as the queue has it: with ROUTE_MARK. sender empty: null. NOT_FOUND: no
 * rule. */
MUST_CHECK enum status routing_next_hop(struct store *store, struct arena *arena, struct slice sender, struct slice recipient,
					struct slice *hop);
/* On what terms a next hop is used. Empty: nothing is said. */
struct route_terms {
	struct slice tls;    /* a level */
	struct slice secret; /* the password, sealed (auth/seal.h) */
	struct slice user;
};
/* As a rule's detail, and back. The parts have no space in them. */
struct slice routing_format_terms(struct arena *arena, const struct route_terms *terms);
struct route_terms routing_parse_terms(struct slice detail);
/* The terms of all rules that have this next hop, for this user (empty: without log-in), by pattern. */
MUST_CHECK enum status routing_list_terms(struct store *store, struct arena *arena, struct slice hop, struct slice user,
					  struct route_terms **terms, size_t *count);
/* The target of the rule for a domain, or for the nearest of those above it (".example.org"). NOT_FOUND: none. */
MUST_CHECK enum status routing_find_domain(struct store *store, struct arena *arena, enum rule_kind kind, struct slice domain,
					   struct slice *target);
/* DOMAIN_SIZE, DOMAIN_QUOTA: what is set for that very domain; 0: nothing. */
MUST_CHECK enum status routing_domain_limit(struct store *store, enum rule_kind kind, struct slice domain, uint64_t *bytes);
/* REWRITE_*: *address anew, or as it was. */
MUST_CHECK enum status routing_rewrite(struct store *store, struct arena *arena, enum rule_kind kind, struct slice *address);
/* The targets of the rules for an address and for its domain. */
MUST_CHECK enum status routing_targets(struct store *store, struct arena *arena, enum rule_kind kind, struct slice address,
				       struct slice **targets, size_t *count);
/* Is it `pattern` ("user@example.org", "@example.org")? Without case. */
bool routing_address_matches(struct slice address, struct slice pattern);
/* MAY_SEND: OK or NOT_FOUND. *on_behalf: only with the account's own address as the message's Sender. */
MUST_CHECK enum status routing_may_send(struct store *store, struct slice account, struct slice address, bool *on_behalf);
/* A secret that is made at its first use. */
MUST_CHECK enum status routing_secret(struct store *store, struct arena *arena, struct slice name, struct slice *secret);
