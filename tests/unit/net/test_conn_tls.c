#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include <openssl/ssl.h>
#include <pthread.h>
#include <sys/socket.h>

#include "net/conn_private.h"
#include "net_fixture.h"

struct tls_test {
	struct arena arena;
	struct tls_context *server, *client;
	struct conn_pair pair;
};

static int set_up(void **state)
{
	struct tls_test *test = calloc(1, sizeof(*test));

	assert_non_null(test);
	test->server = server_context(&test->arena, "mail.example.test");
	test->client = tls_client_new(SLICE_EMPTY);
	test->pair = tcp_pair();
	*state = test;
	return 0;
}

static int tear_down(void **state)
{
	struct tls_test *test = *state;

	pair_free(&test->pair);
	tls_context_free(test->server);
	tls_context_free(test->client);
	arena_free(&test->arena);
	free(test);
	return 0;
}

static void assert_line(struct conn *conn, struct slice expected)
{
	struct slice line;

	assert_int_equal(conn_read_line(conn, 1000, &line), CONN_LINE_OK);
	assert_int_equal(line.len, expected.len);
	assert_memory_equal(line.data, expected.data, line.len);
}

static void send_line(struct conn *conn, struct slice text)
{
	conn_write(conn, text);
	conn_write_literal(conn, "\r\n");
	assert_true(conn_flush(conn));
}

static void talk(struct conn_pair *pair)
{
	send_line(pair->client, SLICE("NOOP"));
	assert_line(pair->server, SLICE("NOOP"));
	send_line(pair->server, SLICE("250 OK"));
	assert_line(pair->client, SLICE("250 OK"));
}

static void a_dialogue(void **state)
{
	struct tls_test *test = *state;
	struct slice line;

	assert_false(conn_is_tls(test->pair.server));
	assert_int_equal(conn_tls_version(test->pair.server).len, 0);
	assert_int_equal(conn_tls_cipher(test->pair.server).len, 0);
	talk(&test->pair);
	pair_start_tls(&test->pair, test->server, test->client, "mail.example.test");
	assert_true(conn_is_tls(test->pair.server));
	assert_true(slice_eq(conn_tls_version(test->pair.server), SLICE("TLSv1.3")));
	assert_true(slice_starts_with(conn_tls_cipher(test->pair.client), SLICE("TLS_")));
	assert_int_equal(conn_tls_error(test->pair.server).len, 0);
	talk(&test->pair);
	conn_release_buffers(test->pair.server);
	talk(&test->pair);
	conn_free(test->pair.client);
	test->pair.client = NULL;
	assert_int_equal(conn_read_line(test->pair.server, 100, &line), CONN_LINE_ERROR);
	assert_int_equal(conn_error(test->pair.server), CONN_CLOSED);
}

struct transfer {
	struct conn *conn;
	char *got;
	size_t count;
	bool done;
};

static void *run_transfer(void *context)
{
	struct transfer *transfer = context;

	transfer->done = conn_read_exact(transfer->conn, transfer->got, transfer->count);
	return NULL;
}

static void much(void **state)
{
	struct tls_test *test = *state;
	size_t count = 5 << 20;
	char *bytes = malloc(count);
	struct transfer transfer = {test->pair.client, malloc(count), count, false};
	pthread_t thread;

	assert_true(bytes && transfer.got);
	for (size_t i = 0; i < count; i++)
		bytes[i] = (char)(i * 7 + i / 1000);
	pair_start_tls(&test->pair, test->server, test->client, "");
	assert_int_equal(pthread_create(&thread, NULL, run_transfer, &transfer), 0);
	conn_write(test->pair.server, slice_of(bytes, 1000));
	conn_write(test->pair.server, slice_of(bytes + 1000, count - 1000));
	assert_true(conn_flush(test->pair.server));
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_true(transfer.done);
	assert_memory_equal(bytes, transfer.got, count);
	free(bytes);
	free(transfer.got);
}

