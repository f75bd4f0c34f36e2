#include "auth/checks.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <utlist.h>

struct job { /* on the stack of the one who waits */
	uint64_t group, question;
	void (*work)(void *context);
	void *context;
	bool done;
	pthread_cond_t changed;
	struct job *companions; /* who asks the same, in no list else */
	struct job *prev, *next;
};

struct checks {
	pthread_mutex_t mutex;
	pthread_cond_t has_jobs;
	struct job *jobs;    /* that wait, oldest first */
	struct job *at_work; /* one a thread at most */
	unsigned waiting, waiting_max;
	bool stopping;
	unsigned thread_count;
	pthread_t threads[];
};

/* Invariant: a job that waits belongs to nobody but its waiter; one at work belongs to the thread until `done`. */
static struct job *take_job(struct checks *checks)
{
	while (!checks->jobs && !checks->stopping)
		pthread_cond_wait(&checks->has_jobs, &checks->mutex);
	struct job *job = checks->jobs;

	if (job) {
		DL_DELETE(checks->jobs, job);
		DL_APPEND(checks->at_work, job);
		checks->waiting--;
	}
	return job;
}

/* Invariant: once done a job's memory is its waiter's again. */
static void end_job(struct checks *checks, struct job *job)
{
	struct job *companion, *next;

	DL_DELETE(checks->at_work, job);
	for (companion = job->companions; companion; companion = next) {
		next = companion->next;
		companion->done = true;
		pthread_cond_signal(&companion->changed);
	}
	job->done = true;
	pthread_cond_signal(&job->changed);
}

static void *run_jobs(void *context)
{
	struct checks *checks = context;
	struct job *job;

	pthread_mutex_lock(&checks->mutex);
	while ((job = take_job(checks)) != NULL) {
		pthread_mutex_unlock(&checks->mutex);
		job->work(job->context);
		pthread_mutex_lock(&checks->mutex);
		end_job(checks, job);
	}
	pthread_mutex_unlock(&checks->mutex);
	return NULL;
}

struct checks *checks_new(unsigned threads, unsigned waiting)
{
	struct checks *checks = calloc(1, sizeof *checks + threads * sizeof(pthread_t));

	if (!checks)
		abort();
	checks->waiting_max = waiting;
	pthread_mutex_init(&checks->mutex, NULL);
	pthread_cond_init(&checks->has_jobs, NULL);
	while (checks->thread_count < threads &&
	       pthread_create(&checks->threads[checks->thread_count], NULL, run_jobs, checks) == 0)
		checks->thread_count++;
	if (checks->thread_count == 0)
		abort();
	return checks;
}

void checks_free(struct checks *checks)
{
	if (!checks)
		return;
	pthread_mutex_lock(&checks->mutex);
	checks->stopping = true;
	pthread_cond_broadcast(&checks->has_jobs);
	pthread_mutex_unlock(&checks->mutex);
	for (unsigned i = 0; i < checks->thread_count; i++)
		pthread_join(checks->threads[i], NULL);
	pthread_cond_destroy(&checks->has_jobs);
	pthread_mutex_destroy(&checks->mutex);
	free(checks);
}

static bool has_place(const struct checks *checks, uint64_t group)
{
	unsigned of_group = 0;
	const struct job *job;

	if (checks->stopping || checks->waiting >= checks->waiting_max)
		return false;
	DL_FOREACH(checks->jobs, job)
	of_group += job->group == group;
	return of_group < (checks->waiting_max + 1) / 2;
}

static struct job *with_question(struct checks *checks, uint64_t question)
{
	struct job *job;

	if (question == 0)
		return NULL;
	DL_SEARCH_SCALAR(checks->at_work, job, question, question);
	if (!job)
		DL_SEARCH_SCALAR(checks->jobs, job, question, question);
	return job;
}

/* Into the line, or beside the one who asks the same. */
static enum checked enter(struct checks *checks, struct job *job)
{
	struct job *leader = with_question(checks, job->question);

	if (leader) {
		LL_PREPEND(leader->companions, job);
		return CHECKED_FOR_ANOTHER;
	}
	if (!has_place(checks, job->group))
		return CHECKED_NOT;
	DL_APPEND(checks->jobs, job);
	checks->waiting++;
	pthread_cond_signal(&checks->has_jobs);
	return CHECKED;
}

enum checked checks_run(struct checks *checks, uint64_t group, uint64_t question, void (*work)(void *context), void *context)
{
	struct job job = {.group = group, .question = question, .work = work, .context = context};

	pthread_cond_init(&job.changed, NULL);
	pthread_mutex_lock(&checks->mutex);
	enum checked result = enter(checks, &job);

	while (result != CHECKED_NOT && !job.done)
		pthread_cond_wait(&job.changed, &checks->mutex);
	pthread_mutex_unlock(&checks->mutex);
	pthread_cond_destroy(&job.changed);
	return result;
}
