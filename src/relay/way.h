/* way: what a next hop of the queue says, taken apart, and on what terms it is used: who logs in there, with what password, which TLS is
 * demanded. A hop is a domain or a host (relay/route.h); what a rule has set (store/routing.h) may name another protocol, a user, or no host
 * at all. */
#pragma once

#include "auth/seal.h"
#include "relay/relay.h"
#include "relay/reply.h"
#include "store/email.h"

enum way_kind {
	WAY_SMTP,
	WAY_LMTP,    /* RFC 2033 */
	WAY_ERROR,   /* refused for good, by a rule */
	WAY_RETRY,   /* deferred by a rule */
	WAY_DISCARD, /* thrown away by a rule */
};

struct way {
	enum way_kind kind;
	struct slice host;   /* as route_find takes it; of ERROR and RETRY: the text */
	struct slice user;   /* empty: no log-in, or the smarthost's of the settings */
	struct slice target; /* as the rule has it */
	bool is_rule;
	enum tls_wish wish;
};

/* `hop` as the scheduler has it. */
struct way way_of(struct slice hop);
/* ERROR, RETRY, DISCARD: what is said of the mail. */
struct reply way_reply(struct arena *arena, const struct way *way);

struct way_terms {
	bool has_tls;
	enum relay_tls tls;
	struct slice user, password;
};
/* Asks the rules: those of the hop, then those of TLS for its domain or host. TEMPORARY: the store is away, or a password can't be opened
 * (*failure tells). */
MUST_CHECK enum status way_find_terms(struct store *store, const struct seal_key *key, struct arena *arena, const struct way *way,
				      struct way_terms *terms, struct reply *failure);
/* Of two demands. */
MUST_CHECK bool way_tls_is_weaker(enum relay_tls a, enum relay_tls b);
/* What a password of a route is sealed for. */
struct slice way_seal_context(struct arena *arena, struct slice target, struct slice user);
