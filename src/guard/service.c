/* Invariant: what is reported is not believed beyond its worth: a role that holds sockets can have addresses banned for a time, but none
 * of those that are exempt. */
#include "guard/service.h"

#include <stdlib.h>

#include <openssl/evp.h>

#include "base/clock.h"
#include "base/thread.h"
#include "guard/wire.h"
#include "store/greylist.h"
#include "store/rates.h"
#include "store/routing.h"

#define FLUSH_MS    2000
#define WAITING_MAX 256 /* offences, and alarms */
#define REASON_MAX  64
#define LOGIN_MAX   320
#define KEY_BYTES   16

struct waiting_offence {
	struct net_address peer;
	char reason[REASON_MAX];
	size_t reason_len;
};

struct waiting_alarm {
	char login[LOGIN_MAX];
	size_t login_len;
	int64_t account;
};

struct guard_service {
	struct guard_service_options options;
	struct store *store;
	struct ipc *ipc;
	const struct log *log;
	struct outflow *outflow;
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t wake;
	bool running, stopping;
	struct waiting_offence offences[WAITING_MAX];
	struct waiting_alarm alarms[WAITING_MAX];
	size_t offence_count, alarm_count;
};

/* ---- bans ---- */

static bool is_exempt(const struct guard_service *service, const struct net_address *peer)
{
	for (size_t i = 0; i < service->options.exempt_count; i++)
		if (net_prefix_contains(&service->options.exempt[i], peer))
			return true;
	return false;
}

static void ban(struct guard_service *service, const struct waiting_offence *offence)
{
	struct arena arena SCOPED_ARENA;
	struct net_prefix network = ban_network_of(&offence->peer);
	struct ban_row row;

	arena_init(&arena, 0);
	struct slice text = ban_prefix_text(&arena, &network), reason = slice_of(offence->reason, offence->reason_len);

	if (service->options.growth.first_ms == 0 || is_exempt(service, &offence->peer)) {
		LOG_INFO(service->log, "guard.not_banned", LOG_STR("network", text), LOG_STR("reason", reason));
		return;
	}
	enum status status = bans_offence(service->store, text, reason, &service->options.growth, clock_wall_ms(), &row);

	if (status == STATUS_OK) {
		LOG_WARNING(service->log, "guard.banned", LOG_STR("network", text), LOG_STR("reason", reason),
			    LOG_INT("for_s", (row.until_ms - row.made_ms) / 1000), LOG_INT("times", row.times));
		ipc_announce(service->ipc, SLICE("ban"), SLICE_EMPTY);
	} else if (status != STATUS_EXISTS) {
		LOG_ERROR(service->log, "guard.ban_failed", LOG_STR("network", text), LOG_STR("status", status_name(status)));
	}
}

void guard_service_offence(struct guard_service *service, struct slice payload)
{
	struct offence offence;

	if (!guard_unpack_offence(payload, &offence))
		return;
	offence.reason = slice_sub(offence.reason, 0, REASON_MAX);
	pthread_mutex_lock(&service->mutex);
	if (service->offence_count < WAITING_MAX) {
		struct waiting_offence *waiting = &service->offences[service->offence_count++];

		waiting->peer = offence.peer;
		memcpy(waiting->reason, offence.reason.data, offence.reason.len);
		waiting->reason_len = offence.reason.len;
		pthread_cond_signal(&service->wake);
	}
	pthread_mutex_unlock(&service->mutex);
}

#define BANS_MAX 200000

bool guard_read_bans(void *store, struct arena *arena, struct ban **bans, size_t *count)
{
	struct ban_row *rows;
	size_t found;

	*count = 0;
	if (bans_list(store, arena, SLICE_EMPTY, clock_wall_ms(), BANS_MAX, &rows, &found) != STATUS_OK)
		return false;
	*bans = ARENA_ARRAY(arena, struct ban, found + 1);
	for (size_t i = 0; i < found; i++) {
		struct net_prefix network;

		if (net_prefix_parse(rows[i].network, &network))
			(*bans)[(*count)++] = (struct ban){network, rows[i].until_ms};
	}
	return true;
}

/* ---- alarms ---- */

static void raise_alarm(struct guard_service *service, const struct waiting_alarm *waiting)
{
	struct guard_alarm alarm = {slice_of(waiting->login, waiting->login_len), waiting->account, service->options.limits};

	LOG_WARNING(service->log, "guard.sends_too_much", LOG_STR("login", alarm.login), LOG_INT("account", alarm.account),
		    LOG_INT("messages_per_hour", alarm.limits.messages_per_hour),
		    LOG_INT("recipients_per_hour", alarm.limits.recipients_per_hour));
	if (service->options.alarm)
		service->options.alarm(service->options.alarm_context, &alarm);
}

