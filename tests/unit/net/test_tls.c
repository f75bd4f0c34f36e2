#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>

#include "net/conn_private.h"
#include "net/tls_private.h"
#include "net_fixture.h"

static void load(struct tls_context *context, struct arena *arena, const char **names, size_t count)
{
	struct tls_pair *pairs = ARENA_ARRAY(arena, struct tls_pair, count);

	for (size_t i = 0; i < count; i++) {
		struct certificate certificate = certificate_make(arena, names[i]);

		pairs[i] = certificate_pair(&certificate);
	}
	assert_int_equal(tls_context_load(context, pairs, count, arena, NULL), STATUS_OK);
}

/* ---- SNI ---- */

static void chosen_by_name(void **state)
{
	static const char *certificates[] = {
		"", /* its common name is "first"; it is the default */
		"mail.example.test smtp.example.test",
		"wild.test *.wild.test",
		"mail.example.test other.test", /* the earlier one has that name already */
		"special.wild.test",
	};
	static const struct {
		const char *host, *shown;
	} cases[] = {
		{"", "first"},
		{"first", "first"},
		{"nobody.test", "first"},
		{"mail.example.test", "mail.example.test"},
		{"SMTP.Example.TEST", "mail.example.test"},
		{"example.test", "first"},
		{"other.test", "mail.example.test"},
		{"wild.test", "wild.test"},
		{"any.wild.test", "wild.test"},
		{"a.b.wild.test", "first"},
		{"special.wild.test", "special.wild.test"},
		{"special.wild.test.", "special.wild.test"},
	};
	struct arena arena SCOPED_ARENA;
	struct tls_context *server = tls_server_new(), *client = tls_client_new(SLICE_EMPTY);

	(void)state;
	arena_init(&arena, 0);
	load(server, &arena, certificates, sizeof(certificates) / sizeof(*certificates));
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct conn_pair pair = tcp_pair();
		struct slice shown;

		pair_start_tls(&pair, server, client, cases[i].host);
		shown = shown_name(&arena, pair.client);
		if (!slice_eq(shown, slice_from_cstr(cases[i].shown)))
			fail_msg("%s: %.*s", cases[i].host, SLICE_ARG(shown));
		pair_free(&pair);
	}
	tls_context_free(server);
	tls_context_free(client);
}

/* ---- loading ---- */

static void refuse(struct tls_context *context, struct tls_pair pair, const char *reason)
{
	struct arena arena SCOPED_ARENA;
	struct error error = {0};

	arena_init(&arena, 0);
	assert_int_equal(tls_context_load(context, &pair, 1, &arena, &error), STATUS_REFUSED);
	if (slice_find(error.text, slice_from_cstr(reason)) == SLICE_NOT_FOUND)
		fail_msg("%.*s", SLICE_ARG(error.text));
}

static struct slice encrypted_key(struct arena *arena)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	BIO *bio = BIO_new(BIO_s_mem());
	struct slice pem;
	char *data;

	assert_int_equal(PEM_write_bio_PrivateKey(bio, key, EVP_aes_128_cbc(), (const unsigned char *)"secret", 6, NULL, NULL),
			 1);
	pem.len = (size_t)BIO_get_mem_data(bio, &data);
	pem = slice_dup(arena, slice_of(data, pem.len));
	BIO_free(bio);
	EVP_PKEY_free(key);
	return pem;
}

static void what_is_refused(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct tls_context *server = tls_server_new(), *client = tls_client_new(SLICE_EMPTY);
	struct certificate one, two;
	struct error error = {0};

	(void)state;
	arena_init(&arena, 0);
	one = certificate_make(&arena, "one.test");
	two = certificate_make(&arena, "two.test");
	refuse(server, (struct tls_pair){SLICE("nonsense"), one.key}, "certificate is not PEM");
	refuse(server, (struct tls_pair){SLICE_EMPTY, one.key}, "certificate is not PEM");
	refuse(server, (struct tls_pair){one.certificate, SLICE("nonsense")}, "key is not PEM");
	refuse(server, (struct tls_pair){one.certificate, encrypted_key(&arena)}, "encrypted");
	refuse(server, (struct tls_pair){one.certificate, two.key}, "not the certificate's");
	refuse(client, certificate_pair(&one), "server");
	assert_int_equal(tls_context_load(server, NULL, 0, &arena, &error), STATUS_REFUSED);
	assert_false(tls_context_has_certificate(server));
	assert_false(tls_context_has_certificate(client));
	assert_null(tls_new_server_session(server));

	/* What fails leaves the old ones in place. */
	load(server, &arena, (const char *[]){"good.test"}, 1);
	refuse(server, (struct tls_pair){one.certificate, two.key}, "1 of 1");
	assert_true(tls_context_has_certificate(server));
	tls_context_free(server);
	tls_context_free(client);
	tls_context_free(NULL);
}

