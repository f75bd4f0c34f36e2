#include "net/conn.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/conn_private.h"

#define INPUT_SIZE         (32 * 1024)
#define INPUT_TAIL         4096 /* less room than that behind the waiting bytes: they are moved to the front */
#define OUTPUT_FIRST       4096
#define OUTPUT_DIRECT      (16 * 1024)   /* so much at once isn't copied when the buffer is full */
#define SKIP_MAX           (1024 * 1024) /* of an over-long line, then the connection ends */
#define DEFAULT_TIMEOUT_MS (300 * 1000)

struct conn *conn_new(int fd, const struct net_address *peer, const struct net_address *local)
{
	struct conn *conn = calloc(1, sizeof(*conn));

	if (!conn) {
		fputs("out of memory\n", stderr);
		abort();
	}
	conn->fd = fd;
	conn->timeout_ms = DEFAULT_TIMEOUT_MS;
	conn_set_addresses(conn, peer, local);
	buf_init(&conn->output, NULL, 0);
	return conn;
}

/* What the peer has sent and nobody reads would make close(2) send a reset, which can destroy our last reply on its way. */
static void close_in_order(struct conn *conn)
{
	char unread[4096];

	if (conn->error == CONN_OK)
		(void)!recv(conn->fd, unread, sizeof(unread), MSG_DONTWAIT);
	close(conn->fd);
}

void conn_free(struct conn *conn)
{
	if (!conn)
		return;
	conn_deflate_free(conn);
	if (conn->ssl)
		conn_tls_end(conn);
	close_in_order(conn);
	buf_free(&conn->output);
	free(conn->input);
	free(conn->tls_error);
	free(conn);
}

enum conn_error conn_error(const struct conn *conn)
{
	return conn->error;
}

void conn_fail(struct conn *conn, enum conn_error error)
{
	if (conn->error == CONN_OK)
		conn->error = error;
}

const struct net_address *conn_peer(const struct conn *conn)
{
	return &conn->peer;
}

const struct net_address *conn_local(const struct conn *conn)
{
	return &conn->local;
}

void conn_set_addresses(struct conn *conn, const struct net_address *peer, const struct net_address *local)
{
	conn->peer = peer ? *peer : (struct net_address){0};
	conn->local = local ? *local : (struct net_address){0};
}

int conn_fd(const struct conn *conn)
{
	return conn->fd;
}

void conn_set_timeout(struct conn *conn, int timeout_ms)
{
	conn->timeout_ms = timeout_ms;
}

void conn_set_deadline(struct conn *conn, int64_t deadline_ms)
{
	conn->deadline_ms = deadline_ms;
}

/* ---- waiting ---- */

/* False if the deadline has passed. A peer that sends without end never makes us wait: so it is looked at before each transfer. */
static bool in_time(struct conn *conn)
{
	if (conn->deadline_ms && clock_monotonic_ms() >= conn->deadline_ms)
		conn_fail(conn, CONN_TIMED_OUT);
	return conn->error == CONN_OK;
}

static int wait_ms(const struct conn *conn)
{
	int64_t left = conn->timeout_ms > 0 ? conn->timeout_ms : INT32_MAX;
	int64_t until_deadline;

	if (conn->deadline_ms) {
		until_deadline = conn->deadline_ms - clock_monotonic_ms();
		if (until_deadline < left)
			left = until_deadline > 0 ? until_deadline : 0;
	} else if (conn->timeout_ms <= 0) {
		return -1;
	}
	return (int)left;
}

void conn_on_wait(struct conn *conn, void (*waits)(void *context, bool begins), void *context)
{
	conn->waits = waits;
	conn->waits_context = context;
}

static int poll_peer(struct conn *conn, short events)
{
	struct pollfd ready = {.fd = conn->fd, .events = events};
	int count, limit_ms;

	/* Without time left nothing is polled: a peer that has always a byte ready would go on for ever. */
	do {
		limit_ms = wait_ms(conn);
		count = limit_ms == 0 ? 0 : poll(&ready, 1, limit_ms);
	} while (count < 0 && errno == EINTR);
	return count;
}

bool conn_wait(struct conn *conn, short events)
{
	if (conn->waits)
		conn->waits(conn->waits_context, true);
	int count = poll_peer(conn, events);

	if (conn->waits)
		conn->waits(conn->waits_context, false);
	if (count == 0)
		conn_fail(conn, CONN_TIMED_OUT);
	else if (count < 0)
		conn_fail(conn, CONN_RESET);
	return count > 0;
}

