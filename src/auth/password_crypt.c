#include "auth/password_internal.h"

#include <crypt.h>
#include <openssl/crypto.h>

/* A setting's cost, from the text behind its "$id$" prefix. False: not of the scheme's form. */
struct crypt_scheme {
	struct slice prefix;
	bool (*cost)(struct slice rest, struct password_hash *hash);
};

/* "./0-9A-Za-z": the digits of crypt(3)'s own base 64. */
static bool crypt_digit(char c, unsigned *digit)
{
	if (c == '.' || c == '/')
		*digit = c == '/';
	else if (ascii_is_digit(c))
		*digit = (unsigned)(c - '0') + 2;
	else if (c >= 'A' && c <= 'Z')
		*digit = (unsigned)(c - 'A') + 12;
	else if (c >= 'a' && c <= 'z')
		*digit = (unsigned)(c - 'a') + 38;
	else
		return false;
	return true;
}

/* A number of text.len such digits, the lowest first. */
static bool crypt_number(struct slice text, uint64_t *value)
{
	*value = 0;
	for (size_t i = text.len; i > 0; i--) {
		unsigned digit;

		if (!crypt_digit(text.data[i - 1], &digit))
			return false;
		*value = *value << 6 | digit;
	}
	return true;
}

static bool cost_constant(struct slice rest, struct password_hash *hash)
{
	(void)rest;
	hash->cost_ms = 10;
	return true;
}

/* bcrypt: "12$": 2 to the power of 12 key schedules, 65 us each. */
static bool cost_bcrypt(struct slice rest, struct password_hash *hash)
{
	uint32_t log_rounds;

	if (!slice_to_u32(slice_cut(&rest, '$'), 31, &log_rounds))
		return false;
	hash->cost_ms = (UINT64_C(65) << log_rounds) / 1000;
	return true;
}

/* SHA-crypt: "rounds=N$", 5,000 if it isn't said. */
static bool cost_sha2(struct slice rest, struct password_hash *hash)
{
	uint32_t rounds = 5000;

	if (slice_starts_with(rest, SLICE("rounds=")) &&
	    !slice_to_u32(slice_skip(slice_cut(&rest, '$'), 7), UINT32_MAX, &rounds))
		return false;
	hash->cost_ms = rounds / 1000;
	return true;
}

static bool cost_sha1(struct slice rest, struct password_hash *hash)
{
	uint32_t rounds;

	if (!slice_to_u32(slice_cut(&rest, '$'), UINT32_MAX, &rounds))
		return false;
	hash->cost_ms = rounds / 1000;
	return true;
}

/* SunMD5: ",rounds=N$" on top of 4,096. */
static bool cost_sun_md5(struct slice rest, struct password_hash *hash)
{
	uint32_t rounds = 0;

	if (slice_starts_with(rest, SLICE(",rounds=")) &&
	    !slice_to_u32(slice_skip(slice_cut(&rest, '$'), 8), UINT32_MAX, &rounds))
		return false;
	hash->cost_ms = ((uint64_t)rounds + 4096) / 250;
	return true;
}

/* What fills and reads 128 * N * r bytes of memory: about a millisecond for half a megabyte. */
static void cost_memory(uint64_t block_log2, uint64_t block_size, uint64_t parallel, struct password_hash *hash)
{
	hash->cost_kb = block_log2 > 40 ? UINT64_MAX : (block_size << block_log2) / 8;
	hash->cost_ms = hash->cost_kb > PASSWORD_MEMORY_MAX_KB ? UINT64_MAX : hash->cost_kb * parallel / 512;
}

/* yescrypt: "j9T$": flavour, log2(N) - 1 and r - 1 of one digit each, as every tool writes it; its longer forms are refused. */
static bool cost_yescrypt(struct slice rest, struct password_hash *hash)
{
	unsigned block_log2, block_size;

	if (rest.len < 4 || rest.data[0] != 'j' || rest.data[3] != '$' || !crypt_digit(rest.data[1], &block_log2) ||
	    !crypt_digit(rest.data[2], &block_size) || block_log2 > 47 || block_size > 47)
		return false;
	cost_memory(block_log2 + 1, block_size + 1, 1, hash);
	return true;
}

