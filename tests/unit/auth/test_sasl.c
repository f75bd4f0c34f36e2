#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "auth/auth.h"
#include "auth/sasl.h"
#include "base/base64.h"
#include "scram_client.h"

static const struct sasl_bindings no_bindings;

static struct sasl_bindings tls_bindings(void)
{
	return (struct sasl_bindings){SLICE("exporter-data"), SLICE("unique-data"), SLICE("end-point-data")};
}

static void make_keys(struct scram_keys *keys, struct slice password)
{
	assert_true(scram_keys_from_password(SCRAM_SHA_256, password, SLICE("0123456789abcdef"), 4096, keys));
}

static void rfc_7677_section_3(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct sasl sasl;
	struct scram_keys keys;
	struct buf salt SCOPED_BUF;
	struct slice first = SLICE("n,,n=user,r=rOprNGfwEbeRWgbNEkqO");

	(void)state;
	arena_init(&arena, 0);
	buf_init(&salt, NULL, 0);
	assert_true(base64_decode(&salt, SLICE("W22ZaJ0SNY7soEsUEjb6gQ==")));
	assert_true(scram_keys_from_password(SCRAM_SHA_256, SLICE("pencil"), buf_slice(&salt), 4096, &keys));
	assert_int_equal(
		sasl_begin(&sasl, &arena, SASL_SCRAM_SHA_256, &no_bindings, SLICE("%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"), &first),
		SASL_NEED_KEYS);
	assert_true(slice_eq(sasl.user, SLICE("user")));
	assert_int_equal(sasl_supply_keys(&sasl, &keys), SASL_CHALLENGE);
	assert_true(slice_eq(sasl.challenge, SLICE("r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
						   "s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096")));
	assert_int_equal(sasl_step(&sasl, SLICE("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
						"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")),
			 SASL_ACCEPT);
	assert_true(slice_eq(sasl.challenge, SLICE("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")));
	assert_int_equal(sasl_step(&sasl, SLICE("")), SASL_MALFORMED);
}

static void rfc_5802_section_5(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct sasl sasl;
	struct scram_keys keys;
	struct buf salt SCOPED_BUF;
	struct slice first = SLICE("n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL");

	(void)state;
	arena_init(&arena, 0);
	buf_init(&salt, NULL, 0);
	assert_true(base64_decode(&salt, SLICE("QSXCR+Q6sek8bf92")));
	assert_true(scram_keys_from_password(SCRAM_SHA_1, SLICE("pencil"), buf_slice(&salt), 4096, &keys));
	assert_int_equal(sasl_begin(&sasl, &arena, SASL_SCRAM_SHA_1, &no_bindings, SLICE("3rfcNHYJY1ZVvWVs7j"), &first),
			 SASL_NEED_KEYS);
	assert_int_equal(sasl_hash(&sasl), SCRAM_SHA_1);
	assert_int_equal(sasl_supply_keys(&sasl, &keys), SASL_CHALLENGE);
	assert_int_equal(sasl_step(&sasl, SLICE("c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,"
						"p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=")),
			 SASL_ACCEPT);
	assert_true(slice_eq(sasl.challenge, SLICE("v=rmF9pqV8S7suAoZWja4dJRkFsKQ=")));
}

/* Up to the proof the messages of both are alike. */
static void proof_of_another_hash(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct sasl sasl;
	struct scram_keys keys;
	struct buf salt SCOPED_BUF;
	struct slice first = SLICE("n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL");

	(void)state;
	arena_init(&arena, 0);
	buf_init(&salt, NULL, 0);
	assert_true(base64_decode(&salt, SLICE("QSXCR+Q6sek8bf92")));
	assert_true(scram_keys_from_password(SCRAM_SHA_256, SLICE("pencil"), buf_slice(&salt), 4096, &keys));
	assert_int_equal(sasl_begin(&sasl, &arena, SASL_SCRAM_SHA_256, &no_bindings, SLICE("3rfcNHYJY1ZVvWVs7j"), &first),
			 SASL_NEED_KEYS);
	assert_int_equal(sasl_supply_keys(&sasl, &keys), SASL_CHALLENGE);
	assert_true(slice_eq(sasl.challenge, SLICE("r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096")));
	/* A proof of SHA-1's length is none. */
	assert_int_equal(sasl_step(&sasl, SLICE("c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,"
						"p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=")),
			 SASL_MALFORMED);
}