/* After a failed system call: true if it is to be tried again. */
static bool try_again(struct conn *conn, short events)
{
	if (errno == EINTR)
		return true;
	if (errno == EAGAIN || errno == EWOULDBLOCK)
		return conn_wait(conn, events);
	conn_fail(conn, CONN_RESET);
	return false;
}

/* ---- input ---- */

static size_t receive_plain(struct conn *conn, void *out, size_t cap, int flags)
{
	ssize_t got;

	do {
		got = recv(conn->fd, out, cap, flags);
		if (got > 0)
			return (size_t)got;
		if (got == 0) {
			conn_fail(conn, CONN_CLOSED);
			return 0;
		}
	} while (try_again(conn, POLLIN));
	return 0;
}

size_t conn_receive_raw(struct conn *conn, void *out, size_t cap)
{
	if (conn->error != CONN_OK || !in_time(conn))
		return 0;
	return conn->ssl ? conn_tls_read(conn, out, cap) : receive_plain(conn, out, cap, 0);
}

size_t conn_receive(struct conn *conn, void *out, size_t cap)
{
	return conn->deflate ? conn_deflate_read(conn, out, cap, true) : conn_receive_raw(conn, out, cap);
}

size_t conn_peek_raw(struct conn *conn, void *out, size_t cap)
{
	if (conn->error != CONN_OK || !in_time(conn))
		return 0;
	return receive_plain(conn, out, cap, MSG_PEEK);
}

static size_t waiting(const struct conn *conn)
{
	return conn->input_end - conn->input_at;
}

static bool resize_input(struct conn *conn, size_t cap)
{
	char *input = realloc(conn->input, cap);

	if (!input) {
		conn_fail(conn, CONN_RESET);
		return false;
	}
	conn->input = input;
	conn->input_cap = cap;
	return true;
}

static bool make_room(struct conn *conn)
{
	size_t count = waiting(conn);

	if (!conn->input)
		return resize_input(conn, INPUT_SIZE);
	if (count == 0) {
		conn->input_at = conn->input_end = 0;
	} else if (conn->input_at > 0 && conn->input_cap - conn->input_end < INPUT_TAIL) {
		memmove(conn->input, conn->input + conn->input_at, count);
		conn->input_at = 0;
		conn->input_end = count;
	}
	return conn->input_end < conn->input_cap || resize_input(conn, 2 * conn->input_cap);
}

static bool fill(struct conn *conn)
{
	size_t got;

	if (conn->error != CONN_OK || !make_room(conn))
		return false;
	got = conn_receive(conn, conn->input + conn->input_end, conn->input_cap - conn->input_end);
	conn->input_end += got;
	return got > 0;
}

/* The index behind the LF among the first `limit` waiting bytes, of which `from` have been looked at; 0 if there is none. */
static size_t find_line(const struct conn *conn, size_t from, size_t limit)
{
	size_t have = waiting(conn) < limit ? waiting(conn) : limit;
	struct slice unseen = have > from ? slice_of(conn->input + conn->input_at + from, have - from) : SLICE_EMPTY;
	const char *lf = memchr(unseen.data, '\n', unseen.len);

	return lf ? from + (size_t)(lf - unseen.data) + 1 : 0;
}

static enum conn_line skip_line(struct conn *conn, struct slice *end)
{
	size_t length, skipped = 0;

	while ((length = find_line(conn, 0, SIZE_MAX)) == 0) {
		size_t count = waiting(conn) > CONN_LINE_END + 1 ? waiting(conn) - CONN_LINE_END - 1 : 0;

		skipped += count;
		conn->input_at += count;
		if (skipped > SKIP_MAX)
			conn_fail(conn, CONN_RESET);
		if (!fill(conn))
			return CONN_LINE_ERROR;
	}
	*end = slice_of(conn->input + conn->input_at, length - 1);
	if (slice_ends_with(*end, SLICE("\r")))
		end->len--;
	if (end->len > CONN_LINE_END)
		*end = slice_skip(*end, end->len - CONN_LINE_END);
	conn->input_at += length;
	return CONN_LINE_TOO_LONG;
}

/* RFC 5321 section 2.3.8: only CRLF ends a line. What ends by a bare LF is told apart, as one server's end of a message must
 * not be another's line within it. */
enum conn_line conn_read_line(struct conn *conn, size_t limit, struct slice *line)
{
	size_t length, scanned = 0;

	*line = SLICE_EMPTY;
	if (conn->error != CONN_OK)
		return CONN_LINE_ERROR;
	while ((length = find_line(conn, scanned, limit)) == 0) {
		scanned = waiting(conn);
		if (scanned >= limit && scanned > 0)
			return skip_line(conn, line);
		if (!fill(conn))
			return CONN_LINE_ERROR;
	}
	*line = slice_of(conn->input + conn->input_at, length - 1);
	conn->input_at += length;
	if (!slice_ends_with(*line, SLICE("\r")))
		return CONN_LINE_BARE;
	line->len--;
	return CONN_LINE_OK;
}

