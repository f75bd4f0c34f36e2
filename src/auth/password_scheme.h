/* password_scheme: hashes of passwords: ours (Argon2id) and every form that other mail servers and systems leave behind.
 *
 *     {ARGON2ID}$argon2id$v=19$m=...   Argon2i, d and id (RFC 9106), with or without the {prefix}
 *     {BLF-CRYPT}$2y$..., $6$..., {CRYPT}..., {DES-CRYPT}...
 *                                      crypt(3): bcrypt, SHA-2, yescrypt, scrypt, MD5, DES and what else libxcrypt knows
 *     {SSHA} {SSHA256} {SSHA512} {SMD5} {SHA} {SHA256} {SHA512} {MD5} {PLAIN-MD5} {LDAP-MD5}
 *                                      digests, salted or not; ".B64", ".BASE64", ".HEX" may follow the name
 *     {PBKDF2}$1$salt$rounds$hex       Dovecot's form of PBKDF2 (RFC 8018) with HMAC-SHA-1
 *     {PBKDF2-SHA256}rounds$salt$hash, $pbkdf2-sha256$rounds$salt$hash
 *                                      OpenLDAP's and passlib's, for SHA-1, SHA-256 and SHA-512
 *     {SCRAM-SHA-256}rounds,salt,stored,server
 *                                      Dovecot's form of RFC 5803
 *     {PLAIN} {CLEAR} {CLEARTEXT}      the password itself
 *
 * A hash says itself how much work its check is; one that asks for more than PASSWORD_MEMORY_MAX_KB or (estimated)
 * PASSWORD_TIME_MAX_MS is refused before any of it is done. Comparisons take the same time wherever they differ.
 * All functions are pure and may be called from any thread; after auth_warm_up they open no file.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/slice.h"

#define PASSWORD_HASH_MAX      1024 /* bytes of a stored hash */
#define PASSWORD_MEMORY_MAX_KB (256 * 1024)
#define PASSWORD_TIME_MAX_MS   5000

enum password_kind {
	PASSWORD_ARGON2,
	PASSWORD_CRYPT,
	PASSWORD_DIGEST,
	PASSWORD_PBKDF2,
	PASSWORD_SCRAM,
	PASSWORD_PLAIN,
};

/* A stored hash, taken apart. Slices point into the stored text; what was encoded is decoded into the arena. */
struct password_hash {
	enum password_kind kind;
	const char *digest; /* OpenSSL's name: "SHA256" */
	struct slice text;  /* Argon2: which one; crypt(3): the whole; plain: the password */
	struct slice salt;
	struct slice hash;                          /* what must come out */
	uint32_t version, passes, memory_kb, lanes; /* Argon2 */
	uint32_t rounds;                            /* PBKDF2, SCRAM */
	uint64_t cost_kb;                           /* memory that a check takes */
	uint64_t cost_ms;                           /* and time, estimated for a slow core */
};
/* False if the scheme is unknown, its text malformed or its cost over the limits. */
MUST_CHECK bool password_hash_parse(struct arena *arena, struct slice stored, struct password_hash *hash);
MUST_CHECK bool password_hash_check(const struct password_hash *hash, struct slice password);

/* Both in one; a hash that can't be parsed fits no password. */
MUST_CHECK bool password_verify(struct slice stored, struct slice password);

struct password_cost {
	uint32_t argon2_memory_kb, argon2_passes;
};
/* "{ARGON2ID}$argon2id$...". False if memory is short, or the cost is one that password_hash_parse would refuse. */
MUST_CHECK bool password_hash_new(struct arena *arena, const struct password_cost *cost, struct slice password,
				  struct slice *stored);
/* Was it made by password_hash_new at this cost? */
bool password_hash_is_current(struct slice stored, const struct password_cost *cost);

/* RFC 4013 (SASLprep) for stored strings. False if it holds what is prohibited or is not UTF-8. */
MUST_CHECK bool saslprep(struct arena *arena, struct slice text, struct slice *prepared);
/* The form in which a password is hashed and checked. Lenient: one that SASLprep prohibits is taken as its bytes are. */
struct slice password_prepare(struct arena *arena, struct slice password);
/* The form in which a user name is looked up: SASLprep and lower case. False if it can't be the address of an account. */
MUST_CHECK bool address_prepare(struct arena *arena, struct slice typed, struct slice *address);

/* Loads everything that OpenSSL and ICU load lazily, so that a sandbox can be entered. False: this system's libraries lack
 * what new passwords need. */
MUST_CHECK bool auth_warm_up(void);
