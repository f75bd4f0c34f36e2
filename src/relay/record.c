/* Invariants: `lock` guards everything but the options; it is never held while the store is asked. A job is in exactly one
 * lane or in the hands of one thread. */
#include "relay/record.h"

#include <pthread.h>
#include <stdlib.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/thread.h"
#include "ipc/pack.h"

#define RECORDER_STACK (512 * 1024) /* runs SQL and parses messages */
#define BATCH_RESULTS_MAX 500
#define RETRY_FIRST_MS    200
#define RETRY_MAX_MS      10000

struct record_gate {
	pthread_cond_t recorded;
	unsigned unrecorded;
	bool is_dropped;
	struct record_gate *prev, *next; /* of those that are waited for */
};

struct job {
	struct parcel *parcel;
	struct settlement settlement;
	struct record_gate *gate;
	int64_t not_before_ms; /* monotonic */
	unsigned tries;
	struct job *prev, *next;
};

struct lane {
	struct job *jobs;
	pthread_cond_t wake;
	bool with_bounces; /* one job at a time, each with its notification */
};

struct recorder {
	struct recorder_options options;
	pthread_mutex_t lock;
	struct record_gate *waited_for;
	struct lane plain, bounces;
	pthread_t threads[1 + RECORD_BOUNCE_THREADS];
	struct recorder_counts counts;
	bool stopping, waits_are_broken;
};

void recorder_submit(struct recorder *recorder, struct parcel *parcel, struct record_gate *gate)
{
	struct job *job = ARENA_NEW(&parcel->arena, struct job);
	struct lane *lane;

	job->parcel = parcel;
	job->gate = gate;
	outcome_settle(&recorder->options.policy, parcel, clock_wall_ms(), &job->settlement);
	lane = job->settlement.report_count > 0 ? &recorder->bounces : &recorder->plain;
	pthread_mutex_lock(&recorder->lock);
	if (gate)
		gate->unrecorded++;
	DL_APPEND(lane->jobs, job);
	pthread_cond_signal(&lane->wake);
	pthread_mutex_unlock(&recorder->lock);
}

struct record_gate *recorder_gate_new(void)
{
	struct record_gate *gate = calloc(1, sizeof(*gate));

	if (!gate)
		abort();
	thread_condition_init(&gate->recorded);
	return gate;
}

static void gate_free(struct record_gate *gate)
{
	pthread_cond_destroy(&gate->recorded);
	free(gate);
}

void recorder_gate_drop(struct recorder *recorder, struct record_gate *gate)
{
	pthread_mutex_lock(&recorder->lock);
	gate->is_dropped = true;
	if (gate->unrecorded == 0)
		gate_free(gate);
	pthread_mutex_unlock(&recorder->lock);
}

/* With the lock held. */
static void gate_open(struct record_gate *gate)
{
	if (!gate)
		return;
	if (--gate->unrecorded > 0)
		return;
	if (gate->is_dropped)
		gate_free(gate);
	else
		pthread_cond_signal(&gate->recorded);
}

bool recorder_wait(struct recorder *recorder, struct record_gate *gate, int timeout_ms)
{
	int64_t deadline = clock_monotonic_ms() + timeout_ms;
	bool is_recorded;

	pthread_mutex_lock(&recorder->lock);
	DL_APPEND(recorder->waited_for, gate);
	while (gate->unrecorded > 0 && !recorder->waits_are_broken && clock_monotonic_ms() < deadline)
		thread_wait_until(&gate->recorded, &recorder->lock, deadline);
	DL_DELETE(recorder->waited_for, gate);
	is_recorded = gate->unrecorded == 0;
	pthread_mutex_unlock(&recorder->lock);
	return is_recorded;
}

void recorder_break_waits(struct recorder *recorder)
{
	struct record_gate *gate;

	pthread_mutex_lock(&recorder->lock);
	recorder->waits_are_broken = true;
	DL_FOREACH(recorder->waited_for, gate)
	pthread_cond_signal(&gate->recorded);
	pthread_mutex_unlock(&recorder->lock);
}

struct recorder_counts recorder_counts(struct recorder *recorder)
{
	struct recorder_counts counts;

	pthread_mutex_lock(&recorder->lock);
	counts = recorder->counts;
	pthread_mutex_unlock(&recorder->lock);
	return counts;
}

/* ---- what a thread does with jobs, without the lock ---- */

static void log_job(const struct recorder *recorder, const struct job *job)
{
	static const char *const EVENTS[] = {
		[QUEUE_DELIVERED] = "relay.delivered", [QUEUE_DEFERRED] = "relay.deferred", [QUEUE_FAILED] = "relay.failed"};
	const struct settlement *settlement = &job->settlement;
	const struct recipient *recipient = job->parcel->recipients;

	for (size_t i = 0; recipient; recipient = recipient->next) {
		if (recipient->state == RECIPIENT_REPLACED) /* has no result */
			continue;
		LOG_INFO(recorder->options.log, EVENTS[settlement->results[i].outcome], LOG_STR("id", recipient->item.queue_id),
			 LOG_STR("to", recipient->item.recipient), LOG_STR("remote", recipient->remote),
			 LOG_STR("reply", settlement->results[i].reply));
		i++;
	}
}

