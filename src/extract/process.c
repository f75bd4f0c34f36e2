#include "extract/process.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "ipc/agent.h"
#include "ipc/ipc.h"

/* The sandbox keeps LeakSanitizer from its work. */
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZER_OPTIONS (char *)"ASAN_OPTIONS=detect_leaks=0"
#else
#define SANITIZER_OPTIONS NULL
#endif

#define ERRORS_KEPT   300

struct running {
	pid_t pid;
	int pidfd, output, errors; /* -1: at its end */
	struct buf *text, messages;
	bool is_cut;
};

/* ---- start ---- */

/* An environment without anything of ours. */
static pid_t spawn(int attachment, int output, int errors, int job)
{
	char *const environment[] = {(char *)"PATH=/usr/bin:/bin", (char *)"LC_ALL=C.UTF-8", (char *)"HOME=/nonexistent",
				     SANITIZER_OPTIONS, NULL};
	const struct agent_start start = {.kind = "convert",
					  .environment = environment,
					  .fds = {{attachment, STDIN_FILENO},
						  {output, STDOUT_FILENO},
						  {errors, STDERR_FILENO},
						  {job, CONVERT_JOB_FD}},
					  .fd_count = 4};

	return agent_spawn(&start);
}

static bool start(struct running *running, const struct convert_process *process, struct slice job)
{
	int output[2] = {-1, -1}, errors[2] = {-1, -1};
	int job_fd = agent_move_fd(ipc_memfd(job)), attachment = agent_copy_fd(process->attachment);

	if (job_fd >= 0 && attachment >= 0 && agent_pipe(output) && agent_pipe(errors))
		running->pid = spawn(attachment, output[1], errors[1], job_fd);
	agent_close(&job_fd);
	agent_close(&attachment);
	agent_close(&output[1]);
	agent_close(&errors[1]);
	running->output = output[0];
	running->errors = errors[0];
	running->pidfd = running->pid > 0 ? pidfd_open(running->pid, 0) : -1;
	return running->pid > 0;
}

/* ---- to its end ---- */

static void take_output(struct running *running)
{
	running->is_cut |= agent_drain(&running->output, running->text);
	(void)agent_drain(&running->errors, &running->messages);
}

/* True: it has ended by itself. */
static bool wait_for_end(struct running *running, const struct convert_process *process)
{
	for (;;) {
		struct pollfd polled[] = {{.fd = running->pidfd, .events = POLLIN},
					  {.fd = process->stop_fd, .events = POLLIN},
					  {.fd = running->output, .events = POLLIN},
					  {.fd = running->errors, .events = POLLIN}};
		int64_t left = process->until_ms - clock_monotonic_ms();

		if (left <= 0 || (poll(polled, 4, (int)left) < 0 && errno != EINTR))
			return false;
		take_output(running);
		if (running->is_cut || polled[1].revents)
			return false;
		if (polled[0].revents)
			return true;
	}
}

static void fail(struct convert_outcome *outcome, enum convert_result result, struct arena *arena, const char *what, int number,
		 struct slice message)
{
	struct buf reason;

	buf_init(&reason, arena, 0);
	buf_printf(&reason, "%s %d", what, number);
	message = slice_trim(slice_cut(&message, '\n'));
	if (message.len > 0)
		buf_printf(&reason, ": %.*s", SLICE_ARG(message));
	*outcome = (struct convert_outcome){result, buf_slice(&reason)};
}

static void judge(const struct running *running, struct arena *arena, int status, struct convert_outcome *outcome)
{
	struct slice message = buf_slice(&running->messages);

	if (running->is_cut)
		*outcome = (struct convert_outcome){CONVERT_CUT, SLICE_EMPTY};
	else if (WIFSIGNALED(status))
		fail(outcome, CONVERT_FAILED, arena, "ended by signal", WTERMSIG(status), message);
	else if (status != 0)
		fail(outcome, CONVERT_FAILED, arena, "exit status", WEXITSTATUS(status), message);
	else
		*outcome = (struct convert_outcome){CONVERT_TEXT, SLICE_EMPTY};
}

void convert_process_run(const struct convert_process *process, struct arena *arena, struct buf *text,
			 struct convert_outcome *outcome)
{
	struct running running = {.pid = -1, .pidfd = -1, .output = -1, .errors = -1, .text = text};
	struct buf packed;

	buf_init(&packed, arena, 0);
	buf_init(&running.messages, arena, ERRORS_KEPT);
	convert_job_pack(&packed, process->job);
	*outcome = (struct convert_outcome){CONVERT_FAILED, SLICE("its process can't be started")};
	if (buf_ok(&packed) && start(&running, process, buf_slice(&packed))) {
		bool ended = running.pidfd >= 0 && wait_for_end(&running, process);

		if (!ended)
			(void)kill(running.pid, SIGKILL);
		int status = agent_reap(running.pid);

		if (ended)
			take_output(&running);
		if (ended || running.is_cut)
			judge(&running, arena, status, outcome);
		else
			*outcome = (struct convert_outcome){CONVERT_LATE, SLICE("it took too long")};
	}
	if (outcome->result == CONVERT_FAILED || outcome->result == CONVERT_LATE)
		buf_clear(text);
	agent_close(&running.output);
	agent_close(&running.errors);
	agent_close(&running.pidfd);
}
