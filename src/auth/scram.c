#include "auth/scram.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "base/base64.h"

static const struct {
	struct slice prefix;
	const char *digest;
	size_t length;
} hashes[] = {
	[SCRAM_SHA_256] = {SLICE("SCRAM-SHA-256$"), "SHA256", 32},
	[SCRAM_SHA_1] = {SLICE("SCRAM-SHA-1$"), "SHA1", 20},
};

size_t scram_hash_length(enum scram_hash hash)
{
	return hashes[hash].length;
}

static const EVP_MD *digest_of(enum scram_hash hash)
{
	return hash == SCRAM_SHA_1 ? EVP_sha1() : EVP_sha256();
}

static bool hmac(enum scram_hash hash, const uint8_t *key, struct slice data, uint8_t out[SCRAM_HASH_MAX])
{
	return EVP_Q_mac(NULL, "HMAC", NULL, hashes[hash].digest, NULL, key, hashes[hash].length,
			 (const unsigned char *)data.data, data.len, out, hashes[hash].length, NULL) != NULL;
}

static bool digest(enum scram_hash hash, const uint8_t *in, uint8_t out[SCRAM_HASH_MAX])
{
	return EVP_Digest(in, hashes[hash].length, out, NULL, digest_of(hash), NULL) == 1;
}

/* RFC 5802 section 3: SaltedPassword := Hi(password, salt, i), which is PBKDF2 with one block. */
bool scram_keys_from_password(enum scram_hash hash, struct slice password, struct slice salt, uint32_t iterations,
			      struct scram_keys *keys)
{
	uint8_t salted[SCRAM_HASH_MAX], client_key[SCRAM_HASH_MAX];

	if (salt.len > SCRAM_SALT_MAX || iterations == 0 || iterations > SCRAM_ITERATIONS_MAX)
		return false;
	keys->hash = hash;
	keys->iterations = iterations;
	keys->salt_len = salt.len;
	memcpy(keys->salt, salt.data, salt.len);
	bool made = PKCS5_PBKDF2_HMAC(password.data, (int)password.len, keys->salt, (int)salt.len, (int)iterations,
				      digest_of(hash), (int)hashes[hash].length, salted) == 1 &&
		    hmac(hash, salted, SLICE("Client Key"), client_key) && digest(hash, client_key, keys->stored_key) &&
		    hmac(hash, salted, SLICE("Server Key"), keys->server_key);

	OPENSSL_cleanse(salted, sizeof salted);
	OPENSSL_cleanse(client_key, sizeof client_key);
	return made;
}

static struct slice bytes_of(const uint8_t *bytes, size_t len)
{
	return slice_of((const char *)bytes, len);
}

void scram_keys_format(struct buf *out, const struct scram_keys *keys)
{
	buf_add(out, hashes[keys->hash].prefix);
	buf_add_u64(out, keys->iterations);
	buf_add_byte(out, ':');
	base64_encode(out, bytes_of(keys->salt, keys->salt_len));
	buf_add_byte(out, '$');
	base64_encode(out, bytes_of(keys->stored_key, hashes[keys->hash].length));
	buf_add_byte(out, ':');
	base64_encode(out, bytes_of(keys->server_key, hashes[keys->hash].length));
}

static bool decode(struct arena *arena, struct slice text, struct slice *bytes)
{
	struct buf out;

	buf_init(&out, arena, 0);
	if (!base64_decode(&out, text))
		return false;
	*bytes = buf_slice(&out);
	return true;
}

static bool decode_key(struct arena *arena, struct slice text, size_t length, uint8_t key[SCRAM_HASH_MAX])
{
	struct slice bytes;

	if (!decode(arena, text, &bytes) || bytes.len != length)
		return false;
	memcpy(key, bytes.data, bytes.len);
	return true;
}

static bool parse_keys(struct arena *arena, struct slice text, enum scram_hash hash, struct scram_keys *keys)
{
	struct slice salt;

	keys->hash = hash;
	struct slice iterations = slice_cut(&text, ':');
	struct slice salt_text = slice_cut(&text, '$');
	struct slice stored = slice_cut(&text, ':');

	if (!slice_to_u32(iterations, SCRAM_ITERATIONS_MAX, &keys->iterations) || keys->iterations == 0 ||
	    !decode(arena, salt_text, &salt) || salt.len > SCRAM_SALT_MAX)
		return false;
	keys->salt_len = salt.len;
	memcpy(keys->salt, salt.data, salt.len);
	return decode_key(arena, stored, hashes[hash].length, keys->stored_key) &&
	       decode_key(arena, text, hashes[hash].length, keys->server_key);
}

bool scram_keys_parse(struct arena *arena, struct slice text, enum scram_hash hash, struct scram_keys *keys)
{
	while (text.len > 0) {
		struct slice one = slice_cut(&text, ' ');

		if (slice_starts_with(one, hashes[hash].prefix))
			return parse_keys(arena, slice_skip(one, hashes[hash].prefix.len), hash, keys);
	}
	return false;
}

/* RFC 5802 section 5.1: "=2C" and "=3D" stand for ',' and '=', which don't stand for themselves. */
static bool parse_name(struct arena *arena, struct slice text, struct slice *name)
{
	struct buf out;

	buf_init(&out, arena, 0);
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] != '=') {
			buf_add_byte(&out, text.data[i]);
			continue;
		}
		struct slice escape = slice_sub(text, i, i + 3);

		if (slice_eq(escape, SLICE("=2C")))
			buf_add_byte(&out, ',');
		else if (slice_eq(escape, SLICE("=3D")))
			buf_add_byte(&out, '=');
		else
			return false;
		i += 2;
	}
	*name = buf_slice(&out);
	return name->len > 0 && slice_is_utf8(*name) && slice_find_byte(*name, '\0') == SLICE_NOT_FOUND;
}

