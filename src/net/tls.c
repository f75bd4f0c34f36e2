/* Each load makes a new `struct tls_set`, which never changes afterwards. Connections hold references to the one they began
 * with; the last of them frees it. A set has one SSL_CTX without certificates: each session is given its pair by SNI.
 * Ticket keys belong to a set, as a resumed session is bound to the certificate it began with (RFC 5929 section 4). */
#include "net/tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "net/dns.h"
#include "net/tls_private.h"

#define SESSION_LIFE_S 7200
#define HOST_MAX       253
#define CHAIN_MAX      16
#define PAIRS_MAX      100000
#define SERVER_CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES:!aNULL:!eNULL"

struct loaded_pair {
	X509 *certificate;
	EVP_PKEY *key;
	STACK_OF(X509) * chain;
};

struct host_name {
	char *text; /* lower-case; may begin with "*." */
	size_t pair;
};

struct tls_set {
	_Atomic unsigned references;
	SSL_CTX *ctx;
	BIO_METHOD *socket;
	struct ticket_keys tickets;
	struct loaded_pair *pairs;
	size_t pair_count;
	struct host_name *names; /* sorted by text, then pair */
	size_t name_count, name_cap;
};

struct tls_context {
	pthread_mutex_t mutex;
	struct tls_set *current; /* NULL: a server without certificate */
	bool is_server;
	char *client_anchors; /* PEM; NULL: no client is asked for a certificate */
};

static void *allocate(size_t count, size_t size)
{
	void *block = calloc(count ? count : 1, size);

	if (!block) {
		fputs("out of memory\n", stderr);
		abort();
	}
	return block;
}

/* ---- sets ---- */

static void set_release(struct tls_set *set)
{
	if (!set || atomic_fetch_sub(&set->references, 1) != 1)
		return;
	for (size_t i = 0; i < set->pair_count; i++) {
		X509_free(set->pairs[i].certificate);
		EVP_PKEY_free(set->pairs[i].key);
		sk_X509_pop_free(set->pairs[i].chain, X509_free);
	}
	for (size_t i = 0; i < set->name_count; i++)
		free(set->names[i].text);
	free(set->pairs);
	free(set->names);
	SSL_CTX_free(set->ctx);
	BIO_meth_free(set->socket);
	ticket_keys_destroy(&set->tickets);
	free(set);
}

/* What both sides have in common. Small when idle: no buffer is kept, no session, and as few tickets as do. */
static bool configure(SSL_CTX *ctx)
{
	SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	/* One recv(2) for header and body of a record. */
	SSL_CTX_set_read_ahead(ctx, 1);
	return SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1;
}

static struct tls_set *set_new(const SSL_METHOD *method)
{
	struct tls_set *set = allocate(1, sizeof(*set));

	atomic_init(&set->references, 1);
	ticket_keys_init(&set->tickets);
	set->ctx = SSL_CTX_new(method);
	set->socket = socket_method_new();
	if (!set->ctx || !set->socket || !configure(set->ctx)) {
		set_release(set);
		return NULL;
	}
	return set;
}

/* ---- names ---- */

static int compare_names(const void *a, const void *b)
{
	const struct host_name *left = a, *right = b;
	int order = strcmp(left->text, right->text);

	return order ? order : (left->pair > right->pair) - (left->pair < right->pair);
}

static int compare_text(const void *key, const void *name)
{
	return strcmp(key, ((const struct host_name *)name)->text);
}

static void add_name(struct tls_set *set, struct slice name, size_t pair)
{
	char *text;

	if (slice_ends_with(name, SLICE(".")))
		name.len--;
	if (name.len == 0 || name.len > HOST_MAX || slice_find_byte(name, '\0') != SLICE_NOT_FOUND)
		return;
	if (set->name_count == set->name_cap) {
		struct host_name *grown = allocate(2 * set->name_cap + 8, sizeof(*grown));

		if (set->name_count)
			memcpy(grown, set->names, set->name_count * sizeof(*grown));
		free(set->names);
		set->names = grown;
		set->name_cap = 2 * set->name_cap + 8;
	}
	text = allocate(name.len + 1, 1);
	for (size_t i = 0; i < name.len; i++)
		text[i] = ascii_lower(name.data[i]);
	set->names[set->name_count++] = (struct host_name){text, pair};
}