/* A whole exchange; what the server says at the end. */
static enum sasl_result exchange(struct arena *arena, enum sasl_mechanism mechanism, const struct sasl_bindings *bindings,
				 const char *header, struct slice binding, struct slice password)
{
	struct scram_client client = {.arena = arena, .header = slice_from_cstr(header), .binding = binding};
	struct sasl sasl;
	struct scram_keys keys;
	struct slice first = scram_client_first_message(&client, SLICE("alice@example.test"), SLICE("abc"));
	enum sasl_result result = sasl_begin(&sasl, arena, mechanism, bindings, SLICE("def"), &first);

	make_keys(&keys, SLICE("secret"));
	if (result != SASL_NEED_KEYS)
		return result;
	assert_int_equal(sasl_supply_keys(&sasl, &keys), SASL_CHALLENGE);
	result = sasl_step(&sasl, scram_client_final_message(&client, sasl.challenge, password));
	if (result == SASL_ACCEPT)
		assert_true(scram_client_trusts(&client, sasl.challenge));
	else
		assert_int_equal(sasl.challenge.len, 0);
	return result;
}

static void channel_binding(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct sasl_bindings tls = tls_bindings();
	struct sasl_bindings only_exporter = {.exporter = SLICE("exporter-data")};
	const struct {
		enum sasl_mechanism mechanism;
		const struct sasl_bindings *bindings;
		const char *header;
		struct slice binding;
		enum sasl_result result;
	} cases[] = {
		{SASL_SCRAM_SHA_256, &no_bindings, "n,,", SLICE(""), SASL_ACCEPT},
		{SASL_SCRAM_SHA_256, &no_bindings, "y,,", SLICE(""), SASL_ACCEPT},
		{SASL_SCRAM_SHA_256, &tls, "n,,", SLICE(""), SASL_ACCEPT},
		/* RFC 5802 section 6: we did offer -PLUS; somebody took it away. */
		{SASL_SCRAM_SHA_256, &tls, "y,,", SLICE(""), SASL_REFUSE},
		{SASL_SCRAM_SHA_256, &tls, "p=tls-exporter,,", SLICE("exporter-data"), SASL_MALFORMED},
		{SASL_SCRAM_SHA_256_PLUS, &tls, "p=tls-exporter,,", SLICE("exporter-data"), SASL_ACCEPT},
		{SASL_SCRAM_SHA_256_PLUS, &tls, "p=tls-unique,,", SLICE("unique-data"), SASL_ACCEPT},
		{SASL_SCRAM_SHA_256_PLUS, &tls, "p=tls-server-end-point,,", SLICE("end-point-data"), SASL_ACCEPT},
		{SASL_SCRAM_SHA_256_PLUS, &tls, "p=tls-exporter,,", SLICE("of another connection"), SASL_REFUSE},
		{SASL_SCRAM_SHA_256_PLUS, &tls, "p=tls-exporter,,", SLICE(""), SASL_REFUSE},
		{SASL_SCRAM_SHA_256_PLUS, &tls, "p=tls-nothing,,", SLICE(""), SASL_REFUSE},
		{SASL_SCRAM_SHA_256_PLUS, &only_exporter, "p=tls-unique,,", SLICE(""), SASL_REFUSE},
		{SASL_SCRAM_SHA_256_PLUS, &no_bindings, "p=tls-exporter,,", SLICE(""), SASL_REFUSE},
		{SASL_SCRAM_SHA_256_PLUS, &tls, "n,,", SLICE(""), SASL_MALFORMED},
		{SASL_SCRAM_SHA_256_PLUS, &tls, "y,,", SLICE(""), SASL_MALFORMED},
		/* Authorization identities. */
		{SASL_SCRAM_SHA_256, &no_bindings, "n,a=ALICE@example.test,", SLICE(""), SASL_ACCEPT},
		{SASL_SCRAM_SHA_256, &no_bindings, "n,a=bob@example.test,", SLICE(""), SASL_REFUSE},
	};

	(void)state;
	arena_init(&arena, 0);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		enum sasl_result result = exchange(&arena, cases[i].mechanism, cases[i].bindings, cases[i].header,
						   cases[i].binding, SLICE("secret"));

		if (result != cases[i].result)
			fail_msg("case %zu: %d instead of %d", i, result, cases[i].result);
	}
	assert_int_equal(exchange(&arena, SASL_SCRAM_SHA_256, &no_bindings, "n,,", SLICE(""), SLICE("wrong")), SASL_REFUSE);
}

