/* sts_fetch: a policy from its web server (RFC 8461 section 3.3), by libcurl: HTTPS only, certificate verified, no redirects, no proxy, no
 * cookies, STS_POLICY_BYTES_MAX, a time limit, addresses from our own resolver, no file opened. Thread-safe. */
#pragma once

#include "relay/relay.h"

struct sts_fetch {
	const struct resolver *resolver;
	struct slice trust_anchors;
	uint16_t port;
	bool (*is_stopping)(void *context); /* asked once a second at least */
	void *context;
};

/* Once per process, before threads and the sandbox. */
void sts_fetch_global_init(void);
/* OK: *text. PEER: its certificate is bad, TEMPORARY: everything else; *reason tells. */
MUST_CHECK enum status sts_fetch(const struct sts_fetch *fetch, struct arena *arena, struct slice domain, struct slice *text,
				 struct slice *reason);