/* RFC 5802 section 7: printable = %x21-2B / %x2D-7E. */
static bool is_nonce(struct slice nonce)
{
	for (size_t i = 0; i < nonce.len; i++)
		if (nonce.data[i] <= ' ' || nonce.data[i] > '~' || nonce.data[i] == ',')
			return false;
	return nonce.len > 0 && nonce.len <= SCRAM_NONCE_MAX;
}

/* "r=..." at the start of *rest, up to the next comma; its value. */
static bool take_attribute(struct slice *rest, char name, struct slice *value)
{
	if (rest->len < 2 || rest->data[0] != name || rest->data[1] != '=')
		return false;
	*value = slice_skip(slice_cut(rest, ','), 2);
	return true;
}

static bool is_binding_type(struct slice type)
{
	for (size_t i = 0; i < type.len; i++)
		if (!ascii_is_alnum(type.data[i]) && type.data[i] != '.' && type.data[i] != '-')
			return false;
	return type.len > 0;
}

static bool parse_binding_flag(struct slice flag, struct scram_client_first *first)
{
	if (slice_eq(flag, SLICE("n"))) {
		first->binding = SCRAM_BINDING_NONE;
		return true;
	}
	if (slice_eq(flag, SLICE("y"))) {
		first->binding = SCRAM_BINDING_NOT_OFFERED;
		return true;
	}
	first->binding = SCRAM_BINDING_USED;
	first->binding_type = slice_skip(flag, 2);
	return slice_starts_with(flag, SLICE("p=")) && is_binding_type(first->binding_type);
}

/* The header, cut off from *rest. */
static bool take_header(struct arena *arena, struct slice *rest, struct scram_client_first *first)
{
	*first = (struct scram_client_first){0};
	if (!parse_binding_flag(slice_cut(rest, ','), first))
		return false;
	struct slice authorization = slice_cut(rest, ',');

	return authorization.len == 0 || (slice_starts_with(authorization, SLICE("a=")) &&
					  parse_name(arena, slice_skip(authorization, 2), &first->authorization));
}

bool scram_parse_header(struct arena *arena, struct slice header, struct slice *user)
{
	struct scram_client_first first;

	/* Of "n,," the last comma ends the header. */
	if (!slice_ends_with(header, SLICE(",")) || !take_header(arena, &header, &first) || header.len > 0 ||
	    first.binding == SCRAM_BINDING_USED)
		return false;
	*user = first.authorization;
	return true;
}

bool scram_parse_client_first(struct arena *arena, struct slice message, struct scram_client_first *first)
{
	struct slice rest = message, name;

	if (!take_header(arena, &rest, first))
		return false;
	first->bare = rest;
	first->header = slice_sub(message, 0, message.len - rest.len);
	/* "m=" in front would be an extension that must be understood; none is: only "n=" may stand here. */
	return take_attribute(&rest, 'n', &name) && parse_name(arena, name, &first->user) &&
	       take_attribute(&rest, 'r', &first->nonce) && is_nonce(first->nonce);
}

/* The proof is the last attribute; extensions in front of it are optional and passed over. */
static bool split_proof(struct slice message, struct slice *without_proof, struct slice *proof)
{
	size_t comma = slice_find_last_byte(message, ',');

	if (comma == SLICE_NOT_FOUND)
		return false;
	*without_proof = slice_sub(message, 0, comma);
	*proof = slice_skip(message, comma + 1);
	return slice_starts_with(*proof, SLICE("p="));
}

bool scram_parse_client_final(struct arena *arena, struct slice message, enum scram_hash hash, struct scram_client_final *final)
{
	struct slice proof, binding;

	*final = (struct scram_client_final){0};
	if (!split_proof(message, &final->without_proof, &proof))
		return false;
	struct slice rest = final->without_proof;

	return take_attribute(&rest, 'c', &binding) && decode(arena, binding, &final->binding) &&
	       take_attribute(&rest, 'r', &final->nonce) && is_nonce(final->nonce) &&
	       decode(arena, slice_skip(proof, 2), &final->proof) && final->proof.len == hashes[hash].length;
}

/* RFC 5802 section 3: ClientKey := ClientProof XOR ClientSignature; it is right if its hash is StoredKey. */
bool scram_verify_proof(const struct scram_keys *keys, struct slice auth_message, struct slice proof)
{
	uint8_t key[SCRAM_HASH_MAX], stored[SCRAM_HASH_MAX];
	size_t length = hashes[keys->hash].length;

	if (proof.len != length || !hmac(keys->hash, keys->stored_key, auth_message, key))
		return false;
	for (size_t i = 0; i < length; i++)
		key[i] ^= (uint8_t)proof.data[i];
	return digest(keys->hash, key, stored) && CRYPTO_memcmp(stored, keys->stored_key, length) == 0;
}

bool scram_server_signature(const struct scram_keys *keys, struct slice auth_message, uint8_t out[SCRAM_HASH_MAX])
{
	return hmac(keys->hash, keys->server_key, auth_message, out);
}