static void malformed_client_first(void **state)
{
	static const struct slice messages[] = {
		SLICE(""),
		SLICE("n"),
		SLICE("n,"),
		SLICE("n,,"),
		SLICE("n,,n=,r=abc"),
		SLICE("n,,n=user"),
		SLICE("n,,n=user,r="),
		SLICE("x,,n=user,r=abc"),
		SLICE("p=,,n=user,r=abc"),
		SLICE("p=a b,,n=user,r=abc"),
		SLICE("n,b=c,n=user,r=abc"),
		SLICE("n,,m=ext,n=user,r=abc"),
		SLICE("n,,n=us=er,r=abc"),
		SLICE("n,,n=us=2cer,r=abc"),
		SLICE("n,,n=us=,r=abc"),
		SLICE("n,,n=user,r=a\x7f"),
		SLICE("n,,n=us\xff,r=abc"),
		SLICE("n,,n=a\0b,r=abc"),
		SLICE("n,,r=abc,n=user"),
		SLICE("n,a=,n=user,r=abc"),
	};
	struct arena arena SCOPED_ARENA;
	struct scram_client_first first;

	(void)state;
	arena_init(&arena, 0);
	for (size_t i = 0; i < sizeof messages / sizeof messages[0]; i++)
		if (scram_parse_client_first(&arena, messages[i], &first))
			fail_msg("accepted: %.*s", SLICE_ARG(messages[i]));
	assert_true(scram_parse_client_first(&arena, SLICE("n,,n=a=2Cb=3Dc,r=abc,x=optional"), &first));
	assert_true(slice_eq(first.user, SLICE("a,b=c")));
	assert_true(slice_eq(first.bare, SLICE("n=a=2Cb=3Dc,r=abc,x=optional")));
	assert_true(slice_eq(first.header, SLICE("n,,")));
}

static void malformed_client_final(void **state)
{
#define PROOF "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
	static const struct slice messages[] = {
		SLICE(""),
		SLICE("c=biws"),
		SLICE("c=biws,r=abc"),
		SLICE("c=biws,r=abc,p="),
		SLICE("c=biws,r=abc,p=AAAA"),
		SLICE("c=!!!,r=abc,p=" PROOF),
		SLICE("r=abc,c=biws,p=" PROOF),
		SLICE("c=biws,p=" PROOF ",r=abc"),
		SLICE("c=biws,r=,p=" PROOF),
		SLICE("m=x,c=biws,r=abc,p=" PROOF),
	};
	struct arena arena SCOPED_ARENA;
	struct scram_client_final final;

	(void)state;
	arena_init(&arena, 0);
	for (size_t i = 0; i < sizeof messages / sizeof messages[0]; i++)
		if (scram_parse_client_final(&arena, messages[i], SCRAM_SHA_256, &final))
			fail_msg("accepted: %.*s", SLICE_ARG(messages[i]));
	assert_true(scram_parse_client_final(&arena, SLICE("c=biws,r=abc,x=optional,p=" PROOF), SCRAM_SHA_256, &final));
	assert_true(slice_eq(final.without_proof, SLICE("c=biws,r=abc,x=optional")));
}

/* Every byte of a right proof counts. */
static void changed_proofs(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct scram_keys keys;
	struct scram_client client = {.arena = &arena, .header = SLICE("n,,")};
	struct scram_client_final final;

	(void)state;
	arena_init(&arena, 0);
	make_keys(&keys, SLICE("secret"));
	scram_client_first_message(&client, SLICE("a@b"), SLICE("abc"));
	struct slice message =
		scram_client_final_message(&client, SLICE("r=abcdef,s=MDEyMzQ1Njc4OWFiY2RlZg==,i=4096"), SLICE("secret"));

	assert_true(scram_parse_client_final(&arena, message, SCRAM_SHA_256, &final));
	assert_true(scram_verify_proof(&keys, client.auth_message, final.proof));
	char *proof = (char *)slice_dup(&arena, final.proof).data;

	for (size_t i = 0; i < final.proof.len; i++) {
		proof[i] ^= 1;
		assert_false(scram_verify_proof(&keys, client.auth_message, slice_of(proof, final.proof.len)));
		proof[i] ^= 1;
	}
	assert_true(scram_verify_proof(&keys, client.auth_message, slice_of(proof, final.proof.len)));
}

