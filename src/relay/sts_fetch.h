/* sts_fetch: a policy from its web server (RFC 8461 section 3.3): https.h, and STS_POLICY_BYTES_MAX. Thread-safe. */
#pragma once

#include "relay/https.h"

/* OK: *text. PEER: its certificate is bad, TEMPORARY: everything else; *reason tells. */
MUST_CHECK enum status sts_fetch(const struct https *https, struct arena *arena, struct slice domain, struct slice *text,
				 struct slice *reason);
