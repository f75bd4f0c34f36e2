#include <arpa/inet.h>
#include <netinet/in.h>

#include "net/conn.h"

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

static struct net_address from_ipv6(const uint8_t bytes[16], uint16_t port)
{
	struct net_address address = {.family = AF_INET6, .port = port};

	if (memcmp(bytes, mapped, sizeof(mapped)) == 0) {
		address.family = AF_INET;
		memcpy(address.bytes, bytes + sizeof(mapped), 4);
	} else {
		memcpy(address.bytes, bytes, 16);
	}
	return address;
}

void net_address_format(struct buf *out, const struct net_address *address)
{
	char text[INET6_ADDRSTRLEN];

	if (address->family != 0 && inet_ntop(address->family, address->bytes, text, sizeof(text)))
		buf_add(out, slice_from_cstr(text));
	else
		buf_add_literal(out, "unknown");
}

void net_address_format_literal(struct buf *out, const struct net_address *address)
{
	buf_add(out, address->family == AF_INET6 ? SLICE("[IPv6:") : SLICE("["));
	net_address_format(out, address);
	buf_add_byte(out, ']');
}

bool net_address_parse(struct slice text, struct net_address *address)
{
	char copy[INET6_ADDRSTRLEN];
	uint8_t bytes[16] = {0};

	if (text.len == 0 || text.len >= sizeof(copy) || slice_find_byte(text, '\0') != SLICE_NOT_FOUND)
		return false;
	memcpy(copy, text.data, text.len);
	copy[text.len] = '\0';
	if (inet_pton(AF_INET, copy, bytes) == 1) {
		*address = (struct net_address){.family = AF_INET};
		memcpy(address->bytes, bytes, 4);
		return true;
	}
	if (inet_pton(AF_INET6, copy, bytes) != 1)
		return false;
	*address = from_ipv6(bytes, 0);
	return true;
}

struct net_address net_address_from_sockaddr(const struct sockaddr_storage *sockaddr)
{
	struct net_address address = {0};

	if (sockaddr->ss_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)sockaddr;

		address.family = AF_INET;
		address.port = ntohs(in->sin_port);
		memcpy(address.bytes, &in->sin_addr, 4);
	} else if (sockaddr->ss_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)sockaddr;

		address = from_ipv6(in6->sin6_addr.s6_addr, ntohs(in6->sin6_port));
	}
	return address;
}

socklen_t net_address_to_sockaddr(const struct net_address *address, struct sockaddr_storage *sockaddr)
{
	*sockaddr = (struct sockaddr_storage){.ss_family = (sa_family_t)address->family};
	if (address->family == AF_INET) {
		struct sockaddr_in *in = (struct sockaddr_in *)sockaddr;

		in->sin_port = htons(address->port);
		memcpy(&in->sin_addr, address->bytes, 4);
		return sizeof(*in);
	}
	if (address->family == AF_INET6) {
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)sockaddr;

		in6->sin6_port = htons(address->port);
		memcpy(&in6->sin6_addr, address->bytes, 16);
		return sizeof(*in6);
	}
	return 0;
}

bool net_address_is_loopback(const struct net_address *address)
{
	static const uint8_t one[16] = {[15] = 1};

	if (address->family == AF_INET)
		return address->bytes[0] == 127;
	return address->family == AF_INET6 && memcmp(address->bytes, one, 16) == 0;
}

bool net_prefix_parse(struct slice text, struct net_prefix *prefix)
{
	size_t slash = slice_find_byte(text, '/');
	struct slice host = slice_sub(text, 0, slash);
	bool is_ipv6_text = slice_find_byte(host, ':') != SLICE_NOT_FOUND;
	struct net_prefix parsed;
	uint32_t bits = is_ipv6_text ? 128 : 32;

	if (!net_address_parse(host, &parsed.address))
		return false;
	if (slash != SLICE_NOT_FOUND && !slice_to_u32(slice_skip(text, slash + 1), bits, &bits))
		return false;
	if (is_ipv6_text && parsed.address.family == AF_INET) {
		/* IPv4-mapped: the prefix must lie within the IPv4 part. */
		if (bits < 96)
			return false;
		bits -= 96;
	}
	parsed.bits = bits;
	*prefix = parsed;
	return true;
}

bool net_prefix_contains(const struct net_prefix *prefix, const struct net_address *address)
{
	unsigned whole = prefix->bits / 8, rest = prefix->bits % 8;
	unsigned difference;

	if (address->family != prefix->address.family || address->family == 0)
		return false;
	if (memcmp(address->bytes, prefix->address.bytes, whole) != 0)
		return false;
	if (rest == 0)
		return true;
	difference = (unsigned)address->bytes[whole] ^ (unsigned)prefix->address.bytes[whole];
	return difference >> (8 - rest) == 0;
}
