/* Look-ups against a private server (argument 1: tests/tools/dns-server.sh), one that is not there, and one that hangs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <seccomp.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "net/dns.h"

extern char **environ;

#define assert_slice(got, expected) assert_true(slice_eq((got), SLICE(expected)))
#define SOA                         "@ 3600 IN SOA ns hostmaster 1 3600 600 86400 60\n@ 3600 IN NS ns\nns IN A 127.0.0.1\n"

static const char *self, *server_script;

static struct {
	struct arena arena;
	char folder[64];
	struct slice forwarder;
	pid_t server;
	struct slice anchors;
	struct dns *dns;
} world;

static const char plain_zone[] =
	"$ORIGIN example.test.\n$TTL 60\n" SOA "@ IN MX 30 c\n@ IN MX 10 A\n@ IN MX 20 b.other.example.\n"
	"null IN MX 0 .\n"
	"oddmx IN MX 10 a\\032b\n"
	"somemx IN MX 10 a\\032b\nsomemx IN MX 20 fine\n"
	"a IN A 192.0.2.1\na IN A 192.0.2.2\na IN AAAA 2001:db8::1\n"
	"four IN A 192.0.2.4\n"
	"mapped IN AAAA ::ffff:127.0.0.1\n"
	"alias1 IN CNAME alias2\nalias2 IN CNAME alias3.signed.test.\n"
	"lost IN CNAME nowhere\n"
	"loop1 IN CNAME loop2\nloop2 IN CNAME loop1\n"
	"txt IN TXT \"v=spf1 ip4:192.0.2.0/24\" \" -all\"\ntxt IN TXT \"second; \\\"quoted\\\"\"\n"
	"_25._tcp.a IN TLSA 3 1 1 ( 0000111122223333444455556666777788889999aaaabbbbccccddddeeeeffff )\n";

static const char signed_zone[] =
	"$ORIGIN signed.test.\n$TTL 60\n" SOA "@ IN MX 10 mx\nmx IN A 192.0.2.7\nmx IN AAAA 2001:db8::7\n"
	"alias3 IN CNAME mx\nalias3mx IN CNAME @\n"
	"outside IN CNAME a.example.test.\n"
	"_25._tcp.mx IN TLSA 2 0 2 0102\n";

static const char small_zone[] = "$TTL 60\n" SOA "@ IN MX 10 mx\nmx IN A 192.0.2.9\nmx IN AAAA 2001:db8::9\n";

static const char reverse_zone[] =
	"$ORIGIN 2.0.192.in-addr.arpa.\n$TTL 60\n@ 3600 IN SOA ns.example.test. h.example.test. 1 3600 600 86400 60\n"
	"@ IN NS ns.example.test.\n1 IN PTR Mail.Example.Test.\n1 IN PTR a.example.test.\n"
	"2 IN PTR a\\010b.example.test.\n4 IN CNAME 4.rest/25\n4.rest/25 IN PTR four.example.test.\n";

static const char reverse6_zone[] =
	"$ORIGIN 8.b.d.0.1.0.0.2.ip6.arpa.\n$TTL 60\n@ 3600 IN SOA ns.example.test. h.example.test. 1 3600 600 86400 60\n"
	"@ IN NS ns.example.test.\n1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0 IN PTR a.example.test.\n";

static const char *path_of(const char *name)
{
	struct buf path;

	buf_init(&path, &world.arena, 0);
	buf_printf(&path, "%s/%s%c", world.folder, name, 0);
	return path.data;
}

static void write_zone(const char *name, const char *text)
{
	FILE *file = fopen(path_of(name), "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

/* 300 addresses: their answer comes by TCP. */
static void write_plain_zone(void)
{
	struct buf zone;

	buf_init(&zone, &world.arena, 0);
	buf_add(&zone, slice_from_cstr(plain_zone));
	for (unsigned i = 0; i < 300; i++)
		buf_printf(&zone, "many IN A 192.0.%u.%u\n", 2 + i / 200, i % 200);
	buf_add_byte(&zone, 0);
	write_zone("example.test.zone", zone.data);
}

