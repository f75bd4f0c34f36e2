/* What is told of the next hops while the relay runs. */
#include "relay/relay_internal.h"
#include "store/routing.h"

/* Kept in order, the largest first. */
static size_t insert(struct relay_hop_count *hops, size_t count, size_t max, const struct hop *hop)
{
	size_t at = count;

	while (at > 0 && hops[at - 1].in_hand < hop->in_hand)
		at--;
	if (at == max)
		return count;
	if (count == max)
		count--;
	memmove(hops + at + 1, hops + at, (count - at) * sizeof(*hops));
	hops[at] = (struct relay_hop_count){hop->name, hop->active, hop->in_hand};
	return count + 1;
}

/* What stands in a user's .forward, commands and all, is nobody else's affair, least of all those who fetch numbers without a password. */
static bool is_private(struct slice hop)
{
	return slice_starts_with(hop, HOP_UNIX) || slice_starts_with(hop, HOP_FORWARD);
}

size_t relay_hop_counts(struct relay *relay, struct arena *arena, struct relay_hop_count *hops, size_t max)
{
	size_t count = 0;

	pthread_mutex_lock(&relay->lock);
	for (const struct hop *hop = relay->scheduler->hops; hop; hop = hop->hh.next)
		if (!is_private(hop->name))
			count = insert(hops, count, max, hop);
	for (size_t i = 0; i < count; i++)
		hops[i].name = slice_dup(arena, hops[i].name);
	pthread_mutex_unlock(&relay->lock);
	return count;
}
