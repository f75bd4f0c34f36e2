#include "net/listen.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

bool listen_parse(struct slice text, struct net_address *address)
{
	size_t colon = slice_find_last_byte(text, ':');
	struct slice host = slice_sub(text, 0, colon);
	struct net_address parsed = {.family = AF_INET6};
	bool is_bracketed = slice_starts_with(host, SLICE("[")) && slice_ends_with(host, SLICE("]"));
	uint32_t port;

	if (colon == SLICE_NOT_FOUND || !slice_to_u32(slice_skip(text, colon + 1), UINT16_MAX, &port))
		return false;
	if (is_bracketed)
		host = slice_sub(host, 1, host.len - 1);
	if (is_bracketed != (slice_find_byte(host, ':') != SLICE_NOT_FOUND))
		return false;
	if (host.len > 0 && !net_address_parse(host, &parsed))
		return false;
	*address = parsed;
	address->port = (uint16_t)port;
	return true;
}

static bool is_any(const struct net_address *address)
{
	static const uint8_t zero[16];

	return address->family == AF_INET6 && memcmp(address->bytes, zero, 16) == 0;
}

/* 0, or the error number. */
static int set_up(int fd, const struct net_address *address, int backlog)
{
	struct sockaddr_storage sockaddr;
	socklen_t length = net_address_to_sockaddr(address, &sockaddr);
	int on = 1, v6_only = !is_any(address);

	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0)
		return errno;
	if (address->family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6_only, sizeof(v6_only)) < 0)
		return errno;
	if (bind(fd, (struct sockaddr *)&sockaddr, length) < 0 || listen(fd, backlog) < 0)
		return errno;
	return 0;
}

static int open_and_bind(const struct net_address *address, int backlog, int *number)
{
	int fd = socket(address->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	*number = fd < 0 ? errno : set_up(fd, address, backlog);
	if (*number != 0 && fd >= 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static const char *advice(int number)
{
	switch (number) {
	case EACCES:
	case EPERM:
		return "ports below 1024 need root, CAP_NET_BIND_SERVICE or another port";
	case EADDRINUSE:
		return "another program listens there: stop it (`ss -ltnp` shows which), or choose another port";
	case EADDRNOTAVAIL:
		return "this machine has no such address: `ip address` lists those it has";
	case EAFNOSUPPORT:
		return "this machine's kernel has no such addresses: use the other family";
	default:
		return "see the system's log";
	}
}

int listen_tcp(struct slice address, int backlog, struct arena *arena, struct error *error)
{
	struct net_address parsed;
	char text[128];
	int fd, number;

	if (!listen_parse(address, &parsed)) {
		(void)error_set(error, arena, STATUS_REFUSED,
				"\"%.*s\" is no address to listen on: write 192.0.2.1:25, [2001:db8::1]:25 or :25",
				SLICE_ARG(address));
		return -1;
	}
	fd = open_and_bind(&parsed, backlog, &number);
	if (fd < 0 && number == EAFNOSUPPORT && is_any(&parsed)) {
		/* A kernel without IPv6: all addresses are all of IPv4. */
		parsed.family = AF_INET;
		fd = open_and_bind(&parsed, backlog, &number);
	}
	if (fd < 0)
		(void)error_set(error, arena, STATUS_REFUSED, "can't listen on %.*s: %s; %s", SLICE_ARG(address),
				strerror_r(number, text, sizeof(text)), advice(number));
	return fd;
}
