/* token_maker: an identity provider for the tests: keys of its own, tokens with any claims. */
#pragma once

#include <cjose/cjose.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/slice.h"

static inline cjose_jwk_t *token_maker_key(bool is_ec, const char *id)
{
	cjose_err error;
	cjose_jwk_t *key = is_ec ? cjose_jwk_create_EC_random(CJOSE_JWK_EC_P_256, &error)
				 : cjose_jwk_create_RSA_random(2048, (const uint8_t *)"\1\0\1", 3, &error);

	if (id)
		(void)cjose_jwk_set_kid(key, id, strlen(id), &error);
	return key;
}

/* The public halves, as a provider shows them. */
static inline struct slice token_maker_set(struct arena *arena, cjose_jwk_t *const *keys, size_t count)
{
	json_t *set = json_object(), *list = json_array();
	cjose_err error;

	for (size_t i = 0; i < count; i++) {
		char *text = cjose_jwk_to_json(keys[i], false, &error);

		json_array_append_new(list, json_loads(text, 0, NULL));
		free(text);
	}
	json_object_set_new(set, "keys", list);
	char *text = json_dumps(set, 0);
	struct slice copy = slice_dup(arena, slice_from_cstr(text));

	free(text);
	json_decref(set);
	return copy;
}

static inline struct slice token_maker_token(struct arena *arena, cjose_jwk_t *key, const char *algorithm, const char *id,
					     const char *claims)
{
	cjose_err error;
	const char *text;
	cjose_header_t *header = cjose_header_new(&error);

	(void)cjose_header_set(header, CJOSE_HDR_ALG, algorithm, &error);
	if (id)
		(void)cjose_header_set(header, CJOSE_HDR_KID, id, &error);
	cjose_jws_t *jws = cjose_jws_sign(key, header, (const uint8_t *)claims, strlen(claims), &error);

	if (!jws || !cjose_jws_export(jws, &text, &error))
		abort();
	struct slice token = slice_dup(arena, slice_from_cstr(text));

	cjose_jws_release(jws);
	cjose_header_release(header);
	return token;
}
