/* conn: one TCP connection, plain or TLS, buffered both ways, with deadlines. Blocking in style: a read returns when the
 * bytes are there, the deadline has passed or the peer is gone.
 *
 * Errors stick: after the first one every read returns false and every write does nothing, so a command runs straight on
 * and its loop looks once, with `conn_failed`. Output is buffered and sent by `conn_flush`, or when the buffer passes
 * CONN_OUTPUT_HIGH. Buffers exist only while a command runs or bytes are left over: a parked connection has none.
 * A conn belongs to one thread at a time: the one that runs its command.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/slice.h"

#define CONN_OUTPUT_HIGH (64 * 1024)

struct conn;
struct tls_context;

/* An address in the form the rest of the tree uses: family, 16 bytes (IPv4 in the first four), port. */
struct net_address {
	int family; /* AF_INET or AF_INET6; IPv4-mapped addresses are turned into AF_INET; 0: unknown (Unix socket) */
	uint8_t bytes[16];
	uint16_t port;
};
/* "192.0.2.1", "2001:db8::1"; no port. */
void net_address_format(struct buf *out, const struct net_address *address);
/* RFC 5321 section 4.1.3: "[192.0.2.1]", "[IPv6:2001:db8::1]". */
void net_address_format_literal(struct buf *out, const struct net_address *address);
MUST_CHECK bool net_address_parse(struct slice text, struct net_address *address);
struct net_address net_address_from_sockaddr(const struct sockaddr_storage *sockaddr);
socklen_t net_address_to_sockaddr(const struct net_address *address, struct sockaddr_storage *sockaddr);
bool net_address_is_loopback(const struct net_address *address);

/* "192.0.2.0/24", "2001:db8::/32", or one address. */
struct net_prefix {
	struct net_address address;
	unsigned bits;
};
MUST_CHECK bool net_prefix_parse(struct slice text, struct net_prefix *prefix);
bool net_prefix_contains(const struct net_prefix *prefix, const struct net_address *address);

enum conn_error {
	CONN_OK,
	CONN_CLOSED,    /* the peer closed, in order */
	CONN_RESET,     /* the transport failed */
	CONN_TIMED_OUT, /* a deadline passed */
	CONN_TLS,       /* handshake or record error */
};

/* Wraps a connected non-blocking socket, which the conn owns from now on. `peer` and `local` are copied. */
struct conn *conn_new(int fd, const struct net_address *peer, const struct net_address *local);
/* Closes (TLS close_notify sent if that doesn't block) and frees. */
void conn_free(struct conn *conn);

/* Client side: connects within timeout_ms. NULL and *error set on failure. `source` may be NULL. */
MUST_CHECK struct conn *conn_connect(const struct net_address *peer, const struct net_address *source, int timeout_ms,
                                     struct arena *arena, struct error *error);

enum conn_error conn_error(const struct conn *conn);
static inline bool conn_failed(const struct conn *conn)
{
	return conn_error(conn) != CONN_OK;
}
const struct net_address *conn_peer(const struct conn *conn);
const struct net_address *conn_local(const struct conn *conn);
/* Puts what the PROXY protocol told in place of the socket's own addresses. */
void conn_set_addresses(struct conn *conn, const struct net_address *peer, const struct net_address *local);
int conn_fd(const struct conn *conn);

/* Each wait for the peer may take that long; 0 waits for ever. Default 300 s. */
void conn_set_timeout(struct conn *conn, int timeout_ms);
/* Nothing may take longer than until then (monotonic ms; 0: none), however the peer drips. */
void conn_set_deadline(struct conn *conn, int64_t deadline_ms);

#define CONN_LINE_END 32

enum conn_line {
	CONN_LINE_OK,
	CONN_LINE_TOO_LONG, /* the line was read to its end and thrown away; one of over a megabyte ends the connection. *line is its
	                       last CONN_LINE_END bytes. */
	CONN_LINE_BARE,     /* ended by a bare LF; *line is what stood before it. The caller decides. */
	CONN_LINE_ERROR,    /* see conn_error */
};
/* Reads to LF, at most `limit` bytes including CRLF. *line is without its CRLF, points into the input buffer and is valid
 * until the next read. A CR not followed by LF is left in the line. */
MUST_CHECK enum conn_line conn_read_line(struct conn *conn, size_t limit, struct slice *line);
/* Exactly `count` bytes into `out`. */
MUST_CHECK bool conn_read_exact(struct conn *conn, void *out, size_t count);
/* At least one byte, at most what is buffered or one read brings: points into the input buffer, consumed by
 * conn_consume. For streaming bodies without a copy. False at error or end. */
MUST_CHECK bool conn_read_some(struct conn *conn, struct slice *bytes);
void conn_consume(struct conn *conn, size_t count);
/* Bytes that are already here (in the buffer or inside TLS): such a conn is served before it is parked. A TLS record of
 * which only a part has come doesn't count; one that is broken, or the end, does: the next read tells. */
bool conn_has_input(struct conn *conn);
/* RFC 2595, RFC 3207: what came before the TLS handshake must not be used after it. */
void conn_discard_input(struct conn *conn);

