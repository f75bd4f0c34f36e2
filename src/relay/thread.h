/* thread: the few things about threads that the relay's files share: small stacks, waiting on the monotonic clock. */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define THREAD_STACK_WORKER (256 * 1024)
#define THREAD_STACK_STORE  (512 * 1024) /* runs SQL and parses messages */

/* All signals blocked: they are the main thread's. */
__attribute__((warn_unused_result)) bool thread_start(pthread_t *thread, size_t stack_size, void *(*run)(void *),
						      void *context);
/* A condition for thread_wait_until. */
void thread_condition_init(pthread_cond_t *condition);
/* Monotonic milliseconds. */
void thread_wait_until(pthread_cond_t *condition, pthread_mutex_t *lock, int64_t deadline_ms);
