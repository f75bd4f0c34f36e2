/* token: bearer tokens (RFC 6750) that identity providers issue: JSON Web Tokens (RFC 7519), signed (RFC 7515) with a key that the
 * provider's key set (RFC 7517) holds. They are verified here, without asking the provider: no network, and no wait.
 *
 * A token is good when its signature is, by one of the issuer's public keys and an asymmetric algorithm (RFC 8725 section 3.1: the
 * key's kind and the token's must fit; "none" and shared secrets are never taken); when "iss" and "aud" are the configured ones, "exp"
 * lies ahead and "nbf" doesn't; and when the claim that names the user is a text. Any thread may call.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/slice.h"

#define TOKEN_CLOCK_SKEW_S 60

struct token_issuer {
	struct slice issuer, audience;
	struct slice user_claim; /* "email" */
	struct slice keys;       /* the key set, JSON */
};

struct token_issuers;

/* The slices are copied. NULL: a key set can't be read, or has no key that can verify. */
MUST_CHECK struct token_issuers *token_issuers_new(const struct token_issuer *issuers, size_t count, struct arena *arena,
						   struct error *error);
void token_issuers_free(struct token_issuers *issuers);

/* *user: what the claim holds, in the arena. */
MUST_CHECK bool token_verify(const struct token_issuers *issuers, struct slice token, int64_t wall_ms, struct arena *arena,
			     struct slice *user);
