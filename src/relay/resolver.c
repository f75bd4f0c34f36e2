/* The resolver of the program: net/dns. */
#include "relay/relay.h"

static enum status resolve_mx(void *context, struct arena *arena, struct slice domain, struct dns_mx **records, size_t *count,
			      bool *secure, bool *exists)
{
	return dns_mx(context, arena, domain, records, count, secure, exists);
}

static enum status resolve_host(void *context, struct arena *arena, struct slice name, struct dns_host *host)
{
	return dns_host(context, arena, name, host);
}

static enum status resolve_tlsa(void *context, struct arena *arena, struct slice name, struct dns_tlsa **records, size_t *count,
				bool *secure)
{
	return dns_tlsa(context, arena, name, records, count, secure);
}

static enum status resolve_alias(void *context, struct arena *arena, struct slice name, bool *secure)
{
	return dns_alias(context, arena, name, secure);
}

static enum status resolve_txt(void *context, struct arena *arena, struct slice name, struct slice **texts, size_t *count)
{
	bool secure;

	return dns_txt(context, arena, name, texts, count, &secure);
}

struct resolver resolver_from_dns(struct dns *dns)
{
	return (struct resolver){dns, resolve_mx, resolve_host, resolve_tlsa, resolve_alias, resolve_txt};
}
