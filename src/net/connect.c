#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/conn.h"

/* 0, or the error number of what went wrong. */
static int wait_connected(int fd, int timeout_ms)
{
	int64_t until = clock_monotonic_ms() + timeout_ms;
	struct pollfd ready = {.fd = fd, .events = POLLOUT};
	int count, error = 0;
	socklen_t length = sizeof(error);

	do {
		int64_t left = until - clock_monotonic_ms();

		count = poll(&ready, 1, left > 0 ? (int)left : 0);
	} while (count < 0 && errno == EINTR);
	if (count < 0)
		return errno;
	if (count == 0)
		return ETIMEDOUT;
	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0 ? errno : error;
}

static int connect_socket(int fd, const struct net_address *peer, const struct net_address *source, int timeout_ms)
{
	struct sockaddr_storage sockaddr;
	socklen_t length;
	int on = 1;

	if (source) {
		/* The port is chosen at connect(), so that as many connections are possible to each peer as there are ports. */
		(void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
		length = net_address_to_sockaddr(source, &sockaddr);
		if (bind(fd, (struct sockaddr *)&sockaddr, length) < 0)
			return errno;
	}
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	length = net_address_to_sockaddr(peer, &sockaddr);
	if (connect(fd, (struct sockaddr *)&sockaddr, length) == 0)
		return 0;
	return errno == EINPROGRESS || errno == EINTR ? wait_connected(fd, timeout_ms) : errno;
}

static void describe(struct arena *arena, struct error *error, const struct net_address *peer, int number)
{
	char text[128];
	struct buf address SCOPED_BUF;

	buf_init(&address, NULL, 0);
	net_address_format(&address, peer);
	(void)error_set(error, arena, STATUS_TEMPORARY, "can't connect to %.*s port %u: %s", SLICE_ARG(buf_slice(&address)),
			peer->port, strerror_r(number, text, sizeof(text)));
}

struct conn *conn_connect(const struct net_address *peer, const struct net_address *source, int timeout_ms, struct arena *arena,
			  struct error *error)
{
	struct sockaddr_storage sockaddr = {0};
	socklen_t length = sizeof(sockaddr);
	struct net_address local;
	int fd = socket(peer->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int number = fd < 0 ? errno : connect_socket(fd, peer, source, timeout_ms);

	if (number == 0 && getsockname(fd, (struct sockaddr *)&sockaddr, &length) < 0)
		number = errno;
	if (number != 0) {
		describe(arena, error, peer, number);
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	local = net_address_from_sockaddr(&sockaddr);
	return conn_new(fd, peer, &local);
}
