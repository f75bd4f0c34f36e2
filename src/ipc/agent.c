#include "ipc/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#define THIS_PROGRAM  "/proc/self/exe"
#define PIECE         (16 * 1024)
#define READS_AT_ONCE 16 /* one that never stops writing mustn't keep us from the clock */
#define FIRST_FREE_FD 16 /* above those that agents find */

/* ---- start ---- */

static bool set_up_descriptors(posix_spawn_file_actions_t *actions, const struct agent_start *start)
{
	bool ok = true;

	for (size_t i = 0; i < start->fd_count; i++)
		ok = ok && posix_spawn_file_actions_adddup2(actions, start->fds[i].from, start->fds[i].to) == 0;
	return ok;
}

static bool set_up_attributes(posix_spawnattr_t *attributes, const struct agent_start *start)
{
	short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
	sigset_t none, all;

	if (start->own_session)
		flags |= POSIX_SPAWN_SETSID;
	sigemptyset(&none);
	sigfillset(&all);
	return posix_spawnattr_setsigmask(attributes, &none) == 0 && posix_spawnattr_setsigdefault(attributes, &all) == 0 &&
	       posix_spawnattr_setflags(attributes, flags) == 0;
}

pid_t agent_spawn(const struct agent_start *start)
{
	char *const arguments[] = {(char *)"posthorn", (char *)"agent", (char *)start->kind, NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	pid_t pid = -1;

	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attributes);
	if (!set_up_descriptors(&actions, start) || !set_up_attributes(&attributes, start) ||
	    posix_spawn(&pid, THIS_PROGRAM, &actions, &attributes, arguments, start->environment) != 0)
		pid = -1;
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return pid;
}

int agent_copy_fd(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, FIRST_FREE_FD);
}

int agent_move_fd(int fd)
{
	int moved = fd >= 0 ? agent_copy_fd(fd) : -1;

	if (fd >= 0)
		close(fd);
	return moved;
}

bool agent_pipe(int pair[2])
{
	if (pipe2(pair, O_CLOEXEC) != 0)
		return false;
	pair[0] = agent_move_fd(pair[0]);
	pair[1] = agent_move_fd(pair[1]);
	(void)fcntl(pair[0], F_SETFL, O_NONBLOCK);
	return pair[0] >= 0 && pair[1] >= 0;
}

void agent_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* ---- to its end ---- */

bool agent_drain(int *fd, struct buf *into)
{
	char bytes[PIECE];
	bool is_cut = false;

	for (unsigned reads = 0; *fd >= 0 && reads < READS_AT_ONCE; reads++) {
		ssize_t got = read(*fd, bytes, sizeof(bytes));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && errno == EAGAIN)
			break;
		if (got <= 0) {
			agent_close(fd);
			break;
		}
		is_cut |= (size_t)got > into->limit - into->len;
		buf_add(into, slice_sub(slice_of(bytes, (size_t)got), 0, into->limit - into->len));
	}
	return is_cut;
}

int agent_reap(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return status;
}
