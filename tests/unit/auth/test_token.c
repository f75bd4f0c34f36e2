#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "auth/token.h"
#include "base/base64.h"
#include "base/buf.h"
#include "token_maker.h"

#define NOW_MS (INT64_C(1800000000) * 1000)
#define GOOD   "{\"iss\":\"https://id.test\",\"aud\":\"mail\",\"exp\":1800000100,\"email\":\"alice@example.test\"}"

struct provider {
	struct arena arena;
	cjose_jwk_t *rsa, *ec, *stranger;
	struct token_issuers *issuers;
};

static int setup(void **state)
{
	struct provider *provider = calloc(1, sizeof *provider);

	arena_init(&provider->arena, 0);
	provider->rsa = token_maker_key(false, "one");
	provider->ec = token_maker_key(true, NULL);
	provider->stranger = token_maker_key(false, "one");
	struct token_issuer issuer = {
		.issuer = SLICE("https://id.test"),
		.audience = SLICE("mail"),
		.user_claim = SLICE("email"),
		.keys = token_maker_set(&provider->arena, (cjose_jwk_t *[]){provider->rsa, provider->ec}, 2),
	};
	provider->issuers = token_issuers_new(&issuer, 1, &provider->arena, NULL);
	*state = provider;
	return provider->issuers ? 0 : -1;
}

static int teardown(void **state)
{
	struct provider *provider = *state;

	token_issuers_free(provider->issuers);
	cjose_jwk_release(provider->rsa);
	cjose_jwk_release(provider->ec);
	cjose_jwk_release(provider->stranger);
	arena_free(&provider->arena);
	free(provider);
	return 0;
}

static bool is_good(struct provider *provider, struct slice token)
{
	struct slice user;

	return token_verify(provider->issuers, token, NOW_MS, &provider->arena, &user) &&
	       slice_eq(user, SLICE("alice@example.test"));
}

static void good_tokens(void **state)
{
	struct provider *provider = *state;
	static const char *const rsa[] = {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"};

	for (size_t i = 0; i < sizeof rsa / sizeof rsa[0]; i++)
		assert_true(is_good(provider, token_maker_token(&provider->arena, provider->rsa, rsa[i], "one", GOOD)));
	assert_true(is_good(provider, token_maker_token(&provider->arena, provider->rsa, "RS256", NULL, GOOD)));
	assert_true(is_good(provider, token_maker_token(&provider->arena, provider->ec, "ES256", NULL, GOOD)));
}

static void claims(void **state)
{
	struct provider *provider = *state;
	static const struct {
		const char *text;
		bool good;
	} cases[] = {
		{"{\"iss\":\"https://id.test\",\"aud\":[\"x\",\"mail\"],\"exp\":1800000001,\"email\":\"alice@example.test\"}", true},
		/* A minute is given to clocks that differ. */
		{"{\"iss\":\"https://id.test\",\"aud\":\"mail\",\"exp\":1799999950,\"email\":\"alice@example.test\"}", true},
		{"{\"iss\":\"https://id.test\",\"aud\":\"mail\",\"exp\":1799999900,\"email\":\"alice@example.test\"}", false},
		{"{\"iss\":\"https://id.test\",\"aud\":\"mail\",\"email\":\"alice@example.test\"}", false},
		{"{\"iss\":\"https://id.test\",\"aud\":\"mail\",\"exp\":\"1800000100\",\"email\":\"alice@example.test\"}", false},
		{"{\"iss\":\"https://id.test\",\"aud\":\"mail\",\"exp\":1800000100,\"nbf\":1800000050,\"email\":\"alice@example.test\"}", true},
		{"{\"iss\":\"https://id.test\",\"aud\":\"mail\",\"exp\":1800000100,\"nbf\":1800000090,\"email\":\"alice@example.test\"}", false},
		{"{\"iss\":\"https://other.test\",\"aud\":\"mail\",\"exp\":1800000100,\"email\":\"alice@example.test\"}", false},
		{"{\"iss\":\"https://id.test\",\"aud\":\"web\",\"exp\":1800000100,\"email\":\"alice@example.test\"}", false},
		{"{\"iss\":\"https://id.test\",\"exp\":1800000100,\"email\":\"alice@example.test\"}", false},
		{"{\"iss\":\"https://id.test\",\"aud\":\"mail\",\"exp\":1800000100}", false},
		{"{\"iss\":\"https://id.test\",\"aud\":\"mail\",\"exp\":1800000100,\"email\":\"mallory@example.test\",\"email\":\"alice@example.test\"}", false},
		{"[]", false},
		{"no json", false},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_int_equal(is_good(provider, token_maker_token(&provider->arena, provider->rsa, "RS256", "one", cases[i].text)),
				 cases[i].good);
}

static void add_url(struct buf *out, struct slice text)
{
	struct buf encoded SCOPED_BUF;

	buf_init(&encoded, NULL, 0);
	base64_encode(&encoded, text);
	for (size_t i = 0; i < encoded.len && encoded.data[i] != '='; i++)
		buf_add_byte(out, encoded.data[i] == '+' ? '-' : encoded.data[i] == '/' ? '_' : encoded.data[i]);
}

static void forged_tokens(void **state)
{
	struct provider *provider = *state;
	struct slice good = token_maker_token(&provider->arena, provider->rsa, "RS256", "one", GOOD);
	struct buf none;

	/* Another's key under the same name; the right key under a wrong name. */
	assert_false(is_good(provider, token_maker_token(&provider->arena, provider->stranger, "RS256", "one", GOOD)));
	assert_false(is_good(provider, token_maker_token(&provider->arena, provider->rsa, "RS256", "two", GOOD)));
	/* RFC 8725 section 2.1: nobody's signature. */
	buf_init(&none, &provider->arena, 0);
	add_url(&none, SLICE("{\"alg\":\"none\"}"));
	buf_add_byte(&none, '.');
	add_url(&none, SLICE(GOOD));
	buf_add_byte(&none, '.');
	assert_false(is_good(provider, buf_slice(&none)));
	/* The public key as a shared secret. */
	cjose_err error;
	char *public = cjose_jwk_to_json(provider->rsa, false, &error);
	cjose_jwk_t *shared = cjose_jwk_create_oct_spec((const uint8_t *)public, strlen(public), &error);

	assert_false(is_good(provider, token_maker_token(&provider->arena, shared, "HS256", "one", GOOD)));
	cjose_jwk_release(shared);
	free(public);
	/* Each byte changed, and each end cut off. */
	for (size_t i = 0; i < good.len; i += 7) {
		char *changed = slice_cstr(&provider->arena, good);

		changed[i] = changed[i] == 'A' ? 'B' : 'A';
		if (i + 1 < good.len)
			assert_false(is_good(provider, slice_of(changed, good.len)));
		assert_false(is_good(provider, slice_sub(good, 0, i)));
	}
}

static void key_sets(void **state)
{
	struct provider *provider = *state;
	struct error error = {0};
	static const struct slice bad[] = {
		SLICE(""), SLICE("{}"), SLICE("{\"keys\":[]}"), SLICE("{\"keys\":[{\"kty\":\"oct\",\"k\":\"c2VjcmV0\"}]}"), SLICE("-----BEGIN PUBLIC KEY-----"),
	};

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct token_issuer issuer = {SLICE("https://id.test"), SLICE("mail"), SLICE("email"), bad[i]};

		assert_null(token_issuers_new(&issuer, 1, &provider->arena, &error));
		assert_int_equal(error.status, STATUS_REFUSED);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_tokens),
		cmocka_unit_test(claims),
		cmocka_unit_test(forged_tokens),
		cmocka_unit_test(key_sets),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
