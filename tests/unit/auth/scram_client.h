/* scram_client: the client's side of SCRAM-SHA-256 for the tests, written from the RFC without the code under test. */
#pragma once

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/base64.h"
#include "base/buf.h"
#include "base/slice.h"

struct scram_client {
	struct arena *arena;
	struct slice header; /* "n,,", "y,,", "p=tls-exporter,," */
	struct slice binding;
	struct slice bare;
	uint8_t server_key[32];
	struct slice auth_message;
};

static inline struct slice scram_client_first_message(struct scram_client *client, struct slice user, struct slice nonce)
{
	struct buf out;

	buf_init(&out, client->arena, 0);
	buf_printf(&out, "n=%.*s,r=%.*s", SLICE_ARG(user), SLICE_ARG(nonce));
	client->bare = buf_slice(&out);
	return slice_join(client->arena, (const struct slice[]){client->header, client->bare}, 2);
}

static inline void scram_client_hmac(const uint8_t key[32], struct slice data, uint8_t out[32])
{
	unsigned len = 32;

	HMAC(EVP_sha256(), key, 32, (const uint8_t *)data.data, data.len, out, &len);
}

/* "r=...,s=...,i=...": the values. */
static inline bool scram_client_parse(struct scram_client *client, struct slice first, struct slice *nonce, struct buf *salt,
				      uint32_t *iterations)
{
	(void)client;
	*nonce = slice_skip(slice_cut(&first, ','), 2);
	return base64_decode(salt, slice_skip(slice_cut(&first, ','), 2)) &&
	       slice_to_u32(slice_skip(first, 2), 1000000, iterations);
}

static inline struct slice scram_client_final_message(struct scram_client *client, struct slice server_first,
						      struct slice password)
{
	struct buf salt, out;
	struct slice nonce, whole = slice_join(client->arena, (const struct slice[]){client->header, client->binding}, 2);
	uint8_t salted[32], key[32], stored[32], signature[32];
	uint32_t iterations = 0;

	buf_init(&salt, client->arena, 0);
	buf_init(&out, client->arena, 0);
	if (!scram_client_parse(client, server_first, &nonce, &salt, &iterations))
		return SLICE_EMPTY;
	buf_add_literal(&out, "c=");
	base64_encode(&out, whole);
	buf_add_literal(&out, ",r=");
	buf_add(&out, nonce);
	client->auth_message = slice_join(
		client->arena, (const struct slice[]){client->bare, SLICE(","), server_first, SLICE(","), buf_slice(&out)}, 5);
	PKCS5_PBKDF2_HMAC(password.data, (int)password.len, (const uint8_t *)salt.data, (int)salt.len, (int)iterations,
			  EVP_sha256(), 32, salted);
	scram_client_hmac(salted, SLICE("Server Key"), client->server_key);
	scram_client_hmac(salted, SLICE("Client Key"), key);
	EVP_Digest(key, 32, stored, NULL, EVP_sha256(), NULL);
	scram_client_hmac(stored, client->auth_message, signature);
	for (int i = 0; i < 32; i++)
		key[i] ^= signature[i];
	buf_add_literal(&out, ",p=");
	base64_encode(&out, slice_of((const char *)key, 32));
	return buf_slice(&out);
}

/* "v=..." proves that the server knows the keys too. */
static inline bool scram_client_trusts(const struct scram_client *client, struct slice server_final)
{
	uint8_t signature[32];
	struct buf out;

	buf_init(&out, client->arena, 0);
	scram_client_hmac(client->server_key, client->auth_message, signature);
	buf_add_literal(&out, "v=");
	base64_encode(&out, slice_of((const char *)signature, 32));
	return slice_eq(buf_slice(&out), server_final);
}
