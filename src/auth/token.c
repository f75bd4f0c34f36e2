#include "auth/token.h"

#include <cjose/cjose.h>
#include <jansson.h>
#include <stdlib.h>

#define KEYS_MAX 64

struct key {
	cjose_jwk_t *jwk;
	const char *id; /* "kid"; NULL: it has none */
};

struct issuer {
	struct slice issuer, audience;
	char *user_claim;
	struct key keys[KEYS_MAX];
	size_t key_count;
};

struct token_issuers {
	struct arena arena;
	struct issuer *issuers;
	size_t count;
};

static void json_free(json_t **json)
{
	json_decref(*json);
}
static void jws_free(cjose_jws_t **jws)
{
	cjose_jws_release(*jws);
}
#define SCOPED_JSON __attribute__((cleanup(json_free)))
#define SCOPED_JWS  __attribute__((cleanup(jws_free)))

/* ---- keys ---- */

/* A key for signatures that only its owner can make. What it can't use is passed over: sets hold keys for encryption too. */
static void add_key(struct issuer *issuer, json_t *json)
{
	const char *use = json_string_value(json_object_get(json, "use"));
	char *text = json_dumps(json, JSON_COMPACT);
	cjose_err error;
	cjose_jwk_t *jwk = text && issuer->key_count < KEYS_MAX ? cjose_jwk_import(text, strlen(text), &error) : NULL;

	free(text);
	if (!jwk)
		return;
	cjose_jwk_kty_t kind = cjose_jwk_get_kty(jwk, &error);

	if ((kind != CJOSE_JWK_KTY_RSA && kind != CJOSE_JWK_KTY_EC) || (use && strcmp(use, "sig") != 0))
		cjose_jwk_release(jwk);
	else
		issuer->keys[issuer->key_count++] = (struct key){jwk, cjose_jwk_get_kid(jwk, &error)};
}

static enum status read_keys(struct issuer *issuer, struct slice text, struct arena *arena, struct error *error)
{
	SCOPED_JSON json_t *set = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, NULL);
	const json_t *keys = json_object_get(set, "keys");

	for (size_t i = 0; i < json_array_size(keys); i++)
		add_key(issuer, json_array_get(keys, i));
	if (issuer->key_count > 0)
		return STATUS_OK;
	return error_set(error, arena, STATUS_REFUSED,
			 "the key set of %.*s has no public key of kind RSA or EC; it must be JSON as the provider's jwks_uri gives it",
			 SLICE_ARG(issuer->issuer));
}

struct token_issuers *token_issuers_new(const struct token_issuer *issuers, size_t count, struct arena *arena, struct error *error)
{
	struct token_issuers *made = calloc(1, sizeof *made);
	enum status status = STATUS_OK;

	if (!made)
		abort();
	arena_init(&made->arena, 0);
	made->issuers = ARENA_ARRAY(&made->arena, struct issuer, count + 1);
	for (size_t i = 0; i < count && status == STATUS_OK; i++) {
		struct issuer *issuer = &made->issuers[made->count++];

		*issuer = (struct issuer){.issuer = slice_dup(&made->arena, issuers[i].issuer),
					  .audience = slice_dup(&made->arena, issuers[i].audience),
					  .user_claim = slice_cstr(&made->arena, issuers[i].user_claim)};
		status = read_keys(issuer, issuers[i].keys, arena, error);
	}
	if (status == STATUS_OK)
		return made;
	token_issuers_free(made);
	return NULL;
}

void token_issuers_free(struct token_issuers *issuers)
{
	if (!issuers)
		return;
	for (size_t i = 0; i < issuers->count; i++)
		for (size_t k = 0; k < issuers->issuers[i].key_count; k++)
			cjose_jwk_release(issuers->issuers[i].keys[k].jwk);
	arena_free(&issuers->arena);
	free(issuers);
}

/* ---- the signature ---- */

static const char *header(cjose_jws_t *jws, const char *name)
{
	cjose_err error;

	return cjose_header_get(cjose_jws_get_protected(jws), name, &error);
}

