#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/conn.h"
#include "net/conn_private.h"
#include "net_fixture.h"

/* A thread that sends bytes, `piece` at a time, and then ends its side if asked to. */
struct sender {
	int fd;
	struct slice bytes;
	size_t piece;
	bool shut;
	pthread_t thread;
};

static void *run_sender(void *context)
{
	struct sender *sender = context;

	for (size_t at = 0; at < sender->bytes.len; at += sender->piece)
		send_raw(sender->fd, slice_sub(sender->bytes, at, at + sender->piece));
	if (sender->shut)
		shutdown(sender->fd, SHUT_WR);
	return NULL;
}

static void sender_begin(struct sender *sender)
{
	assert_int_equal(pthread_create(&sender->thread, NULL, run_sender, sender), 0);
}

static void sender_end(struct sender *sender)
{
	assert_int_equal(pthread_join(sender->thread, NULL), 0);
}

static char *pattern(size_t count)
{
	char *bytes = malloc(count);

	assert_non_null(bytes);
	for (size_t i = 0; i < count; i++)
		bytes[i] = (char)(i * 131 + i / 251);
	return bytes;
}

static void assert_line(struct slice got, struct slice expected)
{
	assert_int_equal(got.len, expected.len);
	assert_memory_equal(got.data, expected.data, expected.len);
}

/* ---- lines ---- */

struct expected_line {
	enum conn_line kind;
	struct slice text;
};

#define LINES_MAX 5
#define OK(s)                            \
	{                                \
		CONN_LINE_OK,            \
		{                        \
			s, sizeof(s) - 1 \
		}                        \
	}
#define BARE(s)                          \
	{                                \
		CONN_LINE_BARE,          \
		{                        \
			s, sizeof(s) - 1 \
		}                        \
	}
#define LONG(s)                     \
	{                           \
		CONN_LINE_TOO_LONG, \
		{                   \
			s, sizeof(s) - 1 \
		}                   \
	}
#define INPUT(s)                 \
	{                        \
		s, sizeof(s) - 1 \
	}

/* The limit is 10 bytes with CRLF. */
static const struct {
	struct slice input;
	struct expected_line lines[LINES_MAX]; /* then the end: CONN_LINE_ERROR */
	size_t count;
} line_cases[] = {
	{INPUT(""), {{0}}, 0},
	{INPUT("\r\n"), {OK("")}, 1},
	{INPUT("\n"), {BARE("")}, 1},
	{INPUT("NOOP\r\nQUIT\r\n"), {OK("NOOP"), OK("QUIT")}, 2},
	{INPUT("NOOP\nQUIT\r\n"), {BARE("NOOP"), OK("QUIT")}, 2},
	{INPUT(".\n.\r\n"), {BARE("."), OK(".")}, 2},
	{INPUT("a\rb\r\n"), {OK("a\rb")}, 1},
	{INPUT("\r.\r\r\n"), {OK("\r.\r")}, 1},
	{INPUT("\n\r\n\n"), {BARE(""), OK(""), BARE("")}, 3},
	{INPUT("\r\r\n"), {OK("\r")}, 1},
	{INPUT("a\0b\r\n"), {OK("a\0b")}, 1},
	{INPUT("12345678\r\n"), {OK("12345678")}, 1},
	{INPUT("123456789\n"), {BARE("123456789")}, 1},
	{INPUT("123456789\r\n"), {LONG("123456789")}, 1},
	{INPUT("1234567890\nQUIT\r\n"), {LONG("1234567890"), OK("QUIT")}, 2},
	{INPUT("1234567890abcdefghijklmnopqrstuvwxyz\r\nQUIT\r\n"), {LONG("567890abcdefghijklmnopqrstuvwxyz"), OK("QUIT")}, 2},
	{INPUT("1234567890\r\n1234567890\r\nx\r\n"), {LONG("1234567890"), LONG("1234567890"), OK("x")}, 3},
	{INPUT("a\r\nno end"), {OK("a")}, 1},
	{INPUT("a\r\nmuch too long without end"), {OK("a")}, 1},
	{INPUT("a\r\nb\r"), {OK("a")}, 1},
};