void conn_write(struct conn *conn, struct slice bytes);
__attribute__((format(printf, 2, 3))) void conn_printf(struct conn *conn, const char *format, ...);
#define conn_write_literal(conn, literal) conn_write((conn), SLICE(literal))
/* The output buffer itself, for codecs that append to a struct buf; call conn_flush_if_high now and then. */
struct buf *conn_output(struct conn *conn);
void conn_flush_if_high(struct conn *conn);
/* Sends all that is buffered. False (and sticky) at error. */
bool conn_flush(struct conn *conn);

/* TLS. The context is referenced by the conn until it is freed. Both block until the handshake is done or has failed.
 * Client: `host` is sent as SNI and, with `verify`, must be named by a certificate that the context trusts. */
MUST_CHECK bool conn_start_tls_server(struct conn *conn, struct tls_context *tls);
MUST_CHECK bool conn_start_tls_client(struct conn *conn, struct tls_context *tls, struct slice host, bool verify);
/* What is asked of a server's certificate. */
enum conn_tls_check {
	CONN_TLS_UNCHECKED, /* nothing (RFC 7435) */
	CONN_TLS_OBSERVED,  /* nothing, but conn_tls_fault tells what would have been wrong */
	CONN_TLS_VERIFIED,  /* that it is trusted, and names the host */
};
struct dns_tlsa;
struct conn_tls_demand {
	struct slice host; /* sent as SNI; to be named by the certificate */
	enum conn_tls_check check;
	/* Not 0: a record must match, in place of trust anchors; usages 2 and 3 only, tls_tlsa_is_usable (RFC 7672 section 3.1). */
	const struct dns_tlsa *tlsa;
	size_t tlsa_count;
	const struct slice *names; /* that do as well as the host, with usage 2 (RFC 7672 section 3.2.2) */
	size_t name_count;
};
MUST_CHECK bool conn_start_tls_demanding(struct conn *conn, struct tls_context *tls, const struct conn_tls_demand *demand);
/* What is wrong with the peer's certificate, as far as it was looked at. */
enum conn_tls_fault {
	CONN_TLS_FAULT_NONE,
	CONN_TLS_FAULT_HOST,    /* names another host */
	CONN_TLS_FAULT_EXPIRED, /* or isn't valid yet */
	CONN_TLS_FAULT_UNTRUSTED,
	CONN_TLS_FAULT_TLSA, /* no TLSA record matches */
	CONN_TLS_FAULT_OTHER,
};
enum conn_tls_fault conn_tls_fault(const struct conn *conn);
/* The same in words; empty if nothing is. */
struct slice conn_tls_fault_text(const struct conn *conn);
bool conn_is_tls(const struct conn *conn);
/* "TLSv1.3", "TLS_AES_256_GCM_SHA384"; empty if plain. Valid as long as the conn. */
struct slice conn_tls_version(const struct conn *conn);
struct slice conn_tls_cipher(const struct conn *conn);
unsigned conn_tls_cipher_bits(const struct conn *conn);
/* RFC 5929 "tls-server-end-point" and "tls-unique" (TLS 1.2 only), RFC 9266 "tls-exporter": raw bytes appended to *out;
 * false if there is none of that type. */
MUST_CHECK bool conn_channel_binding(struct conn *conn, struct slice type, struct buf *out);
/* Has the client shown a certificate that one of the anchors it was asked for vouches for (tls_server_ask_clients)? */
bool conn_is_certified(const struct conn *conn);
/* The mail addresses that such a certificate names, each ended by a line feed: the alternative names of RFC 5280 section 4.2.1.6 that are
 * addresses, the SmtpUTF8Mailbox of RFC 9598 section 3, and the subject's emailAddress. */
void conn_certified_addresses(const struct conn *conn, struct buf *out);
/* A part of such a certificate, appended: common names, and SHA-256 in hex with colons. Nothing if there is none. */
enum conn_certificate_part {
	CONN_CERTIFICATE_SUBJECT,
	CONN_CERTIFICATE_ISSUER,
	CONN_CERTIFICATE_DIGEST,
	CONN_CERTIFICATE_KEY_DIGEST,
};
void conn_certificate_part(const struct conn *conn, enum conn_certificate_part part, struct buf *out);
/* The last TLS error in words; empty if none. */
struct slice conn_tls_error(const struct conn *conn);

/* COMPRESS=DEFLATE and the like hook in here later: see ARCHITECTURE.md. */

/* From now on both ways are compressed (RFC 4978 section 3); what was written before is sent as it is. False: they are already, or the
 * connection is over. */
MUST_CHECK bool conn_start_deflate(struct conn *conn);
/* And from now on they aren't: what was written before is sent compressed. */
void conn_end_deflate(struct conn *conn);
bool conn_is_deflated(const struct conn *conn);

/* From now on `waits` is told when a read or write begins to wait for the peer, and when that ends, on the waiting thread. Called by the
 * engine. */
void conn_on_wait(struct conn *conn, void (*waits)(void *context, bool begins), void *context);

/* Given back while the connection is parked: input and output buffers if empty. Called by the engine. */
void conn_release_buffers(struct conn *conn);