static bool fits_kind(const char *algorithm, cjose_jwk_kty_t kind)
{
	static const char *const rsa[] = {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"};
	static const char *const ec[] = {"ES256", "ES384", "ES512"};

	if (kind == CJOSE_JWK_KTY_EC) {
		for (size_t i = 0; i < sizeof ec / sizeof ec[0]; i++)
			if (strcmp(algorithm, ec[i]) == 0)
				return true;
		return false;
	}
	for (size_t i = 0; i < sizeof rsa / sizeof rsa[0]; i++)
		if (strcmp(algorithm, rsa[i]) == 0)
			return true;
	return false;
}

static bool is_signed_by(cjose_jws_t *jws, const struct key *key)
{
	const char *algorithm = header(jws, CJOSE_HDR_ALG), *id = header(jws, CJOSE_HDR_KID);
	cjose_err error;

	if (!algorithm || !fits_kind(algorithm, cjose_jwk_get_kty(key->jwk, &error)))
		return false;
	/* RFC 7515 section 4.1.4: which key it was; without it each is tried. */
	if (id && key->id && strcmp(id, key->id) != 0)
		return false;
	return cjose_jws_verify(jws, key->jwk, &error);
}

static bool is_signed(cjose_jws_t *jws, const struct issuer *issuer)
{
	for (size_t i = 0; i < issuer->key_count; i++)
		if (is_signed_by(jws, &issuer->keys[i]))
			return true;
	return false;
}

/* RFC 7515 section 4.1.11: what "crit" names must be understood, and nothing is. */
static bool has_critical(cjose_jws_t *jws)
{
	cjose_err error;

	char *critical = cjose_header_get_raw(cjose_jws_get_protected(jws), "crit", &error);
	bool has = critical != NULL;

	free(critical);
	return has;
}

/* ---- the claims ---- */

static bool is_text(const json_t *json, struct slice text)
{
	return json_is_string(json) && slice_eq(slice_of(json_string_value(json), json_string_length(json)), text);
}

/* RFC 7519 section 4.1.3: one, or a list of them. */
static bool is_for(const json_t *audience, struct slice wanted)
{
	if (!json_is_array(audience))
		return is_text(audience, wanted);
	for (size_t i = 0; i < json_array_size(audience); i++)
		if (is_text(json_array_get(audience, i), wanted))
			return true;
	return false;
}

static bool is_in_time(const json_t *claims, int64_t now_s)
{
	const json_t *expires = json_object_get(claims, "exp"), *begins = json_object_get(claims, "nbf");

	return json_is_number(expires) && json_number_value(expires) > (double)(now_s - TOKEN_CLOCK_SKEW_S) &&
	       (!begins || (json_is_number(begins) && json_number_value(begins) <= (double)(now_s + TOKEN_CLOCK_SKEW_S)));
}

static bool read_claims(const struct issuer *issuer, cjose_jws_t *jws, int64_t now_s, struct arena *arena, struct slice *user)
{
	uint8_t *text;
	size_t length;
	cjose_err error;

	if (!cjose_jws_get_plaintext(jws, &text, &length, &error))
		return false;
	SCOPED_JSON json_t *claims = json_loadb((const char *)text, length, JSON_REJECT_DUPLICATES, NULL);
	const json_t *name = json_object_get(claims, issuer->user_claim);

	if (!is_text(json_object_get(claims, "iss"), issuer->issuer) || !is_for(json_object_get(claims, "aud"), issuer->audience) ||
	    !is_in_time(claims, now_s) || !json_is_string(name))
		return false;
	*user = slice_dup(arena, slice_of(json_string_value(name), json_string_length(name)));
	return user->len > 0;
}

bool token_verify(const struct token_issuers *issuers, struct slice token, int64_t wall_ms, struct arena *arena,
		  struct slice *user)
{
	cjose_err error;
	SCOPED_JWS cjose_jws_t *jws = cjose_jws_import(token.data, token.len, &error);

	if (!jws || has_critical(jws))
		return false;
	for (size_t i = 0; i < issuers->count; i++)
		if (is_signed(jws, &issuers->issuers[i]) && read_claims(&issuers->issuers[i], jws, wall_ms / 1000, arena, user))
			return true;
	return false;
}
