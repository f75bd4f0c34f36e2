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
/* ---- buckets that other processes take from as well (rate_exchange.h) ---- */

/* From now on keys are made with that secret, which all of them have; what has been counted is forgotten. */
void limiter_share(struct limiter *limiter, const uint8_t secret[16]);
/* What has been taken from a bucket and not been told yet. */
struct limiter_taken {
	uint64_t key;
	uint32_t count;
	int64_t interval_us; /* a bucket gets one back in this time */
};
/* Buckets of which so much is taken that it matters to others (a sixteenth of what the rate allows, and more), at most `max`; they are taken
 * for told. */
size_t limiter_collect(struct limiter *limiter, struct limiter_taken *taken, size_t max, int64_t now_ms);
/* With what all have taken this bucket will be full again only in so long. */
void limiter_raise(struct limiter *limiter, uint64_t key, int64_t full_in_us, int64_t now_ms);

/* Could one be taken? */
bool limiter_has(struct limiter *limiter, uint64_t key, struct rate rate, int64_t now_ms);
/* Takes one. False, and nothing is taken: the bucket is empty. */
__attribute__((warn_unused_result)) bool limiter_take(struct limiter *limiter, uint64_t key, struct rate rate, int64_t now_ms);
