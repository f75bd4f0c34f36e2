#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdlib.h>

#include "net/conn_private.h"
#include "net/dns.h"
#include "net/tls.h"

#define HOST_MAX        253 /* RFC 1035 section 2.3.4, without the final dot */
#define TLS_UNIQUE_MAX  64
#define CERTIFIED_MAX        16
#define CERTIFIED_LENGTH_MAX 320
#define EXPORTER_LENGTH 32

static void set_tls_error(struct conn *conn, const char *text)
{
	if (!conn->tls_error)
		conn->tls_error = strdup(text);
}

/* The words for what OpenSSL has just refused. */
static void explain(struct conn *conn)
{
	unsigned long code = ERR_peek_last_error();
	long verified = conn->ssl ? SSL_get_verify_result(conn->ssl) : X509_V_OK;
	const char *reason = ERR_reason_error_string(code);

	if (ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED && verified != X509_V_OK)
		reason = X509_verify_cert_error_string(verified);
	set_tls_error(conn, reason ? reason : "TLS failed");
	ERR_clear_error();
}

/* After a call that gave `result` instead of success: true if it is to be made again (what it waited for is there). */
static bool try_again(struct conn *conn, int result)
{
	int saved_errno = errno;

	switch (SSL_get_error(conn->ssl, result)) {
	case SSL_ERROR_WANT_READ:
		return conn_wait(conn, POLLIN);
	case SSL_ERROR_WANT_WRITE:
		return conn_wait(conn, POLLOUT);
	case SSL_ERROR_ZERO_RETURN:
		conn_fail(conn, CONN_CLOSED);
		return false;
	case SSL_ERROR_SYSCALL:
		conn_fail(conn, saved_errno == 0 ? CONN_CLOSED : CONN_RESET);
		ERR_clear_error();
		return false;
	default:
		explain(conn);
		conn_fail(conn, CONN_TLS);
		return false;
	}
}

size_t conn_tls_read(struct conn *conn, void *out, size_t cap)
{
	size_t got = 0;

	do {
		ERR_clear_error();
		errno = 0;
	} while (SSL_read_ex(conn->ssl, out, cap, &got) <= 0 && try_again(conn, 0));
	return got;
}

size_t conn_tls_write(struct conn *conn, const void *data, size_t len)
{
	size_t sent = 0;

	do {
		ERR_clear_error();
		errno = 0;
	} while (SSL_write_ex(conn->ssl, data, len, &sent) <= 0 && try_again(conn, 0));
	return sent;
}

bool conn_tls_has_input(struct conn *conn)
{
	char byte;
	int result, error;

	if (conn->error != CONN_OK || !SSL_has_pending(conn->ssl))
		return conn->error != CONN_OK;
	/* Perhaps only a part of a record is there: SSL_peek tells, and leaves the conn's own buffer alone. */
	ERR_clear_error();
	errno = 0;
	result = SSL_peek(conn->ssl, &byte, 1);
	error = SSL_get_error(conn->ssl, result);
	return error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE;
}

/* RFC 8446 section 6.1: close_notify, if there is room for it. */
void conn_tls_end(struct conn *conn)
{
	if ((conn->error == CONN_OK || conn->error == CONN_CLOSED) && SSL_is_init_finished(conn->ssl))
		(void)SSL_shutdown(conn->ssl);
	ERR_clear_error();
	tls_session_free(conn->ssl);
	conn->ssl = NULL;
}

/* ---- handshake ---- */

static bool shake_hands(struct conn *conn)
{
	int result;

	do {
		ERR_clear_error();
		errno = 0;
		result = SSL_do_handshake(conn->ssl);
	} while (result <= 0 && try_again(conn, result));
	if (result <= 0 && conn->error != CONN_TLS)
		set_tls_error(conn, conn->error == CONN_TIMED_OUT ? "the peer did not finish the handshake in time"
								  : "the peer closed during the handshake");
	return result > 0;
}

/* Takes the session over, or fails. */
static bool adopt(struct conn *conn, SSL *ssl)
{
	if (conn->error != CONN_OK || conn->ssl || !ssl) {
		set_tls_error(conn, conn->ssl ? "TLS is already active" : ssl ? "the connection has failed" : "no certificate");
		conn_fail(conn, CONN_TLS);
		tls_session_free(ssl);
		return false;
	}
	/* RFC 3207 section 6: what came in plain is forgotten. */
	conn_discard_input(conn);
	conn->ssl = ssl;
	if (!tls_session_set_fd(ssl, conn->fd))
		conn_fail(conn, CONN_TLS);
	return conn->error == CONN_OK;
}

