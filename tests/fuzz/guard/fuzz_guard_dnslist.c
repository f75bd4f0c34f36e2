/* A list as it stands in the configuration, and behind a line end what somebody announced: what is taken makes names that can be asked. */
#include <stdlib.h>

#include "guard/dnslist.h"
#include "guard/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena SCOPED_ARENA;
	struct slice rest = slice_of((const char *)data, size), text = slice_cut(&rest, '\n');
	struct net_address peer = {.family = AF_INET6, .bytes = {0x20, 1}};
	struct offence offence;
	struct dnslist list;

	if (dnslist_parse(text, &list)) {
		if (list.points == 0 || list.from > list.to || dnslist_query(&arena, &list, &peer).len > 64 + 180)
			abort();
		peer = (struct net_address){.family = AF_INET, .bytes = {127, 0, 0, 1}};
		if (list.from == 0 && dnslist_matches(&list, &peer))
			abort();
	}
	if (guard_unpack_offence(rest, &offence) && offence.peer.family != AF_INET && offence.peer.family != AF_INET6)
		abort();
	return 0;
}
