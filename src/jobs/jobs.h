/* jobs: the jobs role's work, which nobody waits for: every few minutes what is older than its retention is cleared away, a few
 * hundred rows at a time with a rest in between, so that no delivery waits behind it. One thread of its own. What fails is
 * logged and tried again in the next round.
 */
#pragma once

#include "base/error.h"
#include "base/log.h"
#include "base/slice.h"

struct ipc;
struct store;
struct jobs;

/* Messages of such a mailbox are expunged so long after they were put there (store/expiry.h). */
struct jobs_expiry {
	struct slice mailbox;
	unsigned after_days;
};

struct jobs_options {
	unsigned change_log_days; /* 0: kept for ever */
	unsigned trace_days;      /* 0: kept for ever */
	unsigned deleted_days;    /* 0: what was kept before is cleared away at once */
	unsigned ban_days;        /* after its end; 0: kept for ever */
	unsigned sending_days;    /* and shared rates; 0: kept for ever */
	unsigned greylist_days;   /* 0: kept for ever */
	const struct jobs_expiry *expire; /* copied by nobody: outlives the jobs */
	size_t expire_count;
	int hour_ms;              /* between rounds that look at all accounts; 0: an hour */
	struct ipc *ipc;          /* is told whose mailboxes have changed; may be NULL */
	struct slice hostname;
	unsigned quota_percent;   /* of a quota, from which on its owner is told (quota_notice.h); 0: never */
	int interval_ms;          /* between rounds; 0: 5 minutes. The first begins one interval after the start. */
	unsigned rows_at_once;    /* 0: 500 */
	int rest_ms;              /* between two steps of a round; 0: 50 */
};
/* `store` and `log` must outlive it. NULL: no thread could be started. */
MUST_CHECK struct jobs *jobs_new(const struct jobs_options *options, struct store *store, const struct log *log);
/* Ends after the step that is running. */
void jobs_free(struct jobs *jobs);
