/* certificate: a self-signed certificate to begin with, until a real one is there. */
#pragma once

#include "base/arena.h"
#include "base/error.h"

/* Writes a new P-256 key (mode 0600) and a certificate of ten years for `names`: host names and IP addresses. Files that
 * exist are an error. */
MUST_CHECK bool certificate_make(const char *certificate_path, const char *key_path, const struct slice *names, size_t count,
				 struct arena *arena, struct error *error);
