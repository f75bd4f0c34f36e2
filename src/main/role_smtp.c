#include <pwd.h>
#include <stdlib.h>

#include "guard/client.h"
#include "guard/door.h"
#include "main/network_role.h"
#include "milter/client.h"
#include "milter/policy.h"
#include "net/dns.h"
#include "smtp/smtp.h"

static enum smtp_plaintext plaintext_from(struct slice name)
{
	if (slice_eq(name, SLICE("never")))
		return SMTP_PLAINTEXT_NEVER;
	return slice_eq(name, SLICE("always")) ? SMTP_PLAINTEXT_ALWAYS : SMTP_PLAINTEXT_LOOPBACK;
}

/* Before the sandbox: names are looked up where the system keeps them. */
static const struct smtp_local_rule *local_rules_from(struct role_setup *setup, size_t *count)
{
	const struct config *config = setup->config;
	struct smtp_local_rule *rules =
		ARENA_ARRAY(&setup->arena, struct smtp_local_rule, config->smtp.local_senders_count + 1);

	*count = 0;
	for (unsigned i = 0; i < config->smtp.local_senders_count; i++) {
		struct slice senders = slice_from_cstr(config->smtp.local_senders[i]), user = slice_cut(&senders, ':');
		struct passwd *entry = getpwnam(slice_cstr(&setup->arena, user));
		bool is_everybody = slice_eq(user, SLICE("*"));

		if (entry || is_everybody)
			rules[(*count)++] = (struct smtp_local_rule){is_everybody, entry ? entry->pw_uid : 0, senders};
		else
			LOG_WARNING(&setup->log, "smtp.no_such_user", LOG_STR("user", user),
				    LOG_CSTR("setting", "smtp.local_senders"));
	}
	return rules;
}

static enum smtp_vrfy vrfy_from(struct slice name)
{
	if (slice_eq(name, SLICE("always")))
		return SMTP_VRFY_ALWAYS;
	return slice_eq(name, SLICE("trusted")) ? SMTP_VRFY_TRUSTED : SMTP_VRFY_NEVER;
}

static struct smtp_options options_from(struct role_setup *setup)
{
	const struct config *config = setup->config;
	struct smtp_options options = {
		.hostname = slice_from_cstr(config->hostname),
		.max_message_size = config->limits.message_size,
		.max_recipients = config->limits.recipients,
		.max_received_hops = config->limits.received_hops,
		.command_timeout_ms = (int)config->limits.command_timeout_s * 1000,
		.session_timeout_ms = (int64_t)config->limits.session_timeout_s * 1000,
		.strict_pipelining = config->smtp.strict_pipelining,
		.plaintext = plaintext_from(slice_from_cstr(config->auth.plaintext)),
		.takes_tokens = config->auth.token_issuers_count > 0,
		.deliver_by_min_s = (int)config->smtp.deliver_by_min_s,
		.users_may_raise = slice_eq(slice_from_cstr(config->smtp.priority), SLICE("users")),
		.future_release_ms = config->smtp.future_release_s * INT64_C(1000),
	};

	for (unsigned i = 0; i < config->listeners_count; i++)
		options.burl |= slice_starts_with(slice_from_cstr(config->listeners[i].protocol), SLICE("imap"));
	options.vrfy = vrfy_from(slice_from_cstr(config->smtp.vrfy));
	options.expn = vrfy_from(slice_from_cstr(config->smtp.expn));
	options.etrn = vrfy_from(slice_from_cstr(config->smtp.etrn));
	options.origin = slice_from_cstr(config->smtp.origin);
	options.local_rules = local_rules_from(setup, &options.local_rule_count);
	options.trusted =
		network_role_prefixes(setup, config->smtp.trusted_networks, config->smtp.trusted_networks_count, &options.trusted_count);
	options.xclient_from =
		network_role_prefixes(setup, config->smtp.xclient_from, config->smtp.xclient_from_count, &options.xclient_from_count);
	options.xforward_from =
		network_role_prefixes(setup, config->smtp.xforward_from, config->smtp.xforward_from_count, &options.xforward_from_count);
	return options;
}

/* ---- the door ---- */

