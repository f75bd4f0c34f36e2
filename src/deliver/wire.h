/* wire: what deliver's requests and replies look like inside a frame. Both sides are here, so that they agree. Slices that are
 * unpacked point into the frame. */
#pragma once

#include "deliver/deliver.h"
#include "ipc/ipc.h"
#include "ipc/pack.h"

void deliver_pack_sender(struct buf *out, const struct deliver_sender *sender);
void deliver_unpack_sender(struct unpack *in, struct deliver_sender *sender);

void deliver_pack_verdict(struct buf *out, const struct deliver_verdict *verdict);
MUST_CHECK bool deliver_unpack_verdict(struct slice frame, struct deliver_verdict *verdict);
/* So many, one after the other. */
MUST_CHECK bool deliver_unpack_verdicts(struct slice frame, struct deliver_verdict *verdicts, size_t count);

void deliver_pack_who(struct buf *out, const struct deliver_who *who);
MUST_CHECK bool deliver_unpack_who(struct slice frame, struct arena *arena, struct deliver_who *who);

/* A message: whether it is brought again, its envelope, and its bytes unless they come as a descriptor. `again` is the frame's
 * first byte, so that a second attempt need not be packed anew. */
void deliver_pack_envelope(struct buf *out, bool again, const struct deliver_envelope *envelope);
/* The recipients in `arena`. What follows is deliver_unpack_bytes's. */
void deliver_unpack_envelope(struct unpack *in, struct arena *arena, bool *again, struct deliver_envelope *envelope);
#define WIRE_AGAIN_OFFSET 0
