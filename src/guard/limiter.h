/* limiter: token buckets for whatever comes from peers: connections, messages, recipients, failed commands. A bucket is one number, the
 * time at which it would be full again (the generic cell rate algorithm), so that a question costs a hash and a comparison.
 *
 * The table's size is fixed: when a set is full the bucket that is nearest to full goes, so that a flood of new keys frees nobody who is
 * over a limit. Keys are hashed with a secret: a peer can't aim at another's bucket. Any thread may call; time is the caller's
 * (monotonic).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "net/conn.h"

struct limiter;

/* `count` at once, and then as many in `per_s` seconds. count 0: no limit. */
struct rate {
	uint32_t count, per_s;
};

struct limiter *limiter_new(void);
void limiter_free(struct limiter *limiter);
/* A bucket's name: what is counted, and for whom. Never 0. */
uint64_t limiter_key(const struct limiter *limiter, unsigned what, struct slice whom);
/* For an address in full, or its network: an IPv4 /24, an IPv6 /64 (RFC 6177). */
uint64_t limiter_key_address(const struct limiter *limiter, unsigned what, const struct net_address *address);
uint64_t limiter_key_network(const struct limiter *limiter, unsigned what, const struct net_address *address);
/* Takes one. False, and nothing is taken: the bucket is empty. */
__attribute__((warn_unused_result)) bool limiter_take(struct limiter *limiter, uint64_t key, struct rate rate, int64_t now_ms);
