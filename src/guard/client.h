/* client: what roles that take connections ask of the guard's state, which the deliver role keeps, and what they report. */
#pragma once

#include "guard/ban_list.h"
#include "ipc/ipc.h"

/* A ban_fetch; context is the struct ipc. */
bool guard_fetch_bans(void *ipc, struct arena *arena, struct ban **bans, size_t *count);
/* Tells whoever keeps the bans that this address has earned one. Any role. */
void guard_report(struct ipc *ipc, const struct net_address *peer, struct slice reason);
/* OK; LIMIT: this account has sent enough for this hour; TEMPORARY. */
MUST_CHECK enum status guard_spend(struct ipc *ipc, struct arena *arena, int64_t account, struct slice login,
				   uint64_t recipients);
/* What was taken from shared buckets, and how full they are with what other nodes took. */
struct guard_rate {
	uint64_t bucket;
	int64_t us; /* how much later it is full; in the answer: in how long it is */
};
struct guard_rates {
	bool is_shared; /* false: there are no other nodes */
	uint8_t secret[16];
	struct guard_rate *rates;
	size_t count;
};
MUST_CHECK bool guard_exchange_rates(struct ipc *ipc, struct arena *arena, const struct guard_rate *taken, size_t count,
				     struct guard_rates *answer);
/* OK; LIMIT: to come again in *wait_ms; TEMPORARY: nobody knows. */
MUST_CHECK enum status guard_greylist(struct ipc *ipc, struct arena *arena, const struct net_address *peer, struct slice sender,
				      struct slice recipient, int64_t *wait_ms);