static struct slice asn1_slice(const ASN1_STRING *text)
{
	return slice_of((const char *)ASN1_STRING_get0_data(text), (size_t)ASN1_STRING_length(text));
}

/* The dNSNames; without any, the common name, as old self-made certificates have. */
static void add_names(struct tls_set *set, X509 *certificate, size_t pair)
{
	GENERAL_NAMES *alternatives = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
	X509_NAME *subject = X509_get_subject_name(certificate);
	size_t before = set->name_count;
	int at = subject ? X509_NAME_get_index_by_NID(subject, NID_commonName, -1) : -1;

	for (int i = 0; i < sk_GENERAL_NAME_num(alternatives); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(alternatives, i);

		if (name->type == GEN_DNS)
			add_name(set, asn1_slice(name->d.dNSName), pair);
	}
	GENERAL_NAMES_free(alternatives);
	if (set->name_count == before && at >= 0)
		add_name(set, asn1_slice(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at))), pair);
}

static const struct host_name *find_name(const struct tls_set *set, const char *text)
{
	const struct host_name *found = bsearch(text, set->names, set->name_count, sizeof(*found), compare_text);

	while (found && found > set->names && strcmp(found[-1].text, text) == 0)
		found--;
	return found;
}

/* The pair for that host; false: none names it. */
static bool find_pair(const struct tls_set *set, const char *host, size_t *pair)
{
	const struct host_name *exact = NULL, *wild = NULL;
	char text[HOST_MAX + 2];
	size_t length = strlen(host), dot;

	if (length > 0 && host[length - 1] == '.')
		length--;
	if (length == 0 || length > HOST_MAX || set->name_count == 0)
		return false;
	for (size_t i = 0; i < length; i++)
		text[i] = ascii_lower(host[i]);
	text[length] = '\0';
	exact = find_name(set, text);
	dot = slice_find_byte(slice_of(text, length), '.');
	if (dot != SLICE_NOT_FOUND && dot > 0) {
		text[dot - 1] = '*';
		wild = find_name(set, text + dot - 1);
	}
	if (!exact && !wild)
		return false;
	*pair = exact ? exact->pair : wild->pair;
	return true;
}

/* ---- call-backs ---- */

static bool use_pair(SSL *ssl, const struct loaded_pair *pair)
{
	SSL_certs_clear(ssl);
	return SSL_use_cert_and_key(ssl, pair->certificate, pair->key, pair->chain, 1) == 1;
}

/* Called for each ClientHello, with a server name or without, also when a session is resumed. */
static int choose_pair(SSL *ssl, int *alert, void *context)
{
	const struct tls_set *set = SSL_get_app_data(ssl);
	const char *host = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	size_t pair = 0;
	bool is_named = host && find_pair(set, host, &pair);

	(void)context;
	if (!use_pair(ssl, &set->pairs[pair])) {
		*alert = SSL_AD_INTERNAL_ERROR;
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	}
	return is_named ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

static int ticket_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int encrypt)
{
	struct tls_set *set = SSL_get_app_data(ssl);

	return ticket_keys_use(&set->tickets, clock_monotonic_ms(), name, iv, cipher, mac, encrypt != 0);
}

static bool configure_server(SSL_CTX *ctx)
{
	SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
	SSL_CTX_set_timeout(ctx, SESSION_LIFE_S);
	SSL_CTX_set_tlsext_servername_callback(ctx, choose_pair);
	SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, ticket_key);
	return SSL_CTX_set_num_tickets(ctx, 1) == 1 && SSL_CTX_set_cipher_list(ctx, SERVER_CIPHERS) == 1 &&
	       SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"mail", 4) == 1;
}

/* ---- loading ---- */

static BIO *memory_bio(struct slice pem)
{
	return pem.len <= INT32_MAX ? BIO_new_mem_buf(pem.data, (int)pem.len) : NULL;
}

/* No pass phrase: an encrypted key is refused, nobody is asked. */
static int no_pass_phrase(char *out, int cap, int writing, void *context)
{
	(void)out;
	(void)cap;
	(void)writing;
	(void)context;
	return -1;
}

static void trust(SSL_CTX *ctx, struct slice anchors)
{
	X509_STORE *store = SSL_CTX_get_cert_store(ctx);
	BIO *bio = memory_bio(anchors);
	X509 *anchor;

	while (bio && (anchor = PEM_read_bio_X509(bio, NULL, no_pass_phrase, NULL))) {
		X509_STORE_add_cert(store, anchor);
		X509_free(anchor);
	}
	BIO_free(bio);
	ERR_clear_error();
}

