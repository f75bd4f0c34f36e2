#include "jobs/jobs.h"

#include <stdlib.h>

#include "base/clock.h"
#include "ipc/ipc.h"
#include "ipc/pack.h"
#include "jobs/quota_notice.h"
#include "jobs/worker.h"
#include "store/bans.h"
#include "store/greylist.h"
#include "store/deleted.h"
#include "store/expiry.h"
#include "store/queue.h"
#include "store/tls_report.h"
#include "store/rates.h"
#include "store/sending.h"

#define DEFAULT_INTERVAL_MS  (5 * 60 * 1000)
#define DEFAULT_HOUR_MS      (60 * 60 * 1000)
#define DEFAULT_ROWS_AT_ONCE 500
#define DEFAULT_REST_MS      50
#define DAY_MS               INT64_C(86400000)

struct jobs {
	struct jobs_options options;
	struct store *store;
	const struct log *log;
	struct worker worker;
	int64_t hour_ms; /* monotonic: when its work is to be done again */
};

/* What is cleared away: at most `max` rows that are older than `before_ms`. */
typedef enum status (*clear_rows)(struct store *store, int64_t before_ms, size_t max, size_t *removed);

/* False when it is time to stop. */
static bool rest(struct jobs *jobs, int ms)
{
	return worker_rest(&jobs->worker, ms);
}

static void clear_older(struct jobs *jobs, const char *event, clear_rows step, unsigned days)
{
	size_t removed = 0, total = 0;
	enum status status = STATUS_OK;
	int64_t before_ms = clock_wall_ms() - days * DAY_MS;

	do {
		status = step(jobs->store, before_ms, jobs->options.rows_at_once, &removed);
		if (status == STATUS_OK)
			total += removed;
	} while (status == STATUS_OK && removed >= jobs->options.rows_at_once && rest(jobs, jobs->options.rest_ms));
	if (status != STATUS_OK)
		LOG_WARNING(jobs->log, event, LOG_STR("status", status_name(status)), LOG_INT("removed", total));
	else if (total > 0)
		LOG_INFO(jobs->log, event, LOG_INT("removed", total));
}

static void clear(struct jobs *jobs, const char *event, clear_rows step, unsigned days)
{
	if (days > 0)
		clear_older(jobs, event, step, days);
}

/* ---- messages that have been there for long enough ---- */

static void announce(struct jobs *jobs, int64_t account)
{
	struct buf payload SCOPED_BUF;

	if (!jobs->options.ipc)
		return;
	buf_init(&payload, NULL, 0);
	pack_u32(&payload, 1);
	pack_u64(&payload, (uint64_t)account);
	ipc_announce(jobs->options.ipc, SLICE("mailbox"), buf_slice(&payload));
}

/* False: it is time to stop, or the store is in trouble. */
static bool expire_place(struct jobs *jobs, struct expiry_place place, int64_t before_ms)
{
	size_t removed, total = 0;
	enum status status;

	do {
		status = expiry_expunge(jobs->store, place, before_ms, jobs->options.rows_at_once, &removed);
		total += removed;
		if (removed > 0)
			announce(jobs, place.account);
	} while (status == STATUS_OK && removed >= jobs->options.rows_at_once && rest(jobs, jobs->options.rest_ms));
	if (status != STATUS_OK)
		LOG_WARNING(jobs->log, "jobs.messages_expired", LOG_STR("status", status_name(status)), LOG_INT("account", place.account));
	else if (total > 0)
		LOG_INFO(jobs->log, "jobs.messages_expired", LOG_INT("account", place.account), LOG_INT("mailbox", place.mailbox),
			 LOG_INT("removed", total));
	return status == STATUS_OK && rest(jobs, 0);
}

static void expire(struct jobs *jobs)
{
	size_t count = jobs->options.expire_count;
	struct arena arena SCOPED_ARENA;
	struct expiry_rule *rules = ARENA_ARRAY(&arena, struct expiry_rule, count + 1);
	struct expiry_place place = {0};
	int64_t before_ms, now_ms = clock_wall_ms();

	for (size_t i = 0; i < count; i++)
		rules[i] = (struct expiry_rule){jobs->options.expire[i].mailbox, now_ms - jobs->options.expire[i].after_days * DAY_MS};
	while (expiry_next(jobs->store, rules, count, &place, &before_ms) == STATUS_OK && expire_place(jobs, place, before_ms))
		;
}

