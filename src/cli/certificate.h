/* certificate: a self-signed certificate to begin with, until a real one is there. */
#pragma once

#include "base/arena.h"
#include "base/error.h"

/* A new P-256 key and a certificate of ten years for `names`, host names and IP addresses; both as PEM. */
MUST_CHECK bool certificate_make(const struct slice *names, size_t count, struct arena *arena, struct slice *certificate,
				 struct slice *key);
