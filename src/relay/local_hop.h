/* local_hop: mail in the queue that stays on this machine (local/local.h): handed to the local role, or, where a user forwards it to an
 * address, to deliver. A user's .forward with several targets makes each of them a recipient of its own in the queue.
 *
 * What is forwarded goes to deliver under a queue id that the recipient's row always gives: it isn't forwarded twice, whatever dies. */
#pragma once

#include "relay/relay_internal.h"

/* A worker's work for such a hop: this parcel and all that wait for it. */
void local_hop_serve(struct worker *worker, struct parcel *parcel);