/* False: it is time to stop. */
static bool bound_account(struct jobs *jobs, struct deleted_excess excess)
{
	size_t removed, total = 0;
	enum status status;
	bool goes_on;

	do {
		status = deleted_bound(jobs->store, &excess, jobs->options.rows_at_once, &removed);
		total += removed;
		goes_on = rest(jobs, jobs->options.rest_ms);
	} while (status == STATUS_OK && removed > 0 && excess.bytes > 0 && goes_on);
	if (status != STATUS_OK)
		LOG_WARNING(jobs->log, "jobs.deleted_bounded", LOG_STR("status", status_name(status)), LOG_INT("account", excess.account));
	else
		LOG_INFO(jobs->log, "jobs.deleted_bounded", LOG_INT("account", excess.account), LOG_INT("removed", total));
	return goes_on;
}

static void bound_deleted(struct jobs *jobs)
{
	struct arena arena SCOPED_ARENA;
	struct deleted_excess *excesses;
	size_t count;
	enum status status = deleted_excesses(jobs->store, &arena, &excesses, &count);

	if (status != STATUS_OK)
		LOG_WARNING(jobs->log, "jobs.deleted_bounded", LOG_STR("status", status_name(status)));
	for (size_t i = 0; status == STATUS_OK && i < count && bound_account(jobs, excesses[i]); i++)
		;
}

/* In the first round, and each hour: what looks at all accounts. */
static void work_of_the_hour(struct jobs *jobs)
{
	if (clock_monotonic_ms() < jobs->hour_ms)
		return;
	jobs->hour_ms = clock_monotonic_ms() + jobs->options.hour_ms;
	if (jobs->options.expire_count > 0)
		expire(jobs);
	bound_deleted(jobs);
}

static void tell_of_quotas(const struct jobs *jobs)
{
	const struct quota_notices notices = {.store = jobs->store,
					      .ipc = jobs->options.ipc,
					      .hostname = jobs->options.hostname,
					      .percent = jobs->options.quota_percent,
					      .log = jobs->log};

	quota_notices_send(&notices);
}

static void *run(void *context)
{
	struct jobs *jobs = context;

	while (rest(jobs, jobs->options.interval_ms)) {
		work_of_the_hour(jobs);
		tell_of_quotas(jobs);
		clear(jobs, "jobs.change_log_trimmed", change_log_trim, jobs->options.change_log_days);
		clear_older(jobs, "jobs.deleted_purged", deleted_purge, jobs->options.deleted_days);
		clear(jobs, "jobs.traces_forgotten", trace_forget, jobs->options.trace_days);
		clear(jobs, "jobs.tls_results_forgotten", tls_count_forget, jobs->options.trace_days);
		clear(jobs, "jobs.bans_forgotten", bans_forget, jobs->options.ban_days);
		clear(jobs, "jobs.sending_forgotten", sending_forget, jobs->options.sending_days);
		clear(jobs, "jobs.greylist_forgotten", greylist_forget, jobs->options.greylist_days);
		clear(jobs, "jobs.rates_forgotten", rates_forget, jobs->options.sending_days);
	}
	return NULL;
}

struct jobs *jobs_new(const struct jobs_options *options, struct store *store, const struct log *log)
{
	struct jobs *jobs = calloc(1, sizeof *jobs);

	if (!jobs)
		return NULL;
	jobs->options = *options;
	if (jobs->options.interval_ms <= 0)
		jobs->options.interval_ms = DEFAULT_INTERVAL_MS;
	if (jobs->options.rows_at_once == 0)
		jobs->options.rows_at_once = DEFAULT_ROWS_AT_ONCE;
	if (jobs->options.hour_ms <= 0)
		jobs->options.hour_ms = DEFAULT_HOUR_MS;
	if (jobs->options.rest_ms <= 0)
		jobs->options.rest_ms = DEFAULT_REST_MS;
	jobs->store = store;
	jobs->log = log;
	if (worker_start(&jobs->worker, run, jobs))
		return jobs;
	free(jobs);
	return NULL;
}

void jobs_free(struct jobs *jobs)
{
	if (!jobs)
		return;
	worker_stop(&jobs->worker);
	free(jobs);
}
