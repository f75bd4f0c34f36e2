/* seal: passwords that we must send, to other hosts, and so can't keep as hashes: sealed with a key that only the relay is given and whoever
 * may read the key's file, they lie in the store as text that tells nobody anything (AES-256-GCM). */
#pragma once

#include "base/arena.h"
#include "base/error.h"

#define SEAL_KEY_SIZE 32

struct seal_key {
	uint8_t bytes[SEAL_KEY_SIZE];
};

/* Reads the key from the file at `path`, which is made if it isn't there, for its owner alone. */
MUST_CHECK bool seal_load_key(const char *path, struct seal_key *key, struct arena *arena, struct error *error);
/* Hexadecimal. `context` is what it belongs to: under another one it can't be opened. */
struct slice seal_close(struct arena *arena, const struct seal_key *key, struct slice context, struct slice secret);
/* False: it was sealed with another key, for another context, or isn't sealed text. */
MUST_CHECK bool seal_open(struct arena *arena, const struct seal_key *key, struct slice context, struct slice sealed,
			  struct slice *secret);
