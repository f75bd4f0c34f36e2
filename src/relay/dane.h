/* dane: what TLSA records say about one host (RFC 7672 section 2.2). Blocks for the DNS. */
#pragma once

#include "relay/route.h"

enum dane_outcome {
	DANE_ABSENT,   /* no secure records: DANE has no say */
	DANE_UNUSABLE, /* secure records, none of which can be used: TLS is demanded, nothing of the certificate (RFC 7672 section 2.2) */
	DANE_USABLE,
	DANE_TROUBLE, /* the records can't be had, or are bogus: the host must not be used now (RFC 7672 section 2.1.2) */
};

struct dane {
	enum dane_outcome outcome;
	struct slice base;
	struct dns_tlsa *records; /* usable ones */
	size_t count;
};

void dane_find(const struct resolver *resolver, struct arena *arena, const struct route_host *host, struct dane *dane);
