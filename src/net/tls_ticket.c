#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <string.h>

#include "base/random.h"
#include "net/tls_private.h"

void ticket_keys_init(struct ticket_keys *keys)
{
	*keys = (struct ticket_keys){.mutex = PTHREAD_MUTEX_INITIALIZER};
}

void ticket_keys_destroy(struct ticket_keys *keys)
{
	pthread_mutex_destroy(&keys->mutex);
	OPENSSL_cleanse(&keys->current, sizeof(keys->current));
	OPENSSL_cleanse(&keys->previous, sizeof(keys->previous));
}

static void rotate(struct ticket_keys *keys, int64_t now_ms)
{
	if (keys->current.born_ms && now_ms - keys->current.born_ms < TICKET_KEY_LIFE_MS)
		return;
	/* A key that nobody asked for in two lives is too old to be kept. */
	if (keys->current.born_ms && now_ms - keys->current.born_ms < 2 * TICKET_KEY_LIFE_MS)
		keys->previous = keys->current;
	else
		keys->previous = (struct ticket_key){0};
	random_bytes(keys->current.name, sizeof(keys->current.name));
	random_bytes(keys->current.cipher, sizeof(keys->current.cipher));
	random_bytes(keys->current.mac, sizeof(keys->current.mac));
	keys->current.born_ms = now_ms;
}

/* Copies the key to seal with, or the one of that name. 0: none; 1: found; 2: found, but a new ticket is due. */
static int find_key(struct ticket_keys *keys, int64_t now_ms, const unsigned char *name, struct ticket_key *key)
{
	int found = 0;

	pthread_mutex_lock(&keys->mutex);
	rotate(keys, now_ms);
	if (!name || memcmp(name, keys->current.name, sizeof(key->name)) == 0) {
		*key = keys->current;
		found = 1;
	} else if (keys->previous.born_ms && memcmp(name, keys->previous.name, sizeof(key->name)) == 0) {
		*key = keys->previous;
		found = 2;
	}
	pthread_mutex_unlock(&keys->mutex);
	return found;
}

static bool set_up(const struct ticket_key *key, const unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac,
		   bool encrypt)
{
	char digest[] = "SHA256";
	OSSL_PARAM parameters[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
				   OSSL_PARAM_construct_end()};

	return EVP_MAC_init(mac, key->mac, sizeof(key->mac), parameters) == 1 &&
	       EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key->cipher, iv, encrypt) == 1;
}

int ticket_keys_use(struct ticket_keys *keys, int64_t now_ms, unsigned char name[16], unsigned char *iv, EVP_CIPHER_CTX *cipher,
		    EVP_MAC_CTX *mac, bool encrypt)
{
	struct ticket_key key;
	int found = find_key(keys, now_ms, encrypt ? NULL : name, &key);

	if (found == 0)
		return 0;
	if (encrypt) {
		memcpy(name, key.name, sizeof(key.name));
		if (RAND_bytes(iv, 16) != 1)
			found = -1;
	}
	if (found > 0 && !set_up(&key, iv, cipher, mac, encrypt))
		found = -1;
	OPENSSL_cleanse(&key, sizeof(key));
	return found;
}