/* RFC 3207 section 6: a command that a man in the middle put behind STARTTLS is not obeyed afterwards. */
static void injected_command(void **state)
{
	struct tls_test *test = *state;

	conn_write_literal(test->pair.client, "STARTTLS\r\nINJECTED\r\n");
	assert_true(conn_flush(test->pair.client));
	assert_line(test->pair.server, SLICE("STARTTLS"));
	assert_true(conn_has_input(test->pair.server));
	pair_start_tls(&test->pair, test->server, test->client, "");
	assert_false(conn_has_input(test->pair.server));
	talk(&test->pair);
}

static void not_tls_at_all(void **state)
{
	struct tls_test *test = *state;

	conn_write_literal(test->pair.client, "EHLO client.example.test\r\n");
	assert_true(conn_flush(test->pair.client));
	assert_false(conn_start_tls_server(test->pair.server, test->server));
	assert_int_equal(conn_error(test->pair.server), CONN_TLS);
	assert_int_not_equal(conn_tls_error(test->pair.server).len, 0);
}

static void silent_client(void **state)
{
	struct tls_test *test = *state;

	conn_set_timeout(test->pair.server, 10);
	assert_false(conn_start_tls_server(test->pair.server, test->server));
	assert_int_equal(conn_error(test->pair.server), CONN_TIMED_OUT);
	assert_int_not_equal(conn_tls_error(test->pair.server).len, 0);
}

static void client_that_leaves(void **state)
{
	struct tls_test *test = *state;

	conn_free(test->pair.client);
	test->pair.client = NULL;
	assert_false(conn_start_tls_server(test->pair.server, test->server));
	assert_true(conn_failed(test->pair.server));
	assert_int_not_equal(conn_tls_error(test->pair.server).len, 0);
}

static void no_certificate(void **state)
{
	struct tls_test *test = *state;
	struct tls_context *empty = tls_server_new();

	assert_false(conn_start_tls_server(test->pair.server, empty));
	assert_int_equal(conn_error(test->pair.server), CONN_TLS);
	assert_true(slice_eq(conn_tls_error(test->pair.server), SLICE("no certificate")));
	tls_context_free(empty);
}

static void twice(void **state)
{
	struct tls_test *test = *state;

	pair_start_tls(&test->pair, test->server, test->client, "");
	assert_false(conn_start_tls_server(test->pair.server, test->server));
	assert_int_equal(conn_error(test->pair.server), CONN_TLS);
}

/* Bytes that are no record end the connection. */
static void broken_record(void **state)
{
	struct tls_test *test = *state;
	struct slice line;

	pair_start_tls(&test->pair, test->server, test->client, "");
	send_raw(conn_fd(test->pair.client), SLICE("\x17\x03\x03\x00\x20 this is not what a record looks like, really"));
	assert_int_equal(conn_read_line(test->pair.server, 100, &line), CONN_LINE_ERROR);
	assert_int_equal(conn_error(test->pair.server), CONN_TLS);
	assert_int_not_equal(conn_tls_error(test->pair.server).len, 0);
}

/* A whole record and a part of the next in one piece: what is there is told, what is only begun isn't. */
static void part_of_a_record(void **state)
{
	struct tls_test *test = *state;
	struct conn *client = test->pair.client, *server = test->pair.server;
	BIO *records = BIO_new(BIO_s_mem());
	char *data;
	struct slice both;
	size_t first;

	pair_start_tls(&test->pair, test->server, test->client, "");
	BIO_up_ref(records);
	SSL_set0_wbio(client->ssl, records);
	send_line(client, SLICE("first"));
	first = (size_t)BIO_get_mem_data(records, &data);
	send_line(client, SLICE("second"));
	both = slice_of(data, (size_t)BIO_get_mem_data(records, &data));
	both.data = data;
	send_raw(conn_fd(client), slice_sub(both, 0, first + 9));
	assert_line(server, SLICE("first"));
	assert_false(conn_has_input(server));
	send_raw(conn_fd(client), slice_skip(both, first + 9));
	assert_line(server, SLICE("second"));
	assert_false(conn_has_input(server));

	/* Two at once: the second is found inside OpenSSL. */
	(void)BIO_reset(records);
	send_line(client, SLICE("third"));
	send_line(client, SLICE("fourth"));
	both.len = (size_t)BIO_get_mem_data(records, &data);
	send_raw(conn_fd(client), slice_of(data, both.len));
	assert_line(server, SLICE("third"));
	assert_true(conn_has_input(server));
	assert_line(server, SLICE("fourth"));
	BIO_free(records);
}

