#include <stdlib.h>

#include "cli/search_settings.h"
#include "extract/extractor.h"
#include "ipc/metrics.h"
#include "jobs/attachments.h"
#include "jobs/indexer.h"
#include "jobs/jobs.h"
#include "main/role.h"
#include "store/queue.h"
#include "store/store.h"

/* Of the roles that see the queue this one has the most time. */
static void report(void *context, struct metrics_report *report)
{
	struct queue_depth depth;

	if (queue_depth(context, &depth) != STATUS_OK)
		return;
	metrics_set(report->metrics, METRIC_QUEUE, 0, (uint64_t)depth.due);
	metrics_set(report->metrics, METRIC_QUEUE, 1, (uint64_t)depth.waiting);
	metrics_set(report->metrics, METRIC_QUEUE, 2, (uint64_t)depth.in_hand);
	metrics_set(report->metrics, METRIC_QUEUE, 3, (uint64_t)depth.held);
}

static const struct jobs_expiry *expiry_from(const struct config *config, struct arena *arena)
{
	struct jobs_expiry *expire = ARENA_ARRAY(arena, struct jobs_expiry, config->retention.expire_count + 1);

	for (unsigned i = 0; i < config->retention.expire_count; i++)
		expire[i] = (struct jobs_expiry){slice_from_cstr(config->retention.expire[i].mailbox),
						 config->retention.expire[i].after_days};
	return expire;
}

static struct jobs_options options_from(const struct config *config, struct arena *arena, struct ipc *ipc)
{
	return (struct jobs_options){
		.change_log_days = config->retention.change_log_days,
		.trace_days = config->retention.trace_days,
		.deleted_days = config->retention.deleted_days,
		.ban_days = config->ban.remember_days,
		.sending_days = 2, /* the day in which an alarm isn't raised again, and more */
		.greylist_days = config->greylist.remember_days,
		.hostname = slice_from_cstr(config->hostname),
		.quota_percent = config->limits.quota_notice,
		.expire = expiry_from(config, arena),
		.expire_count = config->retention.expire_count,
		.ipc = ipc,
	};
}

/* Works until the supervisor says stop. */
static int work(struct role_setup *setup, struct store *store, struct ipc *ipc)
{
	struct jobs_options options = options_from(setup->config, &setup->arena, ipc);
	bool reads = extract_is_on(setup->config);
	struct extractor_options extractor_options;
	struct extractor extractor;
	int status = EXIT_FAILURE;

	extract_options(setup->config, &setup->arena, &extractor_options);
	extractor_init(&extractor, &extractor_options, store, ipc, &setup->log);
	ipc_set_metrics_reporter(ipc, report, store);
	ipc_start(ipc);
	struct jobs *jobs = jobs_new(&options, store, &setup->log);
	struct indexer *indexer = indexer_new(&(struct indexer_options){.edition = reads ? &extractor.edition : NULL}, store, &setup->log);
	struct attachments *attachments = reads ? attachments_new(&(struct attachments_options){.indexer = indexer}, &extractor, &setup->log) : NULL;

	if (jobs && indexer && (attachments || !reads) && role_say_ready(setup)) {
		ipc_wait_for_stop(ipc);
		status = EXIT_SUCCESS;
	}
	attachments_free(attachments);
	indexer_free(indexer);
	if (jobs)
		jobs_free(jobs);
	return status;
}

int role_run_jobs(struct role_setup *setup)
{
	struct error error = {0};

	if (!role_enter_sandbox(setup))
		return EXIT_FAILURE;
	struct store *store = role_open_store(setup, &error);
	if (!store) {
		LOG_ERROR(&setup->log, "jobs.no_store", LOG_STR("reason", error.text));
		return EXIT_FAILURE;
	}
	struct ipc *ipc = ipc_new(setup->control_fd, NULL, &(struct ipc_control_handler){0}, NULL, &setup->log);
	int status = work(setup, store, ipc);

	ipc_free(ipc);
	store_close(store);
	return status;
}