static void stored_form_of_keys(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct scram_keys keys, again;
	struct buf text;
	static const struct slice wrong[] = {
		SLICE(""),
		SLICE("SCRAM-SHA-1$4096:AAAA$AAAA:AAAA"),
		SLICE("SCRAM-SHA-256$0:AAAA$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
		      "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="),
		SLICE("SCRAM-SHA-256$4096:AAAA$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="),
		SLICE("SCRAM-SHA-256$4096:AAAA$AAAA:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="),
	};

	(void)state;
	arena_init(&arena, 0);
	make_keys(&keys, SLICE("secret"));
	buf_init(&text, &arena, 0);
	scram_keys_format(&text, &keys);
	assert_true(slice_starts_with(buf_slice(&text), SLICE("SCRAM-SHA-256$4096:MDEyMzQ1Njc4OWFiY2RlZg==$")));
	assert_true(scram_keys_parse(&arena, buf_slice(&text), SCRAM_SHA_256, &again));
	assert_memory_equal(keys.stored_key, again.stored_key, 32);
	assert_memory_equal(keys.server_key, again.server_key, 32);
	assert_int_equal(again.iterations, 4096);
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		assert_false(scram_keys_parse(&arena, wrong[i], SCRAM_SHA_256, &again));
}

/* Both hashes' keys stand in one text. */
static void several_keys(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct scram_keys sha256, sha1, again;
	struct buf text;

	(void)state;
	arena_init(&arena, 0);
	buf_init(&text, &arena, 0);
	make_keys(&sha256, SLICE("secret"));
	assert_true(scram_keys_from_password(SCRAM_SHA_1, SLICE("secret"), SLICE("salt"), 5000, &sha1));
	scram_keys_format(&text, &sha256);
	assert_false(scram_keys_parse(&arena, buf_slice(&text), SCRAM_SHA_1, &again));
	buf_add_byte(&text, ' ');
	scram_keys_format(&text, &sha1);
	assert_true(scram_keys_parse(&arena, buf_slice(&text), SCRAM_SHA_1, &again));
	assert_int_equal(again.hash, SCRAM_SHA_1);
	assert_int_equal(again.iterations, 5000);
	assert_memory_equal(again.stored_key, sha1.stored_key, 20);
	assert_true(scram_keys_parse(&arena, buf_slice(&text), SCRAM_SHA_256, &again));
	assert_memory_equal(again.stored_key, sha256.stored_key, 32);
}

/* RFC 7628 section 4.1 has the first. */
static void bearer(void **state)
{
	static const struct {
		enum sasl_mechanism mechanism;
		struct slice message;
		enum sasl_result result;
	} cases[] = {
		{SASL_OAUTHBEARER, SLICE("n,a=user@example.com,\1host=server.example.com\1port=143\1auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\1\1"), SASL_NEED_TOKEN},
		{SASL_OAUTHBEARER, SLICE("n,,\1auth=bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\1\1"), SASL_NEED_TOKEN},
		{SASL_OAUTHBEARER, SLICE("n,a=user@example.com,\1auth=Bearer x\1"), SASL_MALFORMED},
		{SASL_OAUTHBEARER, SLICE("n,a=user@example.com\1auth=Bearer x\1\1"), SASL_MALFORMED},
		{SASL_OAUTHBEARER, SLICE("n,a=user@example.com,\1host=x\1\1"), SASL_MALFORMED},
		{SASL_OAUTHBEARER, SLICE("n,a=user@example.com,\1auth=Basic x\1\1"), SASL_MALFORMED},
		{SASL_OAUTHBEARER, SLICE("n,a=user@example.com,\1auth=Bearer \1\1"), SASL_MALFORMED},
		{SASL_OAUTHBEARER, SLICE("p=tls-unique,a=user@example.com,\1auth=Bearer x\1\1"), SASL_MALFORMED},
		{SASL_OAUTHBEARER, SLICE("n,a=user=40,\1auth=Bearer x\1\1"), SASL_MALFORMED},
		{SASL_OAUTHBEARER, SLICE("\1"), SASL_MALFORMED},
		{SASL_OAUTHBEARER, SLICE(""), SASL_MALFORMED},
		{SASL_XOAUTH2, SLICE("user=user@example.com\1auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\1\1"), SASL_NEED_TOKEN},
		{SASL_XOAUTH2, SLICE("auth=Bearer x\1\1"), SASL_MALFORMED},
		{SASL_XOAUTH2, SLICE("user=us\0er\1auth=Bearer x\1\1"), SASL_MALFORMED},
		{SASL_XOAUTH2, SLICE("user=u\1auth=Bearer x\1\1\1"), SASL_MALFORMED},
	};
	struct arena arena SCOPED_ARENA;
	struct sasl sasl;

	(void)state;
	arena_init(&arena, 0);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		assert_int_equal(sasl_begin(&sasl, &arena, cases[i].mechanism, &no_bindings, SLICE("x"), &cases[i].message),
				 cases[i].result);
		if (cases[i].result != SASL_NEED_TOKEN)
			continue;
		assert_true(slice_eq(sasl.password, SLICE("vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==")));
		assert_true(slice_eq(sasl.user, i == 1 ? SLICE_EMPTY : SLICE("user@example.com")));
		/* RFC 7628 section 3.2.3: the client acknowledges, and then it is over. */
		assert_int_equal(sasl_refuse_token(&sasl), SASL_CHALLENGE);
		assert_true(slice_starts_with(sasl.challenge, SLICE("{\"status\":")));
		assert_int_equal(sasl_step(&sasl, SLICE("\1")), SASL_REFUSE);
		assert_int_equal(sasl_step(&sasl, SLICE("\1")), SASL_MALFORMED);
	}
}

