/* sts: MTA-STS (RFC 8461): which policy a domain has. A policy that was fetched is kept in the store until its max_age is over, and
 * refreshed long before; while it is valid, nobody who takes the DNS record or the web server away takes the policy away.
 * Thread-safe; sts_find blocks for the DNS and, when there is a new policy, for a web server (60 s at most). */
#pragma once

#include "base/log.h"
#include "relay/relay.h"
#include "relay/sts_policy.h"

struct sts;

struct sts_options {
	const struct resolver *resolver; /* with `txt` */
	struct store *store;
	const struct log *log;
	struct slice trust_anchors; /* PEM, for web servers; outlives the sts */
	uint16_t port;              /* 443 */
	/* Fetching went wrong: for the report. May be NULL. */
	void (*failed)(void *context, struct slice domain, int result, struct slice reason);
	void *context;
};

struct sts *sts_new(const struct sts_options *options);
/* What is fetched now is broken off, and nothing is fetched any more. */
void sts_stop(struct sts *sts);
void sts_free(struct sts *sts);

/* OK: *policy in the arena, or NULL if there is none. TEMPORARY: the store is away. */
MUST_CHECK enum status sts_find(struct sts *sts, struct arena *arena, struct slice domain, struct sts_policy **policy);
/* Fetches anew what is due, and forgets what has expired. Call now and then. */
void sts_refresh(struct sts *sts);
