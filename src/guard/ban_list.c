#include "guard/ban_list.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define LENGTHS 129

struct ban_list {
	const struct net_prefix *exempt;
	size_t exempt_count;
	pthread_rwlock_t lock;
	_Atomic size_t count;
	struct ban *bans; /* sorted */
	struct {
		bool ipv4, ipv6;
	} used[LENGTHS];
};

struct ban_list *ban_list_new(const struct net_prefix *exempt, size_t exempt_count)
{
	struct ban_list *list = calloc(1, sizeof(*list));

	if (!list)
		abort();
	list->exempt = exempt;
	list->exempt_count = exempt_count;
	pthread_rwlock_init(&list->lock, NULL);
	return list;
}

void ban_list_free(struct ban_list *list)
{
	if (!list)
		return;
	pthread_rwlock_destroy(&list->lock);
	free(list->bans);
	free(list);
}

struct net_prefix ban_prefix_canonical(const struct net_prefix *prefix)
{
	unsigned width = prefix->address.family == AF_INET ? 32 : 128;
	struct net_prefix out = {.address.family = prefix->address.family, .bits = prefix->bits < width ? prefix->bits : width};

	for (unsigned i = 0; i < out.bits; i += 8) {
		unsigned left = out.bits - i;

		out.address.bytes[i / 8] = prefix->address.bytes[i / 8] & (uint8_t)(left >= 8 ? 0xff : 0xff << (8 - left));
	}
	return out;
}

struct net_prefix ban_network_of(const struct net_address *address)
{
	struct net_prefix whole = {.address = *address, .bits = address->family == AF_INET ? 32 : 64};

	return ban_prefix_canonical(&whole);
}

struct slice ban_prefix_text(struct arena *arena, const struct net_prefix *prefix)
{
	struct buf out;

	buf_init(&out, arena, 0);
	net_address_format(&out, &prefix->address);
	if (prefix->bits != (prefix->address.family == AF_INET ? 32 : 128))
		buf_printf(&out, "/%u", prefix->bits);
	return buf_slice(&out);
}

/* The order of the list; what is 0 is the same network. */
static int compare(const void *left, const void *right)
{
	const struct net_prefix *a = &((const struct ban *)left)->network, *b = &((const struct ban *)right)->network;

	if (a->address.family != b->address.family)
		return a->address.family < b->address.family ? -1 : 1;
	if (a->bits != b->bits)
		return a->bits < b->bits ? -1 : 1;
	return memcmp(a->address.bytes, b->address.bytes, sizeof(a->address.bytes));
}

void ban_list_replace(struct ban_list *list, const struct ban *bans, size_t count)
{
	struct ban *fresh = calloc(count + 1, sizeof(*fresh)), *old;

	if (!fresh)
		abort();
	for (size_t i = 0; i < count; i++)
		fresh[i] = (struct ban){ban_prefix_canonical(&bans[i].network), bans[i].until_ms};
	qsort(fresh, count, sizeof(*fresh), compare);
	pthread_rwlock_wrlock(&list->lock);
	old = list->bans;
	list->bans = fresh;
	memset(list->used, 0, sizeof(list->used));
	for (size_t i = 0; i < count; i++) {
		if (fresh[i].network.address.family == AF_INET)
			list->used[fresh[i].network.bits].ipv4 = true;
		else
			list->used[fresh[i].network.bits].ipv6 = true;
	}
	list->count = count;
	pthread_rwlock_unlock(&list->lock);
	free(old);
}

static bool is_exempt(const struct ban_list *list, const struct net_address *peer)
{
	for (size_t i = 0; i < list->exempt_count; i++)
		if (net_prefix_contains(&list->exempt[i], peer))
			return true;
	return false;
}

/* The one that lasts longest. */
static int64_t find(const struct ban_list *list, const struct net_address *peer, int64_t wall_ms)
{
	bool is_ipv4 = peer->family == AF_INET;
	int64_t until_ms = 0;

	for (unsigned bits = 0; bits <= (is_ipv4 ? 32 : 128); bits++) {
		if (!(is_ipv4 ? list->used[bits].ipv4 : list->used[bits].ipv6))
			continue;
		struct net_prefix whole = {*peer, bits};
		struct ban wanted = {.network = ban_prefix_canonical(&whole)};
		const struct ban *found = bsearch(&wanted, list->bans, list->count, sizeof(wanted), compare);

		if (found && found->until_ms > wall_ms && found->until_ms > until_ms)
			until_ms = found->until_ms;
	}
	return until_ms;
}

int64_t ban_list_until(struct ban_list *list, const struct net_address *peer, int64_t wall_ms)
{
	if (list->count == 0 || (peer->family != AF_INET && peer->family != AF_INET6) || is_exempt(list, peer))
		return 0;
	pthread_rwlock_rdlock(&list->lock);
	int64_t until_ms = find(list, peer, wall_ms);

	pthread_rwlock_unlock(&list->lock);
	return until_ms;
}
