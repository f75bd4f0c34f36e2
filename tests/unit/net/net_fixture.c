#include "net_fixture.h"

#include <fcntl.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/conn_private.h"
#include "net/listen.h"

#define NEED(claim)                                                                 \
	do {                                                                        \
		if (!(claim)) {                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #claim); \
			abort();                                                    \
		}                                                                   \
	} while (0)

struct conn_pair tcp_pair(void)
{
	struct arena arena SCOPED_ARENA;
	struct sockaddr_storage sockaddr = {0};
	socklen_t length = sizeof(sockaddr);
	struct net_address server, client;
	struct error error = {0};
	struct conn_pair pair;
	int fd, listening;

	arena_init(&arena, 0);
	listening = listen_tcp(SLICE("127.0.0.1:0"), 4, &arena, &error);
	NEED(listening >= 0 && getsockname(listening, (struct sockaddr *)&sockaddr, &length) == 0);
	server = net_address_from_sockaddr(&sockaddr);
	pair.client = conn_connect(&server, NULL, FIXTURE_TIMEOUT_MS, &arena, &error);
	NEED(pair.client);
	length = sizeof(sockaddr);
	fd = accept4(listening, (struct sockaddr *)&sockaddr, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
	NEED(fd >= 0);
	client = net_address_from_sockaddr(&sockaddr);
	pair.server = conn_new(fd, &client, &server);
	close(listening);
	conn_set_timeout(pair.client, FIXTURE_TIMEOUT_MS);
	conn_set_timeout(pair.server, FIXTURE_TIMEOUT_MS);
	return pair;
}

struct conn *conn_on_socket_pair(int *fd)
{
	int ends[2];
	struct conn *conn;

	NEED(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
	NEED(fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0);
	*fd = ends[1];
	conn = conn_new(ends[0], NULL, NULL);
	conn_set_timeout(conn, FIXTURE_TIMEOUT_MS);
	return conn;
}

void pair_free(struct conn_pair *pair)
{
	conn_free(pair->client);
	conn_free(pair->server);
}

void send_raw(int fd, struct slice bytes)
{
	while (bytes.len > 0) {
		ssize_t sent = send(fd, bytes.data, bytes.len, MSG_NOSIGNAL);

		NEED(sent > 0);
		bytes = slice_skip(bytes, (size_t)sent);
	}
}

/* ---- certificates ---- */

static void add_alternatives(X509 *certificate, struct arena *arena, struct slice names)
{
	struct buf text;
	X509_EXTENSION *extension;

	buf_init(&text, arena, 0);
	while (names.len > 0) {
		struct slice name = slice_cut(&names, ' ');

		buf_printf(&text, "%sDNS:%.*s", text.len ? "," : "", SLICE_ARG(name));
	}
	extension = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, slice_cstr(arena, buf_slice(&text)));
	NEED(extension && X509_add_ext(certificate, extension, -1));
	X509_EXTENSION_free(extension);
}

static struct slice pem_of(struct arena *arena, BIO *bio)
{
	char *data;
	long length = BIO_get_mem_data(bio, &data);
	struct slice pem = slice_dup(arena, slice_of(data, (size_t)length));

	BIO_free(bio);
	return pem;
}

struct certificate certificate_make(struct arena *arena, const char *names)
{
	struct slice all = slice_from_cstr(names), rest = all;
	struct slice first = slice_cut(&rest, ' ');
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = X509_new();
	X509_NAME *subject = X509_get_subject_name(certificate);
	BIO *certificate_pem = BIO_new(BIO_s_mem()), *key_pem = BIO_new(BIO_s_mem());

	NEED(key && certificate && certificate_pem && key_pem);
	if (first.len == 0)
		first = SLICE("first");
	X509_set_version(certificate, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
	X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
	X509_gmtime_adj(X509_getm_notAfter(certificate), 86400);
	X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)first.data, (int)first.len, -1, 0);
	X509_set_issuer_name(certificate, subject);
	X509_set_pubkey(certificate, key);
	if (all.len > 0)
		add_alternatives(certificate, arena, all);
	NEED(X509_sign(certificate, key, EVP_sha384()) > 0);
	NEED(PEM_write_bio_X509(certificate_pem, certificate) &&
	     PEM_write_bio_PrivateKey(key_pem, key, NULL, NULL, 0, NULL, NULL));
	X509_free(certificate);
	EVP_PKEY_free(key);
	return (struct certificate){pem_of(arena, certificate_pem), pem_of(arena, key_pem)};
}

struct tls_pair certificate_pair(const struct certificate *certificate)
{
	return (struct tls_pair){certificate->certificate, certificate->key};
}

struct tls_context *server_context(struct arena *arena, const char *names)
{
	struct certificate certificate = certificate_make(arena, names);
	struct tls_pair pair = certificate_pair(&certificate);
	struct tls_context *context = tls_server_new();
	struct error error;

	NEED(tls_context_load(context, &pair, 1, arena, &error) == STATUS_OK);
	return context;
}

/* ---- handshakes ---- */

static void *run_handshake(void *context)
{
	struct handshake *handshake = context;

	handshake->done = conn_start_tls_client(handshake->conn, handshake->context, handshake->host, handshake->verify);
	return NULL;
}

void handshake_begin(struct handshake *handshake)
{
	NEED(pthread_create(&handshake->thread, NULL, run_handshake, handshake) == 0);
}

bool handshake_end(struct handshake *handshake)
{
	NEED(pthread_join(handshake->thread, NULL) == 0);
	return handshake->done;
}

void pair_start_tls(struct conn_pair *pair, struct tls_context *server, struct tls_context *client, const char *host)
{
	struct handshake handshake = {.conn = pair->client, .context = client, .host = slice_from_cstr(host)};

	handshake_begin(&handshake);
	NEED(conn_start_tls_server(pair->server, server));
	NEED(handshake_end(&handshake));
}

struct slice shown_name(struct arena *arena, const struct conn *client)
{
	X509 *certificate = SSL_get0_peer_certificate(client->ssl);
	char name[256] = "";

	NEED(certificate);
	X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name, sizeof(name));
	return slice_dup(arena, slice_from_cstr(name));
}
