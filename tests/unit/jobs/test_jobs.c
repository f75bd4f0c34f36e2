#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "jobs/jobs.h"
#include "jobs/quota_notice.h"
#include "store/deleted.h"
#include "store/expiry.h"
#include "store/queue.h"
#include "store/tls_report.h"

#define DAY_MS INT64_C(86400000)

/* A store that has so many old rows and so many faults to come. */
struct store {
	_Atomic size_t change_rows, trace_rows;
	_Atomic unsigned faults, steps;
	_Atomic size_t largest_step;
	_Atomic int64_t change_before_ms, trace_before_ms, deleted_before_ms, expired_before_ms;
	_Atomic unsigned expired_places, bounded;
};

static enum status clear(struct store *store, _Atomic size_t *rows, size_t max, size_t *removed)
{
	atomic_fetch_add(&store->steps, 1);
	if (store->faults > 0) {
		atomic_fetch_sub(&store->faults, 1);
		return STATUS_TEMPORARY;
	}
	*removed = *rows < max ? *rows : max;
	atomic_fetch_sub(rows, *removed);
	if (*removed > store->largest_step)
		store->largest_step = *removed;
	return STATUS_OK;
}

enum status change_log_trim(struct store *store, int64_t before_ms, size_t max, size_t *removed)
{
	store->change_before_ms = before_ms;
	return clear(store, &store->change_rows, max, removed);
}

enum status trace_forget(struct store *store, int64_t before_ms, size_t max, size_t *removed)
{
	store->trace_before_ms = before_ms;
	return clear(store, &store->trace_rows, max, removed);
}

enum status deleted_purge(struct store *store, int64_t before_ms, size_t max, size_t *removed)
{
	(void)max;
	store->deleted_before_ms = before_ms;
	*removed = 0;
	return STATUS_OK;
}

enum status deleted_excesses(struct store *store, struct arena *arena, struct deleted_excess **excesses, size_t *count)
{
	(void)store;
	*count = 2;
	*excesses = ARENA_ARRAY(arena, struct deleted_excess, 2);
	(*excesses)[0] = (struct deleted_excess){1, 100};
	(*excesses)[1] = (struct deleted_excess){2, 30};
	return STATUS_OK;
}

/* Each step takes 40 bytes. */
enum status deleted_bound(struct store *store, struct deleted_excess *excess, size_t max, size_t *removed)
{
	assert_true(max > 0);
	atomic_fetch_add(&store->bounded, 1);
	excess->bytes -= excess->bytes < 40 ? excess->bytes : 40;
	*removed = 1;
	return STATUS_OK;
}

enum status tls_count_forget(struct store *store, int64_t before_ms, size_t max, size_t *removed)
{
	(void)store;
	(void)before_ms;
	(void)max;
	*removed = 0;
	return STATUS_OK;
}

/* There are three places. */
enum status expiry_next(struct store *store, const struct expiry_rule *rules, size_t count, struct expiry_place *place,
			int64_t *before_ms)
{
	(void)store;
	assert_int_equal(count, 1);
	*before_ms = rules[0].before_ms;
	place->account++;
	return place->account > 3 ? STATUS_NOT_FOUND : STATUS_OK;
}

enum status expiry_expunge(struct store *store, struct expiry_place place, int64_t before_ms, size_t max, size_t *removed)
{
	(void)place;
	atomic_fetch_add(&store->expired_places, 1);
	store->expired_before_ms = before_ms;
	return clear(store, &store->change_rows, max, removed);
}

void quota_notices_send(const struct quota_notices *notices)
{
	assert_int_equal(notices->percent, 0);
}

static struct log make_log(void)
{
	struct log log;

	log_init(&log, -1, LOG_FORMAT_LOGFMT, LOG_LEVEL_ERROR, SLICE("jobs"));
	return log;
}

static void wait_until_empty(struct store *store)
{
	for (int i = 0; i < 5000 && store->change_rows + store->trace_rows > 0; i++)
		usleep(1000);
	assert_int_equal(store->change_rows + store->trace_rows, 0);
}