static void external(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct sasl sasl;
	struct slice nobody = SLICE_EMPTY, somebody = SLICE("fred@example.com"), wrong = SLICE("fr\0ed");

	(void)state;
	arena_init(&arena, 0);
	assert_int_equal(sasl_begin(&sasl, &arena, SASL_EXTERNAL, &no_bindings, SLICE("x"), &nobody), SASL_NEED_IDENTITY);
	assert_int_equal(sasl.user.len, 0);
	assert_int_equal(sasl_begin(&sasl, &arena, SASL_EXTERNAL, &no_bindings, SLICE("x"), &somebody), SASL_NEED_IDENTITY);
	assert_true(slice_eq(sasl.user, somebody));
	assert_int_equal(sasl_begin(&sasl, &arena, SASL_EXTERNAL, &no_bindings, SLICE("x"), &wrong), SASL_MALFORMED);
	assert_int_equal(sasl_begin(&sasl, &arena, SASL_EXTERNAL, &no_bindings, SLICE("x"), NULL), SASL_CHALLENGE);
	assert_int_equal(sasl_step(&sasl, SLICE("")), SASL_NEED_IDENTITY);
}

static void plain(void **state)
{
	static const struct {
		struct slice message;
		enum sasl_result result;
	} cases[] = {
		{SLICE("\0tim@example.test\0tanstaaftanstaaf"), SASL_NEED_PASSWORD},
		{SLICE("TIM@example.test\0tim@example.test\0tanstaaftanstaaf"), SASL_NEED_PASSWORD},
		{SLICE("Ursel\0Kurt\0xipj3plmq"), SASL_REFUSE},
		{SLICE(""), SASL_MALFORMED},
		{SLICE("tim"), SASL_MALFORMED},
		{SLICE("\0tim"), SASL_MALFORMED},
		{SLICE("\0\0password"), SASL_MALFORMED},
		{SLICE("\0tim\0"), SASL_MALFORMED},
		{SLICE("\0tim\0pass\0word"), SASL_MALFORMED},
		{SLICE("\0t\xff\0password"), SASL_MALFORMED},
	};
	struct arena arena SCOPED_ARENA;
	struct sasl sasl;

	(void)state;
	arena_init(&arena, 0);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		assert_int_equal(sasl_begin(&sasl, &arena, SASL_PLAIN, &no_bindings, SLICE("x"), &cases[i].message),
				 cases[i].result);
		/* Without an initial response the same message comes one step later. */
		assert_int_equal(sasl_begin(&sasl, &arena, SASL_PLAIN, &no_bindings, SLICE("x"), NULL), SASL_CHALLENGE);
		assert_int_equal(sasl.challenge.len, 0);
		assert_int_equal(sasl_step(&sasl, cases[i].message), cases[i].result);
		if (cases[i].result == SASL_NEED_PASSWORD) {
			assert_true(slice_eq(sasl.user, SLICE("tim@example.test")));
			assert_true(slice_eq(sasl.password, SLICE("tanstaaftanstaaf")));
		}
	}
}

