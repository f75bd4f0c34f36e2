/* Group commit. Threads put their work into a queue; the one that finds nobody leading leads: it takes what stands there, runs it
 * in one transaction, commits once, wakes the owners, and hands the lead to the oldest that came meanwhile.
 *
 * A batch is first run in good faith, without savepoints. Only if a work fails after having changed something is everything rolled
 * back and run again carefully, each in its own savepoint. Works may be run more than once by contract, and failing ones
 * mostly fail before they change anything, so the price of the second run is paid rarely and that of savepoints hardly ever.
 *
 * Invariant: the status of a work is told to its owner after the commit, or after it is certain that nothing was kept; what is not
 * certain, because the server went away over the COMMIT, is told as such.
 */
#include <semaphore.h>
#include <stdlib.h>

#include <utlist.h>

#include "base/clock.h"
#include "base/metrics.h"
#include "base/thread.h"
#include "store/db_internal.h"

#define BATCH_WORKS 100
#define BATCH_BYTES (16 * 1024 * 1024)
#define RETRIES_MAX 8

enum pending_state { PENDING_QUEUED, PENDING_TAKEN, PENDING_LEADS, PENDING_DONE };

struct db_pending {
	db_work work;
	void *context;
	size_t size;
	enum status status;
	bool in_doubt;
	enum pending_state state; /* under the writer's mutex */
	sem_t wake;
	struct db_pending *prev, *next;
};

struct batch {
	struct db_pending *works[BATCH_WORKS];
	size_t count;
};

/* ---- what works keep back ---- */

void db_pool_set_cache(struct db_pool *pool, const struct db_write_cache *cache)
{
	pool->cache = cache;
}

void db_pool_keep_deleted(struct db_pool *pool, bool keep)
{
	pool->keep_deleted = keep;
}

bool db_keeps_deleted(const struct db *db)
{
	return db->pool->keep_deleted;
}

void *db_cache(struct db *db)
{
	if (!db->cache && db->pool->cache)
		db->cache = db->pool->cache->make();
	return db->cache;
}

void db_touch(struct db *db)
{
	db->writes++;
}

uint64_t db_work_number(const struct db *db)
{
	return db->work_number;
}

static void flush_cache(struct db *db)
{
	if (db->cache)
		db->pool->cache->flush(db, db->cache);
}

static void forget_cache(struct db *db)
{
	if (db->cache)
		db->pool->cache->forget(db->cache);
}

static void roll_back(struct db *db)
{
	forget_cache(db);
	db_rollback(db);
}

/* ---- running a batch ---- */

enum outcome { OUTCOME_READY, OUTCOME_AGAIN, OUTCOME_LOST };

static enum status run_work(struct db *db, struct db_pending *pending)
{
	db->work_number++;
	enum status status = pending->work(db, pending->context);

	return db->status != STATUS_OK ? db->status : status;
}

/* An error that showed when all works had been run. AGAIN: whose it was is found by running them carefully, but for a single one,
 * which has its answer with that. */
static enum outcome after_late_error(const struct db *db, struct batch *batch)
{
	if (db->status == STATUS_TEMPORARY)
		return OUTCOME_LOST;
	if (batch->count == 1)
		batch->works[0]->status = db->status;
	return OUTCOME_AGAIN;
}

/* In good faith: AGAIN if a work failed and left something behind. */
static enum outcome run_plainly(struct db *db, struct batch *batch)
{
	for (size_t i = 0; i < batch->count; i++) {
		uint64_t writes = db->writes;
		struct db_pending *pending = batch->works[i];

		pending->status = run_work(db, pending);
		if (db->status == STATUS_TEMPORARY)
			return OUTCOME_LOST;
		if (pending->status != STATUS_OK && (db->status != STATUS_OK || db->writes != writes))
			return OUTCOME_AGAIN;
	}
	flush_cache(db);
	return db->status == STATUS_OK ? OUTCOME_READY : after_late_error(db, batch);
}

static enum outcome run_carefully(struct db *db, struct batch *batch)
{
	for (size_t i = 0; i < batch->count; i++) {
		struct db_pending *pending = batch->works[i];

		if (db_savepoint(db) != STATUS_OK)
			return OUTCOME_LOST;
		pending->status = run_work(db, pending);
		if (pending->status == STATUS_OK) {
			flush_cache(db);
			db_savepoint_release(db);
			/* Where answers are waited for later, this is the last moment to know whose error it was. */
			(void)db_changes(db);
			pending->status = db->status;
		}
		if (db->status == STATUS_TEMPORARY || db->broken)
			return OUTCOME_LOST;
		if (pending->status != STATUS_OK) {
			forget_cache(db);
			db_savepoint_rollback(db);
		}
	}
	return db->status == STATUS_OK ? OUTCOME_READY : OUTCOME_LOST;
}

static void all_lost(struct batch *batch)
{
	for (size_t i = 0; i < batch->count; i++)
		batch->works[i]->status = STATUS_TEMPORARY;
}

static enum outcome commit(struct db *db, struct batch *batch, bool carefully)
{
	if (db_commit(db) == STATUS_OK)
		return OUTCOME_READY;
	if (!carefully && db->status != STATUS_TEMPORARY)
		return after_late_error(db, batch);
	for (size_t i = 0; i < batch->count; i++)
		batch->works[i]->in_doubt = db->in_doubt && batch->works[i]->status == STATUS_OK;
	/* Also those that have failed: what they have seen may be what their neighbours did. */
	all_lost(batch);
	return OUTCOME_LOST;
}

/* One try. AGAIN: run it again, now carefully (or because the database asks for it). */
static enum outcome try_batch(struct db *db, struct batch *batch, bool carefully)
{
	enum outcome outcome = OUTCOME_LOST;

