/* worker: a thread that works by itself and rests in between, until it is told to stop. */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct worker {
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t wake;
	bool stopping, is_woken;
};

/* False: no thread could be started, and there is nothing to stop. */
MUST_CHECK bool worker_start(struct worker *worker, void *(*run)(void *context), void *context);
/* Waits for the end of what is at work. */
void worker_stop(struct worker *worker);

/* From its thread: false when it is time to stop. */
bool worker_rest(struct worker *worker, int64_t ms);
/* Likewise, for as long as the work since `since_ms` (monotonic) has taken, and `least_ms` at least: never more than half a processor. */
bool worker_rest_as_long(struct worker *worker, int64_t since_ms, int64_t least_ms);
/* Likewise; worker_wake ends it. */
bool worker_rest_unless_woken(struct worker *worker, int64_t ms);

/* From any thread: the next such rest, or the one it is in, is over. */
void worker_wake(struct worker *worker);
