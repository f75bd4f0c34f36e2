/* A worker: one thread, one connection at a time. Takes a parcel, finds the way, opens a session, sends that parcel and more for
 * the same hop, closes, and looks for the next. Straight-line; the relay's lock is held only to take and give back work. */
#include <stdlib.h>
#include <sys/socket.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/thread.h"
#include "relay/local_hop.h"
#include "relay/relay_internal.h"
#include "relay/way.h"

#define IDLE_MS                    (30 * 1000)  /* an idle thread ends after that */
#define FIND_HOST_MS               (120 * 1000) /* no further host is tried after that */
#define RECORD_WAIT_MS             (60 * 1000)  /* for the commit of the message before, with the next one all but sent */
#define MESSAGES_BEFORE_GIVING_WAY 10
#define PARCEL_MEMORY_MAX          (4 * 1024 * 1024) /* a peer that takes recipients one by one, with long words, gets no more rounds */

/* ---- lists, with the lock held ---- */

static void linger_end(struct relay *relay, struct worker *worker)
{
	if (worker->lingers_for)
		DL_DELETE2(relay->lingering, worker, list_prev, list_next);
	worker->lingers_for = NULL;
}

static void begin_work(struct worker *worker, struct parcel *parcel)
{
	worker->works_for = scheduler_begin_work(worker->relay->scheduler, parcel);
}

static void end_work(struct worker *worker)
{
	if (worker->works_for)
		scheduler_end_work(worker->relay->scheduler, worker->works_for);
	worker->works_for = NULL;
}

static void give(struct worker *worker, struct parcel *parcel)
{
	begin_work(worker, parcel);
	worker->parcel = parcel;
	pthread_cond_signal(&worker->wake);
}

static void give_to_lingering(struct relay *relay)
{
	struct worker *worker, *next;

	DL_FOREACH_SAFE2(relay->lingering, worker, next, list_next)
	{
		struct parcel *parcel = scheduler_take_more(relay->scheduler, worker->lingers_for);

		if (parcel) {
			linger_end(relay, worker);
			give(worker, parcel);
		}
	}
}

static void *worker_run(void *context);

static void worker_free(struct worker *worker)
{
	recorder_gate_drop(worker->relay->recorder, worker->gate);
	pthread_cond_destroy(&worker->wake);
	free(worker);
}

static struct worker *worker_start(struct relay *relay)
{
	struct worker *worker;
	pthread_t thread;

	if (relay->worker_count >= relay->options.concurrency)
		return NULL;
	worker = calloc(1, sizeof(*worker));
	if (!worker)
		return NULL;
	worker->relay = relay;
	worker->fd = -1;
	worker->gate = recorder_gate_new();
	thread_condition_init(&worker->wake);
	if (!thread_start(&thread, THREAD_STACK_WORKER, worker_run, worker)) {
		worker_free(worker);
		return NULL;
	}
	pthread_detach(thread);
	relay->worker_count++;
	DL_APPEND(relay->workers, worker);
	return worker;
}

/* NULL: all threads are taken. */
static struct worker *free_worker(struct relay *relay)
{
	struct worker *worker = relay->idle;

	if (!worker)
		return worker_start(relay);
	DL_DELETE2(relay->idle, worker, list_prev, list_next);
	return worker;
}

static void dispatch(struct relay *relay)
{
	struct scheduler *scheduler = relay->scheduler;

	while (scheduler_is_waiting(scheduler)) {
		struct worker *worker;
		struct parcel *parcel;

		if (!relay->idle && relay->worker_count >= relay->options.concurrency) {
			if (relay->lingering) { /* the oldest gives up its connection */
				relay->lingering->is_released = true;
				pthread_cond_signal(&relay->lingering->wake);
			}
			return;
		}
		parcel = scheduler_take(scheduler);
		worker = parcel ? free_worker(relay) : NULL;
		if (parcel && !worker) { /* the system has no thread for us; the feeder asks again */
			scheduler_return(scheduler, parcel);
			scheduler_leave(scheduler, parcel->hop, false, clock_monotonic_ms());
		}
		if (!worker)
			return;
		give(worker, parcel);
	}
}

void workers_dispatch(struct relay *relay)
{
	if (relay->stopping)
		return;
	scheduler_tick(relay->scheduler, clock_monotonic_ms());
	give_to_lingering(relay);
	dispatch(relay);
	/* It wakes us when the next interval ends. */
	if (scheduler_next_turn(relay->scheduler) < relay->feeder_waits_until_ms)
		pthread_cond_signal(&relay->feed);
}