/* ---- verification ---- */

static bool verify(struct tls_test *test, struct tls_context *client, const char *host)
{
	struct handshake handshake = {
		.conn = test->pair.client, .context = client, .host = slice_from_cstr(host), .verify = true};
	bool server;

	handshake_begin(&handshake);
	server = conn_start_tls_server(test->pair.server, test->server);
	/* TLS 1.3: the server is done before the client has judged. */
	(void)server;
	return handshake_end(&handshake);
}

static void set_trust(struct tls_test *test, const char *names)
{
	struct certificate certificate = certificate_make(&test->arena, names);
	struct tls_pair pair = certificate_pair(&certificate);

	assert_int_equal(tls_context_load(test->server, &pair, 1, &test->arena, NULL), STATUS_OK);
	tls_context_free(test->client);
	test->client = tls_client_new(certificate.certificate);
}

static void verified(void **state)
{
	struct tls_test *test = *state;

	set_trust(test, "mx.example.test *.wild.test");
	assert_true(verify(test, test->client, "MX.example.test."));
	talk(&test->pair);
	pair_free(&test->pair);
	test->pair = tcp_pair();
	assert_true(verify(test, test->client, "any.wild.test"));
}

static void another_name(void **state)
{
	struct tls_test *test = *state;

	set_trust(test, "mx.example.test *.wild.test");
	assert_false(verify(test, test->client, "mx.example.org"));
	assert_int_equal(conn_error(test->pair.client), CONN_TLS);
	assert_int_not_equal(slice_find_nocase(conn_tls_error(test->pair.client), SLICE("hostname mismatch")), SLICE_NOT_FOUND);
}

static void another_label(void **state)
{
	struct tls_test *test = *state;

	set_trust(test, "*.wild.test");
	assert_false(verify(test, test->client, "a.b.wild.test"));
}

static void untrusted(void **state)
{
	struct tls_test *test = *state;

	assert_false(verify(test, test->client, "mail.example.test"));
	assert_int_not_equal(slice_find(conn_tls_error(test->pair.client), SLICE("self-signed")), SLICE_NOT_FOUND);
}

static void unusable_names(void **state)
{
	struct tls_test *test = *state;

	assert_false(conn_start_tls_client(test->pair.client, test->client, SLICE_EMPTY, true));
	assert_int_equal(conn_error(test->pair.client), CONN_TLS);
	pair_free(&test->pair);
	test->pair = tcp_pair();
	assert_false(conn_start_tls_client(test->pair.client, test->client, SLICE("a\0b.test"), false));
	assert_int_not_equal(conn_tls_error(test->pair.client).len, 0);
}

/* ---- channel binding ---- */

static void assert_same_binding(struct conn_pair *pair, struct slice type, size_t length)
{
	struct buf server SCOPED_BUF, client SCOPED_BUF;

	buf_init(&server, NULL, 0);
	buf_init(&client, NULL, 0);
	assert_int_equal(conn_channel_binding(pair->server, type, &server), length > 0);
	assert_int_equal(conn_channel_binding(pair->client, type, &client), length > 0);
	assert_int_equal(server.len, length);
	assert_int_equal(client.len, length);
	if (length > 0)
		assert_memory_equal(server.data, client.data, length);
}

static void bindings_of_tls13(void **state)
{
	struct tls_test *test = *state;

	assert_same_binding(&test->pair, SLICE("tls-exporter"), 0);
	pair_start_tls(&test->pair, test->server, test->client, "");
	assert_same_binding(&test->pair, SLICE("tls-server-end-point"), 48); /* the fixture signs with SHA-384 */
	assert_same_binding(&test->pair, SLICE("tls-exporter"), 32);
	assert_same_binding(&test->pair, SLICE("tls-unique"), 0);
	assert_same_binding(&test->pair, SLICE("tls-other"), 0);
}

static void *run_accept(void *context)
{
	struct tls_test *test = context;

	return conn_start_tls_server(test->pair.server, test->server) ? test : NULL;
}

