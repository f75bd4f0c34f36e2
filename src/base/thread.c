#include "base/thread.h"

#include <errno.h>
#include <signal.h>
#include <time.h>

#include "base/clock.h"

bool thread_start(pthread_t *thread, size_t stack_size, void *(*run)(void *), void *context)
{
	pthread_attr_t attributes;
	sigset_t all, old;
	int error;

	sigfillset(&all);
	pthread_attr_init(&attributes);
	if (stack_size > 0)
		pthread_attr_setstacksize(&attributes, stack_size);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	error = pthread_create(thread, &attributes, run, context);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attributes);
	return error == 0;
}

void thread_condition_init(pthread_cond_t *condition)
{
	pthread_condattr_t attributes;

	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(condition, &attributes);
	pthread_condattr_destroy(&attributes);
}

static struct timespec timespec_of(int64_t ms)
{
	return (struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
}

bool thread_wait_until(pthread_cond_t *condition, pthread_mutex_t *lock, int64_t deadline_ms)
{
	struct timespec deadline = timespec_of(deadline_ms);

	return pthread_cond_timedwait(condition, lock, &deadline) != ETIMEDOUT;
}

/* ThreadSanitizer doesn't know the functions that take a clock: for it the same deadline by the wall clock. */
#ifdef __SANITIZE_THREAD__
static struct timespec wall_timespec_of(int64_t monotonic_ms)
{
	return timespec_of(clock_wall_ms() + monotonic_ms - clock_monotonic_ms());
}
#define sem_clockwait(semaphore, clock, deadline)       sem_timedwait(semaphore, deadline)
#define pthread_mutex_clocklock(lock, clock, deadline)  pthread_mutex_timedlock(lock, deadline)
#else
#define wall_timespec_of(monotonic_ms) timespec_of(monotonic_ms)
#endif

bool thread_semaphore_take(sem_t *semaphore, int64_t deadline_ms)
{
	struct timespec deadline = wall_timespec_of(deadline_ms);
	int result;

	do
		result = sem_clockwait(semaphore, CLOCK_MONOTONIC, &deadline);
	while (result != 0 && errno == EINTR);
	return result == 0;
}

bool thread_lock_until(pthread_mutex_t *lock, int64_t deadline_ms)
{
	struct timespec deadline = wall_timespec_of(deadline_ms);

	return pthread_mutex_clocklock(lock, CLOCK_MONOTONIC, &deadline) == 0;
}
