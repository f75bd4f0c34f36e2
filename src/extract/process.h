/* process: a converter's process from its start to its end (job.h), whatever it does: it has one pipe to write to, is read no further than
 * is wanted, and is ended when its time is up. */
#pragma once

#include "extract/job.h"

enum convert_result {
	CONVERT_TEXT,   /* all of it, perhaps nothing */
	CONVERT_CUT,    /* as much as is kept */
	CONVERT_FAILED, /* by itself */
	CONVERT_LATE,   /* ended by us */
	CONVERT_RESULTS,
};
struct convert_outcome {
	enum convert_result result;
	struct slice reason; /* of what went wrong: "ended by signal 11", "exit status 1: Incorrect password" */
};
struct convert_process {
	const struct convert_job *job;
	int attachment;   /* a sealed memfd; stays the caller's */
	int stop_fd;      /* readable: end it now */
	int64_t until_ms; /* monotonic */
};
/* `text` has the limit of what is kept; what went wrong leaves nothing in it. reason is in the arena. */
void convert_process_run(const struct convert_process *process, struct arena *arena, struct buf *text,
			 struct convert_outcome *outcome);
