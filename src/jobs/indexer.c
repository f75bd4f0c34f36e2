#include "jobs/indexer.h"

#include <stdlib.h>

#include "base/clock.h"
#include "jobs/worker.h"
#include "store/text_index.h"
#include "store/threads.h"

#define INTERVAL_MS      (60 * 1000)
#define REST_MS          50
#define TIDY_INTERVAL_MS (60 * 60 * 1000)

struct indexer {
	struct indexer_options options;
	struct store *store;
	const struct log *log;
	struct worker worker;
};

static bool rest_as_long(struct indexer *indexer, int64_t since_ms)
{
	return worker_rest_as_long(&indexer->worker, since_ms, indexer->options.rest_ms);
}

static void say(struct indexer *indexer, const char *event, enum status status, size_t count)
{
	if (status != STATUS_OK)
		LOG_WARNING(indexer->log, event, LOG_STR("status", status_name(status)), LOG_INT("count", count));
	else if (count > 0)
		LOG_INFO(indexer->log, event, LOG_INT("count", count));
}

typedef enum status (*index_step)(struct store *store, const struct attachment_edition *edition, int64_t *account, size_t *count);

/* While there is something to do for `step`. */
static void run_steps(struct indexer *indexer, const char *event, index_step step)
{
	int64_t account = 1, started_ms;
	size_t count, total = 0;
	enum status status;

	do {
		started_ms = clock_monotonic_ms();
		status = step(indexer->store, indexer->options.edition, &account, &count);
		total += count;
	} while (status == STATUS_OK && count > 0 && rest_as_long(indexer, started_ms));
	say(indexer, event, status, total);
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
		run_steps(indexer, "jobs.messages_indexed", text_index_step);
		/* What was written before attachments were read. */
		run_steps(indexer, "jobs.index_renewed", text_index_renew);
		make_threads(indexer);
		if (clock_monotonic_ms() < tidy_ms)
			continue;
		tidy(indexer);
		tidy_threads(indexer);
		tidy_ms = clock_monotonic_ms() + indexer->options.tidy_interval_ms;
	} while (worker_rest_unless_woken(&indexer->worker, indexer->options.interval_ms));
	return NULL;
}

void indexer_wake(struct indexer *indexer)
{
	worker_wake(&indexer->worker);
}

static int or_default(int value, int otherwise)
{
	return value > 0 ? value : otherwise;
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
	if (worker_start(&indexer->worker, run, indexer))
		return indexer;
	free(indexer);
	return NULL;
}

void indexer_free(struct indexer *indexer)
{
	if (!indexer)
		return;
	worker_stop(&indexer->worker);
	free(indexer);
}
