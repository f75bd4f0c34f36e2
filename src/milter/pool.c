#include "milter/pool.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "net/engine.h"

#define KEPT_MAX 64
#define KEEP_MS  30000

struct kept {
	struct conn *conn;
	int64_t until_ms;
};

struct pool {
	struct slice address;
	pool_dial dial;
	void *context;
	pthread_mutex_t lock;
	struct kept kept[KEPT_MAX]; /* the last is the warmest */
	size_t count;
};

struct pool *pool_new(struct slice address, pool_dial dial, void *context)
{
	struct pool *pool = calloc(1, sizeof(*pool));

	if (!pool) {
		fputs("out of memory\n", stderr);
		abort();
	}
	pool->address = address;
	pool->dial = dial;
	pool->context = context;
	pthread_mutex_init(&pool->lock, NULL);
	return pool;
}

void pool_free(struct pool *pool)
{
	if (!pool)
		return;
	for (size_t i = 0; i < pool->count; i++)
		conn_free(pool->kept[i].conn);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}

/* Nothing has been asked: whatever comes is the end, or nonsense. */
static bool is_silent(const struct conn *conn)
{
	char byte;

	return recv(conn_fd(conn), &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0;
}

static struct conn *take_kept(struct pool *pool, int64_t now_ms)
{
	struct conn *conn = NULL;

	pthread_mutex_lock(&pool->lock);
	while (pool->count > 0 && !conn) {
		struct kept *last = &pool->kept[--pool->count];

		if (last->until_ms > now_ms && is_silent(last->conn))
			conn = last->conn;
		else
			conn_free(last->conn);
	}
	pthread_mutex_unlock(&pool->lock);
	return conn;
}

static void attend(struct conn *conn, struct session_env *env)
{
	if (env)
		engine_mind_waits(env, conn);
}

struct conn *pool_take_new(struct pool *pool, struct session_env *env, int timeout_ms)
{
	int fd = pool->dial(pool->context, pool->address, timeout_ms);
	struct conn *conn = fd < 0 ? NULL : conn_new(fd, NULL, NULL);

	if (conn)
		attend(conn, env);
	return conn;
}

struct conn *pool_take(struct pool *pool, struct session_env *env, int timeout_ms, bool *was_used)
{
	struct conn *conn = take_kept(pool, clock_monotonic_ms());

	*was_used = conn != NULL;
	if (!conn)
		return pool_take_new(pool, env, timeout_ms);
	attend(conn, env);
	return conn;
}

void pool_give(struct pool *pool, struct conn *conn)
{
	if (!conn)
		return;
	conn_on_wait(conn, NULL, NULL);
	conn_set_deadline(conn, 0);
	if (!conn_failed(conn) && !conn_has_input(conn)) {
		conn_release_buffers(conn);
		pthread_mutex_lock(&pool->lock);
		if (pool->count < KEPT_MAX) {
			pool->kept[pool->count++] = (struct kept){conn, clock_monotonic_ms() + KEEP_MS};
			conn = NULL;
		}
		pthread_mutex_unlock(&pool->lock);
	}
	conn_free(conn);
}
