/* srs: the Sender Rewriting Scheme: the sender of forwarded mail becomes an address of ours, so that SPF holds, and bounces to it find
 * their way back. Pure.
 *
 * No RFC has it; this is the form of the draft draft-mengwong-sender-rewrite and of its implementations libsrs2 and postsrsd:
 *
 *     SRS0=HASH=TIME=domain=local@ours          first forwarder
 *     SRS1=HASH=first.domain==HASH=TIME=...@ours  one after the first: bounces go straight to the first
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"

/* Does it look like one? */
bool srs_is_rewritten(struct slice address);
/* `sender` (local@domain) as an address of `domain`. False: it would be too long. */
MUST_CHECK bool srs_rewrite(struct arena *arena, struct slice secret, int64_t wall_ms, struct slice sender, struct slice domain,
			    struct slice *rewritten);
/* Back to where it came from. False: not made with this secret, or longer ago than three weeks. */
MUST_CHECK bool srs_reverse(struct arena *arena, struct slice secret, int64_t wall_ms, struct slice address,
			    struct slice *original);
