/* job: what the role tells the agent, a process of its own that becomes the user: `posthorn agent`, which nobody starts by hand. It finds
 * the packed job as AGENT_JOB_FD (a memfd), the message as AGENT_MESSAGE_FD (a sealed memfd), and writes its packed local_outcome to
 * AGENT_OUTCOME_FD; its standard output and error are the command's, whose first line becomes the reason of a bounce. A command takes the
 * agent's place: then there is no outcome, but an exit status (verdict.h). */
#pragma once

#include "local/local.h"

#define AGENT_JOB_FD     3
#define AGENT_MESSAGE_FD 4
#define AGENT_OUTCOME_FD 5

struct local_job {
	struct local_request request; /* its hop is taken apart below */
	struct slice user;
	/* |COMMAND, /FILE, /MAILDIR/, \ (the mailbox), or empty: as the user's .forward has it */
	struct slice target;
	bool is_settings; /* `target` is local.targets' word; else it must stand in .forward */
	/* the settings of local.* */
	struct slice mailbox, mailbox_command;
	bool forward;
	uint32_t minimum_uid;
	uint32_t time_limit_s;
	char separator; /* 0: none */
	struct slice hostname;
};
void local_job_pack(struct buf *out, const struct local_job *job);
MUST_CHECK bool local_job_unpack(struct slice frame, struct local_job *job);

/* The agent's whole life; the exit status. */
int local_agent_main(void);
