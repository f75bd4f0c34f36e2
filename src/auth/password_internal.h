/* password_internal: what password_scheme.c asks of the files that know one family of schemes each. */
#pragma once

#include "auth/password_scheme.h"

/* Each fills *hash from the text behind the {prefix} and sets its cost; false: malformed. */
MUST_CHECK bool password_argon2_parse(struct arena *arena, struct slice text, struct password_hash *hash);
MUST_CHECK bool password_argon2_check(const struct password_hash *hash, struct slice password);
MUST_CHECK bool password_crypt_parse(struct slice text, bool prefixed, struct password_hash *hash);
MUST_CHECK bool password_crypt_check(const struct password_hash *hash, struct slice password);

/* base64 of the dialects that hashes are written in: with or without padding, '.' for '+'. */
MUST_CHECK bool password_base64(struct arena *arena, struct slice text, struct slice *bytes);
bool password_equal(struct slice a, struct slice b);
