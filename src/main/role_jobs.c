#include <stdlib.h>

#include "jobs/jobs.h"
#include "main/role.h"
#include "store/store.h"

int role_run_jobs(struct role_setup *setup)
{
	struct jobs_options options = {.change_log_days = setup->config->retention.change_log_days,
	                               .trace_days = setup->config->retention.trace_days};
	struct error error = {0};

	if (!role_enter_sandbox(setup))
		return EXIT_FAILURE;
	struct store *store = role_open_store(setup, &error);
	if (!store) {
		LOG_ERROR(&setup->log, "jobs.no_store", LOG_STR("reason", error.text));
		return EXIT_FAILURE;
	}
	struct ipc *ipc = ipc_new(setup->control_fd, NULL, &(struct ipc_control_handler){0}, NULL, &setup->log);
	struct jobs *jobs = jobs_new(&options, store, &setup->log);
	int status = EXIT_FAILURE;

	ipc_start(ipc);
	if (jobs && role_say_ready(setup)) {
		ipc_wait_for_stop(ipc);
		status = EXIT_SUCCESS;
	}
	if (jobs)
		jobs_free(jobs);
	ipc_free(ipc);
	store_close(store);
	return status;
}