void workers_wake(struct relay *relay)
{
	struct worker *worker;

	DL_FOREACH(relay->workers, worker)
	pthread_cond_signal(&worker->wake);
}

void workers_break(struct relay *relay)
{
	struct worker *worker;

	relay->breaking = true;
	DL_FOREACH(relay->workers, worker)
	if (worker->fd >= 0)
		shutdown(worker->fd, SHUT_RDWR);
}

/* ---- hooks of the client ---- */

static void watch(void *context, int fd)
{
	struct worker *worker = context;
	struct relay *relay = worker->relay;

	pthread_mutex_lock(&relay->lock);
	worker->fd = fd;
	if (fd >= 0 && relay->breaking)
		shutdown(fd, SHUT_RDWR);
	pthread_mutex_unlock(&relay->lock);
}

/* One message at most is in flight without its forerunner being on disk. */
static bool before_end(void *context)
{
	struct worker *worker = context;

	return recorder_wait(worker->relay->recorder, worker->gate, RECORD_WAIT_MS);
}

static enum status read_body(void *context, uint64_t offset, struct slice *bytes)
{
	return email_read(context, offset, bytes);
}

/* ---- results of TLS, for reports ---- */

static struct slice address_text(struct arena *arena, const struct net_address *address)
{
	struct buf text;

	buf_init(&text, arena, 0);
	net_address_format(&text, address);
	return buf_slice(&text);
}

/* `client` may be NULL: the host was not even asked. */
static void count_tls(struct worker *worker, const struct route_host *host, const struct client *client, enum tls_result result,
		      struct slice reason)
{
	struct arena arena SCOPED_ARENA;
	struct tls_count count;

	if (worker->domain.len == 0)
		return;
	tls_counts_describe(&arena, host, worker->domain, &count);
	if (result != TLS_RESULT_SUCCESS) {
		count.result = tls_result_name(result);
		count.receiving_ip = address_text(&arena, &host->address);
		count.reason = reply_one_line(&arena, reason);
		if (client) {
			count.sending_ip = address_text(&arena, conn_local(client->conn));
			count.receiving_helo = reply_one_line(&arena, client->capabilities.host);
		}
	}
	tls_counts_add(worker->relay->tls_counts, &count);
}

static void tls_ended(void *context, const struct client *client, enum tls_result result, struct slice reason)
{
	count_tls(context, &client->host, client, result, reason);
}

/* ---- the way to the hop ---- */

static bool is_stopping(struct relay *relay)
{
	bool stopping;

	pthread_mutex_lock(&relay->lock);
	stopping = relay->stopping;
	pthread_mutex_unlock(&relay->lock);
	return stopping;
}

static bool is_loop(const struct reply *reply)
{
	return reply->is_ours && slice_eq(reply->enhanced, SLICE("5.4.6"));
}

/* We are a host of the hop, but not the best one, as it turns out: the better ones are only away (RFC 5321 section 5.1). */
static void wait_for_better_hosts(struct arena *arena, struct slice hop, struct reply *failure)
{
	*failure = reply_ours(arena, 450, "4.4.6", "no better mail host of %.*s than myself can be reached", SLICE_ARG(hop));
}

/* Of several failures one that may pass is kept: then the mail waits. */
static void keep_failure(struct reply *failure, const struct reply *next)
{
	bool gives_up = next->is_ours && reply_is_permanent(next);

	if (failure->code == 0 || !gives_up || (failure->is_ours && reply_is_permanent(failure)))
		*failure = *next;
}

struct search_for_host {
	struct worker *worker;
	const struct client_options *options;
	enum tls_wish wish;
	struct security_finder finder;
};

/* What the settings or rules demand on top. */
static bool meets_terms(const struct search_for_host *search, struct route_host *host, struct reply *failure)
{
	struct security *security = &host->security;

	if (search->options->tls == RELAY_TLS_ENCRYPTED && security->level < SECURITY_ENCRYPTED)
		security->level = SECURITY_ENCRYPTED;
	if (search->options->tls != RELAY_TLS_DANE || security->level == SECURITY_DANE)
		return true;
	*failure = reply_ours(search->finder.arena, 450, "4.7.5", "DANE is demanded, but %.*s has no usable TLSA records that DNSSEC vouches for",
			      SLICE_ARG(host->name));
	return false;
}

