/* The relay's life.
 *
 * Lock order: relay->lock, then the recorder's. Neither is held while the store or a peer is asked. */
#include "relay/relay.h"

#include <stdlib.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/thread.h"
#include "relay/feeder.h"
#include "relay/keeper.h"
#include "relay/relay_internal.h"
#include "relay/reporter.h"
#include "relay/way.h"
#include "store/routing.h"

#define SUSPENSION_MAX_MS (60 * 1000) /* of the first one, which is never longer than the first retry */

static const int64_t RETRY_DEFAULT_MS[] = {300000, 600000, 1200000, 2400000, 3600000, 7200000, 14400000};

bool relay_tls_parse(struct slice name, enum relay_tls *policy)
{
	static const struct slice NAMES[] = {SLICE("opportunistic"), SLICE("required"), SLICE("none"), SLICE("encrypted"),
						 SLICE("dane")};

	for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++)
		if (slice_eq_nocase(name, NAMES[i])) {
			*policy = (enum relay_tls)i;
			return true;
		}
	return false;
}

/* ---- what the recorder tells ---- */

static void recorded(void *context, struct parcel *parcels, int64_t due_ms, bool queued)
{
	struct relay *relay = context;
	struct parcel *parcel, *next;

	pthread_mutex_lock(&relay->lock);
	DL_FOREACH_SAFE(parcels, parcel, next)
	scheduler_forget(relay->scheduler, parcel);
	relay->woken |= queued;
	if (relay->woken || relay->scheduler->is_hungry || due_ms < relay->next_due_ms)
		pthread_cond_signal(&relay->feed);
	if (due_ms < relay->next_due_ms)
		relay->next_due_ms = due_ms;
	pthread_mutex_unlock(&relay->lock);
}

/* ---- life ---- */

static void copy_options(struct relay *relay, const struct relay_options *given)
{
	struct relay_options *options = &relay->options;
	struct arena *arena = &relay->arena;
	struct relay_destination *destinations;
	int64_t *retry;
	struct net_address *own;

	*options = *given;
	options->hostname = slice_lower(arena, given->hostname);
	options->hello_name = slice_dup(arena, given->hello_name);
	options->smarthost = slice_lower(arena, given->smarthost);
	options->double_bounce_to = slice_dup(arena, given->double_bounce_to);
	options->tls_reports_from = slice_dup(arena, given->tls_reports_from);
	options->smarthost_user = slice_dup(arena, given->smarthost_user);
	options->smarthost_password = slice_dup(arena, given->smarthost_password);
	options->node = slice_dup(arena, given->node.len > 0 ? given->node : given->hostname);
	own = ARENA_ARRAY(arena, struct net_address, given->own_address_count + 1);
	if (given->own_address_count > 0)
		memcpy(own, given->own_addresses, given->own_address_count * sizeof(*own));
	options->own_addresses = own;
	options->retry_count =
		given->retry_count > 0 ? given->retry_count : sizeof(RETRY_DEFAULT_MS) / sizeof(RETRY_DEFAULT_MS[0]);
	destinations = ARENA_ARRAY(arena, struct relay_destination, given->destination_count + 1);
	for (size_t i = 0; i < given->destination_count; i++) {
		destinations[i] = given->destinations[i];
		destinations[i].pattern = slice_lower(arena, given->destinations[i].pattern);
		destinations[i].hello_name = slice_dup(arena, given->destinations[i].hello_name);
	}
	options->destinations = destinations;
	retry = ARENA_ARRAY(arena, int64_t, options->retry_count);
	memcpy(retry, given->retry_count > 0 ? given->retry_ms : RETRY_DEFAULT_MS, options->retry_count * sizeof(*retry));
	options->retry_ms = retry;
}

#define DEFAULT(field, value) ((field) = (field) != 0 ? (field) : (value))