/* A client of TLS 1.2, with a session to resume or without; the handshake is done by its first write. */
static SSL_SESSION *start_tls12(struct tls_test *test, SSL_SESSION *session)
{
	struct conn *client = test->pair.client;
	pthread_t thread;
	void *accepted;

	assert_int_equal(pthread_create(&thread, NULL, run_accept, test), 0);
	client->ssl = tls_new_client_session(test->client);
	assert_non_null(client->ssl);
	SSL_set_max_proto_version(client->ssl, TLS1_2_VERSION);
	SSL_clear_options(client->ssl, SSL_OP_NO_TICKET);
	if (session)
		SSL_set_session(client->ssl, session);
	assert_true(tls_session_set_fd(client->ssl, client->fd));
	SSL_set_connect_state(client->ssl);
	send_line(client, SLICE("hello"));
	assert_int_equal(pthread_join(thread, &accepted), 0);
	assert_non_null(accepted);
	assert_line(test->pair.server, SLICE("hello"));
	return SSL_get1_session(client->ssl);
}

/* RFC 5929 section 3.1: the first Finished message, which is the client's unless a session is resumed. */
static void assert_unique(struct conn_pair *pair, bool is_of_client)
{
	struct buf binding SCOPED_BUF;
	char finished[64];
	SSL *client = pair->client->ssl;
	size_t length = is_of_client ? SSL_get_finished(client, finished, sizeof(finished))
				     : SSL_get_peer_finished(client, finished, sizeof(finished));

	buf_init(&binding, NULL, 0);
	assert_true(conn_channel_binding(pair->server, SLICE("tls-unique"), &binding));
	assert_int_equal(binding.len, length);
	assert_memory_equal(binding.data, finished, length);
	assert_same_binding(pair, SLICE("tls-unique"), 12);
}

static void bindings_of_tls12(void **state)
{
	struct tls_test *test = *state;
	SSL_SESSION *session = start_tls12(test, NULL), *again;

	assert_true(slice_eq(conn_tls_version(test->pair.server), SLICE("TLSv1.2")));
	assert_unique(&test->pair, true);
	assert_same_binding(&test->pair, SLICE("tls-server-end-point"), 48);
	assert_same_binding(&test->pair, SLICE("tls-exporter"), 32);

	pair_free(&test->pair);
	test->pair = tcp_pair();
	again = start_tls12(test, session);
	assert_true(SSL_session_reused(test->pair.client->ssl));
	assert_unique(&test->pair, false);
	assert_same_binding(&test->pair, SLICE("tls-server-end-point"), 48);
	SSL_SESSION_free(session);
	SSL_SESSION_free(again);
}

/* RFC 7627: a client without extended master secret is served, but nothing is bound to that connection's secrets. */
static void no_binding_without_extended_secret(void **state)
{
	struct tls_test *test = *state;
	struct tls_context *own = test->client;
	SSL_SESSION *session;
	SSL *probe = tls_new_client_session(own);

	SSL_CTX_set_options(SSL_get_SSL_CTX(probe), SSL_OP_NO_EXTENDED_MASTER_SECRET);
	tls_session_free(probe);
	session = start_tls12(test, NULL);
	assert_same_binding(&test->pair, SLICE("tls-unique"), 0);
	assert_same_binding(&test->pair, SLICE("tls-exporter"), 0);
	assert_same_binding(&test->pair, SLICE("tls-server-end-point"), 48);
	SSL_SESSION_free(session);
}

#define TLS_TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TLS_TEST(a_dialogue),        TLS_TEST(much),
		TLS_TEST(injected_command),  TLS_TEST(not_tls_at_all),
		TLS_TEST(silent_client),     TLS_TEST(client_that_leaves),
		TLS_TEST(no_certificate),    TLS_TEST(twice),
		TLS_TEST(broken_record),     TLS_TEST(part_of_a_record),
		TLS_TEST(verified),          TLS_TEST(another_name),
		TLS_TEST(another_label),     TLS_TEST(untrusted),
		TLS_TEST(unusable_names),    TLS_TEST(bindings_of_tls13),
		TLS_TEST(bindings_of_tls12), TLS_TEST(no_binding_without_extended_secret),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