/* Whatever comes is let in: who isn't trusted is nobody in particular. */
static int let_in(int trusted, X509_STORE_CTX *chain)
{
	(void)trusted;
	(void)chain;
	return 1;
}

/* The names of the anchors are sent along, so that the client knows which of its certificates is meant (RFC 8446 section 4.2.4). */
static void ask_clients(SSL_CTX *ctx, struct slice anchors)
{
	BIO *bio = memory_bio(anchors);
	X509 *anchor;

	while (bio && (anchor = PEM_read_bio_X509(bio, NULL, no_pass_phrase, NULL))) {
		(void)SSL_CTX_add_client_CA(ctx, anchor);
		X509_free(anchor);
	}
	BIO_free(bio);
	trust(ctx, anchors);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_CLIENT_ONCE, let_in);
}

static bool read_chain(struct slice pem, struct loaded_pair *pair)
{
	BIO *bio = memory_bio(pem);
	X509 *next;

	pair->certificate = bio ? PEM_read_bio_X509(bio, NULL, no_pass_phrase, NULL) : NULL;
	pair->chain = sk_X509_new_null();
	while (pair->certificate && pair->chain && sk_X509_num(pair->chain) < CHAIN_MAX &&
	       (next = PEM_read_bio_X509(bio, NULL, no_pass_phrase, NULL)))
		if (!sk_X509_push(pair->chain, next))
			X509_free(next);
	BIO_free(bio);
	ERR_clear_error();
	return pair->certificate && pair->chain;
}

static bool read_key(struct slice pem, struct loaded_pair *pair)
{
	BIO *bio = memory_bio(pem);

	pair->key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_pass_phrase, NULL) : NULL;
	BIO_free(bio);
	ERR_clear_error();
	return pair->key != NULL;
}

/* What the pair lacks, in words; NULL if nothing. */
static const char *read_pair(struct tls_set *set, const struct tls_pair *pem, struct loaded_pair *pair)
{
	const char *reason = NULL;
	SSL *probe;

	if (!read_chain(pem->certificate_chain, pair))
		return "the certificate is not PEM (\"-----BEGIN CERTIFICATE-----\")";
	if (!read_key(pem->private_key, pair))
		return "the private key is not PEM, or is encrypted";
	if (X509_check_private_key(pair->certificate, pair->key) != 1)
		return "the private key is not the certificate's";
	probe = SSL_new(set->ctx);
	if (!probe || !use_pair(probe, pair)) {
		reason = ERR_reason_error_string(ERR_peek_last_error());
		reason = reason ? reason : "OpenSSL refuses it";
	}
	SSL_free(probe);
	ERR_clear_error();
	return reason;
}

static enum status load_set(struct tls_set *set, const struct tls_pair *pairs, size_t count, struct arena *arena,
			    struct error *error)
{
	set->pairs = allocate(count, sizeof(*set->pairs));
	for (size_t i = 0; i < count; i++) {
		const char *fault;

		set->pair_count = i + 1;
		fault = read_pair(set, &pairs[i], &set->pairs[i]);
		if (fault)
			return error_set(error, arena, STATUS_REFUSED, "TLS certificate %zu of %zu: %s", i + 1, count, fault);
		add_names(set, set->pairs[i].certificate, i);
	}
	if (set->name_count)
		qsort(set->names, set->name_count, sizeof(*set->names), compare_names);
	return STATUS_OK;
}

enum status tls_context_load(struct tls_context *context, const struct tls_pair *pairs, size_t count, struct arena *arena,
			     struct error *error)
{
	struct tls_set *set, *old;
	enum status status;

	if (!context->is_server || count == 0 || count > PAIRS_MAX)
		return error_set(error, arena, STATUS_REFUSED, "a TLS server needs a certificate and its private key");
	set = set_new(TLS_server_method());
	if (!set || !configure_server(set->ctx)) {
		set_release(set);
		return error_set(error, arena, STATUS_TEMPORARY, "OpenSSL can't be set up");
	}
	if (context->client_anchors)
		ask_clients(set->ctx, slice_from_cstr(context->client_anchors));
	status = load_set(set, pairs, count, arena, error);
	if (status != STATUS_OK) {
		set_release(set);
		return status;
	}
	pthread_mutex_lock(&context->mutex);
	old = context->current;
	context->current = set;
	pthread_mutex_unlock(&context->mutex);
	set_release(old);
	return STATUS_OK;
}

