/* net/conn.h on a socket pair, as far as imap uses it, so that sessions are tested without the engine, TLS and DNS: nothing of the
 * net library is linked. TLS and DEFLATE are words: a conn that has begun them says so, its bytes stay as they are. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/conn.h"
#include "net/tls.h"

#define READ_SIZE 16384

struct conn {
	int fd, timeout_ms;
	int64_t deadline_ms;
	struct net_address peer, local;
	enum conn_error error;
	struct buf input, output;
	size_t at;
	bool is_tls, is_deflated;
};

struct conn *conn_new(int fd, const struct net_address *peer, const struct net_address *local)
{
	struct conn *conn = calloc(1, sizeof(*conn));

	if (!conn)
		abort();
	conn->fd = fd;
	conn->timeout_ms = 300000;
	conn->peer = *peer;
	conn->local = *local;
	return conn;
}

void conn_free(struct conn *conn)
{
	close(conn->fd);
	buf_free(&conn->input);
	buf_free(&conn->output);
	free(conn);
}

enum conn_error conn_error(const struct conn *conn)
{
	return conn->error;
}

int conn_fd(const struct conn *conn)
{
	return conn->fd;
}

const struct net_address *conn_peer(const struct conn *conn)
{
	return &conn->peer;
}

void conn_set_timeout(struct conn *conn, int timeout_ms)
{
	conn->timeout_ms = timeout_ms;
}

void conn_set_deadline(struct conn *conn, int64_t deadline_ms)
{
	conn->deadline_ms = deadline_ms;
}

static void wait_for(struct conn *conn, short events)
{
	struct pollfd fd = {conn->fd, events, 0};
	int64_t left = conn->deadline_ms ? conn->deadline_ms - clock_monotonic_ms() : conn->timeout_ms;

	if (left > conn->timeout_ms)
		left = conn->timeout_ms;
	if (poll(&fd, 1, left > 0 ? (int)left : 0) == 0)
		conn->error = CONN_TIMED_OUT;
}

static struct slice unread(const struct conn *conn)
{
	return slice_skip(buf_slice(&conn->input), conn->at);
}

static bool receive(struct conn *conn)
{
	ssize_t got = -1;

	if (conn->at > 0) {
		conn->input.len -= conn->at;
		memmove(conn->input.data, conn->input.data + conn->at, conn->input.len);
		conn->at = 0;
	}
	while (conn->error == CONN_OK) {
		got = recv(conn->fd, buf_reserve(&conn->input, READ_SIZE), READ_SIZE, 0);
		if (got > 0) {
			buf_advance(&conn->input, (size_t)got);
			return true;
		}
		if (got == 0)
			conn->error = CONN_CLOSED;
		else if (errno == EAGAIN)
			wait_for(conn, POLLIN);
		else
			conn->error = CONN_RESET;
	}
	return false;
}

enum conn_line conn_read_line(struct conn *conn, size_t limit, struct slice *line)
{
	bool too_long = false;

	conn_flush(conn);
	for (;;) {
		struct slice have = unread(conn);
		size_t end = slice_find_byte(have, '\n');

		if (end != SLICE_NOT_FOUND) {
			bool bare = end == 0 || have.data[end - 1] != '\r';

			*line = slice_sub(have, 0, bare ? end : end - 1);
			conn->at += end + 1;
			if (too_long || end + 1 > limit)
				return CONN_LINE_TOO_LONG;
			return bare ? CONN_LINE_BARE : CONN_LINE_OK;
		}
		if (have.len >= limit) {
			too_long = true;
			conn->at += have.len;
		}
		if (!receive(conn))
			return CONN_LINE_ERROR;
	}
}

bool conn_read_some(struct conn *conn, struct slice *bytes)
{
	if (unread(conn).len == 0) {
		conn_flush(conn);
		if (!receive(conn))
			return false;
	}
	*bytes = unread(conn);
	return conn->error == CONN_OK;
}

void conn_consume(struct conn *conn, size_t count)
{
	conn->at += count;
}

bool conn_has_input(struct conn *conn)
{
	return unread(conn).len > 0;
}

void conn_discard_input(struct conn *conn)
{
	buf_clear(&conn->input);
	conn->at = 0;
}

struct buf *conn_output(struct conn *conn)
{
	return &conn->output;
}

/* Much output may take a client longer than any deadline: sessions must not have set one. */
void conn_flush_if_high(struct conn *conn)
{
	if (conn->output.len <= CONN_OUTPUT_HIGH)
		return;
	if (conn->deadline_ms)
		conn->error = CONN_TIMED_OUT;
	conn_flush(conn);
}

bool conn_flush(struct conn *conn)
{
	struct slice rest = buf_slice(&conn->output);

	while (rest.len > 0 && conn->error == CONN_OK) {
		ssize_t sent = send(conn->fd, rest.data, rest.len, MSG_NOSIGNAL);

		if (sent > 0)
			rest = slice_skip(rest, (size_t)sent);
		else if (errno == EAGAIN)
			wait_for(conn, POLLOUT);
		else
			conn->error = CONN_RESET;
	}
	buf_clear(&conn->output);
	return conn->error == CONN_OK;
}

/* As net does for a parked connection. */
void conn_release_buffers(struct conn *conn)
{
	if (unread(conn).len == 0) {
		buf_free(&conn->input);
		conn->at = 0;
	}
	buf_free(&conn->output);
}

bool conn_start_tls_server(struct conn *conn, struct tls_context *tls)
{
	conn->is_tls = tls != NULL;
	return conn->is_tls;
}

bool conn_start_deflate(struct conn *conn)
{
	conn->is_deflated = conn_flush(conn);
	return conn->is_deflated;
}

void conn_end_deflate(struct conn *conn)
{
	conn->is_deflated = false;
}

bool conn_is_deflated(const struct conn *conn)
{
	return conn->is_deflated;
}

bool conn_is_certified(const struct conn *conn)
{
	(void)conn;
	return false;
}

void conn_certified_addresses(const struct conn *conn, struct buf *out)
{
	(void)conn;
	(void)out;
}

bool conn_is_tls(const struct conn *conn)
{
	return conn->is_tls;
}

struct slice conn_tls_version(const struct conn *conn)
{
	return conn->is_tls ? SLICE("TLSv1.3") : SLICE_EMPTY;
}

bool conn_channel_binding(struct conn *conn, struct slice type, struct buf *out)
{
	(void)conn;
	(void)type;
	(void)out;
	return false;
}

bool tls_context_has_certificate(const struct tls_context *context)
{
	return context != NULL;
}

void net_address_format(struct buf *out, const struct net_address *address)
{
	buf_printf(out, "%u.%u.%u.%u", address->bytes[0], address->bytes[1], address->bytes[2], address->bytes[3]);
}

bool net_address_is_loopback(const struct net_address *address)
{
	return address->family == AF_INET && address->bytes[0] == 127;
}
