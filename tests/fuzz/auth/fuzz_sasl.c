/* The first byte chooses mechanism and situation; the messages of the client follow, each ended by a line feed. */
#include "auth/sasl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum sasl_result go_on(struct sasl *sasl, enum sasl_result result)
{
	static const struct scram_keys keys = {.iterations = 4096, .salt_len = 16};

	return result == SASL_NEED_KEYS ? sasl_supply_keys(sasl, &keys) : result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena SCOPED_ARENA;
	struct sasl sasl;
	struct sasl_bindings none = {0}, tls = {SLICE("exporter"), SLICE("unique"), SLICE("end point")};

	if (size == 0)
		return 0;
	arena_init(&arena, 0);
	struct slice rest = slice_of((const char *)data + 1, size - 1);
	struct slice initial = slice_cut(&rest, '\n');
	enum sasl_result result =
		go_on(&sasl, sasl_begin(&sasl, &arena, (enum sasl_mechanism)(data[0] % SASL_MECHANISM_COUNT),
					data[0] & 64 ? &none : &tls, SLICE("servernonce"), data[0] & 128 ? NULL : &initial));

	while (result == SASL_CHALLENGE && rest.len > 0)
		result = go_on(&sasl, sasl_step(&sasl, slice_cut(&rest, '\n')));
	/* Nobody knows a password for keys that are all zero. */
	if (result == SASL_ACCEPT)
		__builtin_trap();
	return 0;
}
