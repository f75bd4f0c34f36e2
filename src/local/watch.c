#include "local/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "ipc/agent.h"
#include "ipc/ipc.h"
#include "local/verdict.h"

#define OUTPUT_KEPT  2000
#define OUTCOME_MAX  (256 * 1024)
#define GRACE_MS     5000 /* beyond the command's own time, for what the agent does besides */

struct process {
	pid_t pid;
	int pidfd, outcome, output; /* -1: at its end */
	struct buf outcome_bytes, output_bytes;
};

static void defer(struct local_outcome *outcome, struct slice text)
{
	*outcome = (struct local_outcome){.result = LOCAL_DEFERRED, .enhanced = SLICE("4.3.0"), .text = text};
}

/* ---- start ---- */

/* Everything of ours is closed at exec: only these go on, and /dev/null. */
static pid_t spawn(int job, int message, int outcome, int output)
{
	char *const environment[] = {NULL};
	int nothing = agent_move_fd(open("/dev/null", O_RDONLY | O_CLOEXEC));
	const struct agent_start start = {.kind = "local",
					  .environment = environment,
					  .fds = {{nothing, STDIN_FILENO},
						  {output, STDOUT_FILENO},
						  {output, STDERR_FILENO},
						  {job, AGENT_JOB_FD},
						  {message, AGENT_MESSAGE_FD},
						  {outcome, AGENT_OUTCOME_FD}},
					  .fd_count = 6,
					  .own_session = true};
	pid_t pid = nothing >= 0 ? agent_spawn(&start) : -1;

	agent_close(&nothing);
	return pid;
}

static bool start(struct process *process, const struct watch *watch, struct slice job)
{
	int outcome[2] = {-1, -1}, output[2] = {-1, -1};
	int job_fd = agent_move_fd(ipc_memfd(job)), message = agent_copy_fd(watch->message_fd);

	process->pid = -1;
	if (job_fd >= 0 && message >= 0 && agent_pipe(outcome) && agent_pipe(output))
		process->pid = spawn(job_fd, message, outcome[1], output[1]);
	agent_close(&job_fd);
	agent_close(&message);
	agent_close(&outcome[1]);
	agent_close(&output[1]);
	process->outcome = outcome[0];
	process->output = output[0];
	process->pidfd = process->pid > 0 ? pidfd_open(process->pid, 0) : -1;
	return process->pid > 0;
}

/* ---- to its end ---- */

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
		(void)agent_drain(&process->outcome, &process->outcome_bytes);
		(void)agent_drain(&process->output, &process->output_bytes);
		if (polled[0].revents)
			return true;
		if (polled[1].revents)
			return false;
	}
}

static void judge(struct process *process, struct arena *arena, int status, struct local_outcome *outcome)
{
	(void)agent_drain(&process->outcome, &process->outcome_bytes);
	(void)agent_drain(&process->output, &process->output_bytes);
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
		int status = agent_reap(process.pid);

		if (ended)
			judge(&process, arena, status, outcome);
		else
			defer(outcome, SLICE("the delivery took longer than local.time_limit, or the server was stopped"));
	}
	agent_close(&process.outcome);
	agent_close(&process.output);
	agent_close(&process.pidfd);
}
