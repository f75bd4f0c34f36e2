#include <stdlib.h>

#include "deliver/service.h"
#include "main/role.h"
#include "store/store.h"

struct deliver_role {
	struct deliver_service *service;
};

static enum status handle(void *context, struct ipc_request *request, struct arena *arena, struct buf *reply)
{
	struct deliver_role *role = context;

	return deliver_service_handle(role->service, request, arena, reply);
}

/* The directory is the only thing this role hears of. */
static void announced(void *context, struct slice kind, struct slice payload)
{
	struct deliver_role *role = context;

	(void)kind;
	(void)payload;
	deliver_service_directory_changed(role->service);
}

static struct deliver_service_options options_from(const struct config *config)
{
	struct slice separator = slice_from_cstr(config->smtp.recipient_separator);

	return (struct deliver_service_options){
		.separator = separator.len > 0 ? separator.data[0] : '\0',
		.max_message_size = config->limits.message_size,
		.smarthost = slice_from_cstr(config->relay.smarthost),
		.hostname = slice_from_cstr(config->hostname),
		.srs = config->relay.srs,
		.require_sender_match = config->smtp.require_sender_match,
	};
}

int role_run_deliver(struct role_setup *setup)
{
	static const struct ipc_control_handler control = {.announce = announced};
	struct deliver_role role = {0};
	struct deliver_service_options options = options_from(setup->config);
	struct error error = {0};

	if (!role_enter_sandbox(setup))
		return EXIT_FAILURE;
	struct store *store = role_open_store(setup, &error);
	if (!store) {
		LOG_ERROR(&setup->log, "deliver.no_store", LOG_STR("reason", error.text));
		return EXIT_FAILURE;
	}
	struct ipc *ipc = ipc_new(setup->control_fd, handle, &control, &role, &setup->log);
	role.service = deliver_service_new(&options, store, ipc, &setup->log);
	ipc_start(ipc);
	if (role_say_ready(setup))
		ipc_wait_for_stop(ipc);
	ipc_free(ipc);
	deliver_service_free(role.service);
	store_close(store);
	return EXIT_SUCCESS;
}
