/* rate_exchange: makes a limiter's buckets those of all nodes on a store: a thread tells the deliver role about once a second, in one
 * request for all, what has been taken from buckets that matter, and raises them by what other nodes took. So a node never asks for a
 * connection's sake; what all together allow is over the limit by what they take in that second, and by what is too little to be told: a
 * sixteenth of it for each node. Where the store is a single node's (SQLite), it finds that out and ends.
 */
#pragma once

#include "base/log.h"
#include "guard/client.h"
#include "guard/limiter.h"

struct rate_exchange;

/* As guard_exchange_rates; `context` is its ipc. */
typedef bool (*rate_exchange_ask)(void *context, struct arena *arena, const struct guard_rate *taken, size_t count,
				  struct guard_rates *answer);

/* All of them outlive the exchange. Never NULL. */
struct rate_exchange *rate_exchange_new(struct limiter *limiter, rate_exchange_ask ask, void *context, const struct log *log);
/* Starts its thread. NULL does nothing. */
void rate_exchange_start(struct rate_exchange *exchange);
void rate_exchange_free(struct rate_exchange *exchange);
/* What its thread does each second. False: it needn't again. */
bool rate_exchange_once(struct rate_exchange *exchange);
