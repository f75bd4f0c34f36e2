/* The relay's life, and its feeder: the thread that takes due recipients from the queue and hands them to the scheduler.
 *
 * Lock order: relay->lock, then the recorder's. Neither is held while the store or a peer is asked. */
#include "relay/relay.h"

#include <stdlib.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/thread.h"
#include "relay/keeper.h"
#include "relay/relay_internal.h"

#define TAKE_MAX          500              /* recipients taken from the queue in one transaction */
#define LEASE_MS          (60 * 60 * 1000) /* of what is in hand; renewed in time, for what waits for long or is sent slowly */
#define RENEW_LEASES_MS   (LEASE_MS / 4)
#define GATHER_MS         10          /* announcements that come together cost one look into the queue */
#define LOOK_AT_LEAST_MS  (30 * 1000) /* also for a wall clock that was set */
#define LOOK_AGAIN_MS     1000        /* when the store is away, or what is due is in hand already */
#define SWEEP_MS          (60 * 1000)
#define CLOCK_JUMP_MS     (60 * 1000)
#define SUSPENSION_MAX_MS (60 * 1000) /* of the first one, which is never longer than the first retry */

static const int64_t RETRY_DEFAULT_MS[] = {300000, 600000, 1200000, 2400000, 3600000, 7200000, 14400000};

bool relay_tls_parse(struct slice name, enum relay_tls *policy)
{
	static const struct slice NAMES[] = {SLICE("opportunistic"), SLICE("required"), SLICE("none")};

	for (size_t i = 0; i < 3; i++)
		if (slice_eq_nocase(name, NAMES[i])) {
			*policy = (enum relay_tls)i;
			return true;
		}
	return false;
}

/* ---- the feeder ---- */

struct feeder {
	struct relay *relay;
	int64_t clock_offset_ms; /* wall minus monotonic */
	int64_t swept_ms;        /* monotonic, as the next */
	int64_t renewed_ms;
};

/* Where the recipient's mail goes: the hop of a rule, the smarthost, the hop that deliver chose, or the domain. A hop with a port that no
 * rule has set is a smarthost of former times. */
static struct slice hop_of(const struct relay *relay, struct arena *arena, const struct queue_item *item)
{
	struct slice host;
	uint16_t port;

	if (route_is_rule(item->next_hop))
		return slice_lower(arena, item->next_hop);
	if (relay->smarthost.len > 0)
		return relay->smarthost;
	if (item->next_hop.len > 0 && !route_parse_host_port(item->next_hop, &host, &port))
		return slice_lower(arena, item->next_hop);
	return route_domain_of(arena, item->recipient);
}

/* Due times are wall-clock times. When the clock is set back, what waits for a time that is now far away would be stuck: all of it
 * is made due, and gets new times from the new clock. A clock set forward only makes things due. */
static void watch_clock(struct feeder *feeder)
{
	const struct queue_filter all = {.state = QUEUE_DUE};
	int64_t offset = clock_wall_ms() - clock_monotonic_ms();
	size_t count = 0;

	if (offset < feeder->clock_offset_ms - CLOCK_JUMP_MS) {
		if (queue_retry(feeder->relay->environment.store, &all, &count) != STATUS_OK)
			return; /* noticed again next time */
		LOG_WARNING(feeder->relay->environment.log, "relay.clock_set_back",
			    LOG_INT("ms", feeder->clock_offset_ms - offset), LOG_INT("recipients", count));
	}
	feeder->clock_offset_ms = offset;
}

/* How many were new. */
static unsigned take_in(struct relay *relay, struct arena *arena, const struct queue_item *items, size_t count)
{
	int64_t now = clock_monotonic_ms();
	struct parcel *put_off;
	unsigned added = 0;

	pthread_mutex_lock(&relay->lock);
	for (size_t i = 0; i < count; i++)
		added += scheduler_add(relay->scheduler, &items[i],
				       route_join_wish(arena, hop_of(relay, arena, &items[i]), items[i].tls_wish), now);
	put_off = scheduler_take_put_off(relay->scheduler, now);
	workers_dispatch(relay);
	pthread_mutex_unlock(&relay->lock);
	relay_defer_list(relay, put_off);
	return added;
}

/* Hops that have enough in hand already: what waits for them may not keep the feeder from seeing what waits for others. With a
 * smarthost there are no others. */
static size_t find_greedy(struct relay *relay, struct arena *arena, struct slice hops[SCHEDULER_GREEDY_MAX])
{
	enum tls_wish wish;
	size_t count = 0;

	pthread_mutex_lock(&relay->lock);
	if (relay->smarthost.len == 0)
		count = scheduler_greedy(relay->scheduler, hops);
	for (size_t i = 0; i < count; i++)
		hops[i] = slice_dup(arena, route_split_wish(hops[i], &wish));
	relay->passed_over = count > 0;
	pthread_mutex_unlock(&relay->lock);
	return count;
}

