#include "relay/keeper.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/thread.h"
#include "relay/relay_internal.h"

#define FLUSH_MS   2000
#define REFRESH_MS (10 * 60 * 1000)

struct keeper {
	struct relay *relay;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool stopping;
};

static void flush(struct keeper *keeper)
{
	enum status status = tls_counts_flush(keeper->relay->tls_counts, keeper->relay->environment.store);

	if (status != STATUS_OK)
		LOG_WARNING(keeper->relay->environment.log, "relay.tls_counts_wait", LOG_STR("status", status_name(status)));
}

/* False: it is time to stop. */
static bool rest(struct keeper *keeper)
{
	int64_t until = clock_monotonic_ms() + FLUSH_MS;
	bool goes_on;

	pthread_mutex_lock(&keeper->lock);
	while (!keeper->stopping && clock_monotonic_ms() < until)
		thread_wait_until(&keeper->wake, &keeper->lock, until);
	goes_on = !keeper->stopping;
	pthread_mutex_unlock(&keeper->lock);
	return goes_on;
}

static void *keeper_run(void *context)
{
	struct keeper *keeper = context;
	int64_t refreshed = 0;

	do {
		flush(keeper);
		if (keeper->relay->sts && (refreshed == 0 || clock_monotonic_ms() - refreshed >= REFRESH_MS)) {
			sts_refresh(keeper->relay->sts);
			refreshed = clock_monotonic_ms();
		}
	} while (rest(keeper));
	flush(keeper);
	return NULL;
}

struct keeper *keeper_start(struct relay *relay)
{
	struct keeper *keeper = calloc(1, sizeof(*keeper));

	if (!keeper)
		abort();
	keeper->relay = relay;
	pthread_mutex_init(&keeper->lock, NULL);
	thread_condition_init(&keeper->wake);
	if (!thread_start(&keeper->thread, THREAD_STACK_STORE, keeper_run, keeper))
		abort();
	return keeper;
}

void keeper_stop(struct keeper *keeper)
{
	if (!keeper)
		return;
	pthread_mutex_lock(&keeper->lock);
	keeper->stopping = true;
	pthread_cond_signal(&keeper->wake);
	pthread_mutex_unlock(&keeper->lock);
	pthread_join(keeper->thread, NULL);
	pthread_cond_destroy(&keeper->wake);
	pthread_mutex_destroy(&keeper->lock);
	free(keeper);
}