static void check_lines(size_t number, size_t piece)
{
	struct sender sender = {.bytes = line_cases[number].input, .piece = piece, .shut = true};
	struct conn *conn = conn_on_socket_pair(&sender.fd);
	struct slice line;

	sender_begin(&sender);
	for (size_t i = 0; i < line_cases[number].count; i++) {
		assert_int_equal(conn_read_line(conn, 10, &line), line_cases[number].lines[i].kind);
		assert_line(line, line_cases[number].lines[i].text);
	}
	assert_int_equal(conn_read_line(conn, 10, &line), CONN_LINE_ERROR);
	assert_int_equal(conn_error(conn), CONN_CLOSED);
	assert_int_equal(line.len, 0);
	sender_end(&sender);
	close(sender.fd);
	conn_free(conn);
}

static void lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(line_cases) / sizeof(*line_cases); i++)
		for (size_t piece = 1; piece <= line_cases[i].input.len + 1; piece++)
			check_lines(i, piece);
}

/* Lines of growing length, so that each lies across the buffer's end somewhere, up to longer than the buffer. */
static void lines_across_the_buffer(void **state)
{
	struct buf input SCOPED_BUF;
	struct sender sender = {.piece = 5000, .shut = true};
	struct conn *conn = conn_on_socket_pair(&sender.fd);
	struct slice line;

	(void)state;
	buf_init(&input, NULL, 0);
	for (size_t length = 0; length < 200000; length = length * 3 / 2 + 7) {
		for (size_t i = 0; i < length; i++)
			buf_add_byte(&input, (char)('a' + (length + i) % 26));
		buf_add_literal(&input, "\r\n");
	}
	sender.bytes = buf_slice(&input);
	sender_begin(&sender);
	for (size_t length = 0; length < 200000; length = length * 3 / 2 + 7) {
		assert_int_equal(conn_read_line(conn, 300000, &line), CONN_LINE_OK);
		assert_int_equal(line.len, length);
		for (size_t i = 0; i < length; i++)
			if (line.data[i] != (char)('a' + (length + i) % 26))
				fail_msg("byte %zu of %zu", i, length);
	}
	assert_int_equal(conn_read_line(conn, 300000, &line), CONN_LINE_ERROR);
	sender_end(&sender);
	close(sender.fd);
	conn_free(conn);
}

static void *run_endless(void *context)
{
	static const char zeros[4096];

	while (send(*(int *)context, zeros, sizeof(zeros), MSG_NOSIGNAL) > 0)
		;
	return NULL;
}

/* A line without end is not read for ever. */
static void endless_line(void **state)
{
	int fd;
	struct conn *conn = conn_on_socket_pair(&fd);
	struct slice line;
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, run_endless, &fd), 0);
	assert_int_equal(conn_read_line(conn, 100, &line), CONN_LINE_ERROR);
	assert_int_equal(conn_error(conn), CONN_RESET);
	conn_free(conn);
	assert_int_equal(pthread_join(thread, NULL), 0);
	close(fd);
}

/* ---- bytes ---- */

static void exact(void **state)
{
	size_t count = 300000;
	char *bytes = pattern(count), *got = malloc(count);
	struct sender sender = {.bytes = {bytes, count}, .piece = 7001, .shut = true};
	struct conn *conn = conn_on_socket_pair(&sender.fd);

	(void)state;
	assert_non_null(got);
	sender_begin(&sender);
	assert_true(conn_read_exact(conn, got, 0));
	assert_true(conn_read_exact(conn, got, 1));
	assert_true(conn_read_exact(conn, got + 1, 9999));
	assert_true(conn_read_exact(conn, got + 10000, 200000));
	assert_true(conn_read_exact(conn, got + 210000, 89999));
	assert_memory_equal(got, bytes, count - 1);
	assert_false(conn_read_exact(conn, got, 2));
	assert_int_equal(conn_error(conn), CONN_CLOSED);
	sender_end(&sender);
	close(sender.fd);
	conn_free(conn);
	free(bytes);
	free(got);
}

static void some(void **state)
{
	int fd;
	struct conn *conn = conn_on_socket_pair(&fd);
	struct slice bytes, line;

	(void)state;
	send_raw(fd, SLICE("abcdefgh\r\n"));
	assert_false(conn_has_input(conn));
	assert_true(conn_read_some(conn, &bytes));
	assert_line(bytes, SLICE("abcdefgh\r\n"));
	conn_consume(conn, 3);
	assert_true(conn_has_input(conn));
	assert_true(conn_read_some(conn, &bytes));
	assert_line(bytes, SLICE("defgh\r\n"));
	conn_release_buffers(conn);
	assert_int_equal(conn_read_line(conn, 100, &line), CONN_LINE_OK);
	assert_line(line, SLICE("defgh"));
	assert_false(conn_has_input(conn));
	send_raw(fd, SLICE("rest"));
	assert_true(conn_read_some(conn, &bytes));
	conn_consume(conn, 1000);
	assert_false(conn_has_input(conn));
	send_raw(fd, SLICE("thrown away"));
	assert_true(conn_read_some(conn, &bytes));
	conn_discard_input(conn);
	assert_false(conn_has_input(conn));
	close(fd);
	assert_false(conn_read_some(conn, &bytes));
	assert_int_equal(bytes.len, 0);
	conn_free(conn);
}