/* One batch. True: there may be more at once. *next_due_ms (wall) tells when otherwise. */
static bool feed(struct relay *relay, unsigned room, int64_t *next_due_ms)
{
	struct arena arena SCOPED_ARENA;
	struct slice greedy[SCHEDULER_GREEDY_MAX];
	struct queue_take take = {
		.now_ms = clock_wall_ms(),
		.lease_ms = LEASE_MS,
		.node = relay->options.node,
		.max = room < TAKE_MAX ? room : TAKE_MAX,
		.except_hops = greedy,
		.except_count = find_greedy(relay, &arena, greedy),
	};
	struct queue_item *items = NULL;
	int64_t now = take.now_ms;
	size_t count = 0;

	*next_due_ms = now + LOOK_AGAIN_MS;
	if (queue_take(relay->environment.store, &arena, &take, &items, &count) != STATUS_OK)
		return false;
	if (take_in(relay, &arena, items, count) > 0 && count == take.max)
		return true;
	if (queue_next_due(relay->environment.store, next_due_ms) != STATUS_OK || *next_due_ms <= now)
		*next_due_ms = now + LOOK_AGAIN_MS; /* what is due is in hand already */
	return false;
}

/* With the lock held. Room that is worth a look into the queue. */
static unsigned worthwhile_room(const struct relay *relay)
{
	unsigned room = scheduler_room(relay->scheduler);

	return room >= relay->options.in_hand / 8 ? room : 0;
}

/* With the lock held. Until there is a reason to look into the queue, or it is time to look anyway; returns the room there is. */
static unsigned wait_for_reason(struct relay *relay)
{
	int64_t tick = clock_monotonic_ms() + LOOK_AT_LEAST_MS;
	unsigned room = 0;

	while (!relay->stopping) {
		int64_t now = clock_monotonic_ms(), due_in = relay->next_due_ms - clock_wall_ms();

		room = worthwhile_room(relay);
		if (now >= tick || (room > 0 && (relay->woken || due_in <= 0)))
			break;
		thread_wait_until(&relay->feed, &relay->lock, room > 0 && due_in < tick - now ? now + due_in : tick);
	}
	return room;
}

/* Now and then, without the lock. */
static void keep_house(struct feeder *feeder)
{
	struct relay *relay = feeder->relay;
	int64_t now = clock_monotonic_ms();

	watch_clock(feeder);
	if (now < feeder->swept_ms + SWEEP_MS)
		return;
	feeder->swept_ms = now;
	if (now >= feeder->renewed_ms + RENEW_LEASES_MS &&
	    queue_renew_leases(relay->environment.store, relay->options.node, clock_wall_ms() + LEASE_MS) == STATUS_OK)
		feeder->renewed_ms = now;
	pthread_mutex_lock(&relay->lock);
	scheduler_sweep(relay->scheduler, now);
	pthread_mutex_unlock(&relay->lock);
}

/* With the lock held, which it gives up while the store is asked. True: there is more to be had at once. */
static bool look_into_queue(struct relay *relay, unsigned room)
{
	int64_t next_due_ms;
	bool more;

	relay->woken = false;
	relay->next_due_ms = INT64_MAX;
	pthread_mutex_unlock(&relay->lock);
	more = feed(relay, room, &next_due_ms);
	pthread_mutex_lock(&relay->lock);
	relay->woken |= more;
	if (next_due_ms < relay->next_due_ms)
		relay->next_due_ms = next_due_ms;
	return more;
}

/* What this node had in hand in its former life is due again. Until that is done nothing is taken: it could not be told apart. */
static void release_leases(struct relay *relay)
{
	bool is_released = false;

	while (!is_released) {
		is_released = queue_release_leases(relay->environment.store, relay->options.node) == STATUS_OK;
		pthread_mutex_lock(&relay->lock);
		if (!is_released && !relay->stopping) {
			LOG_WARNING(relay->environment.log, "relay.leases_kept");
			thread_wait_until(&relay->feed, &relay->lock, clock_monotonic_ms() + LOOK_AGAIN_MS);
		}
		is_released |= relay->stopping;
		pthread_mutex_unlock(&relay->lock);
	}
}

