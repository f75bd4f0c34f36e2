#include <stdlib.h>

#include "local/service.h"
#include "main/role.h"

static void stop(void *context)
{
	local_service_stop(context);
}

static struct local_service_options options_from(struct role_setup *setup)
{
	const struct config *config = setup->config;
	struct local_target *targets = ARENA_ARRAY(&setup->arena, struct local_target, config->local.targets_count + 1);
	struct slice separator = slice_from_cstr(config->smtp.recipient_separator);

	for (unsigned i = 0; i < config->local.targets_count; i++)
		targets[i] = (struct local_target){slice_from_cstr(config->local.targets[i].name),
						   slice_from_cstr(config->local.targets[i].user),
						   slice_from_cstr(config->local.targets[i].to)};
	return (struct local_service_options){
		.targets = targets,
		.target_count = config->local.targets_count,
		.mailbox = slice_from_cstr(config->local.mailbox),
		.mailbox_command = slice_from_cstr(config->local.mailbox_command),
		.hostname = slice_from_cstr(config->hostname),
		.forward = config->local.forward,
		.minimum_uid = config->local.minimum_uid,
		.time_limit_s = config->local.time_limit_s,
		.separator = separator.len > 0 ? separator.data[0] : '\0',
	};
}

int role_run_local(struct role_setup *setup)
{
	static const struct ipc_control_handler control = {.stop = stop};
	struct local_service_options options = options_from(setup);

	if (!role_enter_sandbox(setup))
		return EXIT_FAILURE;
	struct local_service *service = local_service_new(&options, &setup->log);
	struct ipc *ipc = ipc_new(setup->control_fd, local_service_handle, &control, service, &setup->log);

	ipc_start(ipc);
	if (role_say_ready(setup))
		ipc_wait_for_stop(ipc);
	local_service_stop(service);
	ipc_free(ipc);
	local_service_free(service);
	return EXIT_SUCCESS;
}
