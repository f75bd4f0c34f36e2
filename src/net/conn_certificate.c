/* What a client's certificate says, in the forms that milters and policy services know from Postfix. */
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "net/conn_private.h"

#define NAME_LENGTH_MAX 256

static bool is_printable(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if ((unsigned char)text.data[i] < ' ' || text.data[i] == 127)
			return false;
	return text.len <= NAME_LENGTH_MAX && slice_is_utf8(text);
}

static void add_common_name(const X509_NAME *name, struct buf *out)
{
	int index = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
	const X509_NAME_ENTRY *entry = index < 0 ? NULL : X509_NAME_get_entry(name, index);
	unsigned char *text = NULL;
	int length = entry ? ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(entry)) : -1;

	if (length > 0 && is_printable(slice_of((const char *)text, (size_t)length)))
		buf_add(out, slice_of((const char *)text, (size_t)length));
	OPENSSL_free(text);
}

static void add_digest(const unsigned char *digest, unsigned length, struct buf *out)
{
	for (unsigned i = 0; i < length; i++)
		buf_printf(out, "%s%02X", i ? ":" : "", digest[i]);
}

/* Of the key with its algorithm (SubjectPublicKeyInfo), as TLSA's selector 1 has it. */
static void add_key_digest(const X509 *certificate, struct buf *out)
{
	unsigned char *bytes = NULL, digest[EVP_MAX_MD_SIZE];
	int length = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &bytes);
	unsigned size = 0;

	if (length > 0 && EVP_Digest(bytes, (size_t)length, digest, &size, EVP_sha256(), NULL))
		add_digest(digest, size, out);
	OPENSSL_free(bytes);
}

void conn_certificate_part(const struct conn *conn, enum conn_certificate_part part, struct buf *out)
{
	const X509 *certificate = conn_is_certified(conn) ? SSL_get0_peer_certificate(conn->ssl) : NULL;
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned size = 0;

	if (!certificate)
		return;
	switch (part) {
	case CONN_CERTIFICATE_SUBJECT:
		add_common_name(X509_get_subject_name(certificate), out);
		return;
	case CONN_CERTIFICATE_ISSUER:
		add_common_name(X509_get_issuer_name(certificate), out);
		return;
	case CONN_CERTIFICATE_DIGEST:
		if (X509_digest(certificate, EVP_sha256(), digest, &size))
			add_digest(digest, size, out);
		return;
	case CONN_CERTIFICATE_KEY_DIGEST:
		add_key_digest(certificate, out);
		return;
	}
}
