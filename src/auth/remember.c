#include "auth/remember.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/random.h"

#define SETS 4096
#define WAYS 8

struct entry {
	struct remember_tag tag;
	uint64_t address; /* keyed hash; 0: free */
	int64_t made_ms, used_ms;
};

struct remember {
	int64_t remember_ms;
	uint8_t hash_key[16];
	EVP_MAC *mac;
	EVP_MAC_CTX *keyed; /* only ever copied */
	pthread_mutex_t mutex;
	struct entry table[SETS][WAYS];
};

static void set_key(struct remember *remember)
{
	uint8_t key[REMEMBER_TAG_LENGTH];
	char digest[] = "SHA256";
	const OSSL_PARAM parameters[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
					 OSSL_PARAM_construct_end()};

	random_bytes(key, sizeof key);
	remember->mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	remember->keyed = EVP_MAC_CTX_new(remember->mac);
	if (!remember->keyed || !EVP_MAC_init(remember->keyed, key, sizeof key, parameters))
		abort();
	OPENSSL_cleanse(key, sizeof key);
}

struct remember *remember_new(int remember_ms)
{
	struct remember *remember = calloc(1, sizeof *remember);

	if (!remember)
		abort();
	remember->remember_ms = remember_ms;
	random_bytes(remember->hash_key, sizeof remember->hash_key);
	pthread_mutex_init(&remember->mutex, NULL);
	set_key(remember);
	return remember;
}

void remember_free(struct remember *remember)
{
	if (!remember)
		return;
	EVP_MAC_CTX_free(remember->keyed);
	EVP_MAC_free(remember->mac);
	pthread_mutex_destroy(&remember->mutex);
	OPENSSL_cleanse(remember, sizeof *remember);
	free(remember);
}

static bool update(EVP_MAC_CTX *context, const void *data, size_t len)
{
	return EVP_MAC_update(context, data, len) == 1;
}

bool remember_make_tag(const struct remember *remember, struct slice address, uint64_t version, struct slice password,
		       struct remember_tag *tag)
{
	uint64_t head[2] = {version, address.len};
	size_t len = 0;
	EVP_MAC_CTX *context = EVP_MAC_CTX_dup(remember->keyed);
	bool made = context && update(context, head, sizeof head) && update(context, address.data, address.len) &&
		    update(context, password.data, password.len) &&
		    EVP_MAC_final(context, tag->bytes, &len, sizeof tag->bytes) == 1;

	EVP_MAC_CTX_free(context);
	return made;
}

static uint64_t word_of(const struct remember_tag *tag, size_t index)
{
	uint64_t word;

	memcpy(&word, tag->bytes + index * sizeof word, sizeof word);
	return word;
}

uint64_t remember_guess(const struct remember_tag *tag)
{
	return word_of(tag, 1) | 1;
}

static struct entry *set_of(struct remember *remember, const struct remember_tag *tag)
{
	return remember->table[word_of(tag, 0) % SETS];
}

static bool is_over(const struct remember *remember, const struct entry *entry, int64_t now_ms)
{
	return entry->address == 0 || entry->used_ms + remember->remember_ms <= now_ms ||
	       entry->made_ms + REMEMBER_AT_MOST * remember->remember_ms <= now_ms;
}

static struct entry *find(struct remember *remember, const struct remember_tag *tag, int64_t now_ms)
{
	struct entry *set = set_of(remember, tag);

	for (unsigned i = 0; i < WAYS; i++)
		if (!is_over(remember, &set[i], now_ms) && CRYPTO_memcmp(&set[i].tag, tag, sizeof *tag) == 0)
			return &set[i];
	return NULL;
}

bool remember_has(struct remember *remember, const struct remember_tag *tag, int64_t now_ms)
{
	pthread_mutex_lock(&remember->mutex);
	struct entry *entry = find(remember, tag, now_ms);

	if (entry)
		entry->used_ms = now_ms;
	pthread_mutex_unlock(&remember->mutex);
	return entry != NULL;
}

static struct entry *place_for(struct remember *remember, const struct remember_tag *tag, int64_t now_ms)
{
	struct entry *entry = find(remember, tag, now_ms), *set = set_of(remember, tag);

	for (unsigned i = 0; !entry && i < WAYS; i++)
		if (is_over(remember, &set[i], now_ms))
			entry = &set[i];
	return entry ? entry : &set[random_u64() % WAYS];
}

static uint64_t hash_address(const struct remember *remember, struct slice address)
{
	return siphash(remember->hash_key, address) | 1;
}

void remember_add(struct remember *remember, const struct remember_tag *tag, struct slice address, int64_t now_ms)
{
	if (remember->remember_ms <= 0)
		return;
	pthread_mutex_lock(&remember->mutex);
	*place_for(remember, tag, now_ms) =
		(struct entry){.tag = *tag, .address = hash_address(remember, address), .made_ms = now_ms, .used_ms = now_ms};
	pthread_mutex_unlock(&remember->mutex);
}

void remember_forget(struct remember *remember, struct slice address)
{
	uint64_t wanted = hash_address(remember, address);

	pthread_mutex_lock(&remember->mutex);
	for (unsigned set = 0; set < SETS; set++)
		for (unsigned i = 0; i < WAYS; i++)
			if (address.len == 0 || remember->table[set][i].address == wanted)
				remember->table[set][i] = (struct entry){0};
	pthread_mutex_unlock(&remember->mutex);
}
