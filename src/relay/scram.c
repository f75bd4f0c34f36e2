#include "relay/scram.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include "base/base64.h"
#include "base/buf.h"
#include "base/random.h"

#define KEY_BYTES SHA256_DIGEST_LENGTH

/* RFC 5802 section 5.1: "=" and "," are written =3D and =2C. */
static void add_user(struct buf *out, struct slice user)
{
	for (size_t i = 0; i < user.len; i++)
		if (user.data[i] == '=')
			buf_add_literal(out, "=3D");
		else if (user.data[i] == ',')
			buf_add_literal(out, "=2C");
		else
			buf_add_byte(out, user.data[i]);
}

struct slice scram_first(struct scram *scram, struct arena *arena, struct slice user, struct slice nonce)
{
	struct buf message;

	*scram = (struct scram){.arena = arena, .nonce = nonce.len > 0 ? nonce : random_token(arena, 32)};
	buf_init(&message, arena, 0);
	buf_add_literal(&message, "n,,n=");
	add_user(&message, user);
	buf_add_literal(&message, ",r=");
	buf_add(&message, scram->nonce);
	scram->first_bare = slice_skip(buf_slice(&message), 3);
	return buf_slice(&message);
}

static bool take_attribute(struct slice *rest, char name, struct slice *value)
{
	struct slice attribute = slice_cut(rest, ',');

	if (attribute.len < 2 || attribute.data[0] != name || attribute.data[1] != '=')
		return false;
	*value = slice_skip(attribute, 2);
	return true;
}

static void hmac(const uint8_t *key, struct slice text, uint8_t out[KEY_BYTES])
{
	unsigned len = KEY_BYTES;

	HMAC(EVP_sha256(), key, KEY_BYTES, (const unsigned char *)text.data, text.len, out, &len);
}

static struct slice to_base64(struct arena *arena, const uint8_t bytes[KEY_BYTES])
{
	struct buf text;

	buf_init(&text, arena, 0);
	base64_encode(&text, slice_of((const char *)bytes, KEY_BYTES));
	return buf_slice(&text);
}

/* RFC 5802 section 3: ClientProof and ServerSignature. */
static struct slice prove(struct scram *scram, const uint8_t salted[KEY_BYTES], struct slice auth_message)
{
	uint8_t client_key[KEY_BYTES], stored_key[KEY_BYTES], server_key[KEY_BYTES], signature[KEY_BYTES];

	hmac(salted, SLICE("Client Key"), client_key);
	SHA256(client_key, KEY_BYTES, stored_key);
	hmac(stored_key, auth_message, signature);
	for (size_t i = 0; i < KEY_BYTES; i++)
		client_key[i] ^= signature[i];
	hmac(salted, SLICE("Server Key"), server_key);
	hmac(server_key, auth_message, signature);
	scram->server_signature = to_base64(scram->arena, signature);
	return to_base64(scram->arena, client_key);
}

/* RFC 5802 section 7: printable ASCII but for the comma. */
static bool is_nonce(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.data[i] <= ' ' || text.data[i] > '~')
			return false;
	return true;
}

bool scram_final(struct scram *scram, struct slice server_first, struct slice password, struct slice *client_final)
{
	struct slice rest = server_first, nonce, salt_text, iterations_text;
	uint8_t salted[KEY_BYTES];
	struct buf salt, message, without_proof;
	uint32_t iterations;

	if (!take_attribute(&rest, 'r', &nonce) || !take_attribute(&rest, 's', &salt_text) ||
	    !take_attribute(&rest, 'i', &iterations_text))
		return false;
	buf_init(&salt, scram->arena, 0);
	if (!slice_starts_with(nonce, scram->nonce) || nonce.len == scram->nonce.len || !is_nonce(nonce) ||
	    !base64_decode(&salt, salt_text) || salt.len == 0 ||
	    !slice_to_u32(iterations_text, SCRAM_ITERATIONS_MAX, &iterations) || iterations == 0)
		return false;
	if (PKCS5_PBKDF2_HMAC(password.data, (int)password.len, (const unsigned char *)salt.data, (int)salt.len,
			      (int)iterations, EVP_sha256(), KEY_BYTES, salted) != 1)
		return false;
	buf_init(&without_proof, scram->arena, 0);
	buf_printf(&without_proof, "c=biws,r=%.*s", SLICE_ARG(nonce));
	buf_init(&message, scram->arena, 0);
	buf_printf(&message, "%.*s,%.*s,%.*s", SLICE_ARG(scram->first_bare), SLICE_ARG(server_first),
		   SLICE_ARG(buf_slice(&without_proof)));
	buf_printf(&without_proof, ",p=%.*s", SLICE_ARG(prove(scram, salted, buf_slice(&message))));
	OPENSSL_cleanse(salted, sizeof(salted));
	*client_final = buf_slice(&without_proof);
	return buf_ok(&without_proof);
}

bool scram_verify(const struct scram *scram, struct slice server_final)
{
	struct slice signature;

	return take_attribute(&server_final, 'v', &signature) && slice_eq(signature, scram->server_signature);
}
