/* wire: what the guard asks of the deliver role, which has the store, beside what deliver/ is asked. Both sides are here. Slices that are
 * unpacked point into the frame. Private to guard/. */
#pragma once

#include "guard/ban_list.h"
#include "ipc/ipc.h"
#include "ipc/pack.h"

/* Apart from deliver_request_type. */
enum guard_request_type {
	GUARD_REQUEST_BANS = 100, /* slice after -> count, { slice network, u64 until } ...: a page of the bans that hold */
	GUARD_REQUEST_SPEND,      /* u64 account, slice login, u64 recipients -> u8 may it be sent? */
	GUARD_REQUEST_GREYLIST,   /* slice network, sender, recipient -> u64 milliseconds to wait; 0: pass */
	/* count, { u64 bucket, u64 taken in microseconds } ... -> u8 are there others?, slice secret (16 bytes), count, { u64 bucket,
	 * u64 full in microseconds } ... */
	GUARD_REQUEST_RATES,
	GUARD_REQUEST_END,
};

#define GUARD_BANS_PER_PAGE 1000
#define GUARD_RATES_AT_ONCE 1000
#define GUARD_SECRET_BYTES  16

/* The announcement "offence". */
struct offence {
	struct net_address peer;
	struct slice reason;
};
void guard_pack_offence(struct buf *out, const struct offence *offence);
MUST_CHECK bool guard_unpack_offence(struct slice payload, struct offence *offence);
