#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <sys/socket.h>
#include <unistd.h>

#include "net/proxy.h"
#include "net_fixture.h"

#define TEXT(s)                  \
	{                        \
		s, sizeof(s) - 1 \
	}
#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define V4_FIELDS "\xc0\x00\x02\x01\xc6\x33\x64\x02\xdc\x04\x00\x19"
#define V6_SOURCE "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"
#define V6_TARGET "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02"

/* Each header is followed by "EHLO" in the test. */
static const struct {
	struct slice header;
	const char *source, *destination; /* NULL: without addresses */
	unsigned source_port, destination_port;
} good[] = {
	{TEXT("PROXY TCP4 192.0.2.1 198.51.100.2 56324 25\r\n"), "192.0.2.1", "198.51.100.2", 56324, 25},
	{TEXT("PROXY TCP6 2001:db8::1 2001:db8::2 0 65535\r\n"), "2001:db8::1", "2001:db8::2", 0, 65535},
	{TEXT("PROXY TCP6 ::ffff:192.0.2.1 2001:db8::2 1 2\r\n"), "192.0.2.1", "2001:db8::2", 1, 2},
	{TEXT("PROXY UNKNOWN\r\n"), NULL, NULL, 0, 0},
	{TEXT("PROXY UNKNOWN ffff::1 whatever 1 2\r\n"), NULL, NULL, 0, 0},
	{TEXT(SIGNATURE "\x21\x11\x00\x0c" V4_FIELDS), "192.0.2.1", "198.51.100.2", 56324, 25},
	{TEXT(SIGNATURE "\x21\x11\x00\x11" V4_FIELDS "\x04\x00\x02xy"), "192.0.2.1", "198.51.100.2", 56324, 25},
	{TEXT(SIGNATURE "\x21\x21\x00\x24" V6_SOURCE V6_TARGET "\xdc\x04\x03\xe1"), "2001:db8::1", "2001:db8::2", 56324, 993},
	{TEXT(SIGNATURE "\x20\x00\x00\x00"), NULL, NULL, 0, 0},
	{TEXT(SIGNATURE "\x20\x11\x00\x0c" V4_FIELDS), NULL, NULL, 0, 0},
	{TEXT(SIGNATURE "\x21\x00\x00\x03xyz"), NULL, NULL, 0, 0},
};

static const struct slice bad[] = {
	TEXT("EHLO client.example.test\r\n"),
	TEXT("\x16\x03\x01"),
	TEXT("proxy TCP4 192.0.2.1 198.51.100.2 1 25\r\n"),
	TEXT("PROXY\tTCP4"),
	TEXT("PROXY TCP4 192.0.2.1 198.51.100.2 1 25\n"),
	TEXT("PROXY TCP5 192.0.2.1 198.51.100.2 1 25\r\n"),
	TEXT("PROXY TCP4 192.0.2.1 198.51.100.2 1\r\n"),
	TEXT("PROXY TCP4 192.0.2.1 198.51.100.2 1 25 \r\n"),
	TEXT("PROXY TCP4  192.0.2.1 198.51.100.2 1 25\r\n"),
	TEXT("PROXY TCP4 192.0.2.1 198.51.100.2 65536 25\r\n"),
	TEXT("PROXY TCP4 192.0.2.1 198.51.100.2 1 025\r\n"),
	TEXT("PROXY TCP4 192.0.2.1 198.51.100.2 -1 25\r\n"),
	TEXT("PROXY TCP4 192.0.2.256 198.51.100.2 1 25\r\n"),
	TEXT("PROXY TCP4 2001:db8::1 198.51.100.2 1 25\r\n"),
	TEXT("PROXY TCP6 192.0.2.1 2001:db8::2 1 25\r\n"),
	TEXT("PROXY \r\n"),
	TEXT("PROXY UNKNOWN "
	     "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123\r\n"),
	TEXT("\r\n\r\n\0\r\nQUIT\r"),
	TEXT(SIGNATURE "\x11\x11\x00\x0c" V4_FIELDS),
	TEXT(SIGNATURE "\x31\x11\x00\x0c" V4_FIELDS),
	TEXT(SIGNATURE "\x22\x11\x00\x0c" V4_FIELDS),
	TEXT(SIGNATURE "\x21\x12\x00\x0c" V4_FIELDS),
	TEXT(SIGNATURE "\x21\x41\x00\x0c" V4_FIELDS),
	TEXT(SIGNATURE "\x21\x11\x00\x0b" V4_FIELDS),
	TEXT(SIGNATURE "\x21\x21\x00\x0c" V4_FIELDS),
	TEXT(SIGNATURE "\x21\x31\x00\x0c" V4_FIELDS),
	TEXT(SIGNATURE "\x21\x11\xff\xff" V4_FIELDS),
};

static void assert_address(const struct net_address *address, const char *text, unsigned port)
{
	struct net_address expected = {0};

	if (text)
		assert_true(net_address_parse(slice_from_cstr(text), &expected));
	expected.port = (uint16_t)port;
	assert_memory_equal(address, &expected, sizeof(expected));
}