bool conn_start_tls_server(struct conn *conn, struct tls_context *tls)
{
	if (!conn_flush(conn) || !adopt(conn, tls_new_server_session(tls)))
		return false;
	SSL_set_accept_state(conn->ssl);
	return shake_hands(conn);
}

/* As a C string for OpenSSL; false if it is none that can stand there. */
static bool host_name(struct slice host, char name[HOST_MAX + 1])
{
	if (slice_ends_with(host, SLICE(".")))
		host.len--;
	if (host.len == 0 || host.len > HOST_MAX || slice_find_byte(host, '\0') != SLICE_NOT_FOUND)
		return false;
	memcpy(name, host.data, host.len);
	name[host.len] = '\0';
	return true;
}

static bool expect_name(SSL *ssl, const char *name, bool is_address)
{
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return is_address ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1 : SSL_set1_host(ssl, name) == 1;
}

/* RFC 7672 section 3.1: with usage 3 neither names nor dates of the certificate count; usage 2 is a trust anchor. */
static bool expect_tlsa(SSL *ssl, const char *name, const struct conn_tls_demand *demand)
{
	char other[HOST_MAX + 1];
	size_t added = 0;

	if (SSL_dane_enable(ssl, name) <= 0)
		return false;
	SSL_dane_set_flags(ssl, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
	for (size_t i = 0; i < demand->tlsa_count; i++) {
		const struct dns_tlsa *tlsa = &demand->tlsa[i];

		added += SSL_dane_tlsa_add(ssl, tlsa->usage, tlsa->selector, tlsa->matching,
					   (const unsigned char *)tlsa->data.data, tlsa->data.len) > 0;
	}
	for (size_t i = 0; i < demand->name_count; i++)
		if (host_name(demand->names[i], other) && SSL_add1_host(ssl, other) != 1)
			return false;
	ERR_clear_error();
	return added > 0;
}

static bool expect(SSL *ssl, const struct conn_tls_demand *demand)
{
	char name[HOST_MAX + 1];
	struct net_address address;
	bool is_address = net_address_parse(demand->host, &address);

	if (!host_name(demand->host, name))
		return demand->check == CONN_TLS_UNCHECKED && demand->tlsa_count == 0 && demand->host.len == 0;
	/* RFC 6066 section 3: addresses are not sent as server name. */
	if (!is_address && !SSL_set_tlsext_host_name(ssl, name))
		return false;
	if (demand->check == CONN_TLS_VERIFIED || demand->tlsa_count > 0)
		SSL_set_verify(ssl, SSL_VERIFY_PEER, NULL);
	if (demand->tlsa_count > 0)
		return expect_name(ssl, name, is_address) && expect_tlsa(ssl, name, demand);
	return demand->check == CONN_TLS_UNCHECKED || expect_name(ssl, name, is_address);
}

bool conn_start_tls_demanding(struct conn *conn, struct tls_context *tls, const struct conn_tls_demand *demand)
{
	if (!conn_flush(conn) || !adopt(conn, tls_new_client_session(tls)))
		return false;
	SSL_set_connect_state(conn->ssl);
	if (!expect(conn->ssl, demand)) {
		set_tls_error(conn, demand->tlsa_count > 0 ? "the host's TLSA records can't be used"
							   : "the host name can't be used for TLS");
		conn_fail(conn, CONN_TLS);
		return false;
	}
	return shake_hands(conn);
}

bool conn_start_tls_client(struct conn *conn, struct tls_context *tls, struct slice host, bool verify)
{
	const struct conn_tls_demand demand = {.host = host, .check = verify ? CONN_TLS_VERIFIED : CONN_TLS_UNCHECKED};

	return conn_start_tls_demanding(conn, tls, &demand);
}

/* ---- what was agreed ---- */

bool conn_is_tls(const struct conn *conn)
{
	return conn->ssl != NULL;
}

struct slice conn_tls_version(const struct conn *conn)
{
	return conn->ssl ? slice_from_cstr(SSL_get_version(conn->ssl)) : SLICE_EMPTY;
}

struct slice conn_tls_cipher(const struct conn *conn)
{
	return conn->ssl ? slice_from_cstr(SSL_get_cipher_name(conn->ssl)) : SLICE_EMPTY;
}

unsigned conn_tls_cipher_bits(const struct conn *conn)
{
	int bits = conn->ssl ? SSL_get_cipher_bits(conn->ssl, NULL) : 0;

	return bits > 0 ? (unsigned)bits : 0;
}

enum conn_tls_fault conn_tls_fault(const struct conn *conn)
{
	switch (conn->ssl ? SSL_get_verify_result(conn->ssl) : X509_V_OK) {
	case X509_V_OK:
		return CONN_TLS_FAULT_NONE;
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		return CONN_TLS_FAULT_HOST;
	case X509_V_ERR_CERT_HAS_EXPIRED:
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return CONN_TLS_FAULT_EXPIRED;
	case X509_V_ERR_DANE_NO_MATCH:
		return CONN_TLS_FAULT_TLSA;
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_CERT_UNTRUSTED:
		return CONN_TLS_FAULT_UNTRUSTED;
	default:
		return CONN_TLS_FAULT_OTHER;
	}
}

struct slice conn_tls_fault_text(const struct conn *conn)
{
	long result = conn->ssl ? SSL_get_verify_result(conn->ssl) : X509_V_OK;

	return result == X509_V_OK ? SLICE_EMPTY : slice_from_cstr(X509_verify_cert_error_string(result));
}

struct slice conn_tls_error(const struct conn *conn)
{
	return slice_from_cstr(conn->tls_error);
}

/* RFC 5929 section 4.1: by the certificate signature's own hash, SHA-256 in place of MD5 and SHA-1. */
static bool bind_end_point(SSL *ssl, struct buf *out)
{
	X509 *certificate = SSL_is_server(ssl) ? SSL_get_certificate(ssl) : SSL_get0_peer_certificate(ssl);
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned length = 0;
	int hash = NID_undef;
	const EVP_MD *md;

	if (!certificate || !X509_get_signature_info(certificate, &hash, NULL, NULL, NULL))
		return false;
	md = hash == NID_md5 || hash == NID_sha1 ? EVP_sha256() : EVP_get_digestbynid(hash);
	if (!md || !X509_digest(certificate, md, digest, &length))
		return false;
	buf_add(out, slice_of((const char *)digest, length));
	return true;
}

/* RFC 5929 section 3.1: the first Finished message of the handshake. The client's is the first of a full handshake, the
 * server's of a resumed one. */
static bool bind_unique(SSL *ssl, struct buf *out)
{
	char finished[TLS_UNIQUE_MAX];
	bool is_own = SSL_is_server(ssl) == (SSL_session_reused(ssl) != 0);
	size_t length = is_own ? SSL_get_finished(ssl, finished, sizeof(finished))
			       : SSL_get_peer_finished(ssl, finished, sizeof(finished));

	if (length == 0 || length > sizeof(finished))
		return false;
	buf_add(out, slice_of(finished, length));
	return true;
}

/* RFC 9266 section 4. */
static bool bind_exporter(SSL *ssl, struct buf *out)
{
	static const char label[] = "EXPORTER-Channel-Binding";
	unsigned char key[EXPORTER_LENGTH];

	if (SSL_export_keying_material(ssl, key, sizeof(key), label, sizeof(label) - 1, NULL, 0, 0) != 1)
		return false;
	buf_add(out, slice_of((const char *)key, sizeof(key)));
	return true;
}

bool conn_channel_binding(struct conn *conn, struct slice type, struct buf *out)
{
	SSL *ssl = conn->ssl;
	bool is_tls13, is_bound_to_secret;

	if (!ssl || !SSL_is_init_finished(ssl))
		return false;
	is_tls13 = SSL_version(ssl) >= TLS1_3_VERSION;
	/* RFC 7627 section 1: without an extended master secret two connections can share these values. */
	is_bound_to_secret = is_tls13 || SSL_get_extms_support(ssl) == 1;
	if (slice_eq(type, SLICE("tls-server-end-point")))
		return bind_end_point(ssl, out);
	if (slice_eq(type, SLICE("tls-unique")))
		return !is_tls13 && is_bound_to_secret && bind_unique(ssl, out);
	return slice_eq(type, SLICE("tls-exporter")) && is_bound_to_secret && bind_exporter(ssl, out);
}

bool conn_is_certified(const struct conn *conn)
{
	return conn->ssl && SSL_is_server(conn->ssl) && SSL_get0_peer_certificate(conn->ssl) &&
	       SSL_get_verify_result(conn->ssl) == X509_V_OK;
}

void conn_certified_addresses(const struct conn *conn, struct buf *out)
{
	STACK_OF(OPENSSL_STRING) *addresses =
		conn_is_certified(conn) ? X509_get1_email(SSL_get0_peer_certificate(conn->ssl)) : NULL;

	for (int i = 0; i < sk_OPENSSL_STRING_num(addresses) && i < CERTIFIED_MAX; i++) {
		struct slice address = slice_from_cstr(sk_OPENSSL_STRING_value(addresses, i));

		if (address.len > CERTIFIED_LENGTH_MAX || slice_find_byte(address, '\n') != SLICE_NOT_FOUND)
			continue;
		buf_add(out, address);
		buf_add_byte(out, '\n');
	}
	X509_email_free(addresses);
}
