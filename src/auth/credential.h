/* credential: the file of secrets, opened by the auth role and by the command line only. On SQLite it is a database of its own
 * (auth.db) in a folder that no other role may enter; on PostgreSQL a table. Keyed by the account's address. */
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "base/log.h"
#include "base/slice.h"

struct credentials;

struct credential_options {
	struct slice url; /* "sqlite:DIRECTORY/auth.db" or "postgresql://..." */
	/* Argon2id cost for new passwords: 0: 19 MB, 2 passes (OWASP). */
	uint32_t argon2_memory_kb, argon2_passes;
	uint32_t scram_iterations; /* 0: 15,000 (RFC 7677 asks for at least 4096) */
};
MUST_CHECK struct credentials *credentials_open(const struct credential_options *options, const struct log *log, struct arena *arena,
                                                struct error *error);
void credentials_close(struct credentials *credentials);

struct credential {
	struct slice address;
	int64_t account;
	struct slice password_hash; /* "{ARGON2ID}$argon2id$...", "{SSHA}...", "$2y$...", "{PBKDF2-SHA256}..." */
	struct slice scram;         /* "SCRAM-SHA-256$iterations:salt$stored:server" (RFC 5803 form); empty: none */
	bool enabled;
	uint64_t version;           /* grows with every change: what was remembered under another one is forgotten */
};

MUST_CHECK enum status credential_find(struct credentials *credentials, struct arena *arena, struct slice address,
                                       struct credential *credential);
/* Hashes and stores; makes the SCRAM keys too. `account` 0 keeps what is there. */
MUST_CHECK enum status credential_set_password(struct credentials *credentials, struct slice address, int64_t account,
                                               struct slice password);
/* Stores a hash made elsewhere, in any scheme that password_scheme knows; REFUSED if it knows it not. */
MUST_CHECK enum status credential_set_hash(struct credentials *credentials, struct slice address, int64_t account, struct slice hash);
MUST_CHECK enum status credential_enable(struct credentials *credentials, struct slice address, bool enabled);
MUST_CHECK enum status credential_remove(struct credentials *credentials, struct slice address);
