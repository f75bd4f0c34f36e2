/* xtext: the encoding of ENVID and ORCPT (RFC 3461 section 4). Pure. */
#pragma once

#include "base/arena.h"
#include "base/slice.h"

/* "+2B" is "+"; what isn't xtext is left as it stands. */
struct slice xtext_decode(struct arena *arena, struct slice xtext);