static void read_anchor(struct buf *anchors, const char *name)
{
	FILE *file = fopen(path_of(name), "r");
	char line[512];

	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		buf_add(anchors, slice_from_cstr(line));
	(void)fclose(file);
}

/* A UDP socket on a port of its own. */
static int bound_socket(uint16_t *port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	*port = ntohs(address.sin_port);
	return fd;
}

static struct slice forwarder_at(uint16_t port)
{
	struct buf text;

	buf_init(&text, &world.arena, 0);
	buf_printf(&text, "127.0.0.1@%u", port);
	return buf_slice(&text);
}

static struct dns *resolver(struct slice forwarder, struct slice anchors, int timeout_ms)
{
	static const struct slice insecure[] = {SLICE("private.signed.test")};
	struct dns_options options = {&forwarder, 1, anchors, insecure, 1, timeout_ms};
	struct error error;
	struct dns *dns = dns_new(&options, &world.arena, &error);

	if (!dns)
		fail_msg("%.*s", SLICE_ARG(error.text));
	return dns;
}

/* Until the server answers. */
static void await_server(void)
{
	for (int i = 0; i < 200; i++) {
		struct dns *dns = resolver(world.forwarder, world.anchors, 5000);
		struct dns_mx *records;
		size_t count;
		bool secure;
		enum status status = dns_mx(dns, &world.arena, SLICE("example.test"), &records, &count, &secure, NULL);

		dns_free(dns);
		if (status == STATUS_OK)
			return;
		assert_int_equal(waitpid(world.server, NULL, WNOHANG), 0);
		(void)poll(NULL, 0, 100);
	}
	fail_msg("the server doesn't answer");
}

static void start_server(uint16_t port)
{
	char number[8];
	const char *const arguments[] = {server_script,
					 world.folder,
					 number,
					 "example.test",
					 "signed.test=signed",
					 "expired.test=expired",
					 "stripped.test",
					 "private.signed.test",
					 "foreign.signed.test",
					 "2.0.192.in-addr.arpa",
					 "8.b.d.0.1.0.0.2.ip6.arpa",
					 NULL};

	(void)snprintf(number, sizeof(number), "%u", port);
	assert_int_equal(posix_spawn(&world.server, server_script, NULL, NULL, (char *const *)arguments, environ), 0);
}

/* The server is about to start: zones are signed. */
static void await_file(const char *name)
{
	while (access(path_of(name), R_OK) != 0) {
		assert_int_equal(waitpid(world.server, NULL, WNOHANG), 0);
		(void)poll(NULL, 0, 20);
	}
}

static int set_up(void **state)
{
	uint16_t port;
	struct buf anchors;
	int fd = bound_socket(&port);

	(void)state;
	(void)close(fd);
	(void)snprintf(world.folder, sizeof(world.folder), "/tmp/test-dns-XXXXXX");
	assert_non_null(mkdtemp(world.folder));
	write_plain_zone();
	write_zone("signed.test.zone", signed_zone);
	write_zone("expired.test.zone", small_zone);
	write_zone("stripped.test.zone", small_zone);
	/* the zone above knows nothing of these two */
	write_zone("private.signed.test.zone", small_zone);
	write_zone("foreign.signed.test.zone", small_zone);
	write_zone("2.0.192.in-addr.arpa.zone", reverse_zone);
	write_zone("8.b.d.0.1.0.0.2.ip6.arpa.zone", reverse6_zone);
	start_server(port);
	await_file("nsd.log");
	buf_init(&anchors, &world.arena, 0);
	buf_add_literal(&anchors, "; anchors\n\n");
	read_anchor(&anchors, "signed.test.anchor");
	read_anchor(&anchors, "expired.test.anchor");
	/* of a zone that is not signed */
	buf_add_literal(&anchors,
			"stripped.test. IN DS 1 13 2 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n");
	world.anchors = buf_slice(&anchors);
	world.forwarder = forwarder_at(port);
	await_server();
	world.dns = resolver(world.forwarder, world.anchors, 20000);
	return 0;
}