	if (db_begin(db, DB_WRITE) == STATUS_OK)
		outcome = carefully ? run_carefully(db, batch) : run_plainly(db, batch);
	else
		all_lost(batch);
	if (outcome == OUTCOME_READY)
		outcome = commit(db, batch, carefully);
	else if (outcome == OUTCOME_LOST)
		all_lost(batch);
	bool asked = outcome == OUTCOME_LOST && db->may_retry;

	roll_back(db);
	/* A single work that failed by itself has its answer. */
	if (outcome == OUTCOME_AGAIN && batch->count == 1)
		return OUTCOME_READY;
	return asked ? OUTCOME_AGAIN : outcome;
}

static void run_batch(struct db *db, struct batch *batch)
{
	bool carefully = false;

	for (int i = 0; i < RETRIES_MAX; i++) {
		enum outcome outcome = try_batch(db, batch, carefully);

		if (outcome != OUTCOME_AGAIN)
			return;
		if (db->broken)
			break;
		carefully = batch->count > 1 || db->may_retry;
	}
	all_lost(batch);
}

/* ---- leading and following ---- */

static void take_batch(struct db_writer *writer, struct batch *batch)
{
	size_t size = 0;

	batch->count = 0;
	pthread_mutex_lock(&writer->mutex);
	while (writer->queue && batch->count < BATCH_WORKS) {
		struct db_pending *pending = writer->queue;

		if (batch->count > 0 && size + pending->size > BATCH_BYTES)
			break;
		DL_DELETE(writer->queue, pending);
		pending->state = PENDING_TAKEN;
		size += pending->size;
		batch->works[batch->count++] = pending;
	}
	pthread_mutex_unlock(&writer->mutex);
}

/* After this the others' works are their owners' again. */
static void tell_others(struct db_writer *writer, struct batch *batch, struct db_pending *self)
{
	pthread_mutex_lock(&writer->mutex);
	for (size_t i = 0; i < batch->count; i++)
		batch->works[i]->state = PENDING_DONE;
	pthread_mutex_unlock(&writer->mutex);
	for (size_t i = 0; i < batch->count; i++)
		if (batch->works[i] != self)
			sem_post(&batch->works[i]->wake);
}

static void hand_over(struct db_writer *writer)
{
	pthread_mutex_lock(&writer->mutex);
	struct db_pending *next = writer->queue;

	if (next)
		next->state = PENDING_LEADS;
	else
		writer->led = false;
	pthread_mutex_unlock(&writer->mutex);
	if (next)
		sem_post(&next->wake);
}

static void count_batch(struct metrics *metrics, const struct batch *batch, int64_t began_us)
{
	if (!metrics)
		return;
	metrics_observe(metrics, METRIC_STORE_COMMIT_SECONDS, (uint64_t)(metrics_now_us(metrics) - began_us));
	metrics_observe(metrics, METRIC_STORE_BATCH, batch->count);
	for (size_t i = 0; i < batch->count; i++) {
		enum status status = batch->works[i]->status;

		if (status == STATUS_TEMPORARY || status == STATUS_BUG)
			metrics_add(metrics, METRIC_STORE_ERRORS, metrics_label(METRIC_STORE_ERRORS, status_name(status)), 1);
	}
}

static void lead(struct db_pool *pool, struct db_pending *self)
{
	struct db_writer *writer = &pool->writer;
	struct batch batch;

	if (!writer->db)
		writer->db = db_open(pool);
	take_batch(writer, &batch);
	int64_t began_us = metrics_now_us(pool->log->metrics);

	if (writer->db)
		run_batch(writer->db, &batch);
	else
		all_lost(&batch);
	count_batch(pool->log->metrics, &batch, began_us);
	tell_others(writer, &batch, self);
	if (writer->db && writer->db->broken) {
		db_close(writer->db);
		writer->db = NULL;
	}
	bool more = writer->db && pool->backend->tidy(writer->db);

	hand_over(writer);
	if (more)
		pool->backend->tidy_aside(pool);
}

/* False: it waited too long and nobody had begun with it; it is out of the queue. */
static bool withdraw(struct db_writer *writer, struct db_pending *self)
{
	pthread_mutex_lock(&writer->mutex);
	bool queued = self->state == PENDING_QUEUED;

	if (queued)
		DL_DELETE(writer->queue, self);
	pthread_mutex_unlock(&writer->mutex);
	return queued;
}

static void follow(struct db_pool *pool, struct db_pending *self)
{
	if (!thread_semaphore_take(&self->wake, clock_monotonic_ms() + pool->busy_timeout_ms + 1000)) {
		if (withdraw(&pool->writer, self)) {
			self->status = STATUS_TEMPORARY;
			return;
		}
		while (sem_wait(&self->wake) != 0)
			;
	}
	if (self->state == PENDING_LEADS)
		lead(pool, self);
}

enum status db_write_sized(struct db_pool *pool, db_work work, void *context, size_t size, bool *in_doubt)
{
	struct db_writer *writer = &pool->writer;
	struct db_pending self = {.work = work, .context = context, .size = size, .status = STATUS_TEMPORARY};

	sem_init(&self.wake, 0, 0);
	pthread_mutex_lock(&writer->mutex);
	DL_APPEND(writer->queue, &self);
	bool leads = !writer->led;

	writer->led = true;
	pthread_mutex_unlock(&writer->mutex);
	if (leads)
		lead(pool, &self);
	else
		follow(pool, &self);
	sem_destroy(&self.wake);
	*in_doubt = self.in_doubt;
	return self.status;
}

enum status db_write(struct db_pool *pool, db_work work, void *context)
{
	bool in_doubt;

	return db_write_sized(pool, work, context, 0, &in_doubt);
}
