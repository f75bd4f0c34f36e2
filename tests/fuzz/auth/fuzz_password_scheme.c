/* A stored hash, and behind a NUL the password. Only cheap hashes are computed: the parser is what is fuzzed. */
#include "auth/password_scheme.h"
#include "auth/scram.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena SCOPED_ARENA;
	struct password_hash hash;
	struct scram_keys keys;
	struct slice prepared, password = slice_of((const char *)data, size), stored = slice_cut(&password, '\0');

	arena_init(&arena, 0);
	if (password_hash_parse(&arena, stored, &hash)) {
		if (hash.cost_kb > PASSWORD_MEMORY_MAX_KB || hash.cost_ms > PASSWORD_TIME_MAX_MS)
			__builtin_trap();
		if (hash.cost_kb <= 1024 && hash.cost_ms <= 10)
			(void)!password_hash_check(&hash, password);
	}
	(void)!scram_keys_parse(&arena, stored, SCRAM_SHA_256, &keys);
	(void)!address_prepare(&arena, stored, &prepared);
	prepared = password_prepare(&arena, password);
	return 0;
}
