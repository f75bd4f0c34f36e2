#include <stdlib.h>

#include "deliver/service.h"
#include "guard/service.h"
#include "main/alarm.h"
#include "main/network_role.h"
#include "main/role.h"
#include "store/store.h"

struct deliver_role {
	struct deliver_service *service;
	struct guard_service *guard;
	struct alarm_sender alarm;
};

static enum status handle(void *context, struct ipc_request *request, struct arena *arena, struct buf *reply)
{
	struct deliver_role *role = context;

	if (guard_service_answers(request->type))
		return guard_service_handle(role->guard, request, arena, reply);
	return deliver_service_handle(role->service, request, arena, reply);
}

static void announced(void *context, struct slice kind, struct slice payload)
{
	struct deliver_role *role = context;

	if (slice_eq(kind, SLICE("offence")))
		guard_service_offence(role->guard, payload);
	else
		deliver_service_directory_changed(role->service);
}

static struct deliver_service_options options_from(struct role_setup *setup)
{
	const struct config *config = setup->config;

	return (struct deliver_service_options){
		.unix_domains = role_unix_domains(setup),
		.has_local = config->local.domains_count > 0 || config->local.targets_count > 0,
		.details = detail_rules_of(config->smtp.recipient_separator, config->smtp.detail_folders),
		.max_message_size = config->limits.message_size,
		.smarthost = slice_from_cstr(config->relay.smarthost),
		.hostname = slice_from_cstr(config->hostname),
		.srs = config->relay.srs,
		.require_sender_match = config->smtp.require_sender_match,
		.require_from_match = config->smtp.require_from_match,
		.undo_ms = config->sending.undo_s * INT64_C(1000),
	};
}

static struct guard_service_options guard_options_from(struct role_setup *setup)
{
	const struct config *config = setup->config;
	struct guard_service_options options = {
		.growth = {.first_ms = config->ban.first_s * INT64_C(1000),
			   .longest_ms = config->ban.longest_s * INT64_C(1000),
			   .remember_ms = config->ban.remember_days * INT64_C(86400000)},
		.limits = {config->sending.messages_per_hour, config->sending.recipients_per_hour},
		.greylisting = {.wait_ms = config->greylist.wait_s * INT64_C(1000),
				.window_ms = config->greylist.window_s * INT64_C(1000),
				.remember_ms = config->greylist.remember_days * INT64_C(86400000),
				.passes_before_trust = config->greylist.trust_after},
		.shares_rates = config->rates.shared && slice_starts_with(slice_from_cstr(config->store.url), SLICE("postgresql")),
		.alarm = alarm_account_sends_too_much,
	};

	options.exempt = network_role_exempt(setup, config->ban.exempt, config->ban.exempt_count, &options.exempt_count);
	return options;
}

int role_run_deliver(struct role_setup *setup)
{
	static const struct ipc_control_handler control = {.announce = announced};
	struct deliver_role role = {0};
	struct deliver_service_options options = options_from(setup);
	struct guard_service_options guard = guard_options_from(setup);
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
	role.alarm = (struct alarm_sender){role.service, options.hostname, slice_from_cstr(setup->config->sending.alert_to), &setup->log};
	guard.alarm_context = &role.alarm;
	role.guard = guard_service_new(&guard, store, ipc, &setup->log);
	ipc_start(ipc);
	if (role_say_ready(setup))
		ipc_wait_for_stop(ipc);
	guard_service_free(role.guard);
	ipc_free(ipc);
	deliver_service_free(role.service);
	store_close(store);
	return EXIT_SUCCESS;
}
