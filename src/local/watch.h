/* watch: starts an agent (job.h) and stays with it to its end. */
#pragma once

#include "base/log.h"
#include "local/job.h"

struct watch {
	const struct log *log;
	int stop_fd;    /* readable: end it now */
	int message_fd; /* a sealed memfd; stays the caller's */
};
/* *outcome is in `arena`. What lasts longer than the job's time limit is killed with all of its group, and deferred. */
void watch_agent(const struct watch *watch, struct arena *arena, const struct local_job *job, struct local_outcome *outcome);
