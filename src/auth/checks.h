/* checks: the few threads on which password hashes are computed, and the bounded line of those who wait for one. */
#pragma once

#include <stdint.h>

#include "base/error.h"

struct checks;

/* At most `waiting` wait, and at most half of the places are for one group (a network: who guesses fast waits for himself). */
struct checks *checks_new(unsigned threads, unsigned waiting);
/* Nobody may be waiting any more. */
void checks_free(struct checks *checks);
enum checked {
	CHECKED,
	CHECKED_FOR_ANOTHER, /* the same question was being answered: look what is known now */
	CHECKED_NOT,         /* there is no place in the line */
};

/* Runs work(context) on one of the threads and returns when it is done, or at once if there is no place. Who asks a question (not 0) that another waits with or
 * has under way needs none: he comes back with that one's end. */
MUST_CHECK enum checked checks_run(struct checks *checks, uint64_t group, uint64_t question, void (*work)(void *context), void *context);
