/* The resolver of the program: net/dns. */
#include "relay/relay.h"

static enum status resolve_mx(void *context, struct arena *arena, struct slice domain, struct dns_mx **records, size_t *count,
			      bool *exists)
{
	bool secure;

	return dns_mx(context, arena, domain, records, count, &secure, exists);
}

static enum status resolve_addresses(void *context, struct arena *arena, struct slice host, struct net_address **addresses,
				     size_t *count)
{
	bool secure;

	return dns_addresses(context, arena, host, addresses, count, &secure);
}

struct resolver resolver_from_dns(struct dns *dns)
{
	return (struct resolver){dns, resolve_mx, resolve_addresses};
}