static void small_when_parked(void **state)
{
	int fd;
	struct conn *conn = conn_on_socket_pair(&fd);
	struct slice line;

	(void)state;
	assert_true(sizeof(*conn) < 300);
	send_raw(fd, SLICE("a\r\nb\r\n"));
	conn_write_literal(conn, "reply");
	assert_int_equal(conn_read_line(conn, 100, &line), CONN_LINE_OK);
	conn_release_buffers(conn);
	assert_non_null(conn->input);
	assert_non_null(conn->output.data);
	assert_int_equal(conn_read_line(conn, 100, &line), CONN_LINE_OK);
	assert_line(line, SLICE("b"));
	assert_true(conn_flush(conn));
	conn_release_buffers(conn);
	assert_null(conn->input);
	assert_null(conn->output.data);
	close(fd);
	conn_free(conn);
}

/* ---- output ---- */

struct reader {
	int fd;
	struct buf got;
	pthread_t thread;
};

static void *run_reader(void *context)
{
	struct reader *reader = context;
	char bytes[3000];
	ssize_t got;

	while ((got = recv(reader->fd, bytes, sizeof(bytes), 0)) > 0)
		buf_add(&reader->got, slice_of(bytes, (size_t)got));
	return NULL;
}

static void reader_begin(struct reader *reader)
{
	buf_init(&reader->got, NULL, 0);
	assert_int_equal(pthread_create(&reader->thread, NULL, run_reader, reader), 0);
}

static void assert_read(struct reader *reader, struct slice expected)
{
	assert_int_equal(pthread_join(reader->thread, NULL), 0);
	assert_int_equal(reader->got.len, expected.len);
	assert_memory_equal(reader->got.data, expected.data, expected.len);
	buf_free(&reader->got);
	close(reader->fd);
}

static void writing(void **state)
{
	size_t count = 1 << 20, at = 0, piece = 1;
	char *bytes = pattern(count);
	struct reader reader;
	struct conn *conn = conn_on_socket_pair(&reader.fd);

	(void)state;
	reader_begin(&reader);
	while (at < count) {
		size_t now = piece < count - at ? piece : count - at;

		if (now % 2)
			conn_write(conn, slice_of(bytes + at, now));
		else
			buf_add(conn_output(conn), slice_of(bytes + at, now));
		conn_flush_if_high(conn);
		assert_true(conn->output.len <= CONN_OUTPUT_HIGH);
		at += now;
		piece = piece * 5 / 3 + 1;
	}
	assert_true(conn_flush(conn));
	conn_free(conn);
	assert_read(&reader, slice_of(bytes, count));
	free(bytes);
}

static void nothing_leaves_before_a_flush(void **state)
{
	char byte;
	int fd;
	struct conn *conn = conn_on_socket_pair(&fd);

	(void)state;
	conn_printf(conn, "%d %s\r\n", 250, "OK");
	assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), -1);
	assert_true(conn_flush(conn));
	assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), 1);
	assert_int_equal(byte, '2');
	conn_free(conn);
	close(fd);
}

/* ---- errors and time ---- */

static void errors_stick(void **state)
{
	int fd;
	struct conn *conn = conn_on_socket_pair(&fd);
	struct slice line;
	char byte;

	(void)state;
	send_raw(fd, SLICE("one\r\ntwo\r\n"));
	assert_int_equal(conn_read_line(conn, 100, &line), CONN_LINE_OK);
	close(fd);
	conn_write_literal(conn, "nobody reads this");
	assert_false(conn_flush(conn));
	assert_int_equal(conn_error(conn), CONN_RESET);
	assert_int_equal(conn_read_line(conn, 100, &line), CONN_LINE_ERROR);
	assert_false(conn_read_exact(conn, &byte, 1));
	assert_false(conn_read_some(conn, &line));
	conn_write_literal(conn, "more");
	conn_printf(conn, "more");
	assert_int_equal(conn->output.len, 0);
	buf_add_literal(conn_output(conn), "more");
	conn_flush_if_high(conn);
	assert_int_equal(conn->output.len, 0);
	assert_false(conn_flush(conn));
	assert_int_equal(conn_error(conn), CONN_RESET);
	conn_free(conn);
}

