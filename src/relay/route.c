#include "relay/route.h"

#include <stdlib.h>

#include "base/random.h"
#include "store/routing.h"

/* One MX host, or the domain itself. */
struct candidate {
	uint16_t preference;
	uint16_t order; /* random, among equals */
	struct slice host;
	struct net_address *addresses;
	size_t address_count;
	bool name_is_secure, address_is_secure;
	struct slice canonical;
};

struct search {
	const struct resolver *resolver;
	const struct route_options *options;
	struct arena *arena;
	struct route *route;
};

struct slice route_domain_of(struct arena *arena, struct slice address)
{
	size_t at = slice_find_last_byte(address, '@');

	return at == SLICE_NOT_FOUND ? SLICE_EMPTY : slice_lower(arena, slice_skip(address, at + 1));
}

/* No name ends like that. */
static const struct slice WISHES[] = {
	[TLS_WISH_NONE] = SLICE(""),
	[TLS_WISH_REQUIRED] = SLICE(" with REQUIRETLS"),
	[TLS_WISH_OPTIONAL] = SLICE(" without demands of TLS"),
};

struct slice route_join_wish(struct arena *arena, struct slice hop, enum tls_wish wish)
{
	return wish == TLS_WISH_NONE || hop_is_local(hop) ? hop : slice_join(arena, (const struct slice[]){hop, WISHES[wish]}, 2);
}

struct slice route_split_wish(struct slice hop, enum tls_wish *wish)
{
	*wish = TLS_WISH_NONE;
	if (hop_is_local(hop))
		return hop;
	for (int i = TLS_WISH_REQUIRED; i <= TLS_WISH_OPTIONAL; i++)
		if (slice_ends_with(hop, WISHES[i])) {
			*wish = (enum tls_wish)i;
			return slice_sub(hop, 0, hop.len - WISHES[i].len);
		}
	return hop;
}

bool route_is_rule(struct slice hop)
{
	return slice_starts_with(hop, ROUTE_MARK);
}

bool route_parse_host_port(struct slice hop, struct slice *host, uint16_t *port)
{
	size_t colon = slice_find_last_byte(hop, ':');
	uint32_t number;

	if (colon == SLICE_NOT_FOUND || colon == 0 || !slice_to_u32(slice_skip(hop, colon + 1), UINT16_MAX, &number) ||
	    number == 0)
		return false;
	*host = slice_sub(hop, 0, colon);
	*port = (uint16_t)number;
	return true;
}

/* RFC 5321 section 4.1.3. The tag "IPv6:" may be missing, as smarthosts are written without it. */
static bool parse_literal(struct slice text, struct net_address *address)
{
	if (text.len < 2 || text.data[0] != '[' || text.data[text.len - 1] != ']')
		return false;
	text = slice_sub(text, 1, text.len - 1);
	if (slice_starts_with_nocase(text, SLICE("IPv6:")))
		text = slice_skip(text, 5);
	return net_address_parse(text, address);
}

static bool is_own_address(const struct route_options *options, const struct net_address *address)
{
	for (size_t i = 0; i < options->own_address_count; i++) {
		const struct net_address *own = &options->own_addresses[i];

		if (own->family == address->family && (own->port == 0 || own->port == address->port) &&
		    memcmp(own->bytes, address->bytes, own->family == AF_INET ? 4 : 16) == 0)
			return true;
	}
	return false;
}

static bool candidate_is_us(const struct route_options *options, const struct candidate *candidate)
{
	if (slice_eq_nocase(candidate->host, options->hostname))
		return true;
	for (size_t i = 0; i < candidate->address_count; i++)
		if (is_own_address(options, &candidate->addresses[i]))
			return true;
	return false;
}

static void fail(struct search *search, struct reply reply)
{
	search->route->count = 0;
	search->route->failure = reply;
}

