#include <stdlib.h>

#include "auth/password_scheme.h"
#include "auth/service.h"
#include "guard/client.h"
#include "main/role.h"

struct auth_role {
	struct auth_service *service;
	struct ipc *ipc;
};

static enum status handle(void *context, struct ipc_request *request, struct arena *arena, struct buf *reply)
{
	struct auth_role *role = context;

	return auth_service_handle(role->service, request, arena, reply);
}

/* A credential was changed: payload is its address. */
static void announced(void *context, struct slice kind, struct slice payload)
{
	struct auth_role *role = context;

	(void)kind;
	auth_service_forget(role->service, payload);
}

static void report(void *context, const struct net_address *peer)
{
	struct auth_role *role = context;

	guard_report(role->ipc, peer, SLICE("wrong passwords"));
}

int role_run_auth(struct role_setup *setup)
{
	static const struct ipc_control_handler control = {.announce = announced};
	struct auth_role role = {0};
	const struct config *config = setup->config;
	struct error error = {0};

	if (!auth_warm_up() || !role_enter_sandbox(setup))
		return EXIT_FAILURE;
	struct credential_options options = {.url = setup->folder_url, .argon2_memory_kb = config->auth.argon2_memory_kb,
	                                     .argon2_passes = config->auth.argon2_passes, .scram_iterations = config->auth.scram_iterations};
	struct credentials *credentials = credentials_open(&options, &setup->log, &setup->arena, &error);
	if (!credentials) {
		LOG_ERROR(&setup->log, "auth.no_credentials", LOG_STR("reason", error.text));
		return EXIT_FAILURE;
	}
	struct auth_service_options service_options = {
		.check_threads = config->auth.check_threads,
		.remember_s = (int)config->auth.remember_s,
		.failures_before_lockout = config->auth.lockout_failures,
		.lockout_s = (int)config->auth.lockout_s,
		.offence = report,
		.offence_context = &role,
	};
	role.service = auth_service_new(&service_options, credentials, &setup->log);
	struct ipc *ipc = role.ipc = ipc_new(setup->control_fd, handle, &control, &role, &setup->log);
	ipc_start(ipc);
	if (role_say_ready(setup))
		ipc_wait_for_stop(ipc);
	ipc_free(ipc);
	auth_service_free(role.service);
	return EXIT_SUCCESS;
}
