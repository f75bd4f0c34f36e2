/* thread: the few things about threads that all folders share: small stacks, signals left to the main thread, and waits by the monotonic
 * clock, which nobody sets. */
#pragma once

#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All signals blocked: they are the main thread's. stack_size in bytes, 0: the system's. */
__attribute__((warn_unused_result)) bool thread_start(pthread_t *thread, size_t stack_size, void *(*run)(void *),
						      void *context);
/* A condition for thread_wait_until. */
void thread_condition_init(pthread_cond_t *condition);
/* Waits until monotonic `deadline_ms` at most, with `lock` held; may come back early. False: the time has come. */
bool thread_wait_until(pthread_cond_t *condition, pthread_mutex_t *lock, int64_t deadline_ms);
/* Take one, or the lock, until monotonic `deadline_ms` at the latest. False: the time has come. */
__attribute__((warn_unused_result)) bool thread_semaphore_take(sem_t *semaphore, int64_t deadline_ms);
__attribute__((warn_unused_result)) bool thread_lock_until(pthread_mutex_t *lock, int64_t deadline_ms);
