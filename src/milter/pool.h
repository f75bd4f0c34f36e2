/* pool: connections to a program that helps to judge mail (a milter, a policy service), kept for whoever needs one next. Shared; any
 * thread. A conn that was taken is its taker's.
 */
#pragma once

#include "net/conn.h"

struct pool;
struct session_env;

/* A non-blocking socket that is connected to `address` or about to be: its first write waits for that. -1: none. */
typedef int (*pool_dial)(void *context, struct slice address, int timeout_ms);

/* `address` outlives the pool. Never NULL. */
struct pool *pool_new(struct slice address, pool_dial dial, void *context);
void pool_free(struct pool *pool);

/* NULL: there is nobody. *was_used: it was kept, and may have been closed from the other side meanwhile. A thread of `env`'s engine (NULL:
 * of none) waits for it without counting. */
struct conn *pool_take(struct pool *pool, struct session_env *env, int timeout_ms, bool *was_used);
/* A new one, whatever is kept. */
struct conn *pool_take_new(struct pool *pool, struct session_env *env, int timeout_ms);
/* For others; closes it if it has failed or there are enough. */
void pool_give(struct pool *pool, struct conn *conn);