/* scrypt: one digit of log2(N), five of r, five of p. */
static bool cost_scrypt(struct slice rest, struct password_hash *hash)
{
	unsigned block_log2;
	uint64_t block_size, parallel;

	if (rest.len < 11 || !crypt_digit(rest.data[0], &block_log2) || !crypt_number(slice_sub(rest, 1, 6), &block_size) ||
	    !crypt_number(slice_sub(rest, 6, 11), &parallel))
		return false;
	if (block_size > PASSWORD_MEMORY_MAX_KB || parallel > PASSWORD_TIME_MAX_MS)
		return false;
	cost_memory(block_log2, block_size, parallel, hash);
	return true;
}

/* BSDi: "_", four digits of rounds, four of salt, the hash. */
static bool cost_bsdi(struct slice rest, struct password_hash *hash)
{
	uint64_t rounds;

	if (rest.len != 19 || !crypt_number(slice_sub(rest, 0, 4), &rounds))
		return false;
	hash->cost_ms = rounds / 1000;
	return true;
}

static const struct crypt_scheme schemes[] = {
	{SLICE("$2a$"), cost_bcrypt},  {SLICE("$2b$"), cost_bcrypt},   {SLICE("$2x$"), cost_bcrypt},
	{SLICE("$2y$"), cost_bcrypt},  {SLICE("$6$"), cost_sha2},      {SLICE("$5$"), cost_sha2},
	{SLICE("$y$"), cost_yescrypt}, {SLICE("$gy$"), cost_yescrypt}, {SLICE("$7$"), cost_scrypt},
	{SLICE("$1$"), cost_constant}, {SLICE("$sha1$"), cost_sha1},   {SLICE("$md5"), cost_sun_md5},
	{SLICE("$3$"), cost_constant}, {SLICE("_"), cost_bsdi},
};

/* Traditional DES has no mark but its length: only a prefix such as {CRYPT} makes it one. */
static bool cost_of(struct slice text, bool prefixed, struct password_hash *hash)
{
	for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++)
		if (slice_starts_with(text, schemes[i].prefix))
			return schemes[i].cost(slice_skip(text, schemes[i].prefix.len), hash);
	return prefixed && text.len == 13 && text.data[0] != '$' && cost_constant(text, hash);
}

/* crypt(5): a hash is of printable ASCII without white space. */
static bool is_graphic(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.data[i] <= ' ' || text.data[i] > '~')
			return false;
	return true;
}

bool password_crypt_parse(struct slice text, bool prefixed, struct password_hash *hash)
{
	if (text.len >= CRYPT_OUTPUT_SIZE || !is_graphic(text))
		return false;
	hash->text = text;
	return cost_of(text, prefixed, hash);
}

bool password_crypt_check(const struct password_hash *hash, struct slice password)
{
	struct arena arena SCOPED_ARENA;

	if (password.len >= CRYPT_MAX_PASSPHRASE_SIZE || slice_find_byte(password, '\0') != SLICE_NOT_FOUND)
		return false;
	arena_init(&arena, 0);
	struct crypt_data *data = ARENA_NEW(&arena, struct crypt_data);
	char *setting = slice_cstr(&arena, hash->text);
	char *phrase = slice_cstr(&arena, password);
	const char *made = crypt_checksalt(setting) == CRYPT_SALT_INVALID ? NULL : crypt_r(phrase, setting, data);
	/* A failure is told by NULL or by a text that begins with '*' and is never equal to a setting. */
	bool equal = made != NULL && made[0] != '*' && password_equal(slice_from_cstr(made), hash->text);

	OPENSSL_cleanse(phrase, password.len);
	OPENSSL_cleanse(data, sizeof *data);
	return equal;
}