/* ---- reload ---- */

static bool echo(struct conn_pair *pair)
{
	struct slice line;

	conn_write_literal(pair->client, "ping\r\n");
	if (!conn_flush(pair->client) || conn_read_line(pair->server, 100, &line) != CONN_LINE_OK)
		return false;
	conn_write_literal(pair->server, "pong\r\n");
	return conn_flush(pair->server) && conn_read_line(pair->client, 100, &line) == CONN_LINE_OK;
}

static void running_connections_go_on(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct tls_context *server, *client = tls_client_new(SLICE_EMPTY);
	struct conn_pair old = tcp_pair(), new = tcp_pair();
	struct buf before SCOPED_BUF, after SCOPED_BUF;

	(void)state;
	arena_init(&arena, 0);
	buf_init(&before, NULL, 0);
	buf_init(&after, NULL, 0);
	server = server_context(&arena, "old.test");
	pair_start_tls(&old, server, client, "old.test");
	assert_true(conn_channel_binding(old.server, SLICE("tls-server-end-point"), &before));
	load(server, &arena, (const char *[]){"new.test"}, 1);
	pair_start_tls(&new, server, client, "new.test");
	assert_true(slice_eq(shown_name(&arena, old.client), SLICE("old.test")));
	assert_true(slice_eq(shown_name(&arena, new.client), SLICE("new.test")));
	assert_true(echo(&old));
	/* A connection outlives even the context. */
	tls_context_free(server);
	tls_context_free(client);
	assert_true(echo(&old));
	assert_true(echo(&new));
	assert_true(conn_channel_binding(old.server, SLICE("tls-server-end-point"), &after));
	assert_true(slice_eq(buf_slice(&before), buf_slice(&after)));
	pair_free(&old);
	pair_free(&new);
}

struct reloader {
	struct tls_context *context;
	struct tls_pair pairs[2];
	_Atomic bool stop;
	_Atomic unsigned failures;
};

static void *run_reloader(void *context)
{
	struct reloader *reloader = context;

	for (unsigned i = 0; !atomic_load(&reloader->stop); i++)
		if (tls_context_load(reloader->context, &reloader->pairs[i % 2], 1, NULL, NULL) != STATUS_OK)
			atomic_fetch_add(&reloader->failures, 1);
	return NULL;
}

static void reloads_all_the_time(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct reloader reloader = {0};
	struct tls_context *client = tls_client_new(SLICE_EMPTY);
	struct certificate a, b;
	pthread_t thread;

	(void)state;
	arena_init(&arena, 0);
	a = certificate_make(&arena, "same.test");
	b = certificate_make(&arena, "same.test");
	reloader.pairs[0] = certificate_pair(&a);
	reloader.pairs[1] = certificate_pair(&b);
	reloader.context = server_context(&arena, "same.test");
	assert_int_equal(pthread_create(&thread, NULL, run_reloader, &reloader), 0);
	for (int i = 0; i < 50; i++) {
		struct conn_pair pair = tcp_pair();

		pair_start_tls(&pair, reloader.context, client, "same.test");
		assert_true(echo(&pair));
		pair_free(&pair);
	}
	atomic_store(&reloader.stop, true);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(atomic_load(&reloader.failures), 0);
	tls_context_free(reloader.context);
	tls_context_free(client);
}

/* ---- tickets ---- */

static void *run_accept(void *context)
{
	struct handshake *accepting = context;

	accepting->done = conn_start_tls_server(accepting->conn, accepting->context);
	return NULL;
}

/* One connection of a client that offers *session, which is replaced by the one it is given. True: resumed. */
static bool resume(struct tls_context *server, struct tls_context *client, SSL_SESSION **session)
{
	struct conn_pair pair = tcp_pair();
	struct handshake accepting = {.conn = pair.server, .context = server};
	bool is_resumed;

	assert_int_equal(pthread_create(&accepting.thread, NULL, run_accept, &accepting), 0);
	pair.client->ssl = tls_new_client_session(client);
	SSL_clear_options(pair.client->ssl, SSL_OP_NO_TICKET);
	if (*session)
		SSL_set_session(pair.client->ssl, *session);
	assert_true(tls_session_set_fd(pair.client->ssl, conn_fd(pair.client)));
	SSL_set_connect_state(pair.client->ssl);
	conn_write_literal(pair.client, "ping\r\n");
	assert_true(conn_flush(pair.client));
	assert_int_equal(pthread_join(accepting.thread, NULL), 0);
	assert_true(accepting.done);
	assert_true(echo(&pair));
	is_resumed = SSL_session_reused(pair.client->ssl);
	assert_int_equal(SSL_session_reused(pair.server->ssl), is_resumed);
	SSL_SESSION_free(*session);
	*session = SSL_get1_session(pair.client->ssl);
	pair_free(&pair);
	return is_resumed;
}

