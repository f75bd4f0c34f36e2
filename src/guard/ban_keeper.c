#include "guard/ban_keeper.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/thread.h"

#define PERIOD_MS 15000
#define AGAIN_MS  500

struct ban_keeper {
	struct ban_list *list;
	ban_fetch fetch;
	void *context;
	const struct log *log;
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t wake;
	bool stopping, stopped, woken;
};

/* Until it is woken, or for so long. False when it is time to stop. */
static bool rest(struct ban_keeper *keeper, int ms)
{
	int64_t until_ms = clock_monotonic_ms() + ms;

	pthread_mutex_lock(&keeper->mutex);
	while (!keeper->stopping && !keeper->woken && thread_wait_until(&keeper->wake, &keeper->mutex, until_ms))
		;
	keeper->woken = false;
	bool goes_on = !keeper->stopping;

	pthread_mutex_unlock(&keeper->mutex);
	return goes_on;
}

static bool refresh(struct ban_keeper *keeper)
{
	struct arena arena SCOPED_ARENA;
	struct ban *bans;
	size_t count;

	arena_init(&arena, 0);
	if (!keeper->fetch(keeper->context, &arena, &bans, &count))
		return false;
	ban_list_replace(keeper->list, bans, count);
	LOG_DEBUG(keeper->log, "guard.bans_read", LOG_INT("count", count));
	return true;
}

static void *run(void *context)
{
	struct ban_keeper *keeper = context;
	bool known;

	do
		known = refresh(keeper);
	while (rest(keeper, known ? PERIOD_MS : AGAIN_MS));
	return NULL;
}

struct ban_keeper *ban_keeper_new(struct ban_list *list, ban_fetch fetch, void *context, const struct log *log)
{
	struct ban_keeper *keeper = calloc(1, sizeof(*keeper));

	if (!keeper)
		abort();
	*keeper = (struct ban_keeper){.list = list, .fetch = fetch, .context = context, .log = log};
	pthread_mutex_init(&keeper->mutex, NULL);
	thread_condition_init(&keeper->wake);
	if (thread_start(&keeper->thread, 0, run, keeper))
		return keeper;
	LOG_ERROR(log, "guard.no_thread");
	free(keeper);
	return NULL;
}

static void signal_it(struct ban_keeper *keeper, bool stops)
{
	pthread_mutex_lock(&keeper->mutex);
	keeper->stopping = keeper->stopping || stops;
	keeper->woken = true;
	pthread_cond_signal(&keeper->wake);
	pthread_mutex_unlock(&keeper->mutex);
}

void ban_keeper_wake(struct ban_keeper *keeper)
{
	if (keeper)
		signal_it(keeper, false);
}

void ban_keeper_stop(struct ban_keeper *keeper)
{
	if (!keeper || keeper->stopped)
		return;
	signal_it(keeper, true);
	pthread_join(keeper->thread, NULL);
	keeper->stopped = true;
}

void ban_keeper_free(struct ban_keeper *keeper)
{
	if (!keeper)
		return;
	ban_keeper_stop(keeper);
	pthread_cond_destroy(&keeper->wake);
	pthread_mutex_destroy(&keeper->mutex);
	free(keeper);
}