static void old_rows_go_in_small_steps(void **state)
{
	struct jobs_options options = {
		.change_log_days = 30, .trace_days = 14, .interval_ms = 1, .rows_at_once = 10, .rest_ms = 1};
	struct store store = {.change_rows = 95, .trace_rows = 25};
	struct log log = make_log();
	int64_t start_ms = clock_wall_ms();
	struct jobs *jobs = jobs_new(&options, &store, &log);

	(void)state;
	assert_non_null(jobs);
	wait_until_empty(&store);
	jobs_free(jobs);
	assert_int_equal(store.largest_step, 10);
	assert_in_range(store.change_before_ms, start_ms - 30 * DAY_MS, clock_wall_ms() - 30 * DAY_MS);
	assert_in_range(store.trace_before_ms, start_ms - 14 * DAY_MS, clock_wall_ms() - 14 * DAY_MS);
}

static void faults_are_tried_again(void **state)
{
	struct jobs_options options = {.change_log_days = 1, .trace_days = 1, .interval_ms = 1};
	struct store store = {.change_rows = 5, .trace_rows = 5, .faults = 7};
	struct log log = make_log();
	struct jobs *jobs = jobs_new(&options, &store, &log);

	(void)state;
	assert_non_null(jobs);
	wait_until_empty(&store);
	jobs_free(jobs);
	assert_int_equal(store.faults, 0);
}

static void zero_days_keep_for_ever(void **state)
{
	struct jobs_options options = {.trace_days = 1, .interval_ms = 1};
	struct store store = {.change_rows = 5};
	struct log log = make_log();
	struct jobs *jobs = jobs_new(&options, &store, &log);

	(void)state;
	assert_non_null(jobs);
	while (store.steps < 3)
		usleep(1000);
	jobs_free(jobs);
	assert_int_equal(store.change_rows, 5);
}

/* Who turns the setting off doesn't want to keep what was kept before. */
static void deleted_messages_go_at_once_at_zero_days(void **state)
{
	struct jobs_options options = {.interval_ms = 1, .deleted_days = 3};
	struct log log = make_log();
	int64_t start_ms = clock_wall_ms();

	(void)state;
	for (int round = 0; round < 2; round++) {
		struct store store = {0};
		struct jobs *jobs = jobs_new(&options, &store, &log);

		assert_non_null(jobs);
		while (store.deleted_before_ms == 0)
			usleep(1000);
		jobs_free(jobs);
		assert_in_range(store.deleted_before_ms, start_ms - options.deleted_days * DAY_MS,
				clock_wall_ms() - options.deleted_days * DAY_MS);
		options.deleted_days = 0;
	}
}

static void messages_expire_once_an_hour(void **state)
{
	const struct jobs_expiry expiry = {SLICE("Trash"), 30};
	struct jobs_options options = {.expire = &expiry, .expire_count = 1, .trace_days = 1, .interval_ms = 1, .rows_at_once = 10};
	struct store store = {.change_rows = 5};
	struct log log = make_log();
	int64_t start_ms = clock_wall_ms();
	struct jobs *jobs = jobs_new(&options, &store, &log);

	(void)state;
	assert_non_null(jobs);
	while (store.steps < 20)
		usleep(1000);
	jobs_free(jobs);
	assert_int_equal(store.expired_places, 3);
	assert_int_equal(store.bounded, 3 + 1);
	assert_int_equal(store.change_rows, 0);
	assert_in_range(store.expired_before_ms, start_ms - 30 * DAY_MS, clock_wall_ms() - 30 * DAY_MS);
}

/* Neither between rounds nor in the middle of a long one. */
static void stopping_waits_for_nothing(void **state)
{
	struct jobs_options options = {.change_log_days = 1};
	struct store store = {.change_rows = 1000000};
	struct log log = make_log();
	int64_t start_ms = clock_monotonic_ms();

	(void)state;
	for (int round = 0; round < 2; round++) {
		struct jobs *jobs = jobs_new(&options, &store, &log);

		assert_non_null(jobs);
		usleep(30000);
		jobs_free(jobs);
		options.interval_ms = 1;
		options.rest_ms = 60000;
		options.rows_at_once = 1;
	}
	assert_int_equal(store.change_rows, 999999);
	assert_true(clock_monotonic_ms() - start_ms < 10000);
	jobs_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(old_rows_go_in_small_steps), cmocka_unit_test(faults_are_tried_again),
		cmocka_unit_test(zero_days_keep_for_ever),    cmocka_unit_test(deleted_messages_go_at_once_at_zero_days),
		cmocka_unit_test(stopping_waits_for_nothing), cmocka_unit_test(messages_expire_once_an_hour),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
