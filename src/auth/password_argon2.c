#include "auth/password_internal.h"

#include <argon2.h>
#include <openssl/crypto.h>

#include "base/base64.h"
#include "base/buf.h"
#include "base/random.h"

#define ARGON2_SALT_LENGTH 16
#define ARGON2_HASH_LENGTH 32
#define ARGON2_OUTPUT_MAX  128
#define ARGON2_LANES_MAX   64
/* One pass over one megabyte takes about half a millisecond. */
#define ARGON2_KB_PER_MS 1024

static bool parse_type(struct slice name, argon2_type *type)
{
	if (slice_eq(name, SLICE("argon2id")))
		*type = Argon2_id;
	else if (slice_eq(name, SLICE("argon2i")))
		*type = Argon2_i;
	else if (slice_eq(name, SLICE("argon2d")))
		*type = Argon2_d;
	else
		return false;
	return true;
}

/* "m=65536" */
static bool parse_number(struct slice text, struct slice name, uint32_t max, uint32_t *value)
{
	return slice_starts_with(text, name) && slice_to_u32(slice_skip(text, name.len), max, value);
}

/* "m=65536,t=3,p=1": in this order, as the reference implementation writes it. */
static bool parse_parameters(struct slice text, struct password_hash *hash)
{
	struct slice memory = slice_cut(&text, ',');
	struct slice passes = slice_cut(&text, ',');

	return parse_number(memory, SLICE("m="), UINT32_MAX, &hash->memory_kb) &&
	       parse_number(passes, SLICE("t="), UINT32_MAX, &hash->passes) &&
	       parse_number(text, SLICE("p="), ARGON2_LANES_MAX, &hash->lanes) && hash->passes > 0 && hash->lanes > 0 &&
	       hash->memory_kb >= 8 * hash->lanes;
}

static void set_cost(struct password_hash *hash)
{
	hash->cost_kb = hash->memory_kb;
	hash->cost_ms = (uint64_t)hash->memory_kb * hash->passes / ARGON2_KB_PER_MS;
}

/* RFC 9106 doesn't define this form; it is the reference implementation's: $argon2id$v=19$m=..,t=..,p=..$salt$hash */
bool password_argon2_parse(struct arena *arena, struct slice text, struct password_hash *hash)
{
	argon2_type type;

	if (!slice_starts_with(text, SLICE("$")))
		return false;
	text = slice_skip(text, 1);
	hash->text = slice_cut(&text, '$');
	hash->version = ARGON2_VERSION_10;
	if (slice_starts_with(text, SLICE("v=")) &&
	    !parse_number(slice_cut(&text, '$'), SLICE("v="), ARGON2_VERSION_13, &hash->version))
		return false;
	struct slice parameters = slice_cut(&text, '$');
	struct slice salt = slice_cut(&text, '$');

	if (!parse_type(hash->text, &type) || !parse_parameters(parameters, hash) ||
	    !password_base64(arena, salt, &hash->salt) || !password_base64(arena, text, &hash->hash))
		return false;
	set_cost(hash);
	return (hash->version == ARGON2_VERSION_10 || hash->version == ARGON2_VERSION_13) &&
	       hash->salt.len >= ARGON2_MIN_SALT_LENGTH && hash->hash.len >= 12 && hash->hash.len <= ARGON2_OUTPUT_MAX;
}

/* Lanes change the result, threads don't: one is enough, so a hash can't make us start more. */
static bool run(const struct password_hash *hash, struct slice password, uint8_t *out, size_t out_len)
{
	argon2_type type;
	argon2_context context = {
		.out = out,
		.outlen = (uint32_t)out_len,
		.pwd = (uint8_t *)password.data,
		.pwdlen = (uint32_t)password.len,
		.salt = (uint8_t *)hash->salt.data,
		.saltlen = (uint32_t)hash->salt.len,
		.t_cost = hash->passes,
		.m_cost = hash->memory_kb,
		.lanes = hash->lanes,
		.threads = 1,
		.version = hash->version,
	};

	return parse_type(hash->text, &type) && argon2_ctx(&context, type) == ARGON2_OK;
}

bool password_argon2_check(const struct password_hash *hash, struct slice password)
{
	uint8_t out[ARGON2_OUTPUT_MAX];
	bool equal = run(hash, password, out, hash->hash.len) &&
		     password_equal(hash->hash, slice_of((const char *)out, hash->hash.len));

	OPENSSL_cleanse(out, sizeof out);
	return equal;
}

static void add_unpadded_base64(struct buf *out, struct slice bytes)
{
	base64_encode(out, bytes);
	while (out->len > 0 && out->data[out->len - 1] == '=')
		out->len--;
}

bool password_hash_new(struct arena *arena, const struct password_cost *cost, struct slice password, struct slice *stored)
{
	uint8_t salt[ARGON2_SALT_LENGTH] = {0}, out[ARGON2_HASH_LENGTH];
	struct password_hash hash = {
		.text = SLICE("argon2id"),
		.salt = slice_of((const char *)salt, sizeof salt),
		.version = ARGON2_VERSION_13,
		.passes = cost->argon2_passes,
		.memory_kb = cost->argon2_memory_kb,
		.lanes = 1,
	};
	struct buf text;

	/* One over the limits could be made, and would fit no password ever after. */
	set_cost(&hash);
	if (hash.cost_kb > PASSWORD_MEMORY_MAX_KB || hash.cost_ms > PASSWORD_TIME_MAX_MS)
		return false;
	random_bytes(salt, sizeof salt);
	if (!run(&hash, password, out, sizeof out))
		return false;
	buf_init(&text, arena, PASSWORD_HASH_MAX);
	buf_printf(&text, "{ARGON2ID}$argon2id$v=%u$m=%u,t=%u,p=1$", hash.version, hash.memory_kb, hash.passes);
	add_unpadded_base64(&text, hash.salt);
	buf_add_byte(&text, '$');
	add_unpadded_base64(&text, slice_of((const char *)out, sizeof out));
	OPENSSL_cleanse(out, sizeof out);
	*stored = buf_slice(&text);
	return buf_ok(&text);
}

bool password_hash_is_current(struct slice stored, const struct password_cost *cost)
{
	struct arena arena SCOPED_ARENA;
	struct password_hash hash;

	arena_init(&arena, 0);
	return password_hash_parse(&arena, stored, &hash) && hash.kind == PASSWORD_ARGON2 &&
	       slice_eq(hash.text, SLICE("argon2id")) && hash.version == ARGON2_VERSION_13 &&
	       hash.memory_kb == cost->argon2_memory_kb && hash.passes == cost->argon2_passes;
}