bool conn_read_exact(struct conn *conn, void *out, size_t count)
{
	char *to = out;

	while (count > 0 && conn->error == CONN_OK) {
		size_t piece = waiting(conn) < count ? waiting(conn) : count;

		if (piece > 0) {
			memcpy(to, conn->input + conn->input_at, piece);
			conn->input_at += piece;
		} else if (count >= INPUT_SIZE) {
			piece = conn_receive(conn, to, count);
		} else if (!fill(conn)) {
			return false;
		}
		to += piece;
		count -= piece;
	}
	return conn->error == CONN_OK;
}

bool conn_read_some(struct conn *conn, struct slice *bytes)
{
	*bytes = SLICE_EMPTY;
	if (conn->error != CONN_OK || (waiting(conn) == 0 && !fill(conn)))
		return false;
	*bytes = slice_of(conn->input + conn->input_at, waiting(conn));
	return true;
}

void conn_consume(struct conn *conn, size_t count)
{
	conn->input_at += count < waiting(conn) ? count : waiting(conn);
}

/* What is here compressed may come to nothing, so it is unpacked. */
static bool unpack_here(struct conn *conn)
{
	if (conn->error != CONN_OK || !make_room(conn))
		return true;
	conn->input_end += conn_deflate_read(conn, conn->input + conn->input_end, conn->input_cap - conn->input_end, false);
	return waiting(conn) > 0 || conn->error != CONN_OK;
}

bool conn_has_input(struct conn *conn)
{
	if (waiting(conn) > 0)
		return true;
	return conn->deflate ? unpack_here(conn) : conn->ssl && conn_tls_has_input(conn);
}

void conn_discard_input(struct conn *conn)
{
	conn->input_at = conn->input_end = 0;
}

/* ---- output ---- */

static size_t send_plain(struct conn *conn, const void *data, size_t len)
{
	ssize_t sent;

	do {
		sent = send(conn->fd, data, len, MSG_NOSIGNAL);
		if (sent > 0)
			return (size_t)sent;
	} while (sent < 0 && try_again(conn, POLLOUT));
	return 0;
}

void conn_send_raw(struct conn *conn, struct slice bytes)
{
	while (bytes.len > 0 && conn->error == CONN_OK && in_time(conn)) {
		size_t sent = conn->ssl ? conn_tls_write(conn, bytes.data, bytes.len) : send_plain(conn, bytes.data, bytes.len);

		bytes = slice_skip(bytes, sent);
	}
}

static void send_all(struct conn *conn, struct slice bytes)
{
	if (conn->deflate)
		conn_deflate_send(conn, bytes);
	else
		conn_send_raw(conn, bytes);
}

bool conn_flush(struct conn *conn)
{
	if (!buf_ok(&conn->output))
		conn_fail(conn, CONN_RESET);
	send_all(conn, buf_slice(&conn->output));
	buf_clear(&conn->output);
	return conn->error == CONN_OK;
}

struct buf *conn_output(struct conn *conn)
{
	if (!conn->output.data)
		buf_reserve(&conn->output, OUTPUT_FIRST);
	return &conn->output;
}

void conn_flush_if_high(struct conn *conn)
{
	if (conn->output.len > CONN_OUTPUT_HIGH || conn->error != CONN_OK)
		conn_flush(conn);
}

void conn_write(struct conn *conn, struct slice bytes)
{
	if (conn->error != CONN_OK)
		return;
	if (bytes.len >= OUTPUT_DIRECT && bytes.len + conn->output.len > CONN_OUTPUT_HIGH) {
		if (conn_flush(conn))
			send_all(conn, bytes);
		return;
	}
	buf_add(conn_output(conn), bytes);
	conn_flush_if_high(conn);
}

void conn_printf(struct conn *conn, const char *format, ...)
{
	va_list args;

	if (conn->error != CONN_OK)
		return;
	va_start(args, format);
	buf_vprintf(conn_output(conn), format, args);
	va_end(args);
	conn_flush_if_high(conn);
}

void conn_release_buffers(struct conn *conn)
{
	if (waiting(conn) == 0) {
		free(conn->input);
		conn->input = NULL;
		conn->input_at = conn->input_end = conn->input_cap = 0;
	}
	if (conn->output.len == 0)
		buf_free(&conn->output);
	if (conn->deflate)
		conn_deflate_park(conn);
}
