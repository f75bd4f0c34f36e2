/* Invariants: `lock` guards the failures and the list of those at work, and is not held while anybody is asked. One thread at a time
 * fetches a domain's policy; others that need it wait for that one. */
#include "relay/sts.h"

#include <pthread.h>
#include <stdlib.h>
#include <uthash.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/thread.h"
#include "relay/sts_fetch.h"
#include "relay/tls_result.h"
#include "store/sts_cache.h"

#define RETRY_FETCH_MS   (5 * 60 * 1000) /* RFC 8461 section 3.3: a failed fetch is not repeated before */
#define REFRESH_MS       (24 * 60 * 60 * 1000LL)
#define REFRESH_AGAIN_MS (60 * 60 * 1000LL)
#define REFRESH_MAX      500 /* policies in one go */
#define FAILURES_MAX     10000

/* A domain whose policy can't be fetched for now. */
struct failure {
	char *domain;
	int64_t until_ms; /* monotonic */
	UT_hash_handle hh;
};

/* A fetch that runs. */
struct fetch {
	struct slice domain;
	struct fetch *prev, *next;
};

struct sts {
	struct sts_options options;
	pthread_mutex_t lock;
	pthread_cond_t fetched;
	struct failure *failures;
	struct fetch *running;
	bool stopping;
};

struct sts *sts_new(const struct sts_options *options)
{
	struct sts *sts = calloc(1, sizeof(*sts));

	if (!sts)
		abort();
	sts->options = *options;
	pthread_mutex_init(&sts->lock, NULL);
	thread_condition_init(&sts->fetched);
	return sts;
}

void sts_stop(struct sts *sts)
{
	pthread_mutex_lock(&sts->lock);
	sts->stopping = true;
	pthread_mutex_unlock(&sts->lock);
}

static void forget_failure(struct sts *sts, struct failure *failure)
{
	HASH_DEL(sts->failures, failure);
	free(failure->domain);
	free(failure);
}

void sts_free(struct sts *sts)
{
	struct failure *failure, *next;

	if (!sts)
		return;
	HASH_ITER(hh, sts->failures, failure, next)
	forget_failure(sts, failure);
	pthread_cond_destroy(&sts->fetched);
	pthread_mutex_destroy(&sts->lock);
	free(sts);
}

static bool is_stopping(void *context)
{
	struct sts *sts = context;
	bool stopping;

	pthread_mutex_lock(&sts->lock);
	stopping = sts->stopping;
	pthread_mutex_unlock(&sts->lock);
	return stopping;
}

/* ---- who fetches ---- */

/* With the lock held. */
static struct failure *find_failure(struct sts *sts, struct slice domain)
{
	struct failure *failure;

	HASH_FIND(hh, sts->failures, domain.data, domain.len, failure);
	if (failure && failure->until_ms <= clock_monotonic_ms()) {
		forget_failure(sts, failure);
		return NULL;
	}
	return failure;
}

/* With the lock held. When there are too many the oldest goes. */
static void remember_failure(struct sts *sts, struct slice domain)
{
	struct failure *failure = calloc(1, sizeof(*failure));

	if (!failure || !(failure->domain = strndup(domain.data, domain.len)))
		abort();
	if (HASH_COUNT(sts->failures) >= FAILURES_MAX)
		forget_failure(sts, sts->failures);
	failure->until_ms = clock_monotonic_ms() + RETRY_FETCH_MS;
	HASH_ADD_KEYPTR(hh, sts->failures, failure->domain, domain.len, failure);
}

/* With the lock held. */
static bool is_running(const struct sts *sts, struct slice domain)
{
	const struct fetch *fetch;

	DL_FOREACH(sts->running, fetch)
	if (slice_eq(fetch->domain, domain))
		return true;
	return false;
}

enum turn { TURN_FETCH, TURN_WAITED, TURN_NOT_NOW };

/* TURN_FETCH: end_turn must follow. TURN_WAITED: another has fetched meanwhile: look again. */
static enum turn begin_turn(struct sts *sts, struct fetch *fetch)
{
	enum turn turn = TURN_FETCH;

	pthread_mutex_lock(&sts->lock);
	while (is_running(sts, fetch->domain)) {
		turn = TURN_WAITED;
		thread_wait_until(&sts->fetched, &sts->lock, clock_monotonic_ms() + 1000);
	}
	if (sts->stopping || find_failure(sts, fetch->domain))
		turn = TURN_NOT_NOW;
	if (turn == TURN_FETCH)
		DL_APPEND(sts->running, fetch);
	pthread_mutex_unlock(&sts->lock);
	return turn;
}

static void end_turn(struct sts *sts, struct fetch *fetch, bool failed)
{
	pthread_mutex_lock(&sts->lock);
	DL_DELETE(sts->running, fetch);
	if (failed && !sts->stopping)
		remember_failure(sts, fetch->domain);
	pthread_cond_broadcast(&sts->fetched);
	pthread_mutex_unlock(&sts->lock);
}

/* ---- fetching ---- */

static void tell_failure(struct sts *sts, struct slice domain, enum tls_result result, struct slice reason)
{
	LOG_WARNING(sts->options.log, "relay.sts_failed", LOG_STR("domain", domain), LOG_STR("result", tls_result_name(result)),
		    LOG_STR("reason", reason));
	if (sts->options.failed)
		sts->options.failed(sts->options.context, domain, (int)result, reason);
}