static void note_alarm(struct guard_service *service, int64_t account, struct slice login)
{
	login = slice_sub(login, 0, LOGIN_MAX);
	pthread_mutex_lock(&service->mutex);
	if (service->alarm_count < WAITING_MAX) {
		struct waiting_alarm *waiting = &service->alarms[service->alarm_count++];

		memcpy(waiting->login, login.data, login.len);
		waiting->login_len = login.len;
		waiting->account = account;
		pthread_cond_signal(&service->wake);
	}
	pthread_mutex_unlock(&service->mutex);
}

/* ---- the thread ---- */

/* Until something waits, or it is time to flush. False: stop. */
static bool rest(struct guard_service *service)
{
	int64_t until_ms = clock_monotonic_ms() + FLUSH_MS;

	pthread_mutex_lock(&service->mutex);
	while (!service->stopping && service->offence_count == 0 && service->alarm_count == 0 &&
	       thread_wait_until(&service->wake, &service->mutex, until_ms))
		;
	bool goes_on = !service->stopping;

	pthread_mutex_unlock(&service->mutex);
	return goes_on;
}

static bool next_offence(struct guard_service *service, struct waiting_offence *offence)
{
	pthread_mutex_lock(&service->mutex);
	bool any = service->offence_count > 0;

	if (any)
		*offence = service->offences[--service->offence_count];
	pthread_mutex_unlock(&service->mutex);
	return any;
}

static bool next_alarm(struct guard_service *service, struct waiting_alarm *alarm)
{
	pthread_mutex_lock(&service->mutex);
	bool any = service->alarm_count > 0;

	if (any)
		*alarm = service->alarms[--service->alarm_count];
	pthread_mutex_unlock(&service->mutex);
	return any;
}

static void *run(void *context)
{
	struct guard_service *service = context;
	struct waiting_offence offence;
	struct waiting_alarm alarm;

	while (rest(service)) {
		while (next_offence(service, &offence))
			ban(service, &offence);
		while (next_alarm(service, &alarm))
			raise_alarm(service, &alarm);
		outflow_flush(service->outflow, clock_wall_ms());
	}
	return NULL;
}

struct guard_service *guard_service_new(const struct guard_service_options *options, struct store *store, struct ipc *ipc,
					const struct log *log)
{
	struct guard_service *service = calloc(1, sizeof(*service));

	if (!service)
		abort();
	service->options = *options;
	service->store = store;
	service->ipc = ipc;
	service->log = log;
	service->outflow = outflow_new(&options->limits, store, log);
	pthread_mutex_init(&service->mutex, NULL);
	thread_condition_init(&service->wake);
	service->running = thread_start(&service->thread, 0, run, service);
	if (!service->running)
		LOG_ERROR(log, "guard.no_thread");
	return service;
}

void guard_service_free(struct guard_service *service)
{
	if (!service)
		return;
	pthread_mutex_lock(&service->mutex);
	service->stopping = true;
	pthread_cond_signal(&service->wake);
	pthread_mutex_unlock(&service->mutex);
	if (service->running)
		pthread_join(service->thread, NULL);
	outflow_flush(service->outflow, clock_wall_ms());
	outflow_free(service->outflow);
	pthread_cond_destroy(&service->wake);
	pthread_mutex_destroy(&service->mutex);
	free(service);
}

/* ---- requests ---- */

static enum status handle_bans(struct guard_service *service, struct slice frame, struct arena *arena, struct buf *reply)
{
	struct unpack in = unpack_begin(frame);
	struct slice after = unpack_slice(&in);
	struct ban_row *rows;
	size_t count;

	if (!unpack_ok(&in))
		return STATUS_PEER;
	enum status status = bans_list(service->store, arena, after, clock_wall_ms(), GUARD_BANS_PER_PAGE, &rows, &count);

	if (status != STATUS_OK)
		return status;
	pack_u32(reply, (uint32_t)count);
	for (size_t i = 0; i < count; i++) {
		pack_slice(reply, rows[i].network);
		pack_u64(reply, (uint64_t)rows[i].until_ms);
	}
	return STATUS_OK;
}

static enum status handle_spend(struct guard_service *service, struct slice frame, struct buf *reply)
{
	struct unpack in = unpack_begin(frame);
	int64_t account = (int64_t)unpack_u64(&in);
	struct slice login = unpack_slice(&in);
	uint64_t recipients = unpack_u64(&in);
	enum outflow_outcome outcome;

	if (!unpack_ok(&in))
		return STATUS_PEER;
	outcome = outflow_spend(service->outflow, account, recipients, clock_wall_ms());
	if (outcome == OUTFLOW_UNKNOWN)
		return STATUS_TEMPORARY;
	if (outcome == OUTFLOW_ALARM)
		note_alarm(service, account, login);
	pack_u8(reply, outcome == OUTFLOW_OK);
	return STATUS_OK;
}

