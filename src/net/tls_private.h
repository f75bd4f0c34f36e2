/* tls_private: parts of tls.c in files of their own. */
#pragma once

#include <openssl/types.h>
#include <pthread.h>
#include <stdint.h>

#include "base/error.h"

/* Keys of session tickets (RFC 5077 section 4): in memory only, replaced every TICKET_KEY_LIFE_MS, kept once more as long. */
#define TICKET_KEY_LIFE_MS (2 * 3600 * 1000)

struct ticket_key {
	uint8_t name[16], cipher[32], mac[32];
	int64_t born_ms; /* monotonic; 0: none */
};
struct ticket_keys {
	pthread_mutex_t mutex;
	struct ticket_key current, previous;
};

void ticket_keys_init(struct ticket_keys *keys);
void ticket_keys_destroy(struct ticket_keys *keys);
/* For OpenSSL's call-back: sets up both contexts. Returns what that has to return. */
int ticket_keys_use(struct ticket_keys *keys, int64_t now_ms, unsigned char name[16], unsigned char *iv,
                    EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, bool encrypt);

/* A socket for OpenSSL by recv(2) and send(2), so that a peer that is gone raises no SIGPIPE. NULL: no memory. */
BIO_METHOD *socket_method_new(void);
BIO *socket_bio_new(const BIO_METHOD *method, int fd);
