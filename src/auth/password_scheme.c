#include "auth/password_internal.h"

#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "base/base64.h"
#include "base/buf.h"

#define SALT_MAX 256

/* How the bytes of a digest are written when the scheme's name doesn't say it. */
enum encoding { ENCODING_ANY, ENCODING_HEX, ENCODING_BASE64 };

struct scheme {
	struct slice name;
	enum password_kind kind;
	const char *digest;
	size_t digest_len;
	bool salted;
};

static const struct scheme schemes[] = {
	{SLICE("ARGON2ID"), PASSWORD_ARGON2},
	{SLICE("ARGON2I"), PASSWORD_ARGON2},
	{SLICE("ARGON2"), PASSWORD_ARGON2},
	{SLICE("CRYPT"), PASSWORD_CRYPT},
	{SLICE("BLF-CRYPT"), PASSWORD_CRYPT},
	{SLICE("SHA512-CRYPT"), PASSWORD_CRYPT},
	{SLICE("SHA256-CRYPT"), PASSWORD_CRYPT},
	{SLICE("MD5-CRYPT"), PASSWORD_CRYPT},
	{SLICE("DES-CRYPT"), PASSWORD_CRYPT},
	{SLICE("SSHA"), PASSWORD_DIGEST, "SHA1", 20, true},
	{SLICE("SSHA256"), PASSWORD_DIGEST, "SHA256", 32, true},
	{SLICE("SSHA512"), PASSWORD_DIGEST, "SHA512", 64, true},
	{SLICE("SMD5"), PASSWORD_DIGEST, "MD5", 16, true},
	{SLICE("SHA"), PASSWORD_DIGEST, "SHA1", 20, false},
	{SLICE("SHA1"), PASSWORD_DIGEST, "SHA1", 20, false},
	{SLICE("SHA256"), PASSWORD_DIGEST, "SHA256", 32, false},
	{SLICE("SHA512"), PASSWORD_DIGEST, "SHA512", 64, false},
	{SLICE("PLAIN-MD5"), PASSWORD_DIGEST, "MD5", 16, false},
	{SLICE("LDAP-MD5"), PASSWORD_DIGEST, "MD5", 16, false},
	{SLICE("MD5"), PASSWORD_DIGEST, "MD5", 16, false},
	{SLICE("PBKDF2"), PASSWORD_PBKDF2, "SHA1", 20},
	{SLICE("PBKDF2-SHA1"), PASSWORD_PBKDF2, "SHA1", 20},
	{SLICE("PBKDF2-SHA256"), PASSWORD_PBKDF2, "SHA256", 32},
	{SLICE("PBKDF2-SHA512"), PASSWORD_PBKDF2, "SHA512", 64},
	{SLICE("SCRAM-SHA-256"), PASSWORD_SCRAM, "SHA256", 32},
	{SLICE("SCRAM-SHA-1"), PASSWORD_SCRAM, "SHA1", 20},
	{SLICE("PLAIN"), PASSWORD_PLAIN},
	{SLICE("CLEAR"), PASSWORD_PLAIN},
	{SLICE("CLEARTEXT"), PASSWORD_PLAIN},
};

/* What passlib and the reference implementation of Argon2 write bears its own mark. */
static const struct {
	struct slice mark;
	struct slice scheme;
} marks[] = {
	{SLICE("$argon2"), SLICE("ARGON2")},
	{SLICE("$pbkdf2$"), SLICE("PBKDF2-SHA1")},
	{SLICE("$pbkdf2-sha256$"), SLICE("PBKDF2-SHA256")},
	{SLICE("$pbkdf2-sha512$"), SLICE("PBKDF2-SHA512")},
};

bool password_equal(struct slice a, struct slice b)
{
	return a.len == b.len && CRYPTO_memcmp(a.data, b.data, a.len) == 0;
}

bool password_base64(struct arena *arena, struct slice text, struct slice *bytes)
{
	struct buf padded, out;

	if (text.len > PASSWORD_HASH_MAX)
		return false;
	buf_init(&padded, arena, 0);
	buf_init(&out, arena, 0);
	for (size_t i = 0; i < text.len; i++)
		buf_add_byte(&padded, text.data[i] == '.' ? '+' : text.data[i]);
	while (padded.len % 4 != 0)
		buf_add_byte(&padded, '=');
	if (!base64_decode(&out, buf_slice(&padded)))
		return false;
	*bytes = buf_slice(&out);
	return true;
}

static bool password_hex(struct arena *arena, struct slice text, struct slice *bytes)
{
	struct buf out;

	buf_init(&out, arena, PASSWORD_HASH_MAX);
	if (!hex_decode(&out, text) || !buf_ok(&out))
		return false;
	*bytes = buf_slice(&out);
	return true;
}

static const struct scheme *find_scheme(struct slice name)
{
	for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++)
		if (slice_eq_nocase(schemes[i].name, name))
			return &schemes[i];
	return NULL;
}

