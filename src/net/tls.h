/* tls: certificates and keys for the server side (SNI, reload while running), trust for the client side.
 *
 * A tls_context is shared by all connections of a process. `tls_context_load` replaces the certificates atomically: running
 * connections keep what they began with. TLS 1.2 and 1.3, session tickets, no renegotiation, no compression; buffers are
 * released while a connection idles (SSL_MODE_RELEASE_BUFFERS). Any thread may call.
 */
#pragma once

#include <openssl/types.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/slice.h"

struct tls_context;

/* PEM bytes, read by the supervisor: roles can't open files. By SNI the first pair is chosen whose certificate names the
 * host (RFC 9525 section 6.3: a wildcard stands for one whole label); the first pair of all is the default. */
struct tls_pair {
	struct slice certificate_chain;
	struct slice private_key;
};

struct tls_context *tls_server_new(void);
/* Clients are asked for a certificate, and may have none, or one that isn't trusted: conn_is_certified tells. For what is loaded from
 * now on. `anchors`: PEM, copied. */
void tls_server_ask_clients(struct tls_context *context, struct slice anchors);
/* Trust anchors in PEM; empty: trust nothing (opportunistic TLS, RFC 7435). */
struct tls_context *tls_client_new(struct slice trust_anchors);
void tls_context_free(struct tls_context *context);

MUST_CHECK enum status tls_context_load(struct tls_context *context, const struct tls_pair *pairs, size_t count,
                                        struct arena *arena, struct error *error);
/* Can a TLSA record serve a mail client? Usages 2 and 3, selectors and matching types that are known, data that fits them
 * (RFC 7672 section 3.1, RFC 7671 section 4). */
struct dns_tlsa;
bool tls_tlsa_is_usable(const struct dns_tlsa *tlsa);
bool tls_context_has_certificate(const struct tls_context *context);

/* For conn: a new SSL with its own reference to what is current; NULL if there is no certificate (or no memory). The context
 * may be freed before it. Only tls_session_free gives it back. */
SSL *tls_new_server_session(struct tls_context *context);
SSL *tls_new_client_session(struct tls_context *context);
/* recv(2) and send(2) without SIGPIPE; the descriptor stays the caller's. */
MUST_CHECK bool tls_session_set_fd(SSL *ssl, int fd);
void tls_session_free(SSL *ssl);