static void fail_as_loop(struct search *search, struct slice domain)
{
	fail(search, reply_ours(search->arena, 554, "5.4.6", "mail for %.*s loops back to myself", SLICE_ARG(domain)));
}

/* IPv6 first, as they come from the resolver otherwise. Addresses that name themselves are not looked up. */
static enum status look_up_addresses(struct search *search, struct candidate *candidate, uint16_t port)
{
	struct dns_host found = {.canonical = SLICE_EMPTY};
	struct net_address literal;
	enum status status;
	size_t sorted = 0;

	if (net_address_parse(candidate->host, &literal)) {
		found.addresses = &literal;
		found.count = 1;
	} else {
		status = search->resolver->host(search->resolver->context, search->arena, candidate->host, &found);
		if (status != STATUS_OK)
			return status;
	}
	candidate->addresses = ARENA_ARRAY(search->arena, struct net_address, found.count);
	candidate->address_is_secure = found.secure;
	candidate->canonical = found.canonical;
	for (int pass = 0; pass < 2; pass++)
		for (size_t i = 0; i < found.count; i++)
			if ((found.addresses[i].family == AF_INET6) == (pass == 0) &&
			    (search->options->family == 0 || found.addresses[i].family == search->options->family)) {
				candidate->addresses[sorted] = found.addresses[i];
				candidate->addresses[sorted++].port = port;
			}
	candidate->address_count = sorted;
	return sorted > 0 ? STATUS_OK : STATUS_NOT_FOUND;
}

static void add_hosts(struct route *route, const struct candidate *candidate)
{
	for (size_t i = 0; i < candidate->address_count && route->count < ROUTE_HOSTS_MAX; i++)
		route->hosts[route->count++] = (struct route_host){
			.name = candidate->host,
			.address = candidate->addresses[i],
			.name_is_secure = candidate->name_is_secure,
			.address_is_secure = candidate->address_is_secure,
			.canonical = candidate->canonical,
		};
}

static void route_to_literal(struct search *search, struct slice hop, struct net_address address, uint16_t port)
{
	struct candidate candidate = {.host = hop, .addresses = &address, .address_count = 1};

	address.port = port;
	if (is_own_address(search->options, &address))
		fail_as_loop(search, hop);
	else
		add_hosts(search->route, &candidate);
}

/* RFC 5321 section 5.1: MX pointing nowhere is an error, trouble of the DNS is not. */
static void route_to_host(struct search *search, struct slice host, uint16_t port, bool name_is_secure)
{
	struct candidate candidate = {.host = host, .name_is_secure = name_is_secure};
	enum status status = look_up_addresses(search, &candidate, port);

	if (status == STATUS_NOT_FOUND)
		fail(search, reply_ours(search->arena, 550, "5.4.4", "host %.*s has no address", SLICE_ARG(host)));
	else if (status != STATUS_OK)
		fail(search,
		     reply_ours(search->arena, 451, "4.4.3", "address of %.*s could not be looked up", SLICE_ARG(host)));
	else if (candidate_is_us(search->options, &candidate))
		fail_as_loop(search, host);
	else
		add_hosts(search->route, &candidate);
}

static int compare_candidates(const void *left, const void *right)
{
	const struct candidate *a = left, *b = right;

	if (a->preference != b->preference)
		return a->preference < b->preference ? -1 : 1;
	return a->order < b->order ? -1 : a->order > b->order;
}

/* Sorted by preference, equals in random order (RFC 5321 section 5.1), names in lower case. */
static struct candidate *sort_records(struct arena *arena, const struct dns_mx *records, size_t count, bool secure)
{
	struct candidate *candidates = ARENA_ARRAY(arena, struct candidate, count);

	for (size_t i = 0; i < count; i++)
		candidates[i] = (struct candidate){
			.preference = records[i].preference,
			.order = (uint16_t)random_u64(),
			.host = slice_lower(arena, records[i].host),
			.name_is_secure = secure,
		};
	qsort(candidates, count, sizeof(*candidates), compare_candidates);
	return candidates;
}