static int tear_down(void **state)
{
	const char *const arguments[] = {"rm", "-rf", world.folder, NULL};
	pid_t pid;

	(void)state;
	dns_free(world.dns);
	(void)kill(world.server, SIGTERM);
	(void)waitpid(world.server, NULL, 0);
	if (posix_spawnp(&pid, "rm", NULL, NULL, (char *const *)arguments, environ) == 0)
		(void)waitpid(pid, NULL, 0);
	arena_free(&world.arena);
	return 0;
}

static enum status mx_of(struct slice domain, struct dns_mx **records, size_t *count, bool *secure, bool *exists)
{
	return dns_mx(world.dns, &world.arena, domain, records, count, secure, exists);
}

static void mx_by_preference(void **state)
{
	struct dns_mx *records;
	size_t count;
	bool secure, exists;

	(void)state;
	assert_int_equal(mx_of(SLICE("Example.TEST"), &records, &count, &secure, &exists), STATUS_OK);
	assert_int_equal(count, 3);
	assert_false(secure);
	assert_true(exists);
	assert_int_equal(records[0].preference, 10);
	assert_slice(records[0].host, "a.example.test");
	assert_int_equal(records[1].preference, 20);
	assert_slice(records[1].host, "b.other.example");
	assert_int_equal(records[2].preference, 30);
	assert_slice(records[2].host, "c.example.test");
}

static void null_mx(void **state)
{
	struct dns_mx *records;
	size_t count;
	bool secure;

	(void)state;
	assert_int_equal(mx_of(SLICE("null.example.test"), &records, &count, &secure, NULL), STATUS_OK);
	assert_int_equal(count, 1);
	assert_int_equal(records[0].host.len, 0);
	assert_int_equal(records[0].preference, 0);
}

static void odd_hosts_are_passed_over(void **state)
{
	struct dns_mx *records;
	size_t count;
	bool secure;

	(void)state;
	assert_int_equal(mx_of(SLICE("somemx.example.test"), &records, &count, &secure, NULL), STATUS_OK);
	assert_int_equal(count, 1);
	assert_slice(records[0].host, "fine.example.test");
	/* A domain whose every MX is odd has no implicit one. */
	assert_int_equal(mx_of(SLICE("oddmx.example.test"), &records, &count, &secure, NULL), STATUS_TEMPORARY);
	assert_int_equal(count, 0);
}

static void nothing_is_told_apart(void **state)
{
	static const struct {
		struct slice name;
		bool exists, secure;
	} cases[] = {
		{SLICE("nowhere.example.test"), false, false},
		{SLICE("a.example.test"), true, false},
		{SLICE("nowhere.signed.test"), false, true},
		{SLICE("mx.signed.test"), true, true},
		{SLICE("_tcp.a.example.test"), true, false},
		{SLICE("lost.example.test"), false, false},
		{SLICE("not a name.test"), false, false},
		{SLICE("example.test."), false, false},
		{SLICE(""), false, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct dns_mx *records;
		size_t count = 1;
		bool secure, exists;

		if (mx_of(cases[i].name, &records, &count, &secure, &exists) != STATUS_NOT_FOUND)
			fail_msg("%.*s is found", SLICE_ARG(cases[i].name));
		if (exists != cases[i].exists || secure != cases[i].secure || count != 0)
			fail_msg("%.*s: exists %d, secure %d", SLICE_ARG(cases[i].name), exists, secure);
	}
}

static void signatures_make_secure(void **state)
{
	struct dns_mx *records;
	struct net_address *addresses;
	size_t count;
	bool secure;

	(void)state;
	assert_int_equal(mx_of(SLICE("signed.test"), &records, &count, &secure, NULL), STATUS_OK);
	assert_true(secure);
	assert_slice(records[0].host, "mx.signed.test");
	assert_int_equal(mx_of(SLICE("alias3mx.signed.test"), &records, &count, &secure, NULL), STATUS_OK);
	assert_true(secure);
	assert_int_equal(dns_addresses(world.dns, &world.arena, SLICE("mx.signed.test"), &addresses, &count, &secure),
			 STATUS_OK);
	assert_int_equal(count, 2);
	assert_true(secure);
	/* a secure alias of an insecure name */
	assert_int_equal(dns_addresses(world.dns, &world.arena, SLICE("outside.signed.test"), &addresses, &count, &secure),
			 STATUS_OK);
	assert_int_equal(count, 3);
	assert_false(secure);
	assert_int_equal(dns_addresses(world.dns, &world.arena, SLICE("a.example.test"), &addresses, &count, &secure),
			 STATUS_OK);
	assert_false(secure);
}

static void bogus_is_temporary(void **state)
{
	static const struct slice names[] = {SLICE("expired.test"), SLICE("stripped.test"), SLICE("nowhere.expired.test"),
					     SLICE("foreign.signed.test")};
	struct dns_mx *records;
	struct net_address *addresses;
	size_t count;
	bool secure;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_int_equal(mx_of(names[i], &records, &count, &secure, NULL), STATUS_TEMPORARY);
		assert_int_equal(count, 0);
		assert_false(secure);
	}
	assert_int_equal(dns_addresses(world.dns, &world.arena, SLICE("mx.expired.test"), &addresses, &count, &secure),
			 STATUS_TEMPORARY);
	assert_int_equal(count, 0);
	/* as broken as foreign.signed.test, but options say not to mind */
	assert_int_equal(mx_of(SLICE("private.signed.test"), &records, &count, &secure, NULL), STATUS_OK);
	assert_false(secure);
}

