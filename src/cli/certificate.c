#include "cli/certificate.h"

#include <arpa/inet.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/buf.h"
#include "base/random.h"

#define VALID_DAYS 3650

static void free_certificate(X509 **certificate)
{
	X509_free(*certificate);
}

static void free_key(EVP_PKEY **key)
{
	EVP_PKEY_free(*key);
}

static void free_bio(BIO **memory)
{
	BIO_free(*memory);
}

static bool is_ip_address(const char *text)
{
	struct in6_addr binary;

	return inet_pton(AF_INET, text, &binary) == 1 || inet_pton(AF_INET6, text, &binary) == 1;
}

/* "DNS:mail.example.org,IP:127.0.0.1" */
static char *alternative_names(const struct slice *names, size_t count, struct arena *arena)
{
	struct buf text;

	buf_init(&text, arena, 0);
	for (size_t i = 0; i < count; i++) {
		char *name = slice_cstr(arena, names[i]);

		buf_printf(&text, "%s%s:%s", i ? "," : "", is_ip_address(name) ? "IP" : "DNS", name);
	}
	return slice_cstr(arena, buf_slice(&text));
}

static bool add_extension(X509 *certificate, int id, const char *value)
{
	X509V3_CTX context;
	X509_EXTENSION *extension;
	bool added;

	X509V3_set_ctx_nodb(&context);
	X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &context, id, value);
	added = extension && X509_add_ext(certificate, extension, -1);
	X509_EXTENSION_free(extension);
	return added;
}

/* RFC 5280 section 4.1.2.2: a serial number is positive and at most 20 bytes. */
static bool set_identity(X509 *certificate, EVP_PKEY *key, const char *name)
{
	X509_NAME *subject = X509_get_subject_name(certificate);

	return X509_set_version(certificate, X509_VERSION_3) &&
	       ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), random_u64() >> 1 | 1) &&
	       X509_gmtime_adj(X509_getm_notBefore(certificate), -3600) &&
	       X509_gmtime_adj(X509_getm_notAfter(certificate), VALID_DAYS * 86400L) &&
	       X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)name, -1, -1, 0) &&
	       X509_set_issuer_name(certificate, subject) && X509_set_pubkey(certificate, key);
}

static bool fill(X509 *certificate, EVP_PKEY *key, const struct slice *names, size_t count, struct arena *arena)
{
	/* A common name has at most 64 characters. */
	struct slice common = names[0].len <= 64 ? names[0] : SLICE("posthorn");

	return set_identity(certificate, key, slice_cstr(arena, common)) &&
	       add_extension(certificate, NID_basic_constraints, "critical,CA:FALSE") &&
	       add_extension(certificate, NID_subject_key_identifier, "hash") &&
	       add_extension(certificate, NID_ext_key_usage, "serverAuth") &&
	       add_extension(certificate, NID_subject_alt_name, alternative_names(names, count, arena)) &&
	       X509_sign(certificate, key, EVP_sha256()) > 0;
}

/* One of the two. */
static bool to_pem(X509 *certificate, EVP_PKEY *key, struct arena *arena, struct slice *pem)
{
	__attribute__((cleanup(free_bio))) BIO *memory = BIO_new(BIO_s_mem());
	char *text = NULL;
	long length;

	if (!memory ||
	    !(key ? PEM_write_bio_PrivateKey(memory, key, NULL, NULL, 0, NULL, NULL) : PEM_write_bio_X509(memory, certificate)))
		return false;
	length = BIO_get_mem_data(memory, &text);
	*pem = slice_dup(arena, slice_of(text, (size_t)length));
	return length > 0;
}

bool certificate_make(const struct slice *names, size_t count, struct arena *arena, struct slice *certificate,
		      struct slice *key)
{
	__attribute__((cleanup(free_key))) EVP_PKEY *new_key = EVP_EC_gen("P-256");
	__attribute__((cleanup(free_certificate))) X509 *made = X509_new();

	return new_key && made && fill(made, new_key, names, count, arena) && to_pem(NULL, new_key, arena, key) &&
	       to_pem(made, NULL, arena, certificate);
}