static void *feeder_run(void *context)
{
	struct relay *relay = context;
	struct feeder feeder = {
		.relay = relay,
		.clock_offset_ms = clock_wall_ms() - clock_monotonic_ms(),
		.renewed_ms = clock_monotonic_ms(),
	};
	int64_t fed_ms = 0;
	bool more = false;

	release_leases(relay);
	pthread_mutex_lock(&relay->lock);
	while (!relay->stopping) {
		unsigned room = wait_for_reason(relay);

		/* Announcements come one for each message: those of a moment are served together. */
		while (!more && !relay->stopping && clock_monotonic_ms() < fed_ms + GATHER_MS)
			thread_wait_until(&relay->feed, &relay->lock, fed_ms + GATHER_MS);
		if (room > 0 && !relay->stopping)
			more = look_into_queue(relay, room);
		fed_ms = clock_monotonic_ms();
		pthread_mutex_unlock(&relay->lock);
		keep_house(&feeder);
		pthread_mutex_lock(&relay->lock);
	}
	pthread_mutex_unlock(&relay->lock);
	return NULL;
}

/* ---- what the recorder tells ---- */

static void recorded(void *context, struct parcel *parcels, int64_t due_ms, bool queued)
{
	struct relay *relay = context;
	struct parcel *parcel, *next;

	pthread_mutex_lock(&relay->lock);
	DL_FOREACH_SAFE(parcels, parcel, next)
	scheduler_forget(relay->scheduler, parcel);
	relay->woken |= queued || (relay->passed_over && scheduler_is_half_empty(relay->scheduler));
	if (relay->woken || due_ms < relay->next_due_ms)
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
	int64_t *retry;
	struct net_address *own;

	*options = *given;
	options->hostname = slice_lower(arena, given->hostname);
	options->smarthost = slice_lower(arena, given->smarthost);
	options->smarthost_user = slice_dup(arena, given->smarthost_user);
	options->smarthost_password = slice_dup(arena, given->smarthost_password);
	options->node = slice_dup(arena, given->node.len > 0 ? given->node : given->hostname);
	own = ARENA_ARRAY(arena, struct net_address, given->own_address_count + 1);
	if (given->own_address_count > 0)
		memcpy(own, given->own_addresses, given->own_address_count * sizeof(*own));
	options->own_addresses = own;
	options->retry_count =
		given->retry_count > 0 ? given->retry_count : sizeof(RETRY_DEFAULT_MS) / sizeof(RETRY_DEFAULT_MS[0]);
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

static void set_up_recorder(struct relay *relay)
{
	const struct relay_options *options = &relay->options;
	struct recorder_options recorder = {
		.store = relay->environment.store,
		.ipc = relay->environment.ipc,
		.log = relay->environment.log,
		.policy = {options->retry_ms, options->retry_count, options->expire_ms, options->warn_after_ms},
		.bounce = {options->hostname, options->smarthost, options->separator},
		.done = recorded,
		.context = relay,
	};

	relay->recorder = recorder_new(&recorder);
}

struct relay *relay_new(const struct relay_options *options, const struct relay_environment *environment)
{
	struct relay *relay = calloc(1, sizeof(*relay));
	struct scheduler_limits limits;

	if (!relay)
		abort();
	arena_init(&relay->arena, 0);
	relay->environment = *environment;
	copy_options(relay, options);
	fill_defaults(&relay->options);
	set_up_client(relay);
	limits = (struct scheduler_limits){
		.in_hand = relay->options.in_hand,
		.per_hop = relay->options.concurrency_per_hop,
		.concurrency = relay->options.concurrency,
		.first_suspension_ms =
			relay->options.retry_ms[0] < SUSPENSION_MAX_MS ? relay->options.retry_ms[0] : SUSPENSION_MAX_MS,
	};
	relay->scheduler = scheduler_new(&limits);
	pthread_mutex_init(&relay->lock, NULL);
	thread_condition_init(&relay->feed);
	thread_condition_init(&relay->worker_gone);
	set_up_recorder(relay);
	set_up_policies(relay);
	return relay;
}

void relay_start(struct relay *relay)
{
	relay->woken = true;
	relay->next_due_ms = INT64_MAX;
	relay->feeder_runs = thread_start(&relay->feeder, THREAD_STACK_STORE, feeder_run, relay);
	if (!relay->feeder_runs)
		abort();
	relay->keeper = keeper_start(relay);
}

void relay_wake(struct relay *relay)
{
	pthread_mutex_lock(&relay->lock);
	relay->woken = true;
	pthread_cond_signal(&relay->feed);
	pthread_mutex_unlock(&relay->lock);
}

void relay_retry(struct relay *relay)
{
	pthread_mutex_lock(&relay->lock);
	scheduler_forgive(relay->scheduler);
	pthread_mutex_unlock(&relay->lock);
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
	counts.connections = relay->connections;
	counts.transactions = relay->transactions;
	counts.in_hand = relay->scheduler->in_hand;
	counts.workers = relay->worker_count;
	counts.hops = HASH_COUNT(relay->scheduler->hops);
	pthread_mutex_unlock(&relay->lock);
	return counts;
}
