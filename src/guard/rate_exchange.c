#include "guard/rate_exchange.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/thread.h"
#include "guard/wire.h"

#define PERIOD_MS 1000

struct rate_exchange {
	struct limiter *limiter;
	rate_exchange_ask ask;
	void *context;
	const struct log *log;
	bool is_shared; /* the limiter has the secret; the thread's own */
	pthread_t thread;
	bool running;
	pthread_mutex_t mutex;
	pthread_cond_t wake;
	bool stopping;
};

static bool rest(struct rate_exchange *exchange)
{
	int64_t until_ms = clock_monotonic_ms() + PERIOD_MS;

	pthread_mutex_lock(&exchange->mutex);
	while (!exchange->stopping && thread_wait_until(&exchange->wake, &exchange->mutex, until_ms))
		;
	bool goes_on = !exchange->stopping;

	pthread_mutex_unlock(&exchange->mutex);
	return goes_on;
}

/* Before it has the secret nothing it counts has a name that others know. */
static size_t collect(struct rate_exchange *exchange, struct arena *arena, struct guard_rate **rates)
{
	struct limiter_taken *taken = ARENA_ARRAY(arena, struct limiter_taken, GUARD_RATES_AT_ONCE);
	size_t count = 0;

	if (exchange->is_shared)
		count = limiter_collect(exchange->limiter, taken, GUARD_RATES_AT_ONCE, clock_monotonic_ms());
	*rates = ARENA_ARRAY(arena, struct guard_rate, count + 1);
	for (size_t i = 0; i < count; i++)
		(*rates)[i] = (struct guard_rate){taken[i].key, taken[i].count * taken[i].interval_us};
	return count;
}

static void take_over(struct rate_exchange *exchange, const struct guard_rates *answer)
{
	int64_t now_ms = clock_monotonic_ms();

	if (!exchange->is_shared)
		limiter_share(exchange->limiter, answer->secret);
	exchange->is_shared = true;
	for (size_t i = 0; i < answer->count; i++)
		limiter_raise(exchange->limiter, answer->rates[i].bucket, answer->rates[i].us, now_ms);
}

bool rate_exchange_once(struct rate_exchange *exchange)
{
	struct arena arena SCOPED_ARENA;
	struct guard_rates answer = {0};
	struct guard_rate *taken;

	arena_init(&arena, 0);
	size_t count = collect(exchange, &arena, &taken);

	if (exchange->is_shared && count == 0)
		return true;
	if (!exchange->ask(exchange->context, &arena, taken, count, &answer)) {
		LOG_DEBUG(exchange->log, "guard.rates_not_told", LOG_INT("count", count));
		return true;
	}
	if (answer.is_shared)
		take_over(exchange, &answer);
	return answer.is_shared;
}

static void *run(void *context)
{
	struct rate_exchange *exchange = context;

	while (rest(exchange) && rate_exchange_once(exchange))
		;
	return NULL;
}

struct rate_exchange *rate_exchange_new(struct limiter *limiter, rate_exchange_ask ask, void *context, const struct log *log)
{
	struct rate_exchange *exchange = calloc(1, sizeof(*exchange));

	if (!exchange)
		abort();
	*exchange = (struct rate_exchange){.limiter = limiter, .ask = ask, .context = context, .log = log};
	pthread_mutex_init(&exchange->mutex, NULL);
	thread_condition_init(&exchange->wake);
	return exchange;
}

void rate_exchange_start(struct rate_exchange *exchange)
{
	if (!exchange)
		return;
	exchange->running = thread_start(&exchange->thread, 0, run, exchange);
	if (!exchange->running)
		LOG_ERROR(exchange->log, "guard.no_thread");
}

void rate_exchange_free(struct rate_exchange *exchange)
{
	if (!exchange)
		return;
	pthread_mutex_lock(&exchange->mutex);
	exchange->stopping = true;
	pthread_cond_signal(&exchange->wake);
	pthread_mutex_unlock(&exchange->mutex);
	if (exchange->running)
		pthread_join(exchange->thread, NULL);
	pthread_cond_destroy(&exchange->wake);
	pthread_mutex_destroy(&exchange->mutex);
	free(exchange);
}