static void sessions_are_resumed(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct tls_context *server, *client = tls_client_new(SLICE_EMPTY);
	SSL_SESSION *session = NULL;

	(void)state;
	arena_init(&arena, 0);
	server = server_context(&arena, "old.test");
	assert_false(resume(server, client, &session));
	assert_true(resume(server, client, &session));
	assert_true(resume(server, client, &session));
	assert_int_equal(SSL_SESSION_get_timeout(session), 7200);
	load(server, &arena, (const char *[]){"new.test"}, 1);
	assert_false(resume(server, client, &session));
	assert_true(resume(server, client, &session));
	SSL_SESSION_free(session);
	tls_context_free(server);
	tls_context_free(client);
}

static int open_ticket(struct ticket_keys *keys, int64_t now_ms, unsigned char *name, bool seal)
{
	EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
	EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	EVP_MAC_CTX *mac = EVP_MAC_CTX_new(hmac);
	unsigned char iv[16] = {0};
	int result = ticket_keys_use(keys, now_ms, name, iv, cipher, mac, seal);

	EVP_CIPHER_CTX_free(cipher);
	EVP_MAC_CTX_free(mac);
	EVP_MAC_free(hmac);
	return result;
}

static void ticket_keys_grow_old(void **state)
{
	struct ticket_keys keys;
	unsigned char first[16], second[16], third[16], unknown[16] = {0};
	int64_t life = TICKET_KEY_LIFE_MS;

	(void)state;
	ticket_keys_init(&keys);
	assert_int_equal(open_ticket(&keys, 1, unknown, false), 0);
	assert_int_equal(open_ticket(&keys, 1, first, true), 1);
	assert_int_equal(open_ticket(&keys, life, first, false), 1);
	assert_int_equal(open_ticket(&keys, life + 1, second, true), 1);
	assert_memory_not_equal(first, second, sizeof(first));
	assert_int_equal(open_ticket(&keys, 2 * life, first, false), 2);
	assert_int_equal(open_ticket(&keys, 2 * life, second, false), 1);
	assert_int_equal(open_ticket(&keys, 2 * life + 1, first, false), 0);
	assert_int_equal(open_ticket(&keys, 2 * life + 1, second, false), 2);
	assert_int_equal(open_ticket(&keys, 2 * life + 1, third, true), 1);
	/* Nobody came for a long time: what was current is too old. */
	assert_int_equal(open_ticket(&keys, 9 * life, third, false), 0);
	assert_int_equal(open_ticket(&keys, 9 * life, unknown, false), 0);
	ticket_keys_destroy(&keys);
}

/* ---- versions ---- */

static void old_versions_are_refused(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct tls_context *server, *client = tls_client_new(SLICE_EMPTY);
	struct conn_pair pair = tcp_pair();
	struct handshake accepting = {.conn = pair.server};
	SSL_CTX *old = SSL_CTX_new(TLS_client_method());
	SSL *ssl = SSL_new(old);

	(void)state;
	arena_init(&arena, 0);
	server = server_context(&arena, "mail.test");
	accepting.context = server;
	SSL_set_security_level(ssl, 0);
	SSL_set_cipher_list(ssl, "ALL:@SECLEVEL=0");
	assert_int_equal(SSL_set_min_proto_version(ssl, TLS1_VERSION), 1);
	assert_int_equal(SSL_set_max_proto_version(ssl, TLS1_1_VERSION), 1);
	assert_int_equal(SSL_set_fd(ssl, conn_fd(pair.client)), 1);
	assert_int_equal(SSL_connect(ssl), -1);
	assert_int_equal(SSL_get_error(ssl, -1), SSL_ERROR_WANT_READ); /* the ClientHello has left */
	run_accept(&accepting);
	assert_false(accepting.done);
	assert_int_equal(conn_error(pair.server), CONN_TLS);
	assert_int_not_equal(slice_find(conn_tls_error(pair.server), SLICE("protocol")), SLICE_NOT_FOUND);
	SSL_free(ssl);
	SSL_CTX_free(old);
	pair_free(&pair);
	tls_context_free(server);
	tls_context_free(client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chosen_by_name),
		cmocka_unit_test(what_is_refused),
		cmocka_unit_test(running_connections_go_on),
		cmocka_unit_test(reloads_all_the_time),
		cmocka_unit_test(sessions_are_resumed),
		cmocka_unit_test(ticket_keys_grow_old),
		cmocka_unit_test(old_versions_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
