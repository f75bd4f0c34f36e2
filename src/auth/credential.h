/* credential: the file of secrets, opened by the auth role and by the command line only. On SQLite it is a database of its own
 * (auth.db) in a folder that no other role may enter; on PostgreSQL tables of its own. Keyed by the account's address.
 *
 * An address is compared without regard to case; a password is prepared as RFC 4013 asks (SASLprep), so that the same letters
 * typed on different systems are the same password. Any thread may call; what reads is one indexed look-up.
 * After credentials_open no file outside the database's folder is opened any more, so a sandbox may be entered.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/scram.h"
#include "base/arena.h"
#include "base/error.h"
#include "base/log.h"
#include "base/slice.h"

#define CREDENTIAL_PASSWORD_MAX 1024 /* bytes; longer ones are refused: STATUS_LIMIT */
#define CREDENTIAL_ADDRESS_MAX  320

struct credentials;

struct credential_options {
	struct slice url; /* "sqlite:DIRECTORY/auth.db" (the directory is made, mode 0700) or "postgresql://..." */
	/* Argon2id cost for new passwords. 0: 19 MB, 2 passes (OWASP's recommendation). */
	uint32_t argon2_memory_kb, argon2_passes;
	uint32_t scram_iterations; /* 0: 15,000 (RFC 7677 asks for at least 4096) */
};
/* Opens, and brings the tables up to date. */
MUST_CHECK struct credentials *credentials_open(const struct credential_options *options, const struct log *log,
						struct arena *arena, struct error *error);
void credentials_close(struct credentials *credentials);

struct credential {
	struct slice address;
	int64_t account;
	struct slice password_hash; /* "{ARGON2ID}$argon2id$...", "{SSHA}...", "$2y$...", "{PBKDF2-SHA256}..." */
	struct slice scram;         /* "SCRAM-SHA-256$iterations:salt$stored:server SCRAM-SHA-1$..." (RFC 5803 form); empty: none */
	bool enabled;
	uint64_t version; /* grows with every change: what was remembered under another one is forgotten */
};

MUST_CHECK enum status credential_find(struct credentials *credentials, struct arena *arena, struct slice address,
				       struct credential *credential);
/* Hashes and stores; makes the SCRAM keys too. `account` 0 keeps what is there. A new credential is enabled; an old one
 * stays as it is. STATUS_REFUSED: an empty password or a malformed address. */
MUST_CHECK enum status credential_set_password(struct credentials *credentials, struct slice address, int64_t account,
					       struct slice password);
/* Stores a hash made elsewhere, in any scheme that password_scheme knows; REFUSED if it knows it not. */
MUST_CHECK enum status credential_set_hash(struct credentials *credentials, struct slice address, int64_t account,
					   struct slice hash);
MUST_CHECK enum status credential_enable(struct credentials *credentials, struct slice address, bool enabled);
MUST_CHECK enum status credential_remove(struct credentials *credentials, struct slice address);

/* Many at once, for imports: passwords are hashed on `threads` threads (0: one per processor), then all are stored in a few
 * transactions. Each entry's own status tells what became of it; the returned one is OK, or that of the first that failed.
 * An entry has either a password or a hash. */
struct credential_entry {
	struct slice address;
	int64_t account;
	struct slice password;
	struct slice hash;
	enum status status; /* result */
};
MUST_CHECK enum status credentials_set_many(struct credentials *credentials, struct credential_entry *entries, size_t count,
					    unsigned threads);

/* ---- for the auth role ---- */

/* In place of what was verified under `version`: hashed as a new password would be. NOT_FOUND if the credential has changed
 * since; *new_version otherwise. */
MUST_CHECK enum status credential_upgrade(struct credentials *credentials, struct slice address, uint64_t version,
					  struct slice password, uint64_t *new_version);
/* Is the stored hash as good as a new one would be, SCRAM keys included? */
bool credential_is_current(const struct credentials *credentials, const struct credential *credential);
/* A hash that no password fits and whose check costs as much as a real one's: for users that don't exist. */
struct slice credentials_dummy_hash(const struct credentials *credentials);
/* What an unknown user is shown by SCRAM: the same at every attempt, on every node, after every restart. In RFC 5803 form. */
struct slice credentials_fake_scram(struct credentials *credentials, struct arena *arena, struct slice address,
				    enum scram_hash hash);