/* ---- contexts ---- */

void tls_server_ask_clients(struct tls_context *context, struct slice anchors)
{
	free(context->client_anchors);
	context->client_anchors = allocate(anchors.len + 1, 1);
	memcpy(context->client_anchors, anchors.data, anchors.len);
}

static struct tls_context *context_new(bool is_server)
{
	struct tls_context *context = allocate(1, sizeof(*context));

	context->mutex = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	context->is_server = is_server;
	/* OpenSSL reads its configuration now, before a sandbox. */
	OPENSSL_init_ssl(0, NULL);
	return context;
}

struct tls_context *tls_server_new(void)
{
	return context_new(true);
}

struct tls_context *tls_client_new(struct slice trust_anchors)
{
	struct tls_context *context = context_new(false);

	context->current = set_new(TLS_client_method());
	if (!context->current)
		return context;
	SSL_CTX_set_options(context->current->ctx, SSL_OP_NO_TICKET);
	/* Does nothing before a connection asks for it. */
	(void)SSL_CTX_dane_enable(context->current->ctx);
	if (trust_anchors.len > 0)
		trust(context->current->ctx, trust_anchors);
	else
		/* RFC 7435 section 3: what is weak is still better than plain text, which is the alternative. */
		SSL_CTX_set_security_level(context->current->ctx, 1);
	return context;
}

/* RFC 6698 section 2.1.2: matching type 0 holds the thing itself. */
static bool is_whole(uint8_t selector, struct slice data)
{
	const unsigned char *at = (const unsigned char *)data.data, *end = at + data.len;
	X509 *certificate = selector == 0 ? d2i_X509(NULL, &at, (long)data.len) : NULL;
	EVP_PKEY *key = selector == 1 ? d2i_PUBKEY(NULL, &at, (long)data.len) : NULL;
	bool is = (certificate || key) && at == end;

	X509_free(certificate);
	EVP_PKEY_free(key);
	ERR_clear_error();
	return is;
}

bool tls_tlsa_is_usable(const struct dns_tlsa *tlsa)
{
	if ((tlsa->usage != 2 && tlsa->usage != 3) || tlsa->selector > 1)
		return false;
	switch (tlsa->matching) {
	case 0:
		return is_whole(tlsa->selector, tlsa->data);
	case 1:
		return tlsa->data.len == 32;
	case 2:
		return tlsa->data.len == 64;
	}
	return false;
}

void tls_context_free(struct tls_context *context)
{
	if (!context)
		return;
	set_release(context->current);
	free(context->client_anchors);
	pthread_mutex_destroy(&context->mutex);
	free(context);
}

bool tls_context_has_certificate(const struct tls_context *context)
{
	struct tls_context *lockable = (struct tls_context *)context;
	bool has;

	pthread_mutex_lock(&lockable->mutex);
	has = context->is_server && context->current;
	pthread_mutex_unlock(&lockable->mutex);
	return has;
}

/* ---- sessions ---- */

static SSL *session_new(struct tls_context *context)
{
	struct tls_set *set;
	SSL *ssl;

	pthread_mutex_lock(&context->mutex);
	set = context->current;
	if (set)
		atomic_fetch_add(&set->references, 1);
	pthread_mutex_unlock(&context->mutex);
	if (!set)
		return NULL;
	ssl = SSL_new(set->ctx);
	if (!ssl || SSL_set_app_data(ssl, set) != 1) {
		SSL_free(ssl);
		set_release(set);
		return NULL;
	}
	return ssl;
}

SSL *tls_new_server_session(struct tls_context *context)
{
	return session_new(context);
}

SSL *tls_new_client_session(struct tls_context *context)
{
	return session_new(context);
}

bool tls_session_set_fd(SSL *ssl, int fd)
{
	const struct tls_set *set = SSL_get_app_data(ssl);
	BIO *bio = socket_bio_new(set->socket, fd);

	if (bio)
		SSL_set_bio(ssl, bio, bio);
	return bio != NULL;
}

void tls_session_free(SSL *ssl)
{
	struct tls_set *set = ssl ? SSL_get_app_data(ssl) : NULL;

	SSL_free(ssl);
	set_release(set);
}
