/* job: what the role convert tells a converter's process, `posthorn agent convert`, which nobody starts by hand (main/agent_convert.h): it
 * finds the packed job as CONVERT_JOB_FD (a memfd), the attachment as its standard input (a sealed memfd), and writes text to its standard
 * output. A program of the settings takes its place. */
#pragma once

#include "base/buf.h"
#include "base/error.h"

#define CONVERT_JOB_FD    3
#define CONVERT_WORDS_MAX 64

struct convert_job {
	struct slice command;
	uint64_t memory; /* bytes */
	uint32_t time_s; /* of the processor */
	uint32_t parent; /* the role's process */
};
void convert_job_pack(struct buf *out, const struct convert_job *job);
MUST_CHECK bool convert_job_unpack(struct slice frame, struct convert_job *job);
/* The command's words with a NULL behind them, in the arena; NULL: too many. */
char **convert_job_words(struct arena *arena, struct slice command);