static void fill_defaults(struct relay_options *options)
{
	struct relay_timeouts *timeouts = &options->timeouts;

	DEFAULT(options->port, 25);
	DEFAULT(options->concurrency, 50);
	DEFAULT(options->concurrency_per_hop, 10);
	DEFAULT(options->messages_per_connection, 100);
	DEFAULT(options->expire_ms, 5 * 24 * 3600 * 1000LL);
	DEFAULT(options->warn_after_ms, 4 * 3600 * 1000LL);
	DEFAULT(options->in_hand, 5000);
	DEFAULT(options->local_wait_ms, 360 * 1000);
	DEFAULT(timeouts->connect_ms, 30 * 1000);
	DEFAULT(timeouts->greeting_ms, 300 * 1000);
	DEFAULT(timeouts->command_ms, 300 * 1000);
	DEFAULT(timeouts->data_ms, 120 * 1000);
	DEFAULT(timeouts->block_ms, 180 * 1000);
	DEFAULT(timeouts->end_of_data_ms, 600 * 1000);
	DEFAULT(timeouts->quit_ms, 2 * 1000);
	DEFAULT(timeouts->linger_ms, 2 * 1000);
}

static void set_up_client(struct relay *relay)
{
	const struct relay_options *options = &relay->options;
	bool by_smarthost = options->smarthost.len > 0;

	relay->route = (struct route_options){
		.hostname = options->hostname,
		.port = options->port,
		.own_addresses = options->own_addresses,
		.own_address_count = options->own_address_count,
		.family = options->family,
	};
	relay->client = (struct client_options){
		.hostname = options->hostname,
		.hello_name = options->hello_name,
		.tls = by_smarthost ? options->smarthost_tls : RELAY_TLS_OPPORTUNISTIC,
		.tls_opportunistic = relay->environment.tls_opportunistic,
		.tls_verified = relay->environment.tls_verified,
		.user = by_smarthost ? options->smarthost_user : SLICE_EMPTY,
		.password = options->smarthost_password,
		.source_four = options->source_four,
		.source_six = options->source_six,
		.timeouts = options->timeouts,
	};
	relay->smarthost = options->smarthost;
}

static void sts_failed(void *context, struct slice domain, int result, struct slice reason)
{
	struct relay *relay = context;
	const struct tls_count count = {
		.domain = domain,
		.policy_type = SLICE("sts"),
		.result = tls_result_name((enum tls_result)result),
		.reason = reason,
	};

	tls_counts_add(relay->tls_counts, &count);
}

static void set_up_policies(struct relay *relay)
{
	const struct relay_environment *environment = &relay->environment;
	const struct sts_options sts = {
		.resolver = &relay->environment.resolver,
		.store = environment->store,
		.log = environment->log,
		.trust_anchors = environment->trust_anchors,
		.port = environment->sts_port != 0 ? environment->sts_port : 443,
		.failed = sts_failed,
		.context = relay,
	};

	relay->tls_counts = tls_counts_new();
	if (environment->resolver.txt && environment->trust_anchors.len > 0)
		relay->sts = sts_new(&sts);
}

static struct bounce_options bounce_options(const struct relay *relay)
{
	return (struct bounce_options){relay->options.hostname, relay->options.smarthost, relay->options.details,
				       relay->options.double_bounce_to, relay->options.unix_domains};
}

static bool is_destination(struct slice hop, struct slice pattern)
{
	return slice_starts_with(pattern, SLICE(".")) ? slice_ends_with(hop, pattern) : slice_eq(hop, pattern);
}

const struct relay_destination *relay_destination_of(const struct relay *relay, struct slice host)
{
	const struct relay_options *options = &relay->options;

	for (size_t i = 0; i < options->destination_count; i++)
		if (is_destination(host, options->destinations[i].pattern))
			return &options->destinations[i];
	return NULL;
}

/* What the settings say of a hop. */
static void look_up_limits(void *context, struct slice name, struct hop_limits *limits)
{
	const struct relay *relay = context;
	const struct relay_destination *destination = relay_destination_of(relay, way_of(name).host);

	*limits = (struct hop_limits){.interval_ms = relay->options.interval_ms};
	if (!destination)
		return;
	limits->connections = destination->connections;
	if (destination->interval_ms > 0)
		limits->interval_ms = destination->interval_ms;
}