static void login(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct sasl sasl;
	struct slice user = SLICE("tim@example.test");

	(void)state;
	arena_init(&arena, 0);
	assert_int_equal(sasl_begin(&sasl, &arena, SASL_LOGIN, &no_bindings, SLICE("x"), NULL), SASL_CHALLENGE);
	assert_true(slice_eq(sasl.challenge, SLICE("Username:")));
	assert_int_equal(sasl_step(&sasl, user), SASL_CHALLENGE);
	assert_true(slice_eq(sasl.challenge, SLICE("Password:")));
	assert_int_equal(sasl_step(&sasl, SLICE("secret")), SASL_NEED_PASSWORD);
	assert_true(slice_eq(sasl.user, user) && slice_eq(sasl.password, SLICE("secret")));
	assert_int_equal(sasl_step(&sasl, SLICE("secret")), SASL_MALFORMED);

	assert_int_equal(sasl_begin(&sasl, &arena, SASL_LOGIN, &no_bindings, SLICE("x"), &user), SASL_CHALLENGE);
	assert_true(slice_eq(sasl.challenge, SLICE("Password:")));
	assert_int_equal(sasl_step(&sasl, SLICE("")), SASL_MALFORMED);
}

static void too_long_messages(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct sasl sasl;
	char *text = malloc(SASL_MESSAGE_MAX + 1);
	struct slice message = {text, SASL_MESSAGE_MAX + 1};

	(void)state;
	memset(text, 'a', SASL_MESSAGE_MAX + 1);
	arena_init(&arena, 0);
	assert_int_equal(sasl_begin(&sasl, &arena, SASL_LOGIN, &no_bindings, SLICE("x"), &message), SASL_MALFORMED);
	message.len--;
	assert_int_equal(sasl_begin(&sasl, &arena, SASL_LOGIN, &no_bindings, SLICE("x"), &message), SASL_CHALLENGE);
	free(text);
}

static void offered_mechanisms(void **state)
{
	const struct auth_offer none = {0}, tls = {.is_tls = true}, open = {.plaintext_allowed = true},
				all = {.is_tls = true, .takes_tokens = true, .is_certified = true},
				tokens = {.takes_tokens = true};
	struct arena arena SCOPED_ARENA;

	(void)state;
	arena_init(&arena, 0);
	assert_true(slice_eq(auth_mechanisms(&arena, &tls),
			     SLICE("SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS SCRAM-SHA-256 SCRAM-SHA-1 PLAIN LOGIN")));
	assert_true(slice_eq(auth_mechanisms(&arena, &open), SLICE("SCRAM-SHA-256 SCRAM-SHA-1 PLAIN LOGIN")));
	assert_true(slice_eq(auth_mechanisms(&arena, &none), SLICE("SCRAM-SHA-256 SCRAM-SHA-1")));
	assert_true(slice_eq(auth_mechanisms(&arena, &tokens), SLICE("SCRAM-SHA-256 SCRAM-SHA-1")));
	assert_true(slice_eq(auth_mechanisms(&arena, &all),
			     SLICE("EXTERNAL SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS SCRAM-SHA-256 SCRAM-SHA-1 PLAIN LOGIN "
				   "OAUTHBEARER XOAUTH2")));
	assert_true(auth_mechanism_is_offered(SLICE("plain"), &tls));
	assert_false(auth_mechanism_is_offered(SLICE("PLAIN"), &none));
	assert_false(auth_mechanism_is_offered(SLICE("SCRAM-SHA-256-PLUS"), &open));
	assert_false(auth_mechanism_is_offered(SLICE("EXTERNAL"), &tls));
	assert_false(auth_mechanism_is_offered(SLICE(""), &all));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc_7677_section_3),
		cmocka_unit_test(rfc_5802_section_5),
		cmocka_unit_test(proof_of_another_hash),
		cmocka_unit_test(several_keys),
		cmocka_unit_test(bearer),
		cmocka_unit_test(external),
		cmocka_unit_test(channel_binding),
		cmocka_unit_test(malformed_client_first),
		cmocka_unit_test(malformed_client_final),
		cmocka_unit_test(changed_proofs),
		cmocka_unit_test(stored_form_of_keys),
		cmocka_unit_test(plain),
		cmocka_unit_test(login),
		cmocka_unit_test(too_long_messages),
		cmocka_unit_test(offered_mechanisms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
