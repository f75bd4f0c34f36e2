/* xtext: the encoding of ENVID and ORCPT (RFC 3461 section 4). Pure. */
#pragma once

#include "base/arena.h"
#include "base/slice.h"

/* "+2B" is "+"; what isn't xtext is left as it stands. */
struct slice xtext_decode(struct arena *arena, struct slice xtext);
/* ORCPT (RFC 3461 section 4.2): the type stands as it is, the address is xtext. Empty if there is none. */
struct slice xtext_decode_original(struct arena *arena, struct slice original);