/* RFC 8461 section 3.3: again long before it expires. */
static int64_t refresh_time(int64_t now_ms, const struct sts_policy *policy)
{
	int64_t half_ms = policy->max_age_s * 1000 / 2;

	return now_ms + (half_ms < REFRESH_MS ? half_ms : REFRESH_MS);
}

static bool keep(struct sts *sts, struct slice domain, struct slice id, const struct sts_policy *policy)
{
	int64_t now = clock_wall_ms();
	struct sts_cached cached = {id, policy->text, now, refresh_time(now, policy), now + policy->max_age_s * 1000};

	LOG_INFO(sts->options.log, "relay.sts_policy", LOG_STR("domain", domain), LOG_STR("id", id),
		 LOG_INT("mode", policy->mode), LOG_INT("max_age", policy->max_age_s));
	return sts_cache_put(sts->options.store, domain, &cached) == STATUS_OK;
}

static bool fetch_policy(struct sts *sts, struct arena *arena, struct slice domain, struct slice id, struct sts_policy *policy)
{
	const struct https fetch = {sts->options.resolver, sts->options.trust_anchors, sts->options.port, is_stopping, sts};
	struct slice text, reason;
	enum status status = sts_fetch(&fetch, arena, domain, &text, &reason);

	if (status == STATUS_OK && sts_policy_parse(arena, text, policy)) {
		if (!keep(sts, domain, id, policy))
			LOG_WARNING(sts->options.log, "relay.sts_not_kept", LOG_STR("domain", domain));
		return true;
	}
	if (status == STATUS_OK)
		tell_failure(sts, domain, TLS_RESULT_STS_POLICY_INVALID, SLICE("the policy is malformed"));
	else
		tell_failure(sts, domain, status == STATUS_PEER ? TLS_RESULT_STS_WEBPKI_INVALID : TLS_RESULT_STS_FETCH_ERROR,
			     reason);
	return false;
}

/* ---- asking ---- */

/* The id of the policy that the domain announces now; false: none, or nobody knows. */
static bool find_record(struct sts *sts, struct arena *arena, struct slice domain, struct slice *id)
{
	const struct resolver *resolver = sts->options.resolver;
	struct slice name = slice_join(arena, (const struct slice[]){SLICE("_mta-sts."), domain}, 2), *texts;
	size_t count;

	return resolver->txt(resolver->context, arena, name, &texts, &count) == STATUS_OK && sts_record_find(texts, count, id);
}

/* From the cache. NOT_FOUND: there is none that holds. */
static enum status find_kept(struct sts *sts, struct arena *arena, struct slice domain, struct sts_cached *cached,
			     struct sts_policy *policy)
{
	enum status status = sts_cache_find(sts->options.store, arena, domain, clock_wall_ms(), cached);

	if (status != STATUS_OK)
		return status;
	return sts_policy_parse(arena, cached->text, policy) ? STATUS_OK : STATUS_NOT_FOUND;
}

/* True: *policy is a new one. */
static bool fetch_in_turn(struct sts *sts, struct arena *arena, struct slice domain, struct slice id, struct sts_policy *policy,
			  enum turn *turn)
{
	struct fetch fetch = {.domain = domain};
	bool fetched;

	*turn = begin_turn(sts, &fetch);
	if (*turn != TURN_FETCH)
		return false;
	fetched = fetch_policy(sts, arena, domain, id, policy);
	end_turn(sts, &fetch, !fetched);
	return fetched;
}

enum status sts_find(struct sts *sts, struct arena *arena, struct slice domain, struct sts_policy **policy)
{
	struct sts_policy *found = ARENA_NEW(arena, struct sts_policy);
	struct sts_cached cached;
	struct slice id;
	bool is_announced = find_record(sts, arena, domain, &id);
	enum turn turn = TURN_NOT_NOW;
	enum status status;

	*policy = NULL;
	status = find_kept(sts, arena, domain, &cached, found);
	if (status != STATUS_OK && status != STATUS_NOT_FOUND)
		return STATUS_TEMPORARY;
	/* RFC 8461 section 5.1: a policy that is kept holds, whatever becomes of the record, until there is a new one. */
	if (is_announced && (status == STATUS_NOT_FOUND || !slice_eq(cached.id, id))) {
		struct sts_policy *fetched = ARENA_NEW(arena, struct sts_policy);

		if (fetch_in_turn(sts, arena, domain, id, fetched, &turn)) {
			*policy = fetched;
			return STATUS_OK;
		}
		if (turn == TURN_WAITED)
			status = find_kept(sts, arena, domain, &cached, found);
	}
	if (status == STATUS_OK)
		*policy = found;
	return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

void sts_refresh(struct sts *sts)
{
	struct arena arena SCOPED_ARENA;
	struct slice *domains;
	size_t count = 0;

	if (sts_cache_due(sts->options.store, &arena, clock_wall_ms(), REFRESH_MAX, &domains, &count) != STATUS_OK)
		return;
	for (size_t i = 0; i < count && !is_stopping(sts); i++) {
		struct arena one SCOPED_ARENA;
		struct sts_policy policy;
		struct slice id = SLICE_EMPTY;
		enum turn turn;

		if (!find_record(sts, &one, domains[i], &id))
			id = SLICE_EMPTY;
		if (!fetch_in_turn(sts, &one, domains[i], id, &policy, &turn) &&
		    sts_cache_put_off(sts->options.store, domains[i], clock_wall_ms() + REFRESH_AGAIN_MS) != STATUS_OK)
			return;
	}
	if (sts_cache_forget_expired(sts->options.store, clock_wall_ms()) != STATUS_OK)
		LOG_WARNING(sts->options.log, "relay.sts_not_forgotten");
}
