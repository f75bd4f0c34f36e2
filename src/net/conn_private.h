/* conn_private: what conn.c, conn_tls.c and proxy.c share. Nobody else includes it. */
#pragma once

#include <openssl/types.h>

#include "net/conn.h"

struct conn_deflate;

struct conn {
	int fd;
	enum conn_error error;
	SSL *ssl;
	struct conn_deflate *deflate; /* NULL: as it is */
	int64_t deadline_ms;
	int timeout_ms;
	char *input; /* bytes [input_at, input_end) wait to be used */
	size_t input_at, input_end, input_cap;
	struct buf output;
	struct net_address peer, local;
	char *tls_error;
	void (*waits)(void *context, bool begins); /* NULL: nobody minds */
	void *waits_context;
};

/* Remembers the first error. */
void conn_fail(struct conn *conn, enum conn_error error);
/* Waits for POLLIN or POLLOUT. False: a time limit has passed (and the conn has failed). */
MUST_CHECK bool conn_wait(struct conn *conn, short events);
/* Copies what the socket holds, at least a byte, without taking it; 0 at error. Plain only: for what comes before TLS. */
size_t conn_peek_raw(struct conn *conn, void *out, size_t cap);
/* Takes at least a byte and at most `cap`; 0 at error. Passes over the input buffer, which must be empty. */
size_t conn_receive(struct conn *conn, void *out, size_t cap);
/* Likewise, and sends all, as it is on the wire or inside TLS. */
size_t conn_receive_raw(struct conn *conn, void *out, size_t cap);
void conn_send_raw(struct conn *conn, struct slice bytes);

/* One SSL_read or SSL_write, waiting as needed: the bytes done, 0 at error. */
size_t conn_tls_read(struct conn *conn, void *out, size_t cap);
size_t conn_tls_write(struct conn *conn, const void *data, size_t len);
/* Bytes inside OpenSSL that a read would give now. True also at error, for the next read to tell. */
bool conn_tls_has_input(struct conn *conn);
void conn_tls_end(struct conn *conn);

/* At least a byte of what the peer has compressed; 0 at error or, without `wait`, if nothing is here. */
size_t conn_deflate_read(struct conn *conn, void *out, size_t cap, bool wait);
void conn_deflate_send(struct conn *conn, struct slice bytes);
/* Puts away what a parked connection doesn't need. */
void conn_deflate_park(struct conn *conn);
void conn_deflate_free(struct conn *conn);
