/* net_fixture: pairs of connections and certificates for the tests of net. Faults of the set-up end the test program. */
#pragma once

#include <openssl/types.h>
#include <pthread.h>

#include "net/conn.h"
#include "net/tls.h"

#define FIXTURE_TIMEOUT_MS 20000

struct conn_pair {
	struct conn *server, *client;
};
/* Connected over TCP on loopback. */
struct conn_pair tcp_pair(void);
/* A conn on one end of a socket pair; *fd is the other end, blocking. */
struct conn *conn_on_socket_pair(int *fd);
void pair_free(struct conn_pair *pair);

/* Sends all; ends the program if that fails. */
void send_raw(int fd, struct slice bytes);

struct certificate {
	struct slice certificate, key; /* PEM, in the arena */
};
/* Self-signed, ECDSA P-256, `names` separated by spaces; without any only a common name "first". */
struct certificate certificate_make(struct arena *arena, const char *names);
struct tls_pair certificate_pair(const struct certificate *certificate);
/* A server context with that certificate. */
struct tls_context *server_context(struct arena *arena, const char *names);

/* A client's handshake in a thread of its own; `context` may be shared. */
struct handshake {
	struct conn *conn;
	struct tls_context *context;
	struct slice host;
	bool verify, done;
	pthread_t thread;
};
void handshake_begin(struct handshake *handshake);
bool handshake_end(struct handshake *handshake);
/* Both sides, without verification; ends the program if it fails. */
void pair_start_tls(struct conn_pair *pair, struct tls_context *server, struct tls_context *client, const char *host);
/* The common name of what the server showed. */
struct slice shown_name(struct arena *arena, const struct conn *client);
