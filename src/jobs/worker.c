#include "jobs/worker.h"

#include "base/clock.h"
#include "base/thread.h"

bool worker_start(struct worker *worker, void *(*run)(void *context), void *context)
{
	pthread_mutex_init(&worker->mutex, NULL);
	thread_condition_init(&worker->wake);
	worker->stopping = worker->is_woken = false;
	if (thread_start(&worker->thread, 0, run, context))
		return true;
	pthread_cond_destroy(&worker->wake);
	pthread_mutex_destroy(&worker->mutex);
	return false;
}

static void set(struct worker *worker, bool *what)
{
	pthread_mutex_lock(&worker->mutex);
	*what = true;
	pthread_cond_signal(&worker->wake);
	pthread_mutex_unlock(&worker->mutex);
}

void worker_stop(struct worker *worker)
{
	set(worker, &worker->stopping);
	pthread_join(worker->thread, NULL);
	pthread_cond_destroy(&worker->wake);
	pthread_mutex_destroy(&worker->mutex);
}

void worker_wake(struct worker *worker)
{
	set(worker, &worker->is_woken);
}

static bool rest(struct worker *worker, int64_t ms, bool may_be_woken)
{
	int64_t until_ms = clock_monotonic_ms() + ms;

	pthread_mutex_lock(&worker->mutex);
	while (!worker->stopping && !(may_be_woken && worker->is_woken) && thread_wait_until(&worker->wake, &worker->mutex, until_ms))
		;
	if (may_be_woken)
		worker->is_woken = false;
	bool goes_on = !worker->stopping;

	pthread_mutex_unlock(&worker->mutex);
	return goes_on;
}

bool worker_rest(struct worker *worker, int64_t ms)
{
	return rest(worker, ms, false);
}

bool worker_rest_as_long(struct worker *worker, int64_t since_ms, int64_t least_ms)
{
	int64_t taken_ms = clock_monotonic_ms() - since_ms;

	return rest(worker, taken_ms > least_ms ? taken_ms : least_ms, false);
}

bool worker_rest_unless_woken(struct worker *worker, int64_t ms)
{
	return rest(worker, ms, true);
}