static enum status finish(struct recorder *recorder, struct job *jobs, size_t results_count)
{
	struct arena arena SCOPED_ARENA;
	struct queue_result *results;
	struct job *job;
	size_t at = 0;

	if (!jobs->next)
		return queue_finish(recorder->options.store, jobs->settlement.results, jobs->settlement.count, NULL);
	results = ARENA_ARRAY(&arena, struct queue_result, results_count);
	DL_FOREACH(jobs, job)
	{
		memcpy(results + at, job->settlement.results, job->settlement.count * sizeof(*results));
		at += job->settlement.count;
	}
	return queue_finish(recorder->options.store, results, at, NULL);
}

/* Payload: u32 count, u64 account ids. */
static void announce_mailboxes(const struct recorder *recorder, const struct delivery *bounce)
{
	struct buf payload SCOPED_BUF;
	uint32_t count = 0;

	for (size_t i = 0; i < bounce->target_count; i++)
		count += bounce->targets[i].status == STATUS_OK;
	if (count == 0 || !recorder->options.ipc)
		return;
	buf_init(&payload, NULL, 0);
	pack_u32(&payload, count);
	for (size_t i = 0; i < bounce->target_count; i++)
		if (bounce->targets[i].status == STATUS_OK)
			pack_u64(&payload, (uint64_t)bounce->targets[i].account);
	ipc_announce(recorder->options.ipc, SLICE("mailbox"), buf_slice(&payload));
}

static void log_bounce(const struct recorder *recorder, const struct job *job, const struct delivery *bounce)
{
	const struct queue_item *item = &job->parcel->recipients->item;

	LOG_INFO(recorder->options.log, "relay.bounced", LOG_STR("id", item->queue_id), LOG_STR("bounce", bounce->queue_id),
		 LOG_STR("sender", item->sender));
	for (size_t i = 0; i < bounce->target_count; i++)
		if (bounce->targets[i].status != STATUS_OK)
			LOG_WARNING(recorder->options.log, "relay.bounce_dropped", LOG_STR("id", bounce->queue_id),
				    LOG_STR("sender", item->sender), LOG_STR("reason", status_name(bounce->targets[i].status)));
}

static enum status finish_with_bounce(struct recorder *recorder, struct job *job, bool *queued)
{
	const struct recorder_options *options = &recorder->options;
	struct delivery *bounce;
	enum status status = bounce_make(&options->bounce, options->store, options->log, job->parcel, &job->settlement,
					 clock_wall_ms(), &bounce);

	if (status != STATUS_OK)
		return status;
	status = queue_finish(options->store, job->settlement.results, job->settlement.count, bounce);
	if (status != STATUS_OK || !bounce)
		return status;
	*queued = bounce->queue_count > 0;
	log_bounce(recorder, job, bounce);
	announce_mailboxes(recorder, bounce);
	pthread_mutex_lock(&recorder->lock);
	recorder->counts.bounces++;
	pthread_mutex_unlock(&recorder->lock);
	return STATUS_OK;
}

/* ---- lanes ---- */

static int64_t first_due(const struct settlement *settlement, int64_t due_ms)
{
	for (size_t i = 0; i < settlement->count; i++)
		if (settlement->results[i].outcome == QUEUE_DEFERRED && settlement->results[i].due_ms < due_ms)
			due_ms = settlement->results[i].due_ms;
	return due_ms;
}

/* The jobs are over: their gates open, their parcels go back. */
static void release(struct recorder *recorder, struct job *jobs, bool queued)
{
	struct parcel *parcels = NULL;
	int64_t due_ms = INT64_MAX;
	struct job *job;

	DL_FOREACH(jobs, job)
	{
		log_job(recorder, job);
		due_ms = first_due(&job->settlement, due_ms);
		DL_APPEND(parcels, job->parcel);
	}
	pthread_mutex_lock(&recorder->lock);
	DL_FOREACH(jobs, job)
	{
		recorder->counts.delivered += job->settlement.delivered;
		recorder->counts.deferred += job->settlement.deferred;
		recorder->counts.failed += job->settlement.failed;
		gate_open(job->gate);
	}
	pthread_mutex_unlock(&recorder->lock);
	recorder->options.done(recorder->options.context, parcels, due_ms, queued);
}

/* At the end, when even the last try has failed: the queue will send these again. */
static void give_up(struct recorder *recorder, struct job *jobs)
{
	struct parcel *parcels = NULL;
	struct job *job;

	DL_FOREACH(jobs, job)
	{
		LOG_ERROR(recorder->options.log, "relay.result_lost", LOG_STR("id", job->parcel->recipients->item.queue_id));
		pthread_mutex_lock(&recorder->lock);
		gate_open(job->gate);
		pthread_mutex_unlock(&recorder->lock);
		DL_APPEND(parcels, job->parcel);
	}
	recorder->options.done(recorder->options.context, parcels, INT64_MAX, false);
}

