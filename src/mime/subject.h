/* subject: the base subject of RFC 5256 section 2.1, for sorting and threads. Pure. */
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "base/slice.h"

/* Longer ones are cut: nobody reads so far, and a sort keeps one of each message in memory. */
#define SUBJECT_LENGTH_MAX 1000

/* `decoded` is the Subject field in UTF-8, without encoded words. *is_reply (may be NULL): something was taken off that says "reply" or
 * "forward". */
struct slice subject_base(struct arena *arena, struct slice decoded, bool *is_reply);
