#include "net/proxy.h"

#include <netinet/in.h>

#include "net/conn_private.h"

#define V1_MAX         107 /* with CRLF */
#define V2_HEAD        16  /* before the addresses */
#define V2_INET        12
#define V2_INET6       36
#define V2_UNIX        216
#define FAMILY_STREAM4 0x11
#define FAMILY_STREAM6 0x21
#define FAMILY_UNIX    0x31

static const struct slice v1_start = {"PROXY ", 6};
static const struct slice v2_start = {"\r\n\r\n\0\r\nQUIT\n", 12};

static bool parse_port(struct slice text, uint16_t *port)
{
	uint32_t value;

	if (text.len > 5 || (text.len > 1 && text.data[0] == '0') || !slice_to_u32(text, UINT16_MAX, &value))
		return false;
	*port = (uint16_t)value;
	return true;
}

/* One address and the space behind it. */
static bool parse_address(struct slice *rest, bool is_ipv6, struct net_address *address)
{
	struct slice text = slice_cut(rest, ' ');

	return (slice_find_byte(text, ':') != SLICE_NOT_FOUND) == is_ipv6 && net_address_parse(text, address);
}

/* What stands between "PROXY " and CRLF. */
static bool parse_v1_line(struct slice line, struct proxy_header *header)
{
	struct slice family = slice_cut(&line, ' ');
	bool is_ipv6 = slice_eq(family, SLICE("TCP6"));

	if (slice_eq(family, SLICE("UNKNOWN")))
		return true;
	if (!is_ipv6 && !slice_eq(family, SLICE("TCP4")))
		return false;
	header->has_addresses = true;
	return parse_address(&line, is_ipv6, &header->source) && parse_address(&line, is_ipv6, &header->destination) &&
	       parse_port(slice_cut(&line, ' '), &header->source.port) && parse_port(line, &header->destination.port);
}

static enum status parse_v1(struct slice bytes, struct proxy_header *header, size_t *length)
{
	struct slice seen = slice_sub(bytes, 0, V1_MAX);
	size_t lf = slice_find_byte(seen, '\n');

	if (lf == SLICE_NOT_FOUND)
		return seen.len < V1_MAX ? STATUS_NEED_MORE : STATUS_PEER;
	if (lf == 0 || seen.data[lf - 1] != '\r')
		return STATUS_PEER;
	*length = lf + 1;
	return parse_v1_line(slice_sub(seen, v1_start.len, lf - 1), header) ? STATUS_OK : STATUS_PEER;
}

static uint16_t big_endian16(struct slice s, size_t at)
{
	return (uint16_t)((uint8_t)s.data[at] << 8 | (uint8_t)s.data[at + 1]);
}

static struct net_address address_at(struct slice fields, size_t at, bool is_ipv6, size_t port_at)
{
	struct sockaddr_storage sockaddr = {.ss_family = is_ipv6 ? AF_INET6 : AF_INET};
	struct net_address address;

	if (is_ipv6)
		memcpy(&((struct sockaddr_in6 *)&sockaddr)->sin6_addr, fields.data + at, 16);
	else
		memcpy(&((struct sockaddr_in *)&sockaddr)->sin_addr, fields.data + at, 4);
	address = net_address_from_sockaddr(&sockaddr);
	address.port = big_endian16(fields, port_at);
	return address;
}

/* Behind the 16 bytes: two addresses, two ports, then extra fields. */
static bool parse_v2_fields(uint8_t family, struct slice fields, struct proxy_header *header)
{
	bool is_ipv6 = family == FAMILY_STREAM6;
	size_t width = is_ipv6 ? 16 : 4;

	if (family == 0)
		return true;
	if (family == FAMILY_UNIX)
		return fields.len >= V2_UNIX;
	if ((!is_ipv6 && family != FAMILY_STREAM4) || fields.len < (is_ipv6 ? V2_INET6 : V2_INET))
		return false;
	header->has_addresses = true;
	header->source = address_at(fields, 0, is_ipv6, 2 * width);
	header->destination = address_at(fields, width, is_ipv6, 2 * width + 2);
	return true;
}

static enum status parse_v2(struct slice bytes, struct proxy_header *header, size_t *length)
{
	uint8_t command;
	size_t whole;

	if (bytes.len > 12 && (uint8_t)bytes.data[12] != 0x20 && (uint8_t)bytes.data[12] != 0x21)
		return STATUS_PEER;
	if (bytes.len < V2_HEAD)
		return STATUS_NEED_MORE;
	command = (uint8_t)bytes.data[12] & 15;
	whole = V2_HEAD + big_endian16(bytes, 14);
	if (whole > PROXY_HEADER_MAX)
		return STATUS_PEER;
	if (bytes.len < whole)
		return STATUS_NEED_MORE;
	*length = whole;
	if (command == 0)
		return STATUS_OK;
	return parse_v2_fields((uint8_t)bytes.data[13], slice_sub(bytes, V2_HEAD, whole), header) ? STATUS_OK : STATUS_PEER;
}

enum status proxy_parse(struct slice bytes, struct proxy_header *header, size_t *length)
{
	*header = (struct proxy_header){0};
	*length = 0;
	if (slice_starts_with(bytes, v1_start))
		return parse_v1(bytes, header, length);
	if (slice_starts_with(bytes, v2_start))
		return parse_v2(bytes, header, length);
	return slice_starts_with(v1_start, bytes) || slice_starts_with(v2_start, bytes) ? STATUS_NEED_MORE : STATUS_PEER;
}

/* Takes `count` bytes that are known to be there. */
static bool take(struct conn *conn, char *out, size_t count)
{
	while (count > 0) {
		size_t got = conn_receive(conn, out, count);

		if (got == 0)
			return false;
		out += got;
		count -= got;
	}
	return true;
}

/* Looks before it takes: what follows the header may be a TLS handshake, which must stay in the socket. */
bool proxy_read(struct conn *conn)
{
	char bytes[PROXY_HEADER_MAX];
	struct proxy_header header;
	enum status status = STATUS_NEED_MORE;
	size_t taken = 0, length;

	if (conn_is_tls(conn) || conn_has_input(conn))
		return false;
	while (status == STATUS_NEED_MORE) {
		size_t seen = taken + conn_peek_raw(conn, bytes + taken, sizeof(bytes) - taken);

		if (seen == taken)
			return false;
		status = proxy_parse(slice_of(bytes, seen), &header, &length);
		if (status == STATUS_NEED_MORE)
			length = seen;
		if (status == STATUS_PEER || !take(conn, bytes + taken, length - taken))
			return false;
		taken = length;
	}
	if (header.has_addresses)
		conn_set_addresses(conn, &header.source, &header.destination);
	return status == STATUS_OK;
}
