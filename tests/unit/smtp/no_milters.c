/* What only milters need of a connection and of the engine: in the worlds of memory_conn there are none. */
#include <stdlib.h>

#include "net/conn.h"
#include "net/engine.h"

struct conn *conn_new(int fd, const struct net_address *peer, const struct net_address *local)
{
	(void)fd;
	(void)peer;
	(void)local;
	abort();
}

void conn_free(struct conn *conn)
{
	if (conn)
		abort();
}

bool conn_read_exact(struct conn *conn, void *out, size_t count)
{
	(void)conn;
	(void)out;
	(void)count;
	abort();
}

void conn_on_wait(struct conn *conn, void (*waits)(void *context, bool begins), void *context)
{
	(void)conn;
	(void)waits;
	(void)context;
	abort();
}

void conn_release_buffers(struct conn *conn)
{
	(void)conn;
	abort();
}

unsigned conn_tls_cipher_bits(const struct conn *conn)
{
	(void)conn;
	abort();
}

void conn_certificate_part(const struct conn *conn, enum conn_certificate_part part, struct buf *out)
{
	(void)conn;
	(void)part;
	(void)out;
	abort();
}

bool engine_set_user(struct session_env *env, struct slice user)
{
	(void)env;
	return !slice_starts_with(user, SLICE("crowded@"));
}

unsigned engine_connections_of_peer(struct session_env *env)
{
	(void)env;
	abort();
}

void engine_mind_waits(struct session_env *env, struct conn *conn)
{
	(void)env;
	(void)conn;
	abort();
}

void engine_wait(struct session_env *env, bool begins)
{
	(void)env;
	(void)begins;
	abort();
}

void conn_write(struct conn *conn, struct slice bytes)
{
	(void)conn;
	(void)bytes;
	abort();
}
