/* Addresses, prefixes and listeners' addresses: what is read and written out is read again as the same. */
#include <stdlib.h>

#include "net/listen.h"

static void again(const struct net_address *address)
{
	struct net_address copy;
	struct sockaddr_storage sockaddr;
	struct buf text SCOPED_BUF;

	buf_init(&text, NULL, 0);
	net_address_format(&text, address);
	if (!net_address_parse(buf_slice(&text), &copy))
		abort();
	copy.port = address->port;
	if (memcmp(&copy, address, sizeof(copy)) != 0 || net_address_to_sockaddr(address, &sockaddr) == 0)
		abort();
	copy = net_address_from_sockaddr(&sockaddr);
	if (memcmp(&copy, address, sizeof(copy)) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = {(const char *)data, size};
	struct net_address address;
	struct net_prefix prefix;

	if (net_address_parse(text, &address))
		again(&address);
	if (listen_parse(text, &address))
		again(&address);
	if (net_prefix_parse(text, &prefix)) {
		again(&prefix.address);
		if (!net_prefix_contains(&prefix, &prefix.address))
			abort();
	}
	return 0;
}