static struct client *open_host(struct search_for_host *search, struct route_host *host, struct reply *failure)
{
	enum tls_result result = TLS_RESULT_SUCCESS;
	enum relay_tls tls = search->options->tls;

	/* Where the configuration says how a host is to be used, or the message asks for less, the host's demands have no say. */
	bool is_asked = search->wish == TLS_WISH_REQUIRED || tls == RELAY_TLS_DANE ||
			((tls == RELAY_TLS_OPPORTUNISTIC || tls == RELAY_TLS_ENCRYPTED) && search->wish != TLS_WISH_OPTIONAL);

	if (is_asked && !security_choose(&search->finder, host, &result, failure)) {
		count_tls(search->worker, host, NULL, result, failure->text);
		return NULL;
	}
	if (is_asked && !meets_terms(search, host, failure))
		return NULL;
	return client_open(search->options, search->finder.arena, host, failure);
}

/* The first host that takes us. NULL: *failure is the last host's, or the route's. */
static struct client *open_to_hop(struct worker *worker, const struct client_options *options, struct arena *arena,
				  struct slice hop, enum tls_wish wish, struct reply *failure)
{
	struct relay *relay = worker->relay;
	int64_t until = clock_monotonic_ms() + FIND_HOST_MS;
	struct search_for_host search = {
		.worker = worker,
		.options = options,
		.wish = wish,
		.finder = {.resolver = &relay->environment.resolver,
			   .arena = arena,
			   .sts = relay->sts,
			   .is_required = wish == TLS_WISH_REQUIRED},
	};
	struct client *client = NULL;
	struct route route;

	route_find(&relay->environment.resolver, &relay->route, arena, hop, &route);
	search.finder.domain = route.domain;
	/* RFC 8460 section 3: what must arrive despite all trouble, as reports must, isn't counted. */
	worker->domain = wish == TLS_WISH_OPTIONAL ? SLICE_EMPTY : route.domain;
	*failure = route.failure;
	for (size_t i = 0; i < route.count && !client; i++) {
		struct reply why;

		if (i > 0 && (clock_monotonic_ms() > until || is_stopping(relay)))
			break;
		client = open_host(&search, &route.hosts[i], &why);
		if (client)
			break;
		keep_failure(failure, &why);
		LOG_INFO(relay->environment.log, "relay.host_failed", LOG_STR("hop", hop), LOG_STR("host", route.hosts[i].name),
			 LOG_STR("reply", why.text));
		if (is_loop(&why)) {
			*failure = why;
			if (i > 0)
				wait_for_better_hosts(arena, hop, failure);
			break;
		}
	}
	return client;
}

/* ---- parcels that nobody was asked about ---- */

static void set_all(struct parcel *parcel, enum recipient_state state, const struct reply *reply)
{
	struct reply copy = reply_dup(&parcel->arena, reply);

	for (struct recipient *recipient = parcel->recipients; recipient; recipient = recipient->next)
		if (recipient->state == RECIPIENT_WAITING) {
			recipient->state = state;
			recipient->reply = copy;
		}
}

void relay_defer_list(struct relay *relay, struct parcel *parcels)
{
	struct parcel *parcel, *next;

	DL_FOREACH_SAFE(parcels, parcel, next)
	{
		struct recipient *recipient;

		for (recipient = parcel->recipients; recipient; recipient = recipient->next)
			if (recipient->state == RECIPIENT_WAITING)
				recipient->state = RECIPIENT_DEFERRED;
		DL_DELETE(parcels, parcel);
		recorder_submit(relay->recorder, parcel, NULL);
	}
}

/* There is no way, and never will be, or none is wanted: this parcel and all that wait for the hop end alike. */
static void conclude_hop(struct worker *worker, struct hop *hop, struct parcel *parcel, enum recipient_state state,
			 const struct reply *reply)
{
	struct relay *relay = worker->relay;

	while (parcel) {
		set_all(parcel, state, reply);
		recorder_submit(relay->recorder, parcel, worker->gate);
		pthread_mutex_lock(&relay->lock);
		end_work(worker);
		parcel = scheduler_take_any(relay->scheduler, hop);
		if (parcel)
			begin_work(worker, parcel);
		else
			scheduler_leave(relay->scheduler, hop, false, clock_monotonic_ms());
		pthread_mutex_unlock(&relay->lock);
	}
}