/* "SSHA256.HEX" */
static const struct scheme *parse_name(struct slice name, enum encoding *encoding)
{
	struct slice scheme = slice_cut(&name, '.');

	if (name.len == 0)
		*encoding = ENCODING_ANY;
	else if (slice_eq_nocase(name, SLICE("HEX")))
		*encoding = ENCODING_HEX;
	else if (slice_eq_nocase(name, SLICE("B64")) || slice_eq_nocase(name, SLICE("BASE64")))
		*encoding = ENCODING_BASE64;
	else
		return NULL;
	return find_scheme(scheme);
}

static bool parse_digest(struct arena *arena, const struct scheme *scheme, enum encoding encoding, struct slice text,
			 struct password_hash *hash)
{
	struct slice bytes;
	/* A digest in hex is half as long again as in base64: without a salt its length tells. */
	bool hex =
		encoding == ENCODING_HEX || (encoding == ENCODING_ANY && !scheme->salted && text.len == 2 * scheme->digest_len);

	if (!(hex ? password_hex(arena, text, &bytes) : password_base64(arena, text, &bytes)))
		return false;
	hash->hash = slice_sub(bytes, 0, scheme->digest_len);
	hash->salt = slice_skip(bytes, scheme->digest_len);
	return hash->hash.len == scheme->digest_len && (scheme->salted ? hash->salt.len <= SALT_MAX : hash->salt.len == 0);
}

/* RFC 8018 section 5.2: every block of output costs all the rounds. One shorter than a digest is cut, and would fit too. */
static bool pbkdf2_is_sane(struct password_hash *hash, size_t digest_len)
{
	uint64_t blocks = (hash->hash.len + digest_len - 1) / digest_len;

	hash->cost_ms = hash->rounds * blocks / 2000;
	return hash->rounds > 0 && hash->hash.len >= digest_len && blocks <= 4 && hash->salt.len <= SALT_MAX;
}

/* "$1$salt$rounds$hex": the salt is text. */
static bool parse_pbkdf2_dovecot(struct arena *arena, struct slice text, struct password_hash *hash)
{
	text = slice_skip(text, 3);
	hash->salt = slice_cut(&text, '$');
	return slice_to_u32(slice_cut(&text, '$'), INT_MAX, &hash->rounds) && password_hex(arena, text, &hash->hash);
}

/* "$pbkdf2-sha256$rounds$salt$hash", and the same from the rounds on. */
static bool parse_pbkdf2_passlib(struct arena *arena, struct slice text, struct password_hash *hash)
{
	if (slice_starts_with(text, SLICE("$pbkdf2"))) {
		text = slice_skip(text, 1);
		slice_cut(&text, '$');
	}
	struct slice rounds = slice_cut(&text, '$');
	struct slice salt = slice_cut(&text, '$');

	return slice_to_u32(rounds, INT_MAX, &hash->rounds) && password_base64(arena, salt, &hash->salt) &&
	       password_base64(arena, text, &hash->hash);
}

static bool parse_pbkdf2(struct arena *arena, const struct scheme *scheme, struct slice text, struct password_hash *hash)
{
	bool parsed = slice_starts_with(text, SLICE("$1$")) ? parse_pbkdf2_dovecot(arena, text, hash)
							    : parse_pbkdf2_passlib(arena, text, hash);

	return parsed && pbkdf2_is_sane(hash, scheme->digest_len);
}

/* "rounds,salt,stored,server" */
static bool parse_scram(struct arena *arena, const struct scheme *scheme, struct slice text, struct password_hash *hash)
{
	struct slice rounds = slice_cut(&text, ',');
	struct slice salt = slice_cut(&text, ',');
	struct slice stored = slice_cut(&text, ',');

	return slice_to_u32(rounds, INT_MAX, &hash->rounds) && password_base64(arena, salt, &hash->salt) &&
	       password_base64(arena, stored, &hash->hash) && hash->hash.len == scheme->digest_len &&
	       pbkdf2_is_sane(hash, scheme->digest_len);
}

static bool parse_text(struct arena *arena, const struct scheme *scheme, enum encoding encoding, struct slice text,
		       struct password_hash *hash)
{
	switch (scheme->kind) {
	case PASSWORD_ARGON2:
		return password_argon2_parse(arena, text, hash);
	case PASSWORD_CRYPT:
		return password_crypt_parse(text, true, hash);
	case PASSWORD_DIGEST:
		return parse_digest(arena, scheme, encoding, text, hash);
	case PASSWORD_PBKDF2:
		return parse_pbkdf2(arena, scheme, text, hash);
	case PASSWORD_SCRAM:
		return parse_scram(arena, scheme, text, hash);
	case PASSWORD_PLAIN:
		hash->text = text;
		return text.len > 0;
	}
	return false;
}

static bool parse_with_scheme(struct arena *arena, const struct scheme *scheme, enum encoding encoding, struct slice text,
			      struct password_hash *hash)
{
	*hash = (struct password_hash){.kind = scheme->kind, .digest = scheme->digest};
	/* Dovecot writes "{MD5}$1$..." and "{SHA512}" alike: the mark decides. */
	if (scheme->kind == PASSWORD_DIGEST && slice_starts_with(text, SLICE("$"))) {
		hash->kind = PASSWORD_CRYPT;
		return password_crypt_parse(text, true, hash);
	}
	return parse_text(arena, scheme, encoding, text, hash);
}