#define OFFENCES_PER_S 600

static struct rate per_minute(unsigned count)
{
	return (struct rate){count, 60};
}

static enum door_sender_policy sender_policy_from(struct slice name)
{
	if (slice_eq(name, SLICE("refuse")))
		return DOOR_SENDER_REFUSE;
	return slice_eq(name, SLICE("defer")) ? DOOR_SENDER_DEFER : DOOR_SENDER_ANY;
}

static int compare_slices(const void *left, const void *right)
{
	return slice_compare(*(const struct slice *)left, *(const struct slice *)right);
}

static const struct slice *traps_from(struct role_setup *setup)
{
	const struct config *config = setup->config;
	struct slice *traps = ARENA_ARRAY(&setup->arena, struct slice, config->ban.traps_count + 1);

	for (unsigned i = 0; i < config->ban.traps_count; i++)
		traps[i] = slice_lower(&setup->arena, slice_from_cstr(config->ban.traps[i]));
	qsort(traps, config->ban.traps_count, sizeof(*traps), compare_slices);
	return traps;
}

static struct door_options door_options_from(struct role_setup *setup)
{
	const struct config *config = setup->config;
	struct door_options options = {
		.rates = {.connections = per_minute(config->rates.connections),
			  .messages = per_minute(config->rates.messages),
			  .recipients = per_minute(config->rates.recipients),
			  .failures = per_minute(config->rates.failures),
			  .network_factor = config->rates.network_factor,
			  .domain_messages = per_minute(config->rates.domain_messages),
			  .account_messages = per_minute(config->rates.account_messages),
			  .unknown_recipients = {config->ban.unknown_recipients, OFFENCES_PER_S},
			  .early_talkers = {config->ban.early_talkers, OFFENCES_PER_S}},
		.delays = {.greeting_ms = (int)config->delay.greeting_s * 1000,
			   .remember_s = config->delay.remember_s,
			   .free_failures = config->delay.free_failures,
			   .step_ms = (int)config->delay.step_s * 1000,
			   .longest_ms = (int)config->delay.longest_s * 1000},
		.limits_accounts = config->sending.messages_per_hour > 0 || config->sending.recipients_per_hour > 0,
		.greylists = config->greylist.enabled,
		.shares_rates = config->rates.shared,
		.greylist_at = (int)config->screen.greylist_at,
		.tempfail_at = (int)config->screen.tempfail_at,
		.reject_at = (int)config->screen.reject_at,
		.unknown_sender = sender_policy_from(slice_from_cstr(config->screen.unknown_sender)),
		.traps = traps_from(setup),
		.trap_count = config->ban.traps_count,
	};

	options.exempt = network_role_exempt(setup, config->rates.exempt, config->rates.exempt_count, &options.exempt_count);
	return options;
}

static struct screen_options screen_options_from(struct role_setup *setup)
{
	const struct config *config = setup->config;
	struct dnslist *lists = ARENA_ARRAY(&setup->arena, struct dnslist, config->screen.lists_count + 1);
	struct screen_options options = {
		.lists = lists,
		.no_reverse_points = (int)config->screen.no_reverse,
		.no_pointer_points = (int)config->screen.no_pointer,
		.bad_hello_points = (int)config->screen.bad_hello,
		.malformed_hello_points = (int)config->screen.malformed_hello,
		.timeout_ms = (int)config->screen.timeout_s * 1000,
		.hostname = slice_from_cstr(config->hostname),
	};

	for (unsigned i = 0; i < config->screen.lists_count; i++)
		if (dnslist_parse(slice_from_cstr(config->screen.lists[i]), &lists[options.list_count]))
			options.list_count++;
	return options;
}

/* ---- milters ---- */

static enum milter_otherwise otherwise_from(struct slice action)
{
	if (slice_eq(action, SLICE("accept")))
		return MILTER_ELSE_ACCEPT;
	if (slice_eq(action, SLICE("quarantine")))
		return MILTER_ELSE_QUARANTINE;
	return slice_eq(action, SLICE("reject")) ? MILTER_ELSE_REJECT : MILTER_ELSE_TEMPFAIL;
}

/* ---- listeners ---- */