/* The hop can't be reached now. `parcel` may be NULL: it was dealt with. When it was we who broke the connection that says nothing
 * about the hop. */
static void suspend_hop(struct worker *worker, struct hop *hop, bool was_connected, struct parcel *parcel,
			const struct reply *failure)
{
	struct relay *relay = worker->relay;
	struct parcel *put_off = NULL;
	int64_t now = clock_monotonic_ms();

	pthread_mutex_lock(&relay->lock);
	end_work(worker);
	if (parcel) { /* put off with the others, or tried again by those that work */
		parcel->was_tried = true;
		scheduler_return(relay->scheduler, parcel);
	}
	if (!relay->breaking && scheduler_failed(relay->scheduler, hop, was_connected, failure, now))
		put_off = scheduler_take_put_off(relay->scheduler, now);
	scheduler_leave(relay->scheduler, hop, was_connected, now);
	pthread_mutex_unlock(&relay->lock);
	relay_defer_list(relay, put_off);
}

/* ---- one parcel on an open session ---- */

static bool has_state(const struct parcel *parcel, enum recipient_state state)
{
	for (const struct recipient *recipient = parcel->recipients; recipient; recipient = recipient->next)
		if (recipient->state == state)
			return true;
	return false;
}

static void retry_crowded(struct parcel *parcel)
{
	for (struct recipient *recipient = parcel->recipients; recipient; recipient = recipient->next)
		if (recipient->state == RECIPIENT_CROWDED)
			recipient->state = RECIPIENT_WAITING;
}

static void forget(struct relay *relay, struct parcel *parcel)
{
	pthread_mutex_lock(&relay->lock);
	scheduler_forget(relay->scheduler, parcel);
	pthread_mutex_unlock(&relay->lock);
}

static void give_back(struct relay *relay, struct parcel *parcel)
{
	pthread_mutex_lock(&relay->lock);
	scheduler_return(relay->scheduler, parcel);
	pthread_mutex_unlock(&relay->lock);
}

static bool is_breaking(struct relay *relay)
{
	bool breaking;

	pthread_mutex_lock(&relay->lock);
	breaking = relay->breaking;
	pthread_mutex_unlock(&relay->lock);
	return breaking;
}

/* relay_stop broke the session, not the peer: whoever has no answer of the peer's has none at all. */
static void take_back(struct parcel *parcel)
{
	for (struct recipient *recipient = parcel->recipients; recipient; recipient = recipient->next)
		if (recipient->state == RECIPIENT_DEFERRED && recipient->reply.is_ours)
			recipient->state = RECIPIENT_WAITING;
}

/* Recipients that are still waiting: the session broke. On a session that worked before, or by our own will, that says nothing
 * about the message: it gets another connection at once. */
static void conclude(struct worker *worker, struct client *client, struct parcel *parcel, enum status status,
		     unsigned completed)
{
	struct relay *relay = worker->relay;
	bool by_us = client->trouble.code == 0;

	if (client->broken && is_breaking(relay)) {
		take_back(parcel);
		by_us = true;
	}
	if (has_state(parcel, RECIPIENT_WAITING)) {
		struct reply unreadable = {451, SLICE("4.3.0"), SLICE("the message could not be read from the store"), true};

		if (status == STATUS_OK && (by_us || completed > 0)) {
			give_back(relay, parcel);
			return;
		}
		set_all(parcel, RECIPIENT_DEFERRED, status == STATUS_OK ? &client->trouble : &unreadable);
	}
	recorder_submit(relay->recorder, parcel, worker->gate);
}

static void send_parcel(struct worker *worker, struct client *client, struct parcel *parcel, unsigned completed)
{
	struct arena arena SCOPED_ARENA;
	struct email_reader *reader = NULL;
	enum status status = queue_open(worker->relay->environment.store, &arena, parcel->message, &reader);
	struct body_source body = {reader, read_body};

	if (status == STATUS_NOT_FOUND) { /* removed while it waited here */
		forget(worker->relay, parcel);
		return;
	}
	if (status == STATUS_OK) {
		do {
			retry_crowded(parcel);
			status = client_send(client, parcel, &body);
		} while (status == STATUS_OK && !client->broken && has_state(parcel, RECIPIENT_CROWDED) &&
			 parcel->arena.used < PARCEL_MEMORY_MAX);
		email_close(reader);
	}
	conclude(worker, client, parcel, status, completed);
}

/* ---- a connection's life ---- */

