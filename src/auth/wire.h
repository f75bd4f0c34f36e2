/* wire: the frames between auth.h's client side and the service, written and read on one page. */
#pragma once

#include "auth/auth.h"
#include "ipc/pack.h"

#define WIRE_BINDING_MAX   1024
#define WIRE_CERTIFIED_MAX 8192

void wire_pack_peer(struct buf *out, const struct auth_peer *peer);
/* Errors stick in *in. */
void wire_unpack_peer(struct unpack *in, struct auth_peer *peer);
void wire_pack_reply(struct buf *out, const struct auth_reply *reply);
MUST_CHECK bool wire_unpack_reply(struct slice frame, struct auth_reply *reply);