static enum smtp_tls tls_from(struct slice name)
{
	if (slice_eq(name, SLICE("required")))
		return SMTP_TLS_REQUIRED;
	return slice_eq(name, SLICE("off")) ? SMTP_TLS_OFF : SMTP_TLS_OFFERED;
}

static enum smtp_auth auth_from(struct slice name, struct slice protocol)
{
	if (slice_eq(name, SLICE("usual")))
		return slice_starts_with(protocol, SLICE("submission")) ? SMTP_AUTH_REQUIRED : SMTP_AUTH_OFF;
	if (slice_eq(name, SLICE("required")))
		return SMTP_AUTH_REQUIRED;
	return slice_eq(name, SLICE("offered")) ? SMTP_AUTH_OFFERED : SMTP_AUTH_OFF;
}

struct smtp_role {
	struct role_setup *setup;
	struct budget memory;
	struct smtp_context smtp;
	struct door_options door;
	struct screen_options screen;
	struct dns *dns; /* NULL: nothing is asked */
};

static int dial(void *context, struct slice address, int timeout_ms)
{
	const struct smtp_role *role = context;

	return ipc_dial(role->smtp.ipc, address, timeout_ms);
}

static void start_milters(struct smtp_role *role)
{
	struct role_setup *setup = role->setup;
	const struct config *config = setup->config;
	struct smtp_milter *milters = ARENA_ARRAY(&setup->arena, struct smtp_milter, config->smtp.milters_count + 1);

	for (unsigned i = 0; i < config->smtp.milters_count; i++) {
		const struct config_milter *wanted = &config->smtp.milters[i];
		struct milter_options options = {
			.address = slice_from_cstr(wanted->address),
			.otherwise = otherwise_from(slice_from_cstr(wanted->default_action)),
			.connect_timeout_ms = (int)wanted->connect_timeout_s * 1000,
			.command_timeout_ms = (int)wanted->command_timeout_s * 1000,
			.content_timeout_ms = (int)wanted->content_timeout_s * 1000,
			.max_body_size = config->limits.message_size,
		};

		milters[i].service = milter_service_new(&options, dial, role, &setup->log);
		milters[i].listeners = slice_from_cstr(wanted->listeners);
	}
	role->smtp.milters = milters;
	role->smtp.milter_count = config->smtp.milters_count;
}

static unsigned stages_from(struct slice names)
{
	unsigned stages = 0;

	while (names.len > 0)
		stages |= policy_stage_parse(slice_cut(&names, ' '));
	return stages;
}

static void start_policies(struct smtp_role *role)
{
	struct role_setup *setup = role->setup;
	const struct config *config = setup->config;
	struct smtp_policy_service *policies = ARENA_ARRAY(&setup->arena, struct smtp_policy_service, config->smtp.policy_services_count + 1);

	for (unsigned i = 0; i < config->smtp.policy_services_count; i++) {
		const struct config_policy *wanted = &config->smtp.policy_services[i];
		struct policy_options options = {
			.address = slice_from_cstr(wanted->address),
			.context = slice_from_cstr(wanted->context),
			.stages = stages_from(slice_from_cstr(wanted->stages)),
			.timeout_ms = (int)wanted->timeout_s * 1000,
			.default_action = slice_from_cstr(wanted->default_action),
		};

		policies[i].service = policy_service_new(&options, dial, role, &setup->log);
		policies[i].listeners = slice_from_cstr(wanted->listeners);
	}
	role->smtp.policies = policies;
	role->smtp.policy_count = config->smtp.policy_services_count;
}

static bool leads_back(struct dns *dns, struct arena *arena, struct slice name, const struct net_address *peer, bool *in_doubt)
{
	struct net_address *addresses;
	enum status status;
	size_t count;
	bool secure;

	status = dns_addresses(dns, arena, name, &addresses, &count, &secure);
	*in_doubt |= status == STATUS_TEMPORARY;
	for (size_t i = 0; status == STATUS_OK && i < count; i++)
		if (addresses[i].family == peer->family && memcmp(addresses[i].bytes, peer->bytes, sizeof(peer->bytes)) == 0)
			return true;
	return false;
}

