#include "auth/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/random.h"

#define NONCE_SIZE 12
#define TAG_SIZE   16
#define SECRET_MAX 4096

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static bool read_key(const char *path, struct seal_key *key)
{
	__attribute__((cleanup(close_fd))) int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd >= 0 && read(fd, key->bytes, sizeof(key->bytes)) == (ssize_t)sizeof(key->bytes);
}

/* It gets its name when it is whole on disk, so that a crash leaves no part of one. Two that make it at once: the first one's stands. */
static bool make_key(const char *path, struct arena *arena)
{
	struct buf name;
	struct seal_key key;

	buf_init(&name, arena, 0);
	buf_printf(&name, "%s.%d", path, (int)getpid());
	char *aside = slice_cstr(arena, buf_slice(&name));
	__attribute__((cleanup(close_fd))) int fd = open(aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	random_bytes(key.bytes, sizeof(key.bytes));
	bool is_written = fd >= 0 && write(fd, key.bytes, sizeof(key.bytes)) == (ssize_t)sizeof(key.bytes) && fsync(fd) == 0;
	bool is_there = is_written && (link(aside, path) == 0 || errno == EEXIST);

	(void)unlink(aside);
	return is_there;
}

bool seal_load_key(const char *path, struct seal_key *key, struct arena *arena, struct error *error)
{
	if (access(path, F_OK) != 0 && !make_key(path, arena)) {
		error_set(error, arena, STATUS_TEMPORARY, "%s can't be made: %s", path, strerror(errno));
		return false;
	}
	if (read_key(path, key))
		return true;
	error_set(error, arena, STATUS_TEMPORARY, "%s can't be read, or isn't of %d bytes", path, SEAL_KEY_SIZE);
	return false;
}

static EVP_CIPHER_CTX *begin(const struct seal_key *key, const uint8_t *nonce, struct slice context, bool encrypts)
{
	EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
	int length;

	if (!cipher || EVP_CipherInit_ex(cipher, EVP_aes_256_gcm(), NULL, key->bytes, nonce, encrypts) != 1 ||
	    EVP_CipherUpdate(cipher, NULL, &length, (const uint8_t *)context.data, (int)context.len) != 1)
		abort();
	return cipher;
}

/* nonce, encrypted, tag */
struct slice seal_close(struct arena *arena, const struct seal_key *key, struct slice context, struct slice secret)
{
	size_t size = NONCE_SIZE + secret.len + TAG_SIZE;
	uint8_t *sealed = arena_alloc(arena, size);
	struct buf text;
	int length;

	random_bytes(sealed, NONCE_SIZE);
	EVP_CIPHER_CTX *cipher = begin(key, sealed, context, true);

	if (EVP_CipherUpdate(cipher, sealed + NONCE_SIZE, &length, (const uint8_t *)secret.data, (int)secret.len) != 1 ||
	    EVP_CipherFinal_ex(cipher, sealed + NONCE_SIZE + secret.len, &length) != 1 ||
	    EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_GET_TAG, TAG_SIZE, sealed + NONCE_SIZE + secret.len) != 1)
		abort();
	EVP_CIPHER_CTX_free(cipher);
	buf_init(&text, arena, 0);
	for (size_t i = 0; i < size; i++)
		buf_printf(&text, "%02x", sealed[i]);
	return buf_slice(&text);
}

/* False: not such text. */
static bool parse_hex(struct arena *arena, struct slice text, uint8_t **bytes, size_t *size)
{
	*size = text.len / 2;
	if (text.len % 2 != 0 || *size < NONCE_SIZE + TAG_SIZE || *size > NONCE_SIZE + TAG_SIZE + SECRET_MAX)
		return false;
	*bytes = arena_alloc(arena, *size);
	for (size_t i = 0; i < *size; i++) {
		uint64_t value;

		if (!slice_hex_to_u64(slice_sub(text, 2 * i, 2 * i + 2), &value))
			return false;
		(*bytes)[i] = (uint8_t)value;
	}
	return true;
}

bool seal_open(struct arena *arena, const struct seal_key *key, struct slice context, struct slice sealed, struct slice *secret)
{
	uint8_t *bytes, *plain;
	size_t size;
	int length;

	if (!parse_hex(arena, sealed, &bytes, &size))
		return false;
	size -= NONCE_SIZE + TAG_SIZE;
	plain = arena_alloc(arena, size + 1);
	EVP_CIPHER_CTX *cipher = begin(key, bytes, context, false);
	bool is_good = EVP_CipherUpdate(cipher, plain, &length, bytes + NONCE_SIZE, (int)size) == 1 &&
		       EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_SET_TAG, TAG_SIZE, bytes + NONCE_SIZE + size) == 1 &&
		       EVP_CipherFinal_ex(cipher, plain + size, &length) == 1;

	EVP_CIPHER_CTX_free(cipher);
	*secret = is_good ? slice_of((const char *)plain, size) : SLICE_EMPTY;
	return is_good;
}
