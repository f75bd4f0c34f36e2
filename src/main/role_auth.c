#include <stdlib.h>

#include "auth/password_scheme.h"
#include "auth/service.h"
#include "guard/client.h"
#include "main/role.h"

struct auth_role {
	struct role_setup *setup;
	struct auth_service *service;
	struct ipc *ipc;
};

/* *tokens NULL: nobody's are taken. */
static bool make_tokens(struct role_setup *setup, const struct config *config, const struct slice *keys, size_t key_count,
			struct token_issuers **tokens)
{
	struct arena arena SCOPED_ARENA;
	struct error error = {0};

	arena_init(&arena, 0);
	struct token_issuer *issuers = ARENA_ARRAY(&arena, struct token_issuer, key_count + 1);

	*tokens = NULL;
	if (key_count == 0 || key_count != config->auth.token_issuers_count)
		return key_count == config->auth.token_issuers_count;
	for (size_t i = 0; i < key_count; i++) {
		const struct config_token_issuer *given = &config->auth.token_issuers[i];

		issuers[i] = (struct token_issuer){slice_from_cstr(given->issuer), slice_from_cstr(given->audience),
						   slice_from_cstr(given->user_claim), keys[i]};
	}
	*tokens = token_issuers_new(issuers, key_count, &arena, &error);
	if (!*tokens)
		LOG_ERROR(&setup->log, "auth.token_keys_refused", LOG_STR("reason", error.text));
	return *tokens != NULL;
}

/* The keys of tokens are taken anew; if they can't be read the former stay. */
static void reload(void *context, struct slice frame)
{
	struct auth_role *role = context;
	struct role_configuration configuration;
	struct arena arena SCOPED_ARENA;
	struct error error = {0};
	struct token_issuers *tokens;

	arena_init(&arena, 0);
	if (!role_configuration_unpack(&arena, frame, &configuration))
		return;
	struct config *config = config_load_text(configuration.config_text, "configuration", &arena, &error);

	role_take_log_level(role->setup, configuration.config_text);
	if (config && make_tokens(role->setup, config, configuration.token_keys, configuration.token_key_count, &tokens))
		auth_service_set_tokens(role->service, tokens);
	config_free(config);
}

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
	static const struct ipc_control_handler control = {.announce = announced, .reload = reload};
	struct auth_role role = {.setup = setup};
	const struct config *config = setup->config;
	struct error error = {0};

	struct token_issuers *tokens;

	if (!auth_warm_up() || !make_tokens(setup, config, setup->token_keys, setup->token_key_count, &tokens) ||
	    !role_enter_sandbox(setup))
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
		.tokens = tokens,
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