static void timeout(void **state)
{
	int fd;
	struct conn *conn = conn_on_socket_pair(&fd);
	struct slice line;

	(void)state;
	conn_set_timeout(conn, 10);
	send_raw(fd, SLICE("no end"));
	assert_int_equal(conn_read_line(conn, 100, &line), CONN_LINE_ERROR);
	assert_int_equal(conn_error(conn), CONN_TIMED_OUT);
	close(fd);
	conn_free(conn);
}

static void timeout_of_writing(void **state)
{
	char *bytes = pattern(4 << 20);
	int fd;
	struct conn *conn = conn_on_socket_pair(&fd);

	(void)state;
	conn_set_timeout(conn, 10);
	conn_write(conn, slice_of(bytes, 4 << 20));
	assert_int_equal(conn_error(conn), CONN_TIMED_OUT);
	close(fd);
	conn_free(conn);
	free(bytes);
}

static void deadline_that_has_passed(void **state)
{
	int fd;
	struct conn *conn = conn_on_socket_pair(&fd);
	struct slice line;

	(void)state;
	conn_set_timeout(conn, 0);
	conn_set_deadline(conn, clock_monotonic_ms() + 10);
	assert_int_equal(conn_read_line(conn, 100, &line), CONN_LINE_ERROR);
	assert_int_equal(conn_error(conn), CONN_TIMED_OUT);
	close(fd);
	conn_free(conn);

	/* Input that is there all the time doesn't help. */
	conn = conn_on_socket_pair(&fd);
	send_raw(fd, SLICE("a\r\n"));
	conn_set_deadline(conn, 1);
	assert_int_equal(conn_read_line(conn, 100, &line), CONN_LINE_ERROR);
	assert_int_equal(conn_error(conn), CONN_TIMED_OUT);
	close(fd);
	conn_free(conn);
}

static _Atomic bool drip;

static void *run_drip(void *context)
{
	while (atomic_load(&drip)) {
		send(*(int *)context, "x", 1, MSG_NOSIGNAL);
		usleep(500);
	}
	return NULL;
}

static void dripping_peer(void **state)
{
	int fd;
	struct conn *conn = conn_on_socket_pair(&fd);
	struct slice line;
	pthread_t thread;

	(void)state;
	atomic_store(&drip, true);
	assert_int_equal(pthread_create(&thread, NULL, run_drip, &fd), 0);
	conn_set_deadline(conn, clock_monotonic_ms() + 30);
	assert_int_equal(conn_read_line(conn, 1 << 20, &line), CONN_LINE_ERROR);
	assert_int_equal(conn_error(conn), CONN_TIMED_OUT);
	atomic_store(&drip, false);
	assert_int_equal(pthread_join(thread, NULL), 0);
	close(fd);
	conn_free(conn);
}

static void addresses(void **state)
{
	struct conn_pair pair = tcp_pair();
	struct net_address peer = {.family = AF_INET, .bytes = {192, 0, 2, 1}, .port = 9};

	(void)state;
	assert_true(net_address_is_loopback(conn_peer(pair.server)));
	assert_int_equal(conn_peer(pair.server)->port, conn_local(pair.client)->port);
	assert_int_equal(conn_local(pair.server)->port, conn_peer(pair.client)->port);
	conn_set_addresses(pair.server, &peer, NULL);
	assert_int_equal(conn_peer(pair.server)->port, 9);
	assert_int_equal(conn_local(pair.server)->family, 0);
	pair_free(&pair);
	conn_free(NULL);
}

/* The last reply arrives although its reader sent what nobody read. */
static void last_reply_survives(void **state)
{
	struct conn_pair pair = tcp_pair();
	struct slice line;

	(void)state;
	conn_write_literal(pair.client, "unread\r\n");
	assert_true(conn_flush(pair.client));
	assert_true(conn_wait(pair.server, 1 /* POLLIN */));
	conn_write_literal(pair.server, "221 bye\r\n");
	assert_true(conn_flush(pair.server));
	conn_free(pair.server);
	assert_int_equal(conn_read_line(pair.client, 100, &line), CONN_LINE_OK);
	assert_int_equal(conn_read_line(pair.client, 100, &line), CONN_LINE_ERROR);
	assert_int_equal(conn_error(pair.client), CONN_CLOSED);
	conn_free(pair.client);
}

