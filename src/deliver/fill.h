/* fill: from an expansion to a delivery's targets and queue. What they hold lives in the arena. */
#pragma once

#include "deliver/expand.h"
#include "deliver/policy.h"

struct fill {
	struct policy *policy;
	struct arena *arena;
	const struct expansion *expansion;
	struct slice forwarded_by; /* whose forwarding all of it is, an address here; empty: each recipient's own */
};

/* Must it wait for its time? Then nothing is delivered, and everything queued. */
bool fill_must_wait(const struct delivery *delivery);
/* The mailboxes here. */
void fill_targets(const struct fill *fill, struct slice sender, struct delivery *delivery);
/* Everybody elsewhere, and if it must wait those here too. */
MUST_CHECK enum status fill_queue(const struct fill *fill, struct delivery *delivery);
