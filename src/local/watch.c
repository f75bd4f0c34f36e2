#include "local/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "ipc/ipc.h"
#include "local/verdict.h"

#define THIS_PROGRAM "/proc/self/exe"
#define OUTPUT_KEPT  2000
#define OUTCOME_MAX  (256 * 1024)
#define READS_AT_ONCE 16 /* a command that never stops writing mustn't keep us from the clock */
#define GRACE_MS     5000 /* beyond the command's own time, for what the agent does besides */

struct process {
	pid_t pid;
	int pidfd, outcome, output; /* -1: at its end */
	struct buf outcome_bytes, output_bytes;
};

static void close_one(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void defer(struct local_outcome *outcome, struct slice text)
{
	*outcome = (struct local_outcome){.result = LOCAL_DEFERRED, .enhanced = SLICE("4.3.0"), .text = text};
}

/* ---- start ---- */

/* Everything of ours is closed at exec: only these five go on. They are moved out of one another's way first. */
static bool set_up_descriptors(posix_spawn_file_actions_t *actions, const int fds[3], int output)
{
	static const int to[] = {AGENT_JOB_FD, AGENT_MESSAGE_FD, AGENT_OUTCOME_FD};
	bool ok = posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0) == 0 &&
		  posix_spawn_file_actions_adddup2(actions, output, STDOUT_FILENO) == 0 &&
		  posix_spawn_file_actions_adddup2(actions, output, STDERR_FILENO) == 0;

	for (size_t i = 0; i < 3; i++)
		ok = ok && posix_spawn_file_actions_adddup2(actions, fds[i], to[i]) == 0;
	return ok;
}

static bool set_up_attributes(posix_spawnattr_t *attributes)
{
	sigset_t none, all;

	sigemptyset(&none);
	sigfillset(&all);
	return posix_spawnattr_setsigmask(attributes, &none) == 0 && posix_spawnattr_setsigdefault(attributes, &all) == 0 &&
	       posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID) == 0;
}

static pid_t spawn(const int fds[3], int output)
{
	char *const arguments[] = {(char *)"posthorn", (char *)"agent", (char *)"local", NULL}, *const environment[] = {NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	pid_t pid = -1;

	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attributes);
	if (!set_up_descriptors(&actions, fds, output) || !set_up_attributes(&attributes) ||
	    posix_spawn(&pid, THIS_PROGRAM, &actions, &attributes, arguments, environment) != 0)
		pid = -1;
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return pid;
}

/* A descriptor above those that the agent finds. */
static int out_of_the_way(int fd)
{
	int moved = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 16) : -1;

	if (fd >= 0)
		close(fd);
	return moved;
}

static bool make_pipe(int pair[2])
{
	if (pipe2(pair, O_CLOEXEC) != 0)
		return false;
	pair[0] = out_of_the_way(pair[0]);
	pair[1] = out_of_the_way(pair[1]);
	(void)fcntl(pair[0], F_SETFL, O_NONBLOCK);
	return pair[0] >= 0 && pair[1] >= 0;
}

static bool start(struct process *process, const struct watch *watch, struct slice job)
{
	int outcome[2] = {-1, -1}, output[2] = {-1, -1};
	int job_fd = out_of_the_way(ipc_memfd(job)), message = fcntl(watch->message_fd, F_DUPFD_CLOEXEC, 16);

	process->pid = -1;
	if (job_fd >= 0 && message >= 0 && make_pipe(outcome) && make_pipe(output))
		process->pid = spawn((const int[]){job_fd, message, outcome[1]}, output[1]);
	close_one(&job_fd);
	close_one(&message);
	close_one(&outcome[1]);
	close_one(&output[1]);
	process->outcome = outcome[0];
	process->output = output[0];
	process->pidfd = process->pid > 0 ? pidfd_open(process->pid, 0) : -1;
	return process->pid > 0;
}

/* ---- to its end ---- */

/* Takes what is there, or as much as is read at once; what is beyond the buffer's limit is passed over. */
static void drain(int *fd, struct buf *into)
{
	char bytes[4096];
	ssize_t got = 0;

	for (unsigned reads = 0; *fd >= 0 && (got = read(*fd, bytes, sizeof(bytes))) != 0;) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && errno == EAGAIN)
			return;
		if (got < 0)
			break;
		buf_add(into, slice_sub(slice_of(bytes, (size_t)got), 0, into->limit - into->len));
		if (++reads == READS_AT_ONCE)
			return;
	}
	close_one(fd);
}

/* What the agent leaves behind in the background may go on, and hold the output open: it isn't waited for. True: it has ended by itself. */
static bool wait_for_end(struct process *process, const struct watch *watch, int64_t until_ms)
{
	for (;;) {
		struct pollfd polled[] = {{.fd = process->pidfd, .events = POLLIN},
					  {.fd = watch->stop_fd, .events = POLLIN},
					  {.fd = process->outcome, .events = POLLIN},
					  {.fd = process->output, .events = POLLIN}};
		int64_t left = until_ms - clock_monotonic_ms();

		if (left <= 0 || (poll(polled, 4, (int)left) < 0 && errno != EINTR))
			return false;
		drain(&process->outcome, &process->outcome_bytes);
		drain(&process->output, &process->output_bytes);
		if (polled[0].revents)
			return true;
		if (polled[1].revents)
			return false;
	}
}

static int reap(const struct process *process)
{
	int status = 0;

	while (waitpid(process->pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return status;
}

static void judge(struct process *process, struct arena *arena, int status, struct local_outcome *outcome)
{
	drain(&process->outcome, &process->outcome_bytes);
	drain(&process->output, &process->output_bytes);
	if (process->outcome_bytes.len == 0 && status >= 0)
		local_verdict(arena, status, buf_slice(&process->output_bytes), outcome);
	else if (status < 0 || !local_outcome_unpack(arena, buf_slice(&process->outcome_bytes), outcome))
		defer(outcome, SLICE("the delivery's process has failed"));
}

void watch_agent(const struct watch *watch, struct arena *arena, const struct local_job *job, struct local_outcome *outcome)
{
	struct process process = {.pid = -1, .pidfd = -1, .outcome = -1, .output = -1};
	struct buf packed;

	buf_init(&packed, arena, 0);
	buf_init(&process.outcome_bytes, arena, OUTCOME_MAX);
	buf_init(&process.output_bytes, arena, OUTPUT_KEPT);
	local_job_pack(&packed, job);
	defer(outcome, SLICE("the delivery's process can't be started"));
	if (buf_ok(&packed) && start(&process, watch, buf_slice(&packed))) {
		bool ended = process.pidfd >= 0 &&
			     wait_for_end(&process, watch, clock_monotonic_ms() + job->time_limit_s * INT64_C(1000) + GRACE_MS);

		if (!ended)
			(void)kill(-process.pid, SIGKILL);
		int status = reap(&process);

		if (ended)
			judge(&process, arena, status, outcome);
		else
			defer(outcome, SLICE("the delivery took longer than local.time_limit, or the server was stopped"));
	}
	close_one(&process.outcome);
	close_one(&process.output);
	close_one(&process.pidfd);
}
