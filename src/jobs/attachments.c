#include "jobs/attachments.h"

#include <stdlib.h>

#include "base/clock.h"
#include "extract/extractor.h"
#include "jobs/indexer.h"
#include "jobs/worker.h"

#define INTERVAL_MS (20 * 1000)
#define REST_MS     20

struct attachments {
	struct attachments_options options;
	const struct extractor *extractor;
	const struct log *log;
	struct worker worker;
	uint64_t read; /* messages, in this round */
};

/* False: stop. */
static bool read_one(struct attachments *attachments, int64_t account, const struct attachment_source *source,
		     enum status *status)
{
	struct arena arena SCOPED_ARENA;
	int64_t started_ms = clock_monotonic_ms();
	struct slice packed;

	if (!extractor_wants(attachments->extractor, &arena, source->structure))
		return worker_rest(&attachments->worker, 0);
	*status = extractor_read(attachments->extractor, &arena, account, source, INT64_MAX, &packed);
	if (*status == STATUS_NOT_FOUND)
		*status = STATUS_OK;
	attachments->read += *status == STATUS_OK;
	return worker_rest_as_long(&attachments->worker, started_ms, attachments->options.rest_ms);
}

/* False: stop. */
static bool read_batch(struct attachments *attachments, const struct attachment_batch *batch, enum status *status)
{
	for (size_t i = 0; i < batch->count && *status == STATUS_OK; i++) {
		if (!read_one(attachments, batch->account, &batch->sources[i], status))
			return false;
	}
	if (*status == STATUS_OK)
		*status = attachment_batch_done(attachments->extractor->store, attachments->extractor->edition.number, batch);
	return true;
}

/* All accounts, each as far as it goes: one in which something fails keeps no other waiting. */
static bool read_all(struct attachments *attachments)
{
	const struct extractor *extractor = attachments->extractor;
	struct attachment_batch batch = {.account = 1};
	enum status status, trouble = STATUS_OK;
	int64_t account = 1;
	bool goes_on = true;

	attachments->read = 0;
	do {
		struct arena arena SCOPED_ARENA;

		status = attachment_batch_next(extractor->store, &arena, extractor->edition.number, account, &batch);
		if (status != STATUS_OK || batch.account == 0)
			break;
		account = batch.account;
		goes_on = read_batch(attachments, &batch, &status);
		if (status != STATUS_OK) {
			trouble = status;
			account++;
		}
	} while (goes_on);
	if (attachments->read > 0 && attachments->options.indexer)
		indexer_wake(attachments->options.indexer);
	if (status == STATUS_OK)
		status = trouble;
	if (status != STATUS_OK)
		LOG_WARNING(attachments->log, "jobs.attachments_read", LOG_STR("status", status_name(status)),
			    LOG_INT("messages", attachments->read));
	else if (attachments->read > 0)
		LOG_INFO(attachments->log, "jobs.attachments_read", LOG_INT("messages", attachments->read));
	return goes_on;
}

static void *run(void *context)
{
	struct attachments *attachments = context;

	while (read_all(attachments) && worker_rest(&attachments->worker, attachments->options.interval_ms))
		;
	return NULL;
}

struct attachments *attachments_new(const struct attachments_options *options, const struct extractor *extractor,
				    const struct log *log)
{
	struct attachments *attachments = calloc(1, sizeof(*attachments));

	if (!attachments)
		return NULL;
	attachments->options.interval_ms = options->interval_ms > 0 ? options->interval_ms : INTERVAL_MS;
	attachments->options.rest_ms = options->rest_ms > 0 ? options->rest_ms : REST_MS;
	attachments->options.indexer = options->indexer;
	attachments->extractor = extractor;
	attachments->log = log;
	if (worker_start(&attachments->worker, run, attachments))
		return attachments;
	free(attachments);
	return NULL;
}

void attachments_free(struct attachments *attachments)
{
	if (!attachments)
		return;
	worker_stop(&attachments->worker);
	free(attachments);
}