/* Addresses and all of any length come to a key of one length. */
static bool make_key(struct arena *arena, struct slice what, const struct slice *parts, size_t count, struct slice *key)
{
	unsigned char *digest = arena_alloc(arena, EVP_MAX_MD_SIZE);
	struct buf text;
	unsigned len;

	buf_init(&text, arena, 0);
	pack_slice(&text, what);
	for (size_t i = 0; i < count; i++)
		pack_slice(&text, parts[i]);
	*key = slice_of((const char *)digest, KEY_BYTES);
	return EVP_Digest(text.data, text.len, digest, &len, EVP_sha256(), NULL) == 1;
}

static enum status handle_greylist(struct guard_service *service, struct slice frame, struct arena *arena, struct buf *reply)
{
	const struct guard_greylisting *options = &service->options.greylisting;
	struct unpack in = unpack_begin(frame);
	struct slice parts[3];
	struct greylist_question question = {.wait_ms = options->wait_ms,
					     .window_ms = options->window_ms,
					     .remember_ms = options->remember_ms,
					     .passes_before_trust = options->passes_before_trust,
					     .now_ms = clock_wall_ms()};
	enum greylist_outcome outcome;
	int64_t left_ms;

	for (size_t i = 0; i < 3; i++)
		parts[i] = unpack_slice(&in);
	if (!unpack_ok(&in) || !make_key(arena, SLICE("triplet"), parts, 3, &question.triplet) ||
	    !make_key(arena, SLICE("network"), parts, 1, &question.network))
		return STATUS_PEER;
	enum status status = greylist_ask(service->store, &question, &outcome, &left_ms);

	pack_u64(reply, (uint64_t)left_ms);
	return status;
}

/* ---- rates that nodes share ---- */

static enum status read_secret(struct guard_service *service, struct arena *arena, struct slice *secret)
{
	unsigned char *digest = arena_alloc(arena, EVP_MAX_MD_SIZE);
	struct slice text;
	unsigned len;
	enum status status = routing_secret(service->store, arena, SLICE("rates"), &text);

	*secret = slice_of((const char *)digest, GUARD_SECRET_BYTES);
	if (status == STATUS_OK && EVP_Digest(text.data, text.len, digest, &len, EVP_sha256(), NULL) != 1)
		return STATUS_TEMPORARY;
	return status;
}

/* A role that holds sockets may make any bucket empty for a day, and no longer. */
#define TAKEN_MAX_US INT64_C(86400000000)

static bool unpack_rates(struct slice frame, struct arena *arena, struct rate_change **changes, size_t *count)
{
	struct unpack in = unpack_begin(frame);

	*count = unpack_count(&in, GUARD_RATES_AT_ONCE);
	*changes = ARENA_ARRAY(arena, struct rate_change, *count + 1);
	for (size_t i = 0; i < *count; i++) {
		uint64_t bucket = unpack_u64(&in), taken = unpack_u64(&in);

		(*changes)[i] = (struct rate_change){bucket, taken < TAKEN_MAX_US ? (int64_t)taken : TAKEN_MAX_US, 0};
	}
	return unpack_ok(&in);
}

static enum status handle_rates(struct guard_service *service, struct slice frame, struct arena *arena, struct buf *reply)
{
	char none[GUARD_SECRET_BYTES] = {0};
	struct slice secret = slice_of(none, sizeof(none));
	int64_t now_us = clock_wall_ms() * 1000;
	bool is_shared = service->options.shares_rates;
	struct rate_change *changes;
	size_t count;

	if (!unpack_rates(frame, arena, &changes, &count))
		return STATUS_PEER;
	enum status status = is_shared ? read_secret(service, arena, &secret) : STATUS_OK;

	if (status == STATUS_OK && is_shared)
		status = rates_add(service->store, changes, count, now_us);
	if (status != STATUS_OK)
		return status;
	pack_u8(reply, is_shared);
	pack_slice(reply, secret);
	pack_u32(reply, is_shared ? (uint32_t)count : 0);
	for (size_t i = 0; is_shared && i < count; i++) {
		pack_u64(reply, changes[i].bucket);
		pack_u64(reply, changes[i].full_us > now_us ? (uint64_t)(changes[i].full_us - now_us) : 0);
	}
	return STATUS_OK;
}

bool guard_service_answers(uint32_t request_type)
{
	return request_type >= GUARD_REQUEST_BANS && request_type < GUARD_REQUEST_END;
}

enum status guard_service_handle(void *context, struct ipc_request *request, struct arena *arena, struct buf *reply)
{
	struct guard_service *service = context;

	switch (request->type) {
	case GUARD_REQUEST_BANS:
		return handle_bans(service, request->payload, arena, reply);
	case GUARD_REQUEST_SPEND:
		return handle_spend(service, request->payload, reply);
	case GUARD_REQUEST_GREYLIST:
		return handle_greylist(service, request->payload, arena, reply);
	case GUARD_REQUEST_RATES:
		return handle_rates(service, request->payload, arena, reply);
	}
	return STATUS_PEER;
}
