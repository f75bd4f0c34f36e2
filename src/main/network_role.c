#include "main/network_role.h"

#include <openssl/crypto.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "ipc/sessions.h"
#include "main/role_bans.h"
#include "main/roles.h"
#include "main/session_report.h"

#define STOP_GRACE_MS 5000

struct network_role {
	struct role_setup *setup;
	const struct network_service *service;
	pthread_rwlock_t engine_lock; /* other threads use the engine with it, until there is none */
	struct engine *engine;
	struct tls_context *tls, *tls_asking; /* the other asks clients for a certificate; NULL: nobody does */
	struct role_bans *bans;
};

void network_role_budget(const struct role_setup *setup, struct budget *memory)
{
	const struct config *config = setup->config;
	uint64_t quarter = (uint64_t)sysconf(_SC_PHYS_PAGES) / 4 * (uint64_t)sysconf(_SC_PAGESIZE);

	memory->limit = config->limits.message_memory ? config->limits.message_memory : quarter;
	if (memory->limit < config->limits.message_size)
		memory->limit = config->limits.message_size;
}

struct net_prefix *network_role_prefixes(struct role_setup *setup, char *const *texts, unsigned count, size_t *found)
{
	struct net_prefix *prefixes = ARENA_ARRAY(&setup->arena, struct net_prefix, count + 1);

	*found = 0;
	for (unsigned i = 0; i < count; i++) {
		if (net_prefix_parse(slice_from_cstr(texts[i]), &prefixes[*found]))
			(*found)++;
	}
	return prefixes;
}

struct net_prefix *network_role_exempt(struct role_setup *setup, char *const *texts, unsigned count, size_t *found)
{
	const struct config *config = setup->config;
	unsigned trusted = config->smtp.trusted_networks_count;
	char **all = ARENA_ARRAY(&setup->arena, char *, count + trusted + 1);

	for (unsigned i = 0; i < count; i++)
		all[i] = texts[i];
	for (unsigned i = 0; i < trusted; i++)
		all[count + i] = config->smtp.trusted_networks[i];
	return network_role_prefixes(setup, all, count + trusted, found);
}

static struct engine_limits limits_from(struct role_setup *setup, const struct network_service *service)
{
	const struct config *config = setup->config;
	struct engine_limits limits = {
		.max_threads = config->limits.threads,
		.max_connections = config->limits.connections,
		.max_connections_per_address = config->limits.connections_per_address,
		.max_sessions_per_user = service->holds_users ? config->limits.sessions_per_account : 0,
	};

	limits.exempt = network_role_prefixes(setup, config->limits.exempt, config->limits.exempt_count, &limits.exempt_count);
	return limits;
}

static bool load_certificates(struct network_role *role, const struct tls_pair *pairs, size_t count)
{
	struct arena arena SCOPED_ARENA;
	struct error error = {0};

	arena_init(&arena, 0);
	if (count == 0 ||
	    (tls_context_load(role->tls, pairs, count, &arena, &error) == STATUS_OK &&
	     (!role->tls_asking || tls_context_load(role->tls_asking, pairs, count, &arena, &error) == STATUS_OK)))
		return true;
	LOG_ERROR(&role->setup->log, "role.certificates_refused", LOG_STR("reason", error.text));
	return false;
}

static void make_contexts(struct network_role *role)
{
	struct slice authorities = role->setup->client_authorities;

	role->tls = tls_server_new();
	if (authorities.len > 0) {
		role->tls_asking = tls_server_new();
		tls_server_ask_clients(role->tls_asking, authorities);
	}
}

static void free_contexts(struct network_role *role)
{
	tls_context_free(role->tls);
	tls_context_free(role->tls_asking);
}

static struct tls_context *context_of(const struct network_role *role, const struct network_protocol *protocol,
                                      struct slice listener)
{
	bool asks = role->tls_asking && protocol->asks_clients && role_words_have(protocol->asks_clients, listener);

	return tls_context_has_certificate(role->tls) ? (asks ? role->tls_asking : role->tls) : NULL;
}

/* NULL: the table of roles sends a listener here that this role knows nothing of. */
static const struct network_protocol *protocol_of(const struct network_service *service, struct slice listener)
{
	for (size_t i = 0; i < service->protocol_count; i++) {
		if (role_words_have(service->protocols[i].listeners, listener))
			return &service->protocols[i];
	}
	return NULL;
}

static const void *policy_of(const struct network_role *role, const struct role_listener *listener)
{
	const struct config *config = role->setup->config;

	if (!role->service->policy_of || listener->index >= config->listeners_count)
		return NULL;
	return role->service->policy_of(role->service->context, &config->listeners[listener->index]);
}

