/* scram: SCRAM-SHA-256 (RFC 5802, RFC 7677) and SCRAM-SHA-1 without the conversation: keys, messages, proofs. Pure; any thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/slice.h"

#define SCRAM_HASH_MAX       32
#define SCRAM_SALT_LENGTH    16 /* of salts that we make */
#define SCRAM_SALT_MAX       64
#define SCRAM_NONCE_MAX      256
#define SCRAM_ITERATIONS_MAX 10000000

enum scram_hash { SCRAM_SHA_256, SCRAM_SHA_1 };
size_t scram_hash_length(enum scram_hash hash);

struct scram_keys {
	enum scram_hash hash;
	uint32_t iterations;
	size_t salt_len;
	uint8_t salt[SCRAM_SALT_MAX];
	uint8_t stored_key[SCRAM_HASH_MAX];
	uint8_t server_key[SCRAM_HASH_MAX];
};
/* `password` is prepared by the caller (password_prepare). */
MUST_CHECK bool scram_keys_from_password(enum scram_hash hash, struct slice password, struct slice salt, uint32_t iterations,
					 struct scram_keys *keys);
/* RFC 5803 section 3: "SCRAM-SHA-256$iterations:salt$stored:server". */
void scram_keys_format(struct buf *out, const struct scram_keys *keys);
/* `text` holds several, separated by spaces: the one of that hash. */
MUST_CHECK bool scram_keys_parse(struct arena *arena, struct slice text, enum scram_hash hash, struct scram_keys *keys);

enum scram_binding {
	SCRAM_BINDING_NONE,        /* "n": the client can't */
	SCRAM_BINDING_NOT_OFFERED, /* "y": it can, but thinks that the server can't */
	SCRAM_BINDING_USED,        /* "p=type" */
};
/* RFC 5802 section 7, client-first-message. Slices point into the message; names are decoded into the arena. */
struct scram_client_first {
	enum scram_binding binding;
	struct slice binding_type;
	struct slice authorization; /* empty: none */
	struct slice header;        /* gs2-header, as it came */
	struct slice bare;          /* client-first-message-bare */
	struct slice user, nonce;
};
/* RFC 5801 section 4, of a client that binds nothing to the channel: "n,a=user,", or "y,,". user empty: none is named. */
MUST_CHECK bool scram_parse_header(struct arena *arena, struct slice header, struct slice *user);
MUST_CHECK bool scram_parse_client_first(struct arena *arena, struct slice message, struct scram_client_first *first);

struct scram_client_final {
	struct slice binding; /* decoded: header and channel binding data */
	struct slice nonce;
	struct slice without_proof;
	struct slice proof; /* decoded */
};
MUST_CHECK bool scram_parse_client_final(struct arena *arena, struct slice message, enum scram_hash hash,
					 struct scram_client_final *final);

/* RFC 5802 section 3: does `proof` show knowledge of the password? `auth_message` is what both sides said. */
MUST_CHECK bool scram_verify_proof(const struct scram_keys *keys, struct slice auth_message, struct slice proof);
/* scram_hash_length bytes of it. */
MUST_CHECK bool scram_server_signature(const struct scram_keys *keys, struct slice auth_message,
				       uint8_t out[SCRAM_HASH_MAX]);
