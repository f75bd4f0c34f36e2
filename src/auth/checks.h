/* checks: the few threads on which password hashes are computed, and the bounded line of those who wait for one. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct checks;

/* At most `waiting` wait, and at most half of the places are for one group (a network: who guesses fast waits for himself). */
struct checks *checks_new(unsigned threads, unsigned waiting);
/* Nobody may be waiting any more. */
void checks_free(struct checks *checks);
/* Runs work(context) on one of the threads and returns when it is done; false at once if there is no place in the line. */
MUST_CHECK bool checks_run(struct checks *checks, uint64_t group, void (*work)(void *context), void *context);
