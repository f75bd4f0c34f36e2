#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "net/listen.h"

static void parsing(void **state)
{
	static const struct {
		const char *text;
		int family; /* 0: refused */
		unsigned port;
	} cases[] = {
		{"127.0.0.1:2525", AF_INET, 2525},
		{"[::1]:25", AF_INET6, 25},
		{":25", AF_INET6, 25},
		{"0.0.0.0:1", AF_INET, 1},
		{"[::]:65535", AF_INET6, 65535},
		{"[::ffff:10.0.0.1]:5", AF_INET, 5},
		{"", 0, 0},
		{"25", 0, 0},
		{"127.0.0.1", 0, 0},
		{"127.0.0.1:", 0, 0},
		{"::1:25", 0, 0},
		{"[::1]", 0, 0},
		{"[]:25", 0, 0},
		{"[::1:25", 0, 0},
		{"::1]:25", 0, 0},
		{"[127.0.0.1]:25", 0, 0},
		{"host:25", 0, 0},
		{":65536", 0, 0},
		{":-1", 0, 0},
		{": 25", 0, 0},
		{"[:25", 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct net_address address;
		bool ok = listen_parse(slice_from_cstr(cases[i].text), &address);

		if (ok != (cases[i].family != 0))
			fail_msg("%s", cases[i].text);
		if (ok) {
			assert_int_equal(address.family, cases[i].family);
			assert_int_equal(address.port, cases[i].port);
		}
	}
}

static struct net_address bound(int fd)
{
	struct sockaddr_storage sockaddr = {0};
	socklen_t length = sizeof(sockaddr);

	assert_int_equal(getsockname(fd, (struct sockaddr *)&sockaddr, &length), 0);
	return net_address_from_sockaddr(&sockaddr);
}

static void options(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct error error = {0};
	struct net_address address;
	struct conn *client;
	int fd, accepted, on = 0;
	socklen_t length = sizeof(on);

	(void)state;
	arena_init(&arena, 0);
	fd = listen_tcp(SLICE("127.0.0.1:0"), 8, &arena, &error);
	assert_true(fd >= 0);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(accept(fd, NULL, NULL), -1);
	address = bound(fd);
	client = conn_connect(&address, NULL, 5000, &arena, &error);
	assert_non_null(client);
	assert_int_equal(conn_peer(client)->port, address.port);
	assert_int_not_equal(conn_local(client)->port, 0);
	accepted = accept(fd, NULL, NULL);
	assert_true(accepted >= 0);
	assert_int_equal(getsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, &on, &length), 0);
	assert_int_equal(on, 1);
	close(accepted);
	conn_free(client);
	close(fd);
}

static void dual_stack(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct error error = {0};
	struct net_address address = {.family = AF_INET, .bytes = {127, 0, 0, 1}};
	struct conn *client;
	int fd;

	(void)state;
	arena_init(&arena, 0);
	fd = listen_tcp(SLICE(":0"), 8, &arena, &error);
	assert_true(fd >= 0);
	address.port = bound(fd).port;
	client = conn_connect(&address, NULL, 5000, &arena, &error);
	assert_non_null(client);
	conn_free(client);
	close(fd);
}

static void explained(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct error error = {0};
	struct buf text SCOPED_BUF;
	int fd;

	(void)state;
	arena_init(&arena, 0);
	buf_init(&text, NULL, 0);
	fd = listen_tcp(SLICE("127.0.0.1:0"), 8, &arena, &error);
	assert_true(fd >= 0);
	buf_printf(&text, "127.0.0.1:%u", bound(fd).port);
	assert_int_equal(listen_tcp(buf_slice(&text), 8, &arena, &error), -1);
	assert_int_not_equal(slice_find(error.text, buf_slice(&text)), SLICE_NOT_FOUND);
	assert_int_not_equal(slice_find(error.text, SLICE("another program")), SLICE_NOT_FOUND);
	close(fd);
	assert_int_equal(listen_tcp(SLICE("192.0.2.77:0"), 8, &arena, &error), -1);
	assert_int_not_equal(slice_find(error.text, SLICE("no such address")), SLICE_NOT_FOUND);
	assert_int_equal(listen_tcp(SLICE("nonsense"), 8, &arena, &error), -1);
	assert_int_not_equal(slice_find(error.text, SLICE("\"nonsense\"")), SLICE_NOT_FOUND);
}

/* Nobody listens on a port that was just given back. */
static void connection_refused(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct error error = {0};
	struct net_address address, source = {.family = AF_INET, .bytes = {127, 0, 0, 1}};
	int fd;

	(void)state;
	arena_init(&arena, 0);
	fd = listen_tcp(SLICE("127.0.0.1:0"), 8, &arena, &error);
	assert_true(fd >= 0);
	address = bound(fd);
	close(fd);
	assert_null(conn_connect(&address, &source, 5000, &arena, &error));
	assert_int_equal(error.status, STATUS_TEMPORARY);
	assert_int_not_equal(slice_find(error.text, SLICE("127.0.0.1")), SLICE_NOT_FOUND);
	assert_int_not_equal(slice_find(error.text, SLICE("refused")), SLICE_NOT_FOUND);
	address.family = 0;
	assert_null(conn_connect(&address, NULL, 5000, &arena, &error));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parsing),
		cmocka_unit_test(options),
		cmocka_unit_test(dual_stack),
		cmocka_unit_test(explained),
		cmocka_unit_test(connection_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