static void set_up_scheduler(struct relay *relay)
{
	const struct relay_options *options = &relay->options;
	const struct scheduler_limits limits = {
		.in_hand = options->in_hand,
		.per_hop = options->concurrency_per_hop,
		.concurrency = options->concurrency,
		.per_sender = options->concurrency_per_sender,
		.first_suspension_ms = options->retry_ms[0] < SUSPENSION_MAX_MS ? options->retry_ms[0] : SUSPENSION_MAX_MS,
		.look_up = look_up_limits,
		.context = relay,
	};

	relay->scheduler = scheduler_new(&limits);
}

static void set_up_recorder(struct relay *relay)
{
	struct recorder_options recorder = {
		.store = relay->environment.store,
		.ipc = relay->environment.ipc,
		.log = relay->environment.log,
		.policy = relay->policy,
		.bounce = bounce_options(relay),
		.done = recorded,
		.context = relay,
	};

	relay->recorder = recorder_new(&recorder);
}

struct relay *relay_new(const struct relay_options *options, const struct relay_environment *environment)
{
	struct relay *relay = calloc(1, sizeof(*relay));

	if (!relay)
		abort();
	arena_init(&relay->arena, 0);
	relay->environment = *environment;
	copy_options(relay, options);
	fill_defaults(&relay->options);
	set_up_client(relay);
	relay->policy = (struct outcome_policy){relay->options.retry_ms, relay->options.retry_count, relay->options.expire_ms,
						relay->options.warn_after_ms, relay->options.double_bounce_to.len > 0};
	set_up_scheduler(relay);
	pthread_mutex_init(&relay->lock, NULL);
	thread_condition_init(&relay->feed);
	thread_condition_init(&relay->worker_gone);
	set_up_recorder(relay);
	set_up_policies(relay);
	return relay;
}

static void notification_queued(void *context)
{
	relay_wake(context);
}

static void start_local(struct relay *relay)
{
	const struct slice node[] = {relay->options.node, SLICE(" local")};
	const struct local_options options = {
		.store = relay->environment.store,
		.ipc = relay->environment.ipc,
		.log = relay->environment.log,
		.policy = relay->policy,
		.bounce = bounce_options(relay),
		.node = slice_join(&relay->arena, node, 2),
		.queued = notification_queued,
		.context = relay,
	};

	pthread_mutex_lock(&relay->lock);
	relay->local = local_start(&options);
	pthread_mutex_unlock(&relay->lock);
}

static void stop_local(struct relay *relay)
{
	struct local *local;

	pthread_mutex_lock(&relay->lock);
	local = relay->local;
	relay->local = NULL;
	pthread_mutex_unlock(&relay->lock);
	local_stop(local);
}

void relay_start(struct relay *relay)
{
	relay->woken = true;
	relay->next_due_ms = INT64_MAX;
	relay->feeder_runs = thread_start(&relay->feeder, THREAD_STACK_STORE, feeder_run, relay);
	if (!relay->feeder_runs)
		abort();
	relay->keeper = keeper_start(relay);
	start_local(relay);
	if (relay->options.tls_reports_from.len > 0 && relay->environment.ipc && relay->environment.resolver.txt)
		relay->reporter = reporter_start(relay);
}

void relay_wake(struct relay *relay)
{
	pthread_mutex_lock(&relay->lock);
	relay->woken = true;
	pthread_cond_signal(&relay->feed);
	if (relay->local)
		local_wake(relay->local);
	pthread_mutex_unlock(&relay->lock);
}

void relay_look_again(struct relay *relay)
{
	pthread_mutex_lock(&relay->lock);
	relay->is_asked_to_retry = true;
	pthread_mutex_unlock(&relay->lock);
	relay_wake(relay);
}

void relay_expect(struct relay *relay)
{
	pthread_mutex_lock(&relay->lock);
	relay->next_due_ms = 0;
	pthread_mutex_unlock(&relay->lock);
	relay_wake(relay);
}

void relay_retry(struct relay *relay)
{
	pthread_mutex_lock(&relay->lock);
	scheduler_forgive(relay->scheduler);
	pthread_mutex_unlock(&relay->lock);
	relay_look_again(relay);
}

#define ASKED_APART_MS 60000

