#include "relay/way.h"

#include "relay/route.h"
#include "store/routing.h"

static bool take_prefix(struct slice *text, struct slice prefix)
{
	if (!slice_starts_with(*text, prefix))
		return false;
	*text = slice_skip(*text, prefix.len);
	return true;
}

struct way way_of(struct slice hop)
{
	struct way way = {.kind = WAY_SMTP};

	way.host = route_split_wish(hop, &way.wish);
	way.is_rule = route_is_rule(way.host);
	if (!way.is_rule)
		return way;
	way.host = slice_skip(way.host, ROUTE_MARK.len);
	if (take_prefix(&way.host, ROUTE_ERROR))
		way.kind = WAY_ERROR;
	else if (take_prefix(&way.host, ROUTE_RETRY))
		way.kind = WAY_RETRY;
	else if (take_prefix(&way.host, ROUTE_DISCARD))
		way.kind = WAY_DISCARD;
	if (way.kind != WAY_SMTP)
		return way;
	way.user = way.host;
	way.target = slice_cut(&way.user, '/');
	way.host = way.target;
	if (take_prefix(&way.host, ROUTE_LMTP))
		way.kind = WAY_LMTP;
	return way;
}

/* "5.1.1 no such user" */
struct reply way_reply(struct arena *arena, const struct way *way)
{
	struct slice text = way->host, enhanced = slice_cut(&text, ' ');

	if (way->kind == WAY_DISCARD)
		return (struct reply){250, SLICE("2.0.0"), SLICE("discarded, as a route wants it"), true};
	return (struct reply){way->kind == WAY_ERROR ? 550 : 450, slice_dup(arena, enhanced), slice_dup(arena, text), true};
}

struct slice way_seal_context(struct arena *arena, struct slice target, struct slice user)
{
	return slice_lower(arena, slice_join(arena, (const struct slice[]){target, SLICE("/"), user}, 3));
}

static enum status fail(struct arena *arena, struct reply *failure, const char *text)
{
	*failure = reply_ours(arena, 451, "4.3.5", "%s", text);
	return STATUS_TEMPORARY;
}

static struct slice without_port(struct slice host)
{
	struct slice name;
	uint16_t port;

	return route_parse_host_port(host, &name, &port) ? name : host;
}

bool way_tls_is_weaker(enum relay_tls a, enum relay_tls b)
{
	static const int STRENGTHS[] = {
		[RELAY_TLS_NONE] = 0, [RELAY_TLS_OPPORTUNISTIC] = 1, [RELAY_TLS_ENCRYPTED] = 2, [RELAY_TLS_DANE] = 3, [RELAY_TLS_REQUIRED] = 3};

	return STRENGTHS[a] < STRENGTHS[b];
}

/* The mail of several rules goes over the same connections: the strictest of them counts. One that says nothing of TLS wants what it would be
 * without the others, which isn't less than if offered. */
static void choose_tls(const struct route_terms *said, size_t count, struct way_terms *terms)
{
	bool is_silent = false;

	for (size_t i = 0; i < count; i++) {
		enum relay_tls tls;

		if (!relay_tls_parse(said[i].tls, &tls)) {
			is_silent = true;
			continue;
		}
		if (!terms->has_tls || way_tls_is_weaker(terms->tls, tls))
			terms->tls = tls;
		terms->has_tls = true;
	}
	if (is_silent && terms->has_tls && !way_tls_is_weaker(RELAY_TLS_OPPORTUNISTIC, terms->tls))
		terms->has_tls = false;
}

static bool open_password(const struct seal_key *key, struct arena *arena, const struct way *way, const struct route_terms *said,
			  size_t count, struct way_terms *terms)
{
	for (size_t i = 0; i < count; i++) {
		terms->user = said[i].user;
		if (seal_open(arena, key, way_seal_context(arena, way->target, said[i].user), said[i].secret, &terms->password))
			return true;
	}
	return false;
}

static enum status find_of_hop(struct store *store, const struct seal_key *key, struct arena *arena, const struct way *way,
			       struct way_terms *terms, struct reply *failure)
{
	struct route_terms *said;
	size_t count;

	if (routing_list_terms(store, arena, way->target, way->user, &said, &count) != STATUS_OK)
		return fail(arena, failure, "the routes can't be read");
	if (count == 0 && way->user.len > 0)
		return fail(arena, failure, "the route that this message was to take, with its password, is no more");
	choose_tls(said, count, terms);
	if (way->user.len > 0 && !open_password(key, arena, way, said, count, terms))
		return fail(arena, failure, "the route's password was sealed with another key (relay.key): add the route again");
	return STATUS_OK;
}

enum status way_find_terms(struct store *store, const struct seal_key *key, struct arena *arena, const struct way *way,
			   struct way_terms *terms, struct reply *failure)
{
	enum status status = STATUS_OK;
	struct slice level;

	*terms = (struct way_terms){.user = SLICE_EMPTY};
	if (way->is_rule)
		status = find_of_hop(store, key, arena, way, terms, failure);
	if (status != STATUS_OK || terms->has_tls)
		return status;
	status = routing_find_domain(store, arena, RULE_TLS, without_port(way->host), &level);
	if (status == STATUS_OK)
		terms->has_tls = relay_tls_parse(level, &terms->tls);
	else if (status != STATUS_NOT_FOUND)
		return fail(arena, failure, "the rules of TLS can't be read");
	return STATUS_OK;
}
