/* How names and passwords are brought into one form, and the warming up of the libraries that do so lazily. */
#include "auth/password_scheme.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <unicode/usprep.h>
#include <unicode/ustring.h>

#include "auth/credential.h"
#include "auth/scram.h"

/* RFC 4013 works on stored text; what we prepare is short. */
#define PREPARE_MAX CREDENTIAL_PASSWORD_MAX

static bool is_printable_ascii(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.data[i] < ' ' || text.data[i] > '~')
			return false;
	return true;
}

static bool prepare_unicode(struct arena *arena, struct slice text, struct slice *prepared)
{
	UErrorCode error = U_ZERO_ERROR;
	UChar *wide = ARENA_ARRAY(arena, UChar, PREPARE_MAX), *out = ARENA_ARRAY(arena, UChar, 4 * PREPARE_MAX);
	int32_t wide_len = 0, out_len = 0, len = 0;
	char *utf8 = ARENA_ARRAY(arena, char, 12 * PREPARE_MAX);
	UStringPrepProfile *profile = usprep_openByType(USPREP_RFC4013_SASLPREP, &error);

	u_strFromUTF8(wide, PREPARE_MAX, &wide_len, text.data, (int32_t)text.len, &error);
	out_len = usprep_prepare(profile, wide, wide_len, out, 4 * PREPARE_MAX, USPREP_DEFAULT, NULL, &error);
	u_strToUTF8(utf8, 12 * PREPARE_MAX, &len, out, out_len, &error);
	usprep_close(profile);
	*prepared = slice_of(utf8, (size_t)len);
	return U_SUCCESS(error);
}

bool saslprep(struct arena *arena, struct slice text, struct slice *prepared)
{
	if (text.len > PREPARE_MAX)
		return false;
	/* Printable ASCII is its own preparation. */
	if (is_printable_ascii(text)) {
		*prepared = text;
		return true;
	}
	return slice_is_utf8(text) && slice_find_byte(text, '\0') == SLICE_NOT_FOUND && prepare_unicode(arena, text, prepared);
}

struct slice password_prepare(struct arena *arena, struct slice password)
{
	struct slice prepared;

	return saslprep(arena, password, &prepared) && prepared.len > 0 ? prepared : password;
}

bool address_prepare(struct arena *arena, struct slice typed, struct slice *address)
{
	struct slice prepared;

	if (typed.len == 0 || typed.len > CREDENTIAL_ADDRESS_MAX || !saslprep(arena, typed, &prepared) ||
	    prepared.len > CREDENTIAL_ADDRESS_MAX)
		return false;
	size_t at = slice_find_last_byte(prepared, '@');

	if (at == SLICE_NOT_FOUND || at == 0 || at + 1 == prepared.len)
		return false;
	*address = slice_lower(arena, prepared);
	return true;
}

/* Bidirectional text, normalization and unassigned code points: each has tables of its own. */
static bool warm_up_unicode(struct arena *arena)
{
	struct slice out;

	return saslprep(arena, SLICE("\xe2\x85\xa8\xc2\xad"), &out) && slice_eq(out, SLICE("IX")) &&
	       !saslprep(arena, SLICE("\xd8\xa7\x31"), &out);
}

static bool warm_up_argon2(struct arena *arena)
{
	struct password_cost cost = {64, 1};
	struct slice stored;

	return password_hash_new(arena, &cost, SLICE("warm"), &stored) && password_verify(stored, SLICE("warm"));
}

/* One hash for each algorithm. Whether they fit doesn't matter: an OpenSSL that is held to FIPS has no MD5. */
static void warm_up_imported(void)
{
	static const struct slice samples[] = {
		SLICE("{SMD5}ICC2xdGV3cqsYWJjKioPOjsYqmI="),
		SLICE("{SHA}SEVhNJ8NGHmYVwQJ4i5QUJXUPNk="),
		SLICE("{SHA512}MGeWgHmV9IMgkaYRUav7v2kRBWuhgmTTs5KKBQSeUWcXUYFqibTlbSZr2y+buYuH9LpIPtTVXWUsiVSEE8BSiw=="),
		SLICE("{PBKDF2}$1$acyKjxvkJvO/g1dI$1$8d26ca41e26259e06ff055628053e169f2d1259a"),
		SLICE("{CRYPT}3Q3WteesHAqDE"),
	};
	volatile bool fits = false;

	for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++)
		fits = password_verify(samples[i], SLICE("warm"));
	(void)fits;
}

bool auth_warm_up(void)
{
	struct arena arena SCOPED_ARENA;
	struct scram_keys keys;

	arena_init(&arena, 0);
	OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG | OPENSSL_INIT_ADD_ALL_DIGESTS, NULL);
	warm_up_imported();
	return warm_up_unicode(&arena) && scram_keys_from_password(SCRAM_SHA_256, SLICE("warm"), SLICE("warm"), 1, &keys) &&
	       scram_keys_from_password(SCRAM_SHA_1, SLICE("warm"), SLICE("warm"), 1, &keys) &&
	       warm_up_argon2(&arena);
}