static bool parse_unprefixed(struct arena *arena, struct slice stored, struct password_hash *hash)
{
	for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++)
		if (slice_starts_with(stored, marks[i].mark))
			return parse_with_scheme(arena, find_scheme(marks[i].scheme), ENCODING_ANY, stored, hash);
	*hash = (struct password_hash){.kind = PASSWORD_CRYPT};
	return password_crypt_parse(stored, false, hash);
}

static bool parse_any(struct arena *arena, struct slice stored, struct password_hash *hash)
{
	enum encoding encoding;
	struct slice text = slice_skip(stored, 1);

	if (!slice_starts_with(stored, SLICE("{")))
		return parse_unprefixed(arena, stored, hash);
	if (slice_find_byte(text, '}') == SLICE_NOT_FOUND)
		return false;
	const struct scheme *scheme = parse_name(slice_cut(&text, '}'), &encoding);

	/* OpenLDAP writes {CRYPT} for all of crypt(3), some tools also for what has a mark of its own. */
	if (scheme && scheme->kind == PASSWORD_CRYPT && slice_starts_with(text, SLICE("$argon2")))
		return parse_unprefixed(arena, text, hash);
	return scheme && parse_with_scheme(arena, scheme, encoding, text, hash);
}

bool password_hash_parse(struct arena *arena, struct slice stored, struct password_hash *hash)
{
	return stored.len <= PASSWORD_HASH_MAX && parse_any(arena, stored, hash) && hash->cost_kb <= PASSWORD_MEMORY_MAX_KB &&
	       hash->cost_ms <= PASSWORD_TIME_MAX_MS;
}

static bool check_digest(const struct password_hash *hash, struct slice password)
{
	uint8_t out[EVP_MAX_MD_SIZE];
	unsigned out_len = 0;
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool made = context && EVP_DigestInit_ex(context, EVP_get_digestbyname(hash->digest), NULL) &&
		    EVP_DigestUpdate(context, password.data, password.len) &&
		    EVP_DigestUpdate(context, hash->salt.data, hash->salt.len) && EVP_DigestFinal_ex(context, out, &out_len);

	EVP_MD_CTX_free(context);
	return made && password_equal(hash->hash, slice_of((const char *)out, out_len));
}

static bool pbkdf2(const struct password_hash *hash, struct slice password, uint8_t *out, size_t out_len)
{
	return PKCS5_PBKDF2_HMAC(password.data, (int)password.len, (const unsigned char *)hash->salt.data, (int)hash->salt.len,
				 (int)hash->rounds, EVP_get_digestbyname(hash->digest), (int)out_len, out) == 1;
}

static bool check_pbkdf2(const struct password_hash *hash, struct slice password)
{
	uint8_t out[4 * EVP_MAX_MD_SIZE];

	return pbkdf2(hash, password, out, hash->hash.len) &&
	       password_equal(hash->hash, slice_of((const char *)out, hash->hash.len));
}

/* RFC 5802 section 3: StoredKey = H(HMAC(SaltedPassword, "Client Key")). */
static bool check_scram(const struct password_hash *hash, struct slice password)
{
	const EVP_MD *digest = EVP_get_digestbyname(hash->digest);
	uint8_t salted[EVP_MAX_MD_SIZE], client_key[EVP_MAX_MD_SIZE], stored[EVP_MAX_MD_SIZE];
	size_t len = hash->hash.len;

	return pbkdf2(hash, password, salted, len) &&
	       EVP_Q_mac(NULL, "HMAC", NULL, hash->digest, NULL, salted, len, (const unsigned char *)"Client Key", 10,
			 client_key, sizeof client_key, NULL) &&
	       EVP_Digest(client_key, len, stored, NULL, digest, NULL) &&
	       password_equal(hash->hash, slice_of((const char *)stored, len));
}

bool password_hash_check(const struct password_hash *hash, struct slice password)
{
	/* Some libraries end a password at its first NUL: one with a NUL fits nothing. */
	if (password.len == 0 || slice_find_byte(password, '\0') != SLICE_NOT_FOUND)
		return false;
	switch (hash->kind) {
	case PASSWORD_ARGON2:
		return password_argon2_check(hash, password);
	case PASSWORD_CRYPT:
		return password_crypt_check(hash, password);
	case PASSWORD_DIGEST:
		return check_digest(hash, password);
	case PASSWORD_PBKDF2:
		return check_pbkdf2(hash, password);
	case PASSWORD_SCRAM:
		return check_scram(hash, password);
	case PASSWORD_PLAIN:
		return password_equal(hash->text, password);
	}
	return false;
}

bool password_verify(struct slice stored, struct slice password)
{
	struct arena arena SCOPED_ARENA;
	struct password_hash hash;

	arena_init(&arena, 0);
	return password_hash_parse(&arena, stored, &hash) && password_hash_check(&hash, password);
}