static void headers(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		struct buf text SCOPED_BUF;
		struct proxy_header header;
		size_t length;

		buf_init(&text, NULL, 0);
		buf_add(&text, good[i].header);
		buf_add_literal(&text, "EHLO");
		assert_int_equal(proxy_parse(buf_slice(&text), &header, &length), STATUS_OK);
		assert_int_equal(length, good[i].header.len);
		assert_int_equal(header.has_addresses, good[i].source != NULL);
		assert_address(&header.source, good[i].source, good[i].source_port);
		assert_address(&header.destination, good[i].destination, good[i].destination_port);
		for (size_t part = 0; part < good[i].header.len; part++)
			assert_int_equal(proxy_parse(slice_sub(good[i].header, 0, part), &header, &length), STATUS_NEED_MORE);
	}
}

static void faults(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct proxy_header header;
		size_t length;

		if (proxy_parse(bad[i], &header, &length) != STATUS_PEER)
			fail_msg("case %zu was not refused", i);
	}
}

/* Whatever pieces it comes in, the header is taken and what follows is left where it is. */
static void off_a_connection(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		int fd;
		struct conn *conn = conn_on_socket_pair(&fd);
		char rest[8] = "";

		send_raw(fd, good[i].header);
		send_raw(fd, SLICE("EHLO"));
		assert_true(proxy_read(conn));
		assert_address(conn_peer(conn), good[i].source, good[i].source_port);
		assert_address(conn_local(conn), good[i].destination, good[i].destination_port);
		assert_int_equal(recv(conn_fd(conn), rest, sizeof(rest), MSG_PEEK), 4);
		assert_true(conn_read_exact(conn, rest, 4));
		assert_memory_equal(rest, "EHLO", 4);
		close(fd);
		conn_free(conn);
	}
}

struct dripper {
	int fd;
	struct slice bytes;
};

static void *run_dripper(void *context)
{
	const struct dripper *dripper = context;

	for (size_t i = 0; i < dripper->bytes.len; i++) {
		send_raw(dripper->fd, slice_sub(dripper->bytes, i, i + 1));
		usleep(50);
	}
	return NULL;
}

static void byte_by_byte(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		struct dripper dripper = {.bytes = good[i].header};
		struct conn *conn = conn_on_socket_pair(&dripper.fd);
		pthread_t thread;

		assert_int_equal(pthread_create(&thread, NULL, run_dripper, &dripper), 0);
		assert_true(proxy_read(conn));
		assert_address(conn_peer(conn), good[i].source, good[i].source_port);
		assert_int_equal(pthread_join(thread, NULL), 0);
		close(dripper.fd);
		conn_free(conn);
	}
}

static void refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		int fd;
		struct conn *conn = conn_on_socket_pair(&fd);

		send_raw(fd, bad[i]);
		assert_false(proxy_read(conn));
		assert_int_equal(conn_peer(conn)->family, 0);
		close(fd);
		conn_free(conn);
	}
}

static void cut_off(void **state)
{
	int fd;
	struct conn *conn = conn_on_socket_pair(&fd);

	(void)state;
	send_raw(fd, slice_sub(good[0].header, 0, 20));
	shutdown(fd, SHUT_WR);
	assert_false(proxy_read(conn));
	assert_int_equal(conn_error(conn), CONN_CLOSED);
	close(fd);
	conn_free(conn);

	conn = conn_on_socket_pair(&fd);
	conn_set_timeout(conn, 10);
	send_raw(fd, slice_sub(good[5].header, 0, 20));
	assert_false(proxy_read(conn));
	assert_int_equal(conn_error(conn), CONN_TIMED_OUT);
	close(fd);
	conn_free(conn);
}

static void before_tls(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct tls_context *server, *client = tls_client_new(SLICE_EMPTY);
	struct conn_pair pair = tcp_pair();
	struct handshake handshake = {.conn = pair.client, .context = client};
	char byte = 0;

	(void)state;
	arena_init(&arena, 0);
	server = server_context(&arena, "");
	send_raw(conn_fd(pair.client), good[5].header);
	handshake_begin(&handshake);
	/* Until the handshake is there too. */
	while (recv(conn_fd(pair.server), (char[64]){0}, 64, MSG_PEEK) <= (ssize_t)good[5].header.len)
		usleep(100);
	assert_true(proxy_read(pair.server));
	assert_address(conn_peer(pair.server), "192.0.2.1", 56324);
	assert_true(conn_start_tls_server(pair.server, server));
	assert_true(handshake_end(&handshake));
	conn_write_literal(pair.client, "x");
	assert_true(conn_flush(pair.client));
	assert_true(conn_read_exact(pair.server, &byte, 1));
	assert_int_equal(byte, 'x');
	assert_false(proxy_read(pair.server));
	pair_free(&pair);
	tls_context_free(server);
	tls_context_free(client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headers),      cmocka_unit_test(faults),  cmocka_unit_test(off_a_connection),
		cmocka_unit_test(byte_by_byte), cmocka_unit_test(refused), cmocka_unit_test(cut_off),
		cmocka_unit_test(before_tls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