/* RFC 5321 section 5.1: when we are listed, hosts of our own preference and worse are dropped: they would send it to us. */
static size_t drop_from_ourselves(const struct route_options *options, struct candidate *candidates, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (candidate_is_us(options, &candidates[i])) {
			size_t better = i;

			while (better > 0 && candidates[better - 1].preference == candidates[i].preference)
				better--;
			return better;
		}
	return count;
}

#define MX_LOOKED_UP 20 /* hosts whose addresses we ask for; more is nonsense or hostile */

static void route_by_mx(struct search *search, struct slice domain, const struct dns_mx *records, size_t count, bool secure)
{
	struct candidate *candidates = sort_records(search->arena, records, count, secure);
	bool trouble = false;
	size_t kept;

	if (count > MX_LOOKED_UP)
		count = MX_LOOKED_UP;
	for (size_t i = 0; i < count; i++) {
		enum status status = candidates[i].host.len == 0
					     ? STATUS_NOT_FOUND
					     : look_up_addresses(search, &candidates[i], search->options->port);

		trouble = trouble || (status != STATUS_OK && status != STATUS_NOT_FOUND);
	}
	kept = drop_from_ourselves(search->options, candidates, count);
	for (size_t i = 0; i < kept; i++)
		add_hosts(search->route, &candidates[i]);
	if (search->route->count > 0)
		return;
	if (trouble)
		fail(search, reply_ours(search->arena, 451, "4.4.3",
					"addresses of the mail hosts of %.*s could not be looked up", SLICE_ARG(domain)));
	else if (kept < count)
		fail_as_loop(search, domain);
	else
		fail(search, reply_ours(search->arena, 550, "5.4.4", "none of the mail hosts of %.*s has an address",
					SLICE_ARG(domain)));
}

static void route_to_domain(struct search *search, struct slice domain)
{
	struct dns_mx *records = NULL;
	size_t count = 0;
	bool secure = false, exists = true;
	enum status status = search->resolver->mx(search->resolver->context, search->arena, domain, &records, &count, &secure,
						  &exists);

	search->route->domain = domain;
	if (status == STATUS_OK && count == 1 && records[0].host.len == 0) /* RFC 7505 section 3, 4.1 */
		fail(search,
		     reply_ours(search->arena, 556, "5.1.10", "domain %.*s does not accept mail (null MX)", SLICE_ARG(domain)));
	else if (status == STATUS_OK)
		route_by_mx(search, domain, records, count, secure);
	else if (status == STATUS_NOT_FOUND && exists) /* RFC 5321 section 5.1: implicit MX */
		route_to_host(search, domain, search->options->port, secure);
	else if (status == STATUS_NOT_FOUND)
		fail(search, reply_ours(search->arena, 550, "5.1.2", "domain %.*s does not exist", SLICE_ARG(domain)));
	else
		fail(search,
		     reply_ours(search->arena, 451, "4.4.3", "mail hosts of %.*s could not be looked up", SLICE_ARG(domain)));
}

void route_find(const struct resolver *resolver, const struct route_options *options, struct arena *arena, struct slice hop,
		struct route *route)
{
	struct search search = {resolver, options, arena, route};
	uint16_t port = options->port;
	struct net_address address;
	struct slice host;

	*route = (struct route){.domain = SLICE_EMPTY};
	if (route_is_rule(hop))
		hop = slice_skip(hop, ROUTE_MARK.len);
	host = hop;
	if (parse_literal(hop, &address))
		route_to_literal(&search, hop, address, port);
	else if (!route_parse_host_port(hop, &host, &port))
		route_to_domain(&search, hop);
	else if (parse_literal(host, &address) || net_address_parse(host, &address))
		route_to_literal(&search, host, address, port);
	else
		route_to_host(&search, host, port, true);
}