/* With the lock held. Waits a little for more mail to the same hop. */
static struct parcel *linger(struct worker *worker, struct hop *hop)
{
	struct relay *relay = worker->relay;
	int64_t until = clock_monotonic_ms() + relay->options.timeouts.linger_ms;
	struct parcel *parcel;

	worker->is_released = false;
	worker->lingers_for = hop;
	DL_APPEND2(relay->lingering, worker, list_prev, list_next);
	while (!worker->parcel && !worker->is_released && !relay->stopping && clock_monotonic_ms() < until)
		thread_wait_until(&worker->wake, &relay->lock, until);
	linger_end(relay, worker);
	parcel = worker->parcel;
	worker->parcel = NULL;
	return parcel;
}

bool workers_must_give_way(const struct relay *relay, unsigned sent)
{
	return sent >= MESSAGES_BEFORE_GIVING_WAY && relay->worker_count >= relay->options.concurrency && !relay->idle &&
	       scheduler_is_starving(relay->scheduler);
}

static struct parcel *next_parcel(struct worker *worker, struct client *client, struct hop *hop)
{
	struct relay *relay = worker->relay;
	struct parcel *parcel = NULL;

	pthread_mutex_lock(&relay->lock);
	relay->transactions++;
	end_work(worker);
	if (!client->broken)
		scheduler_succeeded(relay->scheduler, hop);
	else if (client->trouble.code != 0)
		scheduler_troubled(relay->scheduler, hop);
	workers_dispatch(relay);
	if (!client->broken && !relay->stopping && client->transactions < relay->options.messages_per_connection &&
	    !workers_must_give_way(relay, client->transactions)) {
		parcel = scheduler_take_more(relay->scheduler, hop);
		if (parcel)
			begin_work(worker, parcel);
		else if (relay->options.timeouts.linger_ms > 0)
			parcel = linger(worker, hop);
	}
	pthread_mutex_unlock(&relay->lock);
	return parcel;
}

static void serve_connection(struct worker *worker, struct client *client, struct hop *hop, struct parcel *parcel)
{
	struct relay *relay = worker->relay;
	unsigned completed = 0;

	pthread_mutex_lock(&relay->lock);
	relay->connections++;
	scheduler_connected(relay->scheduler, hop);
	pthread_mutex_unlock(&relay->lock);
	while (parcel) {
		send_parcel(worker, client, parcel, completed);
		completed += !client->broken;
		parcel = next_parcel(worker, client, hop);
	}
	client_close(client);
	if (client->broken && completed == 0 && client->trouble.code != 0) {
		suspend_hop(worker, hop, true, NULL, &client->trouble);
		return;
	}
	pthread_mutex_lock(&relay->lock);
	scheduler_leave(relay->scheduler, hop, true, clock_monotonic_ms());
	pthread_mutex_unlock(&relay->lock);
}

/* The smarthost of the settings, or what a rule says instead of the recipient's domain. */
static bool is_chosen_host(const struct relay *relay, const struct way *way)
{
	struct slice host;
	uint16_t port;

	return way->is_rule ? route_parse_host_port(way->host, &host, &port) : relay->smarthost.len > 0;
}

static bool is_smarthost(const struct relay *relay, const struct way *way)
{
	return relay->smarthost.len > 0 && slice_eq(way->host, relay->smarthost) && way->user.len == 0;
}

/* A password that the settings give goes out on the settings' terms: a rule that may be meant for others makes them no weaker. */
static bool may_set_tls(const struct client_options *options, const struct way_terms *terms)
{
	return terms->has_tls &&
	       (terms->user.len > 0 || options->user.len == 0 || !way_tls_is_weaker(terms->tls, options->tls));
}

/* The smarthost's password and its terms of TLS are nobody else's. */
static enum status set_terms(struct relay *relay, struct arena *arena, const struct way *way, struct client_options *options,
			     struct reply *failure)
{
	struct way_terms terms;
	enum status status = way_find_terms(relay->environment.store, relay->environment.seal_key, arena, way, &terms, failure);

	if (status != STATUS_OK)
		return status;
	options->is_lmtp = way->kind == WAY_LMTP;
	if (way->is_rule && (terms.user.len > 0 || !is_smarthost(relay, way))) {
		options->user = terms.user;
		options->password = terms.password;
		options->tls = RELAY_TLS_OPPORTUNISTIC;
	}
	if (may_set_tls(options, &terms))
		options->tls = terms.tls;
	return STATUS_OK;
}