#define NAMES_MAX 4

/* RFC 8601 section 3. */
static void name_client(void *context, struct arena *arena, const struct net_address *peer, struct smtp_client_names *names)
{
	const struct smtp_role *role = context;
	struct arena scratch SCOPED_ARENA;
	struct slice *found;
	size_t count;
	bool in_doubt = false;
	enum status status = dns_reverse(role->dns, &scratch, peer, &found, &count);

	for (size_t i = 0; status == STATUS_OK && i < count && i < NAMES_MAX; i++) {
		if (i == 0)
			names->ptr = slice_dup(arena, found[i]);
		if (!leads_back(role->dns, &scratch, found[i], peer, &in_doubt))
			continue;
		names->name = slice_dup(arena, found[i]);
		break;
	}
	names->resolve = names->name.len > 0               ? SLICE("OK")
			 : status == STATUS_NOT_FOUND      ? SLICE("FAIL")
			 : status != STATUS_OK || in_doubt ? SLICE("TEMP")
							   : SLICE("FORGED");
}

static const void *policy_of(void *context, const struct config_listener *listener)
{
	const struct smtp_role *role = context;
	struct smtp_policy *policy = ARENA_NEW(&role->setup->arena, struct smtp_policy);
	struct slice hostname = slice_from_cstr(listener->hostname);

	*policy = (struct smtp_policy){
		.tls = tls_from(slice_from_cstr(listener->tls)),
		.auth = auth_from(slice_from_cstr(listener->auth), slice_from_cstr(listener->protocol)),
		.is_unscreened = !listener->screen,
		.no_relay = !listener->relay,
		.hostname = hostname,
		.max_message_size = listener->message_size,
		.max_recipients = listener->recipients,
	};
	return policy;
}

static bool start(void *context, struct ipc *ipc)
{
	struct smtp_role *role = context;

	role->smtp.ipc = ipc;
	start_milters(role);
	start_policies(role);
	if (role->dns && role->setup->config->smtp.resolve_clients) {
		role->smtp.name_client = name_client;
		role->smtp.name_context = role;
	}
	if (role->dns) {
		struct screen_resolver resolver = screen_resolver_from_dns(role->dns);

		role->door.screen = screen_new(&role->screen, &resolver, role->smtp.log);
	}
	role->smtp.door = door_new(&role->door, ipc, role->smtp.log);
	return true;
}

static void quiet(void *context)
{
	struct smtp_role *role = context;

	door_stop_sharing(role->smtp.door);
}

static void stop(void *context)
{
	struct smtp_role *role = context;

	for (size_t i = 0; i < role->smtp.milter_count; i++)
		milter_service_free(role->smtp.milters[i].service);
	for (size_t i = 0; i < role->smtp.policy_count; i++)
		policy_service_free(role->smtp.policies[i].service);
	door_free(role->smtp.door);
	screen_free(role->door.screen);
}

static bool fetch_bans(void *context, struct arena *arena, struct ban **bans, size_t *count)
{
	struct smtp_role *role = context;

	return guard_fetch_bans(role->smtp.ipc, arena, bans, count);
}

int role_run_smtp(struct role_setup *setup)
{
	struct smtp_role role = {.setup = setup,
				 .smtp = {.options = options_from(setup), .log = &setup->log},
				 .door = door_options_from(setup),
				 .screen = screen_options_from(setup)};
	const struct network_protocol protocol = {"smtp submission submissions lmtp local", "submissions", "submission submissions", &smtp_protocol, &role.smtp,
						   SMTP_REFUSAL};
	struct network_service service = {.protocols = &protocol, .protocol_count = 1, .context = &role, .start = start,
					  .quiet = quiet, .stop = stop, .fetch_bans = fetch_bans, .policy_of = policy_of};

	network_role_budget(setup, &role.memory);
	role.smtp.options.memory = &role.memory;
	if (role_asks_dns(setup)) {
		role.dns = role_make_dns(setup, role.screen.timeout_ms);
		if (!role.dns)
			return EXIT_FAILURE;
	}
	int status = network_role_run(setup, &service);

	dns_free(role.dns);
	return status;
}
