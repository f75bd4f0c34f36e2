/* bounce: the notification for a settled parcel as a delivery (store/email.h) from the null sender: to the account of a local
 * sender, by the queue to a remote one. */
#pragma once

#include "local/local.h"
#include "base/log.h"
#include "relay/outcome.h"
#include "store/detail.h"

struct bounce_options {
	struct slice hostname;
	struct slice smarthost; /* next hop of remote senders; empty: their domain */
	struct detail_rules details;
	struct slice double_bounce_to; /* whom notifications go to that have no other address; empty: nobody */
	struct local_domains unix_domains;
};

/* Asks the directory and reads the message. OK: *bounce is made in the parcel's arena, or NULL where there is nobody to tell
 * (logged). TEMPORARY: try again. */
MUST_CHECK enum status bounce_make(const struct bounce_options *options, struct store *store, const struct log *log,
				   struct parcel *parcel, const struct settlement *settlement, int64_t now_ms,
				   struct delivery **bounce);
