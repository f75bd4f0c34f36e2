/* agent: a process of this program that does one job for a role: started with a few descriptors and nothing else of ours, read from until it
 * ends, and reaped.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/buf.h"

#define AGENT_FDS_MAX 6

struct agent_start {
	const char *kind;         /* "posthorn agent KIND" */
	char *const *environment; /* all of it, ending with NULL */
	struct {
		int from, to; /* from: made by the functions below, so that none is in another's way */
	} fds[AGENT_FDS_MAX];
	size_t fd_count;
	bool own_session; /* it and what it starts can be killed together */
};
/* Signals are as they are by default. -1: it couldn't be started. */
pid_t agent_spawn(const struct agent_start *start);

/* Copies a descriptor above those that agents find; closed at exec. -1: it can't be. */
int agent_copy_fd(int fd);
/* The same, and closes the first; of -1, -1. */
int agent_move_fd(int fd);
/* The reading end is non-blocking. False: *pair may hold what has to be closed. */
__attribute__((warn_unused_result)) bool agent_pipe(int pair[2]);
void agent_close(int *fd); /* *fd is -1 then */

/* Takes what is there, or as much as is read at once, and closes at the end. What is beyond the buffer's limit is passed over; true: there was
 * such. */
bool agent_drain(int *fd, struct buf *into);
/* The status of waitpid(2); -1: there is none. */
int agent_reap(pid_t pid);