static void expect_addresses(struct slice host, const char *expected)
{
	struct net_address *addresses;
	size_t count;
	bool secure;
	struct buf text;
	enum status status = dns_addresses(world.dns, &world.arena, host, &addresses, &count, &secure);

	buf_init(&text, &world.arena, 0);
	assert_int_equal(status, *expected ? STATUS_OK : STATUS_NOT_FOUND);
	for (size_t i = 0; i < count; i++) {
		char one[INET6_ADDRSTRLEN];

		assert_int_equal(addresses[i].port, 0);
		assert_non_null(inet_ntop(addresses[i].family, addresses[i].bytes, one, sizeof(one)));
		buf_printf(&text, "%s ", one);
	}
	buf_add_byte(&text, 0);
	assert_string_equal(text.data, expected);
}

static void addresses_of_both_families(void **state)
{
	struct net_address *addresses;
	size_t count;
	bool secure;

	(void)state;
	expect_addresses(SLICE("four.example.test"), "192.0.2.4 ");
	expect_addresses(SLICE("mapped.example.test"), "127.0.0.1 ");
	expect_addresses(SLICE("alias1.example.test"), "2001:db8::7 192.0.2.7 ");
	expect_addresses(SLICE("nowhere.example.test"), "");
	expect_addresses(SLICE("txt.example.test"), "");
	expect_addresses(SLICE("[192.0.2.1]"), "");
	assert_int_equal(dns_addresses(world.dns, &world.arena, SLICE("a.example.test"), &addresses, &count, &secure),
			 STATUS_OK);
	assert_int_equal(count, 3);
	assert_int_equal(addresses[0].family, AF_INET6);
	assert_int_equal(addresses[1].family, AF_INET);
	assert_int_equal(addresses[2].family, AF_INET);
	assert_int_equal(dns_addresses(world.dns, &world.arena, SLICE("many.example.test"), &addresses, &count, &secure),
			 STATUS_OK);
	assert_int_equal(count, 256);
	assert_int_equal(dns_addresses(world.dns, &world.arena, SLICE("loop1.example.test"), &addresses, &count, &secure),
			 STATUS_TEMPORARY);
}

static void txt_is_joined(void **state)
{
	struct slice *texts;
	size_t count;
	bool secure;

	(void)state;
	assert_int_equal(dns_txt(world.dns, &world.arena, SLICE("txt.example.test"), &texts, &count, &secure), STATUS_OK);
	assert_int_equal(count, 2);
	if (texts[0].data[0] == 's') {
		struct slice second = texts[0];

		texts[0] = texts[1];
		texts[1] = second;
	}
	assert_slice(texts[0], "v=spf1 ip4:192.0.2.0/24 -all");
	assert_slice(texts[1], "second; \"quoted\"");
	assert_int_equal(dns_txt(world.dns, &world.arena, SLICE("a.example.test"), &texts, &count, &secure), STATUS_NOT_FOUND);
}