/* Where connections to it come from, and the name that goes with it. */
static void set_source(const struct relay *relay, const struct way *way, struct client_options *options)
{
	const struct relay_destination *destination = relay_destination_of(relay, way->host);

	if (!destination)
		return;
	if (destination->source_four.family != 0)
		options->source_four = destination->source_four;
	if (destination->source_six.family != 0)
		options->source_six = destination->source_six;
	if (destination->hello_name.len > 0)
		options->hello_name = destination->hello_name;
}

/* A failure that is the message's fate: nobody has what it demands, or there is no way at all. A peer's 5xx before any mail, and trouble
 * with a host that was chosen here, are not. */
static bool is_fatal(const struct relay *relay, const struct way *way, const struct reply *failure)
{
	if (!failure->is_ours || !reply_is_permanent(failure))
		return false;
	return (way->wish == TLS_WISH_REQUIRED && slice_starts_with(failure->enhanced, SLICE("5.7."))) || !is_chosen_host(relay, way);
}

/* A rule has said what becomes of it; nobody is asked. */
static void serve_without_host(struct worker *worker, struct hop *hop, struct parcel *parcel, const struct way *way)
{
	static const enum recipient_state STATES[] = {
		[WAY_ERROR] = RECIPIENT_FAILED, [WAY_RETRY] = RECIPIENT_DEFERRED, [WAY_DISCARD] = RECIPIENT_DELIVERED};
	struct arena arena SCOPED_ARENA;
	const struct reply reply = way_reply(&arena, way);

	conclude_hop(worker, hop, parcel, STATES[way->kind], &reply);
}

static void serve(struct worker *worker, struct parcel *parcel)
{
	struct relay *relay = worker->relay;

	if (hop_is_local(parcel->hop->name)) {
		local_hop_serve(worker, parcel);
		return;
	}
	struct client_options options = relay->client;
	struct hop *hop = parcel->hop;
	struct arena arena SCOPED_ARENA;
	struct way way = way_of(hop->name);
	struct client *client = NULL;
	struct reply failure;

	if (way.kind >= WAY_ERROR) {
		serve_without_host(worker, hop, parcel, &way);
		return;
	}
	options.hooks = (struct client_hooks){worker, watch, before_end, tls_ended};
	set_source(relay, &way, &options);
	if (set_terms(relay, &arena, &way, &options, &failure) == STATUS_OK)
		client = open_to_hop(worker, &options, &arena, way.host, way.wish, &failure);
	if (client)
		serve_connection(worker, client, hop, parcel);
	else if (is_fatal(relay, &way, &failure))
		conclude_hop(worker, hop, parcel, RECIPIENT_FAILED, &failure);
	else
		suspend_hop(worker, hop, false, parcel, &failure);
}

/* With the lock held. NULL: the thread is to end. */
static struct parcel *wait_for_work(struct worker *worker)
{
	struct relay *relay = worker->relay;
	int64_t until = clock_monotonic_ms() + IDLE_MS;
	struct parcel *parcel;

	if (!worker->parcel && !relay->stopping) {
		DL_PREPEND2(relay->idle, worker, list_prev, list_next);
		workers_dispatch(relay);
		while (!worker->parcel && !relay->stopping && clock_monotonic_ms() < until)
			thread_wait_until(&worker->wake, &relay->lock, until);
		if (!worker->parcel)
			DL_DELETE2(relay->idle, worker, list_prev, list_next);
	}
	parcel = worker->parcel;
	worker->parcel = NULL;
	if (parcel && relay->stopping) {
		end_work(worker);
		scheduler_return(relay->scheduler, parcel);
		scheduler_leave(relay->scheduler, parcel->hop, false, clock_monotonic_ms());
		return NULL;
	}
	return parcel;
}

static void *worker_run(void *context)
{
	struct worker *worker = context;
	struct relay *relay = worker->relay;
	struct parcel *parcel;

	pthread_mutex_lock(&relay->lock);
	/* The first parcel comes right after the start, under the same lock. */
	while ((parcel = wait_for_work(worker)) != NULL) {
		pthread_mutex_unlock(&relay->lock);
		serve(worker, parcel);
		pthread_mutex_lock(&relay->lock);
	}
	DL_DELETE(relay->workers, worker);
	worker_free(worker);
	relay->worker_count--;
	pthread_cond_signal(&relay->worker_gone);
	pthread_mutex_unlock(&relay->lock);
	return NULL;
}
