#include <fcntl.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <unistd.h>

#include "ipc/metrics.h"
#include "main/role.h"
#include "net/dns.h"
#include "net/listen.h"
#include "relay/relay.h"
#include "relay/https.h"
#include "relay/way.h"
#include "store/store.h"

#define STOP_GRACE_MS         5000
#define TRUST_ANCHORS_MAX     (4 * 1024 * 1024)
#define RETRY_MAX             32
#define HOPS_REPORTED         20
#define OWN_ADDRESSES_MAX     256
#define SYSTEM_TRUST_ANCHORS  "/etc/ssl/certs/ca-certificates.crt"

struct relay_role {
	struct relay *relay;
};

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

/* Empty if it isn't there. */
static struct slice read_file(struct arena *arena, const char *path)
{
	__attribute__((cleanup(close_fd))) int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct buf text;
	ssize_t got = 1;

	buf_init(&text, arena, TRUST_ANCHORS_MAX);
	while (fd >= 0 && got > 0) {
		char *room = buf_reserve(&text, 65536);

		got = room ? read(fd, room, 65536) : -1;
		if (got > 0)
			buf_advance(&text, (size_t)got);
	}
	return got < 0 ? SLICE_EMPTY : buf_slice(&text);
}

static struct slice *slices_from(struct arena *arena, char *const *texts, unsigned count)
{
	struct slice *slices = ARENA_ARRAY(arena, struct slice, count + 1);

	for (unsigned i = 0; i < count; i++)
		slices[i] = slice_from_cstr(texts[i]);
	return slices;
}

struct dns *role_make_dns(struct role_setup *setup, int timeout_ms)
{
	const struct config *config = setup->config;
	struct dns_options options = {
		.forwarders = slices_from(&setup->arena, config->dns.forwarders, config->dns.forwarders_count),
		.forwarder_count = config->dns.forwarders_count,
		.insecure_domains = slices_from(&setup->arena, config->dns.insecure_domains, config->dns.insecure_domains_count),
		.insecure_domain_count = config->dns.insecure_domains_count,
		.timeout_ms = timeout_ms,
	};
	struct error error = {0};

	if (config->dns.trust_anchor_file)
		options.trust_anchor_text = read_file(&setup->arena, config->dns.trust_anchor_file);
	struct dns *dns = dns_new(&options, &setup->arena, &error);
	if (!dns)
		LOG_ERROR(&setup->log, "role.no_dns", LOG_STR("reason", error.text));
	return dns;
}

/* ---- options ---- */

static int64_t duration(const char *text)
{
	int64_t ms = 0;

	return text && config_duration(slice_from_cstr(text), &ms) ? ms : 0;
}

static void set_retries(struct role_setup *setup, struct relay_options *options)
{
	struct slice rest = slice_from_cstr(setup->config->relay.retry);
	int64_t *retries = ARENA_ARRAY(&setup->arena, int64_t, RETRY_MAX);
	int64_t ms;

	while (options->retry_count < RETRY_MAX && config_next_duration(&rest, &ms))
		retries[options->retry_count++] = ms;
	options->retry_ms = retries;
}

static bool is_any(const struct net_address *address)
{
	static const uint8_t zeros[16];

	return memcmp(address->bytes, zeros, sizeof(zeros)) == 0;
}

