#include <stdlib.h>
#include <sys/resource.h>

#include "cli/search_settings.h"
#include "extract/service.h"
#include "main/landlock.h"
#include "main/role.h"

/* Whoever serves goes first. */
#define NICE 10

static void stop(void *context)
{
	convert_service_stop(context);
}

int role_run_convert(struct role_setup *setup)
{
	static const struct ipc_control_handler control = {.stop = stop};
	const struct config *config = setup->config;
	struct convert_service_options options = {
		.at_once = config->search.converters_at_once,
		.time_s = config->search.converter_time_s,
		.memory = config->search.converter_memory,
		.only_internal = !landlock_is_known(),
	};

	extract_converters(config, &setup->arena, &options.converters);
	(void)setpriority(PRIO_PROCESS, 0, NICE);
	if (!role_enter_sandbox(setup))
		return EXIT_FAILURE;
	if (options.only_internal)
		LOG_WARNING(
			&setup->log, "convert.only_internal",
			LOG_CSTR("advice", "without Landlock no program of search.converters is run; use Linux 5.13 or later"));
	struct convert_service *service = convert_service_new(&options, &setup->log);
	struct ipc *ipc = ipc_new(setup->control_fd, convert_service_handle, &control, service, &setup->log);

	ipc_start(ipc);
	if (role_say_ready(setup))
		ipc_wait_for_stop(ipc);
	convert_service_stop(service);
	ipc_free(ipc);
	convert_service_free(service);
	return EXIT_SUCCESS;
}