/* Back into the lane, for later. */
static void keep_for_later(struct recorder *recorder, struct lane *lane, struct job *jobs, enum status status)
{
	struct job *job, *next;

	LOG_ERROR(recorder->options.log, "relay.record_failed", LOG_STR("status", status_name(status)),
		  LOG_STR("id", jobs->parcel->recipients->item.queue_id));
	pthread_mutex_lock(&recorder->lock);
	if (recorder->stopping) {
		pthread_mutex_unlock(&recorder->lock);
		give_up(recorder, jobs);
		return;
	}
	DL_FOREACH_SAFE(jobs, job, next)
	{
		int64_t delay = (int64_t)RETRY_FIRST_MS << (job->tries < 8 ? job->tries : 8);

		job->tries++;
		job->not_before_ms = clock_monotonic_ms() + (delay < RETRY_MAX_MS ? delay : RETRY_MAX_MS);
		DL_APPEND(lane->jobs, job);
	}
	pthread_mutex_unlock(&recorder->lock);
}

static void record(struct recorder *recorder, struct lane *lane, struct job *jobs, size_t results_count)
{
	bool queued = false;
	enum status status =
		lane->with_bounces ? finish_with_bounce(recorder, jobs, &queued) : finish(recorder, jobs, results_count);
	struct job *job, *next;

	if (status == STATUS_OK) {
		release(recorder, jobs, queued);
	} else if (status == STATUS_TEMPORARY || !jobs->next) {
		keep_for_later(recorder, lane, jobs, status);
	} else {
		/* One of them can't be written: the others must not suffer. */
		DL_FOREACH_SAFE(jobs, job, next)
		{
			struct job *alone = NULL;

			DL_DELETE(jobs, job);
			DL_APPEND(alone, job);
			record(recorder, lane, alone, job->settlement.count);
		}
	}
}

/* Those whose time has come, as many as go into one transaction; at the end all that are left, for one last try. */
static struct job *take_jobs(struct recorder *recorder, struct lane *lane, size_t *results_count, int64_t *wait_until)
{
	int64_t now = clock_monotonic_ms();
	struct job *taken = NULL, *job, *next;

	*results_count = 0;
	*wait_until = now + RETRY_MAX_MS;
	DL_FOREACH_SAFE(lane->jobs, job, next)
	{
		if (taken && (lane->with_bounces || *results_count + job->settlement.count > BATCH_RESULTS_MAX))
			break;
		if (job->not_before_ms > now && !recorder->stopping) {
			if (job->not_before_ms < *wait_until)
				*wait_until = job->not_before_ms;
			continue;
		}
		DL_DELETE(lane->jobs, job);
		DL_APPEND(taken, job);
		*results_count += job->settlement.count;
	}
	return taken;
}

static void run_lane(struct recorder *recorder, struct lane *lane)
{
	pthread_mutex_lock(&recorder->lock);
	for (;;) {
		size_t results_count;
		int64_t wait_until;
		struct job *jobs = take_jobs(recorder, lane, &results_count, &wait_until);

		if (jobs) {
			pthread_mutex_unlock(&recorder->lock);
			record(recorder, lane, jobs, results_count);
			pthread_mutex_lock(&recorder->lock);
		} else if (recorder->stopping) {
			break;
		} else {
			thread_wait_until(&lane->wake, &recorder->lock, wait_until);
		}
	}
	pthread_mutex_unlock(&recorder->lock);
}

static void *run_plain(void *context)
{
	struct recorder *recorder = context;

	run_lane(recorder, &recorder->plain);
	return NULL;
}

static void *run_bounces(void *context)
{
	struct recorder *recorder = context;

	run_lane(recorder, &recorder->bounces);
	return NULL;
}

struct recorder *recorder_new(const struct recorder_options *options)
{
	struct recorder *recorder = calloc(1, sizeof(*recorder));

	if (!recorder)
		abort();
	recorder->options = *options;
	recorder->bounces.with_bounces = true;
	pthread_mutex_init(&recorder->lock, NULL);
	thread_condition_init(&recorder->plain.wake);
	thread_condition_init(&recorder->bounces.wake);
	for (size_t i = 0; i < 1 + RECORD_BOUNCE_THREADS; i++)
		if (!thread_start(&recorder->threads[i], RECORDER_STACK, i == 0 ? run_plain : run_bounces, recorder))
			abort();
	return recorder;
}

void recorder_stop(struct recorder *recorder)
{
	pthread_mutex_lock(&recorder->lock);
	recorder->stopping = true;
	pthread_cond_broadcast(&recorder->plain.wake);
	pthread_cond_broadcast(&recorder->bounces.wake);
	pthread_mutex_unlock(&recorder->lock);
	for (size_t i = 0; i < 1 + RECORD_BOUNCE_THREADS; i++)
		pthread_join(recorder->threads[i], NULL);
}

void recorder_free(struct recorder *recorder)
{
	pthread_cond_destroy(&recorder->plain.wake);
	pthread_cond_destroy(&recorder->bounces.wake);
	pthread_mutex_destroy(&recorder->lock);
	free(recorder);
}
