#include "auth/scram.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "base/base64.h"

#define KEYS_PREFIX SLICE("SCRAM-SHA-256$")

static bool hmac(const uint8_t key[SCRAM_HASH_LENGTH], struct slice data, uint8_t out[SCRAM_HASH_LENGTH])
{
	return EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, key, SCRAM_HASH_LENGTH, (const unsigned char *)data.data, data.len,
			 out, SCRAM_HASH_LENGTH, NULL) != NULL;
}

static bool sha256(const uint8_t in[SCRAM_HASH_LENGTH], uint8_t out[SCRAM_HASH_LENGTH])
{
	return EVP_Digest(in, SCRAM_HASH_LENGTH, out, NULL, EVP_sha256(), NULL) == 1;
}

/* RFC 5802 section 3: SaltedPassword := Hi(password, salt, i), which is PBKDF2 with one block. */
bool scram_keys_from_password(struct slice password, struct slice salt, uint32_t iterations, struct scram_keys *keys)
{
	uint8_t salted[SCRAM_HASH_LENGTH], client_key[SCRAM_HASH_LENGTH];

	if (salt.len > SCRAM_SALT_MAX || iterations == 0 || iterations > SCRAM_ITERATIONS_MAX)
		return false;
	keys->iterations = iterations;
	keys->salt_len = salt.len;
	memcpy(keys->salt, salt.data, salt.len);
	bool made = PKCS5_PBKDF2_HMAC(password.data, (int)password.len, keys->salt, (int)salt.len, (int)iterations,
				      EVP_sha256(), sizeof salted, salted) == 1 &&
		    hmac(salted, SLICE("Client Key"), client_key) && sha256(client_key, keys->stored_key) &&
		    hmac(salted, SLICE("Server Key"), keys->server_key);

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
	buf_add(out, KEYS_PREFIX);
	buf_add_u64(out, keys->iterations);
	buf_add_byte(out, ':');
	base64_encode(out, bytes_of(keys->salt, keys->salt_len));
	buf_add_byte(out, '$');
	base64_encode(out, bytes_of(keys->stored_key, sizeof keys->stored_key));
	buf_add_byte(out, ':');
	base64_encode(out, bytes_of(keys->server_key, sizeof keys->server_key));
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

static bool decode_key(struct arena *arena, struct slice text, uint8_t key[SCRAM_HASH_LENGTH])
{
	struct slice bytes;

	if (!decode(arena, text, &bytes) || bytes.len != SCRAM_HASH_LENGTH)
		return false;
	memcpy(key, bytes.data, bytes.len);
	return true;
}

bool scram_keys_parse(struct arena *arena, struct slice text, struct scram_keys *keys)
{
	struct slice salt;

	if (!slice_starts_with(text, KEYS_PREFIX))
		return false;
	text = slice_skip(text, KEYS_PREFIX.len);
	struct slice iterations = slice_cut(&text, ':');
	struct slice salt_text = slice_cut(&text, '$');
	struct slice stored = slice_cut(&text, ':');

	if (!slice_to_u32(iterations, SCRAM_ITERATIONS_MAX, &keys->iterations) || keys->iterations == 0 ||
	    !decode(arena, salt_text, &salt) || salt.len > SCRAM_SALT_MAX)
		return false;
	keys->salt_len = salt.len;
	memcpy(keys->salt, salt.data, salt.len);
	return decode_key(arena, stored, keys->stored_key) && decode_key(arena, text, keys->server_key);
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

bool scram_parse_client_first(struct arena *arena, struct slice message, struct scram_client_first *first)
{
	struct slice rest = message, name;

	*first = (struct scram_client_first){0};
	if (!parse_binding_flag(slice_cut(&rest, ','), first))
		return false;
	struct slice authorization = slice_cut(&rest, ',');

	if (authorization.len > 0 && (!slice_starts_with(authorization, SLICE("a=")) ||
				      !parse_name(arena, slice_skip(authorization, 2), &first->authorization)))
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

bool scram_parse_client_final(struct arena *arena, struct slice message, struct scram_client_final *final)
{
	struct slice proof, binding;

	*final = (struct scram_client_final){0};
	if (!split_proof(message, &final->without_proof, &proof))
		return false;
	struct slice rest = final->without_proof;

	return take_attribute(&rest, 'c', &binding) && decode(arena, binding, &final->binding) &&
	       take_attribute(&rest, 'r', &final->nonce) && is_nonce(final->nonce) &&
	       decode(arena, slice_skip(proof, 2), &final->proof) && final->proof.len == SCRAM_HASH_LENGTH;
}

/* RFC 5802 section 3: ClientKey := ClientProof XOR ClientSignature; it is right if its hash is StoredKey. */
bool scram_verify_proof(const struct scram_keys *keys, struct slice auth_message, struct slice proof)
{
	uint8_t key[SCRAM_HASH_LENGTH], stored[SCRAM_HASH_LENGTH];

	if (proof.len != SCRAM_HASH_LENGTH || !hmac(keys->stored_key, auth_message, key))
		return false;
	for (size_t i = 0; i < SCRAM_HASH_LENGTH; i++)
		key[i] ^= (uint8_t)proof.data[i];
	return sha256(key, stored) && CRYPTO_memcmp(stored, keys->stored_key, sizeof stored) == 0;
}

bool scram_server_signature(const struct scram_keys *keys, struct slice auth_message, uint8_t out[SCRAM_HASH_LENGTH])
{
	return hmac(keys->server_key, auth_message, out);
}
