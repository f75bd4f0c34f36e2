#include "relay/dane.h"

#include "net/tls.h"

#define BASES_MAX 2

/* RFC 7672 section 2.2.3: "_25._tcp.mx.example.org" */
static struct slice tlsa_name(struct arena *arena, struct slice base, uint16_t port)
{
	struct buf name;

	buf_init(&name, arena, 0);
	buf_printf(&name, "_%u._tcp.%.*s", port, SLICE_ARG(base));
	return buf_slice(&name);
}

/* RFC 7672 section 2.2.2: where records may stand: at the end of a chain of aliases that is secure all along, else at the name itself, if at
 * least its own alias record is secure. */
static enum status find_bases(const struct resolver *resolver, struct arena *arena, const struct route_host *host,
			      struct slice bases[BASES_MAX], size_t *count)
{
	bool is_secure = host->address_is_secure;
	enum status status;

	*count = 0;
	if (!is_secure && host->canonical.len > 0) {
		status = resolver->alias(resolver->context, arena, host->name, &is_secure);
		if (status != STATUS_OK && status != STATUS_NOT_FOUND)
			return status;
		is_secure = is_secure && status == STATUS_OK;
	} else if (host->canonical.len > 0) {
		bases[(*count)++] = host->canonical;
	}
	if (is_secure)
		bases[(*count)++] = host->name;
	return STATUS_OK;
}

static void keep_usable(struct dane *dane)
{
	size_t kept = 0;

	for (size_t i = 0; i < dane->count; i++)
		if (tls_tlsa_is_usable(&dane->records[i]))
			dane->records[kept++] = dane->records[i];
	dane->count = kept;
	dane->outcome = kept > 0 ? DANE_USABLE : DANE_UNUSABLE;
}

void dane_find(const struct resolver *resolver, struct arena *arena, const struct route_host *host, struct dane *dane)
{
	struct slice bases[BASES_MAX];
	size_t count;

	*dane = (struct dane){.base = SLICE_EMPTY};
	/* RFC 7672 section 2.2.1: whoever can forge the MX record names a host of his own, with records of his own. */
	if (!resolver->tlsa || !host->name_is_secure || slice_starts_with(host->name, SLICE("[")))
		return;
	if (find_bases(resolver, arena, host, bases, &count) != STATUS_OK) {
		dane->outcome = DANE_TROUBLE;
		return;
	}
	for (size_t i = 0; i < count && dane->outcome == DANE_ABSENT; i++) {
		struct slice name = tlsa_name(arena, bases[i], host->address.port);
		bool secure = false;
		enum status status = resolver->tlsa(resolver->context, arena, name, &dane->records, &dane->count, &secure);

		dane->base = bases[i];
		if (status == STATUS_OK && secure)
			keep_usable(dane);
		else if (status != STATUS_OK && status != STATUS_NOT_FOUND)
			dane->outcome = DANE_TROUBLE;
	}
}
