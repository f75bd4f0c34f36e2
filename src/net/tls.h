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

/* PEM bytes, read by the supervisor: roles can't open files. `names` are the host names the pair is chosen for by SNI;
 * empty: those that the certificate names. The first pair is the default. */
struct tls_pair {
	struct slice certificate_chain;
	struct slice private_key;
};

struct tls_context *tls_server_new(void);
/* Trust anchors in PEM; empty: trust nothing (opportunistic TLS, RFC 7435). */
struct tls_context *tls_client_new(struct slice trust_anchors);
void tls_context_free(struct tls_context *context);

MUST_CHECK enum status tls_context_load(struct tls_context *context, const struct tls_pair *pairs, size_t count,
                                        struct arena *arena, struct error *error);
bool tls_context_has_certificate(const struct tls_context *context);

/* For conn.c: a new SSL with its own reference to what is current. */
SSL *tls_new_server_session(struct tls_context *context);
SSL *tls_new_client_session(struct tls_context *context);