/* ---- DEFLATE ---- */

struct deflated_side {
	struct conn *conn;
	struct slice bytes;
	pthread_t thread;
};

static void *send_deflated(void *context)
{
	struct deflated_side *side = context;

	for (size_t at = 0; at < side->bytes.len; at += 50000) {
		conn_write(side->conn, slice_sub(side->bytes, at, at + 50000));
		conn_flush(side->conn);
		/* as the engine does between commands */
		conn_release_buffers(side->conn);
	}
	return NULL;
}

/* Both ends are ours; both are parked again and again on the way. */
static void test_deflate(void **state)
{
	struct conn_pair pair = tcp_pair();
	size_t count = 1000000, got = 0;
	char *bytes = pattern(count), *back = malloc(count);
	struct deflated_side side = {.conn = pair.client, .bytes = slice_of(bytes, count)};
	struct slice line;

	(void)state;
	conn_write_literal(pair.server, "OK\r\n");
	assert_true(conn_start_deflate(pair.server));
	assert_false(conn_start_deflate(pair.server));
	assert_true(conn_is_deflated(pair.server));
	assert_int_equal(conn_read_line(pair.client, 100, &line), CONN_LINE_OK);
	assert_true(conn_start_deflate(pair.client));
	assert_int_equal(pthread_create(&side.thread, NULL, send_deflated, &side), 0);
	while (got < count) {
		size_t piece = count - got < 12345 ? count - got : 12345;

		assert_true(conn_read_exact(pair.server, back + got, piece));
		got += piece;
		conn_release_buffers(pair.server);
	}
	assert_int_equal(pthread_join(side.thread, NULL), 0);
	assert_memory_equal(bytes, back, count);
	assert_false(conn_has_input(pair.server));
	conn_write_literal(pair.client, "again\r\n");
	conn_end_deflate(pair.client);
	assert_int_equal(conn_read_line(pair.server, 100, &line), CONN_LINE_OK);
	assert_line(line, SLICE("again"));
	conn_end_deflate(pair.server);
	conn_write_literal(pair.client, "plain\r\n");
	assert_true(conn_flush(pair.client));
	assert_int_equal(conn_read_line(pair.server, 100, &line), CONN_LINE_OK);
	assert_line(line, SLICE("plain"));
	free(bytes);
	free(back);
	pair_free(&pair);
}

/* What came with the command, compressed already; lines that are many times longer than on the wire; and nonsense. */
static void test_deflate_input(void **state)
{
	static const char early[] = "\xca\x2c\x00\x00\x00\x00\xff\xff";
	struct slice line;
	int fd;
	struct conn *conn = conn_on_socket_pair(&fd);

	(void)state;
	send_raw(fd, SLICE("COMPRESS\r\n"));
	send_raw(fd, slice_of(early, sizeof(early) - 1));
	send_raw(fd, SLICE("\xe2\xe5\x02\x00\x00\x00\xff\xff"));
	assert_int_equal(conn_read_line(conn, 100, &line), CONN_LINE_OK);
	assert_true(conn_start_deflate(conn));
	assert_true(conn_has_input(conn));
	assert_int_equal(conn_read_line(conn, 100, &line), CONN_LINE_OK);
	assert_line(line, SLICE("ip"));
	conn_release_buffers(conn);
	send_raw(fd, SLICE("\xff\xff\xff\xff"));
	assert_int_equal(conn_read_line(conn, 100, &line), CONN_LINE_ERROR);
	assert_int_equal(conn_error(conn), CONN_RESET);
	conn_free(conn);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines),
		cmocka_unit_test(lines_across_the_buffer),
		cmocka_unit_test(endless_line),
		cmocka_unit_test(exact),
		cmocka_unit_test(some),
		cmocka_unit_test(small_when_parked),
		cmocka_unit_test(writing),
		cmocka_unit_test(nothing_leaves_before_a_flush),
		cmocka_unit_test(errors_stick),
		cmocka_unit_test(timeout),
		cmocka_unit_test(timeout_of_writing),
		cmocka_unit_test(deadline_that_has_passed),
		cmocka_unit_test(dripping_peer),
		cmocka_unit_test(addresses),
		cmocka_unit_test(last_reply_survives),
		cmocka_unit_test(test_deflate),
		cmocka_unit_test(test_deflate_input),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
