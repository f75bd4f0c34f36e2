#include <errno.h>
#include <openssl/bio.h>
#include <sys/socket.h>

#include "net/tls_private.h"

static int socket_of(BIO *bio)
{
	return (int)(intptr_t)BIO_get_data(bio);
}

static void note_failure(BIO *bio, int retry)
{
	if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)
		BIO_set_flags(bio, BIO_FLAGS_SHOULD_RETRY | retry);
}

static int socket_read(BIO *bio, char *out, int cap)
{
	ssize_t got;

	BIO_clear_retry_flags(bio);
	got = recv(socket_of(bio), out, cap > 0 ? (size_t)cap : 0, 0);
	if (got < 0)
		note_failure(bio, BIO_FLAGS_READ);
	else if (got == 0)
		BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
	return (int)got;
}

static int socket_write(BIO *bio, const char *data, int len)
{
	ssize_t sent;

	BIO_clear_retry_flags(bio);
	sent = send(socket_of(bio), data, len > 0 ? (size_t)len : 0, MSG_NOSIGNAL);
	if (sent < 0)
		note_failure(bio, BIO_FLAGS_WRITE);
	return (int)sent;
}

static long socket_control(BIO *bio, int command, long number, void *pointer)
{
	(void)number;
	(void)pointer;
	if (command == BIO_CTRL_EOF)
		return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0;
	return command == BIO_CTRL_FLUSH;
}

BIO_METHOD *socket_method_new(void)
{
	BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "socket");

	if (method) {
		BIO_meth_set_read(method, socket_read);
		BIO_meth_set_write(method, socket_write);
		BIO_meth_set_ctrl(method, socket_control);
	}
	return method;
}

BIO *socket_bio_new(const BIO_METHOD *method, int fd)
{
	BIO *bio = BIO_new(method);

	if (bio) {
		BIO_set_data(bio, (void *)(intptr_t)fd);
		BIO_set_init(bio, 1);
	}
	return bio;
}