/* With the lock held. The domain's place, or the oldest that waits for nothing; NULL: it was asked for a moment ago, or all wait. */
static struct asked_domain *place_for(struct relay *relay, struct slice domain, int64_t now)
{
	struct asked_domain *place = NULL;

	for (size_t i = 0; i < ASKED_MAX; i++) {
		struct asked_domain *asked = &relay->asked[i];

		if (slice_eq(slice_of(asked->bytes, asked->len), domain))
			return now < asked->asked_ms + ASKED_APART_MS ? NULL : asked;
		if (!asked->is_waiting && (!place || asked->asked_ms < place->asked_ms))
			place = asked;
	}
	return place;
}

void relay_retry_domain(struct relay *relay, struct slice domain)
{
	int64_t now = clock_monotonic_ms();
	struct asked_domain *place;

	if (domain.len == 0 || domain.len > DOMAIN_BYTES)
		return;
	pthread_mutex_lock(&relay->lock);
	place = place_for(relay, domain, now);
	if (place) {
		memcpy(place->bytes, domain.data, domain.len);
		place->len = domain.len;
		place->asked_ms = now;
		place->is_waiting = true;
	}
	pthread_mutex_unlock(&relay->lock);
	if (place)
		relay_wake(relay);
}

/* With the lock held. */
static void wait_for_workers(struct relay *relay, int64_t until_ms)
{
	while (relay->worker_count > 0 && clock_monotonic_ms() < until_ms)
		thread_wait_until(&relay->worker_gone, &relay->lock, until_ms);
}

void relay_stop(struct relay *relay, int grace_ms)
{
	pthread_mutex_lock(&relay->lock);
	relay->stopping = true;
	pthread_cond_signal(&relay->feed);
	workers_wake(relay);
	if (relay->sts)
		sts_stop(relay->sts);
	wait_for_workers(relay, clock_monotonic_ms() + grace_ms);
	workers_break(relay);
	pthread_mutex_unlock(&relay->lock);
	recorder_break_waits(relay->recorder);
	pthread_mutex_lock(&relay->lock);
	while (relay->worker_count > 0)
		wait_for_workers(relay, clock_monotonic_ms() + 1000);
	pthread_mutex_unlock(&relay->lock);
	if (relay->feeder_runs)
		pthread_join(relay->feeder, NULL);
	recorder_stop(relay->recorder);
	stop_local(relay);
	reporter_stop(relay->reporter);
	relay->reporter = NULL;
	keeper_stop(relay->keeper);
	relay->keeper = NULL;
	/* Other nodes may have what is left, and our next life needs not look for it. */
	if (relay->feeder_runs && queue_release_leases(relay->environment.store, relay->options.node) != STATUS_OK)
		LOG_WARNING(relay->environment.log, "relay.leases_kept");
	relay->feeder_runs = false;
	relay->is_stopped = true;
}

void relay_free(struct relay *relay)
{
	if (!relay->is_stopped)
		relay_stop(relay, 0);
	recorder_free(relay->recorder);
	sts_free(relay->sts);
	tls_counts_free(relay->tls_counts);
	scheduler_free(relay->scheduler);
	pthread_cond_destroy(&relay->feed);
	pthread_cond_destroy(&relay->worker_gone);
	pthread_mutex_destroy(&relay->lock);
	arena_free(&relay->arena);
	free(relay);
}

struct relay_counts relay_counts(struct relay *relay)
{
	struct recorder_counts recorded_counts = recorder_counts(relay->recorder);
	struct relay_counts counts = {
		.delivered = recorded_counts.delivered,
		.deferred = recorded_counts.deferred,
		.failed = recorded_counts.failed,
		.bounces = recorded_counts.bounces,
	};

	pthread_mutex_lock(&relay->lock);
	counts.deferred += relay->put_off;
	counts.connections = relay->connections;
	counts.transactions = relay->transactions;
	counts.in_hand = relay->scheduler->in_hand;
	counts.workers = relay->worker_count;
	counts.hops = HASH_COUNT(relay->scheduler->hops);
	pthread_mutex_unlock(&relay->lock);
	return counts;
}