static void tlsa_records(void **state)
{
	struct dns_tlsa *records;
	size_t count;
	bool secure;

	(void)state;
	assert_int_equal(dns_tlsa(world.dns, &world.arena, SLICE("_25._tcp.mx.signed.test"), &records, &count, &secure),
			 STATUS_OK);
	assert_int_equal(count, 1);
	assert_true(secure);
	assert_int_equal(records[0].usage, 2);
	assert_int_equal(records[0].selector, 0);
	assert_int_equal(records[0].matching, 2);
	assert_slice(records[0].data, "\1\2");
	assert_int_equal(dns_tlsa(world.dns, &world.arena, SLICE("_25._tcp.a.example.test"), &records, &count, &secure),
			 STATUS_OK);
	assert_false(secure);
	assert_int_equal(records[0].data.len, 32);
	/* securely none: RFC 7672 section 2.1.1 wants that told from "we don't know" */
	assert_int_equal(dns_tlsa(world.dns, &world.arena, SLICE("_26._tcp.mx.signed.test"), &records, &count, &secure),
			 STATUS_NOT_FOUND);
	assert_true(secure);
}

static void names_by_address(void **state)
{
	struct net_address address = {AF_INET, {192, 0, 2, 1}, 0}, none = {0};
	struct net_address six = {AF_INET6, {0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, 0};
	struct slice *names;
	size_t count;

	(void)state;
	assert_int_equal(dns_reverse(world.dns, &world.arena, &address, &names, &count), STATUS_OK);
	assert_int_equal(count, 2);
	assert_true(slice_eq(names[0], SLICE("mail.example.test")) || slice_eq(names[1], SLICE("mail.example.test")));
	address.bytes[3] = 4;
	assert_int_equal(dns_reverse(world.dns, &world.arena, &address, &names, &count), STATUS_OK);
	assert_int_equal(count, 1);
	assert_slice(names[0], "four.example.test");
	address.bytes[3] = 2; /* a name with a line feed */
	assert_int_equal(dns_reverse(world.dns, &world.arena, &address, &names, &count), STATUS_NOT_FOUND);
	address.bytes[3] = 3;
	assert_int_equal(dns_reverse(world.dns, &world.arena, &address, &names, &count), STATUS_NOT_FOUND);
	assert_int_equal(dns_reverse(world.dns, &world.arena, &six, &names, &count), STATUS_OK);
	assert_int_equal(count, 1);
	assert_slice(names[0], "a.example.test");
	assert_int_equal(dns_reverse(world.dns, &world.arena, &none, &names, &count), STATUS_NOT_FOUND);
}

/* Threads */

#define THREADS  24
#define LOOK_UPS 60

struct asker {
	pthread_t thread;
	struct dns *dns;
	unsigned number, wrong;
};

/* Some names are asked for by all, some by nobody else. */
static void *ask_much(void *context)
{
	struct asker *asker = context;
	struct arena arena SCOPED_ARENA;

	for (unsigned i = 0; i < LOOK_UPS; i++) {
		struct net_address *addresses;
		struct dns_mx *records;
		struct buf name;
		size_t count;
		bool secure, exists;

		buf_init(&name, &arena, 0);
		buf_printf(&name, "none-%u-%u.signed.test", asker->number, i);
		if (dns_addresses(asker->dns, &arena, SLICE("a.example.test"), &addresses, &count, &secure) != STATUS_OK ||
		    count != 3 ||
		    dns_mx(asker->dns, &arena, buf_slice(&name), &records, &count, &secure, &exists) != STATUS_NOT_FOUND ||
		    exists || !secure ||
		    dns_mx(asker->dns, &arena, SLICE("signed.test"), &records, &count, &secure, &exists) != STATUS_OK ||
		    !secure)
			asker->wrong++;
		arena_reset(&arena);
	}
	return NULL;
}

static void many_threads(void **state)
{
	struct asker askers[THREADS] = {0};
	struct dns *dns = resolver(world.forwarder, world.anchors, 60000);

	(void)state;
	for (unsigned i = 0; i < THREADS; i++) {
		askers[i].dns = dns;
		askers[i].number = i;
		assert_int_equal(pthread_create(&askers[i].thread, NULL, ask_much, &askers[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(askers[i].thread, NULL), 0);
		assert_int_equal(askers[i].wrong, 0);
	}
	dns_free(dns);
}

/* Servers that fail */

static void dead_server(void **state)
{
	uint16_t port;
	struct dns_mx *records;
	struct net_address *addresses;
	struct slice *names;
	size_t count;
	bool secure, exists;

	(void)state;
	(void)close(bound_socket(&port));
	struct dns *dns = resolver(forwarder_at(port), SLICE_EMPTY, 200);
	assert_int_equal(dns_mx(dns, &world.arena, SLICE("example.test"), &records, &count, &secure, &exists),
			 STATUS_TEMPORARY);
	assert_int_equal(count, 0);
	assert_int_equal(dns_addresses(dns, &world.arena, SLICE("example.test"), &addresses, &count, &secure),
			 STATUS_TEMPORARY);
	assert_int_equal(dns_reverse(dns, &world.arena, &(struct net_address){AF_INET, {192, 0, 2, 1}, 0}, &names, &count),
			 STATUS_TEMPORARY);
	/* with questions still open: they go with it */
	dns_free(dns);
}

struct hung_server {
	int fd;
	_Atomic bool answers, stop;
	_Atomic unsigned questions;
};

/* Says nothing until it may; then "there is no such name" (without SOA: not kept for long). */
static void *serve_late(void *context)
{
	struct hung_server *server = context;

	while (!server->stop) {
		uint8_t packet[512];
		struct sockaddr_in peer;
		socklen_t peer_len = sizeof(peer);
		struct pollfd readable = {server->fd, POLLIN, 0};

		if (poll(&readable, 1, 20) != 1)
			continue;
		ssize_t got = recvfrom(server->fd, packet, sizeof(packet), 0, (struct sockaddr *)&peer, &peer_len);
		server->questions++;
		if (got < 12 || !server->answers)
			continue;
		packet[2] = 0x81; /* RFC 1035 section 4.1.1: QR, RD; RA, name error */
		packet[3] = 0x83;
		(void)sendto(server->fd, packet, (size_t)got, 0, (struct sockaddr *)&peer, peer_len);
	}
	return NULL;
}

/* No look-up may wait for the server, which answers only after the first has come back. */
static void hung_server_that_answers_late(void **state)
{
	struct hung_server server = {0};
	uint16_t port;
	pthread_t thread;
	struct dns_mx *records;
	size_t count;
	bool secure, exists = true;
	enum status status = STATUS_TEMPORARY;

	(void)state;
	server.fd = bound_socket(&port);
	assert_int_equal(pthread_create(&thread, NULL, serve_late, &server), 0);
	struct dns *dns = resolver(forwarder_at(port), world.anchors, 300);
	assert_int_equal(dns_mx(dns, &world.arena, SLICE("example.org"), &records, &count, &secure, NULL), STATUS_TEMPORARY);
	assert_true(server.questions > 0);
	server.answers = true;
	for (int i = 0; i < 300 && status == STATUS_TEMPORARY; i++)
		status = dns_mx(dns, &world.arena, SLICE("example.org"), &records, &count, &secure, &exists);
	assert_int_equal(status, STATUS_NOT_FOUND);
	assert_false(exists);
	dns_free(dns);
	server.stop = true;
	assert_int_equal(pthread_join(thread, NULL), 0);
	(void)close(server.fd);
}

static void bad_options_are_named(void **state)
{
	static const struct slice bad[] = {SLICE("not an address"), SLICE("127.0.0.1@99999"), SLICE("127.0.0.1@0"),
					   SLICE("127.0.0.1@"),     SLICE("127.0.0.1@53 "),   SLICE(""),
					   SLICE("127.0.0.1\0@53")};
	static const struct slice good = SLICE("127.0.0.1"), domain = SLICE("a..b");
	struct dns_options options = {.forwarder_count = 1};
	struct error error;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		options.forwarders = &bad[i];
		if (dns_new(&options, &world.arena, &error))
			fail_msg("forwarder %zu was taken", i);
		assert_true(slice_find(error.text, slice_from_cstr(bad[i].data)) != SLICE_NOT_FOUND);
	}
	options.forwarders = &good;
	options.trust_anchor_text = SLICE("this is no record");
	assert_null(dns_new(&options, &world.arena, &error));
	assert_true(error.text.len > 0);
	options.trust_anchor_text = SLICE_EMPTY;
	options.insecure_domains = &domain;
	options.insecure_domain_count = 1;
	assert_null(dns_new(&options, &world.arena, &error));
	assert_true(slice_find(error.text, domain) != SLICE_NOT_FOUND);
	/* the system's own settings, whatever they are */
	dns_free(dns_new(&(struct dns_options){0}, &world.arena, &error));
}

/* Sandbox: this program itself, started with a forwarder, in which opening a file is the end. */

static bool forbid_files(void)
{
	static const int calls[] = {SCMP_SYS(open),      SCMP_SYS(openat),     SCMP_SYS(openat2),  SCMP_SYS(creat),
				    SCMP_SYS(stat),      SCMP_SYS(newfstatat), SCMP_SYS(statx),    SCMP_SYS(access),
				    SCMP_SYS(faccessat), SCMP_SYS(faccessat2), SCMP_SYS(readlink), SCMP_SYS(readlinkat),
				    SCMP_SYS(execve),    SCMP_SYS(fork),       SCMP_SYS(vfork)};
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	bool ok = filter != NULL;

	for (size_t i = 0; ok && i < sizeof(calls) / sizeof(calls[0]); i++)
		ok = seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, calls[i], 0) == 0;
	ok = ok && seccomp_load(filter) == 0;
	seccomp_release(filter);
	return ok;
}

/* The exit status: 0 if all went well. */
static int run_sandboxed(const char *forwarder_text, const char *anchor)
{
	struct slice forwarder = slice_from_cstr(forwarder_text);
	struct dns_options options = {.forwarders = &forwarder,
				      .forwarder_count = 1,
				      .trust_anchor_text = slice_from_cstr(anchor),
				      .timeout_ms = 20000};
	struct error error;
	struct dns *dns = dns_new(&options, &world.arena, &error);
	struct dns_mx *records;
	struct net_address *addresses;
	size_t count;
	bool secure;

	if (!dns || !forbid_files())
		return 2;
	if (dns_mx(dns, &world.arena, SLICE("signed.test"), &records, &count, &secure, NULL) != STATUS_OK || !secure)
		return 3;
	if (dns_addresses(dns, &world.arena, SLICE("many.example.test"), &addresses, &count, &secure) != STATUS_OK)
		return 4;
	if (dns_mx(dns, &world.arena, SLICE("nowhere.signed.test"), &records, &count, &secure, NULL) != STATUS_NOT_FOUND ||
	    !secure)
		return 5;
	dns_free(dns);
	return 0;
}

static void no_file_is_opened_later(void **state)
{
	struct buf anchor;
	int status = -1;
	pid_t pid;

	(void)state;
	buf_init(&anchor, &world.arena, 0);
	read_anchor(&anchor, "signed.test.anchor");
	buf_add_byte(&anchor, 0);
	const char *const arguments[] = {self, "sandboxed", slice_cstr(&world.arena, world.forwarder), anchor.data, NULL};
	assert_int_equal(posix_spawn(&pid, self, NULL, NULL, (char *const *)arguments, environ), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(int count, char **arguments)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mx_by_preference),
		cmocka_unit_test(null_mx),
		cmocka_unit_test(odd_hosts_are_passed_over),
		cmocka_unit_test(nothing_is_told_apart),
		cmocka_unit_test(signatures_make_secure),
		cmocka_unit_test(bogus_is_temporary),
		cmocka_unit_test(addresses_of_both_families),
		cmocka_unit_test(txt_is_joined),
		cmocka_unit_test(tlsa_records),
		cmocka_unit_test(names_by_address),
		cmocka_unit_test(many_threads),
		cmocka_unit_test(dead_server),
		cmocka_unit_test(hung_server_that_answers_late),
		cmocka_unit_test(bad_options_are_named),
		cmocka_unit_test(no_file_is_opened_later),
	};

	if (count == 4)
		_exit(run_sandboxed(arguments[2], arguments[3]));
	if (count != 2)
		return 2;
	self = "/proc/self/exe";
	server_script = arguments[1];
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
