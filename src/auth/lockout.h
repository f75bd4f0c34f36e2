/* lockout: counts wrong guesses per (address, account) and per network, and says how long to wait and when to refuse.
 *
 * A network is an IPv4 address or an IPv6 /64; it is given NETWORK_FACTOR times the failures of one account, since many people
 * may stand behind it. The same wrong password again is no new guess: a telephone that wasn't told of a new password locks
 * nobody out. Loopback and Unix sockets have no network: what comes from there comes through a front end of our own.
 * The table's size is fixed; when a set is full an entry that is over goes first, else one at random. Any thread may call;
 * time is the caller's (monotonic).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "net/conn.h"

struct lockout;

struct lockout_options {
	unsigned failures_before_delay;
	unsigned failures_before_lockout;
	int lockout_ms; /* how long one is locked out, and after what time failures are forgotten */
	int delay_ms;   /* of the first delayed answer; each further failure doubles it, up to LOCKOUT_DELAY_MAX_MS */
};
#define LOCKOUT_DELAY_MAX_MS   5000
#define LOCKOUT_NETWORK_FACTOR 5

/* Whom an attempt is counted for; zero: not counted. */
struct lockout_keys {
	uint64_t account, network;
};

struct lockout *lockout_new(const struct lockout_options *options);
void lockout_free(struct lockout *lockout);
struct lockout_keys lockout_keys(const struct lockout *lockout, struct slice account, const struct net_address *peer);
bool lockout_is_locked(struct lockout *lockout, struct lockout_keys keys, int64_t now_ms);
/* Was `guess` (a keyed hash of the password, never 0) the last wrong one? */
bool lockout_is_known_guess(struct lockout *lockout, struct lockout_keys keys, uint64_t guess, int64_t now_ms);
/* Counts a failure (guess 0: no way to tell guesses apart) and returns for how many ms to hold back the answer. */
int lockout_failure(struct lockout *lockout, struct lockout_keys keys, uint64_t guess, int64_t now_ms);
/* Forgets the account's failures; the network's stand: one who has an account may not use it to guess others'. */
void lockout_success(struct lockout *lockout, struct lockout_keys keys);
