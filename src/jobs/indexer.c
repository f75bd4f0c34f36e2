#include "jobs/indexer.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/thread.h"
#include "store/text_index.h"
#include "store/threads.h"

#define INTERVAL_MS      (60 * 1000)
#define REST_MS          50
#define TIDY_INTERVAL_MS (60 * 60 * 1000)

struct indexer {
	struct indexer_options options;
	struct store *store;
	const struct log *log;
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t stop;
	bool stopping, is_woken;
};

/* False when it is time to stop. */
static bool rest(struct indexer *indexer, int64_t ms)
{
	int64_t until_ms = clock_monotonic_ms() + ms;

	pthread_mutex_lock(&indexer->mutex);
	while (!indexer->stopping && thread_wait_until(&indexer->stop, &indexer->mutex, until_ms))
		;
	bool goes_on = !indexer->stopping;

	pthread_mutex_unlock(&indexer->mutex);
	return goes_on;
}

/* Up to the next round. */
static bool rest_between(struct indexer *indexer)
{
	int64_t until_ms = clock_monotonic_ms() + indexer->options.interval_ms;

	pthread_mutex_lock(&indexer->mutex);
	while (!indexer->stopping && !indexer->is_woken && thread_wait_until(&indexer->stop, &indexer->mutex, until_ms))
		;
	indexer->is_woken = false;
	bool goes_on = !indexer->stopping;

	pthread_mutex_unlock(&indexer->mutex);
	return goes_on;
}

/* As long a rest as the work has taken: never more than half a processor. */
static bool rest_as_long(struct indexer *indexer, int64_t since_ms)
{
	int64_t taken_ms = clock_monotonic_ms() - since_ms;

	return rest(indexer, taken_ms > indexer->options.rest_ms ? taken_ms : indexer->options.rest_ms);
}

static void say(struct indexer *indexer, const char *event, enum status status, size_t count)
{
	if (status != STATUS_OK)
		LOG_WARNING(indexer->log, event, LOG_STR("status", status_name(status)), LOG_INT("count", count));
	else if (count > 0)
		LOG_INFO(indexer->log, event, LOG_INT("count", count));
}

static void index_messages(struct indexer *indexer)
{
	int64_t account = 1, started_ms;
	size_t indexed, total = 0;
	enum status status;

	do {
		started_ms = clock_monotonic_ms();
		status = text_index_step(indexer->store, indexer->options.edition, &account, &indexed);
		total += indexed;
	} while (status == STATUS_OK && indexed > 0 && rest_as_long(indexer, started_ms));
	say(indexer, "jobs.messages_indexed", status, total);
}

/* What was written before attachments were read. */
static void renew(struct indexer *indexer)
{
	int64_t account = 1, started_ms;
	size_t rewritten, total = 0;
	enum status status;

	do {
		started_ms = clock_monotonic_ms();
		status = text_index_renew(indexer->store, indexer->options.edition, &account, &rewritten);
		total += rewritten;
	} while (status == STATUS_OK && rewritten > 0 && rest_as_long(indexer, started_ms));
	say(indexer, "jobs.index_renewed", status, total);
}

static void make_threads(struct indexer *indexer)
{
	int64_t account = 1, started_ms;
	size_t threaded, total = 0;
	enum status status;

	do {
		started_ms = clock_monotonic_ms();
		status = threads_step(indexer->store, &account, &threaded);
		total += threaded;
	} while (status == STATUS_OK && threaded > 0 && rest_as_long(indexer, started_ms));
	say(indexer, "jobs.messages_threaded", status, total);
}

static void tidy_threads(struct indexer *indexer)
{
	int64_t account = 1, started_ms;
	size_t removed, total = 0;
	unsigned part = 0;
	enum status status;
	bool more;

	do {
		started_ms = clock_monotonic_ms();
		status = threads_tidy(indexer->store, &account, &part, &removed, &more);
		total += removed;
	} while (status == STATUS_OK && more && rest_as_long(indexer, started_ms));
	say(indexer, "jobs.threads_tidied", status, total);
}

static void tidy(struct indexer *indexer)
{
	int64_t account = 1, started_ms;
	size_t rewritten, total = 0;
	enum status status;
	bool more;

	do {
		started_ms = clock_monotonic_ms();
		status = text_index_tidy(indexer->store, indexer->options.edition, &account, &rewritten, &more);
		total += rewritten;
	} while (status == STATUS_OK && more && (rewritten == 0 || rest_as_long(indexer, started_ms)));
	say(indexer, "jobs.index_tidied", status, total);
}

static void *run(void *context)
{
	struct indexer *indexer = context;
	int64_t tidy_ms = clock_monotonic_ms() + indexer->options.tidy_interval_ms;

	do {
		index_messages(indexer);
		renew(indexer);
		make_threads(indexer);
		if (clock_monotonic_ms() < tidy_ms)
			continue;
		tidy(indexer);
		tidy_threads(indexer);
		tidy_ms = clock_monotonic_ms() + indexer->options.tidy_interval_ms;
	} while (rest_between(indexer));
	return NULL;
}

void indexer_wake(struct indexer *indexer)
{
	pthread_mutex_lock(&indexer->mutex);
	indexer->is_woken = true;
	pthread_cond_signal(&indexer->stop);
	pthread_mutex_unlock(&indexer->mutex);
}

static int or_default(int value, int otherwise)
{
	return value > 0 ? value : otherwise;
}

static void release(struct indexer *indexer)
{
	pthread_cond_destroy(&indexer->stop);
	pthread_mutex_destroy(&indexer->mutex);
	free(indexer);
}

struct indexer *indexer_new(const struct indexer_options *options, struct store *store, const struct log *log)
{
	struct indexer *indexer = calloc(1, sizeof *indexer);

	if (!indexer)
		return NULL;
	indexer->options.interval_ms = or_default(options->interval_ms, INTERVAL_MS);
	indexer->options.rest_ms = or_default(options->rest_ms, REST_MS);
	indexer->options.tidy_interval_ms = or_default(options->tidy_interval_ms, TIDY_INTERVAL_MS);
	indexer->options.edition = options->edition;
	indexer->store = store;
	indexer->log = log;
	pthread_mutex_init(&indexer->mutex, NULL);
	thread_condition_init(&indexer->stop);
	if (thread_start(&indexer->thread, 0, run, indexer))
		return indexer;
	release(indexer);
	return NULL;
}

void indexer_free(struct indexer *indexer)
{
	if (!indexer)
		return;
	pthread_mutex_lock(&indexer->mutex);
	indexer->stopping = true;
	pthread_cond_signal(&indexer->stop);
	pthread_mutex_unlock(&indexer->mutex);
	pthread_join(indexer->thread, NULL);
	release(indexer);
}