/* With the machine's addresses in place of 0.0.0.0 and ::; the latter takes IPv4 as well. */
static void add_own_address(struct relay_options *options, struct net_address *own, const struct net_address *listener,
			    const struct ifaddrs *interfaces)
{
	if (!is_any(listener)) {
		own[options->own_address_count++] = *listener;
		return;
	}
	for (const struct ifaddrs *at = interfaces; at && options->own_address_count < OWN_ADDRESSES_MAX; at = at->ifa_next) {
		struct sockaddr_storage sockaddr = {0};
		int family = at->ifa_addr ? at->ifa_addr->sa_family : 0;

		if (family != AF_INET && family != AF_INET6)
			continue;
		if (family == AF_INET6 && listener->family == AF_INET)
			continue;
		memcpy(&sockaddr, at->ifa_addr, family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
		own[options->own_address_count] = net_address_from_sockaddr(&sockaddr);
		own[options->own_address_count++].port = listener->port;
	}
}

/* Where the smtp listeners are: an exchanger there would be ourselves. */
static void set_own_addresses(struct role_setup *setup, struct relay_options *options)
{
	const struct config *config = setup->config;
	struct net_address *own = ARENA_ARRAY(&setup->arena, struct net_address, OWN_ADDRESSES_MAX), listener;
	struct ifaddrs *interfaces = NULL;

	if (getifaddrs(&interfaces) != 0)
		LOG_WARNING(&setup->log, "relay.no_interfaces",
			    LOG_CSTR("advice", "name the addresses of the smtp listeners, so that loops are seen"));
	for (unsigned i = 0; i < config->listeners_count && options->own_address_count < OWN_ADDRESSES_MAX; i++)
		if (slice_eq(slice_from_cstr(config->listeners[i].protocol), SLICE("smtp")) &&
		    listen_parse(slice_from_cstr(config->listeners[i].address), &listener))
			add_own_address(options, own, &listener, interfaces);
	freeifaddrs(interfaces);
	options->own_addresses = own;
}

static void take_source(const char *text, struct net_address *four, struct net_address *six)
{
	struct net_address address;

	if (text && net_address_parse(slice_from_cstr(text), &address))
		*(address.family == AF_INET6 ? six : four) = address;
}

static int family_of(const char *versions)
{
	if (slice_eq(slice_from_cstr(versions), SLICE("ipv4")))
		return AF_INET;
	return slice_eq(slice_from_cstr(versions), SLICE("ipv6")) ? AF_INET6 : 0;
}

#define MINUTE_MS 60000

static void set_destinations(struct role_setup *setup, struct relay_options *options)
{
	const struct config *config = setup->config;
	struct relay_destination *destinations = ARENA_ARRAY(&setup->arena, struct relay_destination, config->relay.destinations_count + 1);

	for (unsigned i = 0; i < config->relay.destinations_count; i++) {
		const struct config_destination *set = &config->relay.destinations[i];
		int64_t by_rate = set->messages_per_minute > 0 ? MINUTE_MS / set->messages_per_minute : 0, delay = set->delay_s * 1000LL;

		destinations[i] = (struct relay_destination){
			.pattern = slice_from_cstr(set->domain),
			.connections = set->connections,
			.interval_ms = by_rate > delay ? by_rate : delay,
			.hello_name = slice_from_cstr(set->hello_name),
		};
		take_source(set->source_address, &destinations[i].source_four, &destinations[i].source_six);
		take_source(set->source_address_ipv6, &destinations[i].source_four, &destinations[i].source_six);
	}
	options->destinations = destinations;
	options->destination_count = config->relay.destinations_count;
}

static struct relay_timeouts timeouts_from(const struct config *config)
{
	int command_ms = (int)config->relay.command_timeout_s * 1000, data_ms = (int)config->relay.data_timeout_s * 1000;

	return (struct relay_timeouts){
		.connect_ms = (int)config->relay.connect_timeout_s * 1000,
		.greeting_ms = command_ms,
		.command_ms = command_ms,
		.data_ms = data_ms,
		.block_ms = data_ms,
		.end_of_data_ms = (int)config->relay.end_timeout_s * 1000,
	};
}

static struct slice tls_reports_from(struct role_setup *setup)
{
	const struct config *config = setup->config;
	const struct slice postmaster[] = {SLICE("postmaster@"), slice_from_cstr(config->hostname)};

	if (!config->relay.tls_reports)
		return SLICE_EMPTY;
	return config->relay.tls_reports_from ? slice_from_cstr(config->relay.tls_reports_from) : slice_join(&setup->arena, postmaster, 2);
}

static struct relay_options options_from(struct role_setup *setup)
{
	const struct config *config = setup->config;
	uint32_t port = 25;
	struct relay_options options = {
		.hostname = slice_from_cstr(config->hostname),
		.hello_name = slice_from_cstr(config->relay.hello_name),
		.smarthost = slice_from_cstr(config->relay.smarthost),
		.smarthost_user = slice_from_cstr(config->relay.smarthost_user),
		.smarthost_password = setup->smarthost_password,
		.concurrency = config->relay.concurrency,
		.concurrency_per_hop = config->relay.concurrency_per_hop,
		.concurrency_per_sender = config->relay.concurrency_per_sender,
		.interval_ms = config->relay.delivery_delay_s * 1000LL,
		.messages_per_connection = config->relay.messages_per_connection,
		.timeouts = timeouts_from(config),
		.expire_ms = duration(config->relay.expire),
		.warn_after_ms = duration(config->relay.warn_after),
		.double_bounce_to = slice_from_cstr(config->relay.double_bounce),
		.unix_domains = role_unix_domains(setup),
		.tls_reports_from = tls_reports_from(setup),
		.tls_reports_spread_ms = config->relay.tls_reports_spread_s * INT64_C(1000),
		.local_wait_ms = ((int)config->local.time_limit_s + 60) * 1000,
		.details = detail_rules_of(config->smtp.recipient_separator, config->smtp.detail_folders),
	};

	if (!relay_tls_parse(slice_from_cstr(config->relay.smarthost_tls), &options.smarthost_tls))
		options.smarthost_tls = RELAY_TLS_REQUIRED;
	if (config->relay.port && slice_to_u32(slice_from_cstr(config->relay.port), 65535, &port))
		options.port = (uint16_t)port;
	take_source(config->relay.source_address, &options.source_four, &options.source_six);
	take_source(config->relay.source_address_ipv6, &options.source_four, &options.source_six);
	options.family = family_of(config->relay.ip_versions);
	set_retries(setup, &options);
	set_destinations(setup, &options);
	set_own_addresses(setup, &options);
	return options;
}

/* ---- from start to end ---- */

/* "queue": something new; with the payload "retry": somebody wants it tried now; "retry example.org": what is for that domain; "later": something new
 * that isn't due yet; "due": due times have changed. */
static void announced(void *context, struct slice kind, struct slice payload)
{
	struct relay_role *role = context;

	(void)kind;
	if (slice_eq(payload, SLICE("retry")))
		relay_retry(role->relay);
	else if (slice_starts_with(payload, SLICE("retry ")))
		relay_retry_domain(role->relay, slice_skip(payload, sizeof("retry ") - 1));
	else if (slice_eq(payload, SLICE("later")))
		relay_expect(role->relay);
	else if (slice_eq(payload, SLICE("due")))
		relay_look_again(role->relay);
	else
		relay_wake(role->relay);
}

static void report_hops(struct relay *relay, struct metrics_report *report)
{
	struct arena arena SCOPED_ARENA;
	struct relay_hop_count hops[HOPS_REPORTED];
	size_t count = relay_hop_counts(relay, &arena, hops, HOPS_REPORTED);

	for (size_t i = 0; i < count; i++) {
		metrics_report_add(report, METRIC_RELAY_HOP_CONNECTIONS, hops[i].name, hops[i].active);
		metrics_report_add(report, METRIC_RELAY_HOP_IN_HAND, hops[i].name, hops[i].in_hand);
	}
}

static void report(void *context, struct metrics_report *report)
{
	struct relay_role *role = context;
	struct relay_counts counts = relay_counts(role->relay);
	struct metrics *metrics = report->metrics;

	metrics_set(metrics, METRIC_RELAY_RECIPIENTS, 0, counts.delivered);
	metrics_set(metrics, METRIC_RELAY_RECIPIENTS, 1, counts.deferred);
	metrics_set(metrics, METRIC_RELAY_RECIPIENTS, 2, counts.failed);
	metrics_set(metrics, METRIC_RELAY_BOUNCES, 0, counts.bounces);
	metrics_set(metrics, METRIC_RELAY_CONNECTIONS, 0, counts.connections);
	metrics_set(metrics, METRIC_RELAY_TRANSACTIONS, 0, counts.transactions);
	metrics_set(metrics, METRIC_RELAY_IN_HAND, 0, counts.in_hand);
	metrics_set(metrics, METRIC_RELAY_WORKERS, 0, counts.workers);
	metrics_set(metrics, METRIC_RELAY_HOPS, 0, counts.hops);
	report_hops(role->relay, report);
}

static int serve(struct role_setup *setup, struct relay_environment *environment, const struct relay_options *options)
{
	static const struct ipc_control_handler control = {.announce = announced};
	struct relay_role role = {0};
	int status = EXIT_FAILURE;

	environment->ipc = ipc_new(setup->control_fd, NULL, &control, &role, &setup->log);
	role.relay = relay_new(options, environment);
	ipc_set_metrics_reporter(environment->ipc, report, &role);
	ipc_start(environment->ipc);
	relay_start(role.relay);
	if (role_say_ready(setup)) {
		ipc_wait_for_stop(environment->ipc);
		status = EXIT_SUCCESS;
	}
	relay_stop(role.relay, STOP_GRACE_MS);
	ipc_free(environment->ipc);
	relay_free(role.relay);
	return status;
}

static struct slice read_trust_anchors(struct role_setup *setup)
{
	const char *path = setup->config->relay.ca_file ? setup->config->relay.ca_file : SYSTEM_TRUST_ANCHORS;
	struct slice anchors = read_file(&setup->arena, path);

	if (anchors.len == 0)
		LOG_WARNING(&setup->log, "relay.no_trust_anchors", LOG_CSTR("file", path),
			    LOG_CSTR("advice", "install ca-certificates, or set relay.ca_file"));
	return anchors;
}

static uint16_t sts_port(const struct config *config)
{
	uint32_t port = 443;

	return config->relay.sts_port && !slice_to_u32(slice_from_cstr(config->relay.sts_port), 65535, &port) ? 443
													      : (uint16_t)port;
}

int role_run_relay(struct role_setup *setup)
{
	struct relay_options options = options_from(setup);
	struct relay_environment environment = {.log = &setup->log, .sts_port = sts_port(setup->config)};
	struct error error = {0};
	int status = EXIT_FAILURE;
	struct seal_key key = {0};

	if (setup->seal_key.len == sizeof(key.bytes))
		memcpy(key.bytes, setup->seal_key.data, sizeof(key.bytes));
	environment.seal_key = &key;
	OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG, NULL);
	environment.tls_opportunistic = tls_client_new(SLICE_EMPTY);
	https_global_init();
	environment.trust_anchors = read_trust_anchors(setup);
	environment.tls_verified = tls_client_new(environment.trust_anchors);
	struct dns *dns = role_make_dns(setup, 0);
	if (dns && role_enter_sandbox(setup)) {
		environment.resolver = resolver_from_dns(dns);
		environment.store = role_open_store(setup, &error);
		if (environment.store) {
			status = serve(setup, &environment, &options);
			store_close(environment.store);
		} else {
			LOG_ERROR(&setup->log, "relay.no_store", LOG_STR("reason", error.text));
		}
	}
	dns_free(dns);
	tls_context_free(environment.tls_verified);
	tls_context_free(environment.tls_opportunistic);
	return status;
}