static bool add_listener(struct network_role *role, const struct role_listener *listener, const struct net_prefix *proxies,
                         size_t proxy_count)
{
	const struct network_protocol *protocol = protocol_of(role->service, listener->protocol);

	if (!protocol)
		return false;
	struct listener added = {
		.fd = listener->fd,
		.protocol = protocol->protocol,
		.context = protocol->context,
		.tls = context_of(role, protocol, listener->protocol),
		.implicit_tls = role_words_have(protocol->implicit_tls, listener->protocol),
		.name = slice_cstr(&role->setup->arena, listener->protocol),
		.proxy_from = proxies,
		.proxy_from_count = listener->proxy ? proxy_count : 0,
		.refusal = protocol->refusal,
		.policy = policy_of(role, listener),
	};

	if (added.implicit_tls && !added.tls) {
		LOG_ERROR(&role->setup->log, "role.no_certificate", LOG_CSTR("listener", added.name),
		          LOG_CSTR("advice", "set tls.certificates, or remove the listener"));
		return false;
	}
	return engine_add_listener(role->engine, &added) == STATUS_OK;
}

static bool add_listeners(struct network_role *role)
{
	struct role_setup *setup = role->setup;
	size_t proxy_count;
	struct net_prefix *proxies =
		network_role_prefixes(setup, setup->config->limits.proxy_from, setup->config->limits.proxy_from_count, &proxy_count);

	for (size_t i = 0; i < setup->listener_count; i++) {
		if (!add_listener(role, &setup->listeners[i], proxies, proxy_count))
			return false;
	}
	return true;
}

/* ---- what the supervisor says ---- */

static void tell_engine(struct network_role *role, struct slice kind, struct slice payload)
{
	pthread_rwlock_rdlock(&role->engine_lock);
	if (role->engine && slice_eq(kind, SLICE(IPC_SESSION_END)))
		engine_end_user(role->engine, payload);
	else if (role->engine && role->service->announced)
		role->service->announced(role->service->context, role->engine, kind, payload);
	pthread_rwlock_unlock(&role->engine_lock);
}

static void announced(void *context, struct slice kind, struct slice payload)
{
	struct network_role *role = context;

	if (slice_eq(kind, SLICE("ban")))
		role_bans_changed(role->bans);
	else
		tell_engine(role, kind, payload);
}

static enum status answer(void *context, struct ipc_request *request, struct arena *arena, struct buf *reply)
{
	struct network_role *role = context;
	enum status status = STATUS_TEMPORARY;

	if (role->service->asked && request->from != ROLE_SUPERVISOR)
		return role->service->asked(role->service->context, request, arena, reply);
	pthread_rwlock_rdlock(&role->engine_lock);
	if (role->engine)
		status = session_report(role->engine, request, reply);
	pthread_rwlock_unlock(&role->engine_lock);
	return status;
}

/* The ipc's threads live longer than the engine. */
static void stop_engine(struct network_role *role)
{
	struct engine *engine = role->engine;

	pthread_rwlock_wrlock(&role->engine_lock);
	role->engine = NULL;
	pthread_rwlock_unlock(&role->engine_lock);
	engine_stop(engine, STOP_GRACE_MS);
}

static void reload(void *context, struct slice frame)
{
	struct network_role *role = context;
	struct role_configuration configuration;
	struct arena arena SCOPED_ARENA;

	arena_init(&arena, 0);
	if (!role_configuration_unpack(&arena, frame, &configuration))
		return;
	role_take_log_level(role->setup, configuration.config_text);
	if (role->tls_asking && configuration.client_authorities.len > 0)
		tls_server_ask_clients(role->tls_asking, configuration.client_authorities);
	if (load_certificates(role, configuration.pairs, configuration.pair_count))
		LOG_INFO(&role->setup->log, "role.reloaded", LOG_INT("certificates", configuration.pair_count));
}

/* ---- from start to end ---- */

static int serve(struct network_role *role, struct ipc *ipc)
{
	const struct network_service *service = role->service;
	int status = EXIT_FAILURE;

	if (!service->start(service->context, ipc))
		return EXIT_FAILURE;
	role_bans_start(role->bans, service->fetch_bans, service->context);
	ipc_start(ipc);
	if (add_listeners(role) && role_say_ready(role->setup)) {
		engine_start(role->engine);
		ipc_wait_for_stop(ipc);
		status = EXIT_SUCCESS;
	}
	stop_engine(role);
	role_bans_stop(role->bans);
	if (service->quiet)
		service->quiet(service->context);
	return status;
}

int network_role_run(struct role_setup *setup, const struct network_service *service)
{
	static const struct ipc_control_handler control = {.announce = announced, .reload = reload};
	struct network_role role = {.setup = setup, .service = service};
	struct engine_limits limits = limits_from(setup, service);

	/* Before the sandbox: OpenSSL reads its configuration file. */
	OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG, NULL);
	make_contexts(&role);
	if (!load_certificates(&role, setup->pairs, setup->pair_count) || !role_enter_sandbox(setup)) {
		free_contexts(&role);
		return EXIT_FAILURE;
	}
	role.bans = role_bans_new(setup);
	limits.turn_away = role_bans_turn_away;
	limits.turn_away_context = role.bans;
	pthread_rwlock_init(&role.engine_lock, NULL);
	role.engine = engine_new(&limits, &setup->log);
	struct ipc *ipc = ipc_new(setup->control_fd, answer, &control, &role, &setup->log);
	int status = serve(&role, ipc);

	ipc_free(ipc);
	if (service->stop)
		service->stop(service->context);
	role_bans_free(role.bans);
	free_contexts(&role);
	return status;
}
