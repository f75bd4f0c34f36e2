#include "extract/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "ipc/ipc.h"

/* The sandbox keeps LeakSanitizer from its work. */
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZER_OPTIONS (char *)"ASAN_OPTIONS=detect_leaks=0"
#else
#define SANITIZER_OPTIONS NULL
#endif

#define THIS_PROGRAM  "/proc/self/exe"
#define ERRORS_KEPT   300
#define PIECE         (64 * 1024)
#define READS_AT_ONCE 16 /* one that never stops writing mustn't keep us from the clock */
#define FIRST_FREE_FD 16 /* above those that the process finds */

struct running {
	pid_t pid;
	int pidfd, output, errors; /* -1: at its end */
	struct buf *text, messages;
	bool is_cut;
};

static void close_one(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* ---- start ---- */

static bool set_up_descriptors(posix_spawn_file_actions_t *actions, int attachment, int output, int errors, int job)
{
	return posix_spawn_file_actions_adddup2(actions, attachment, STDIN_FILENO) == 0 &&
	       posix_spawn_file_actions_adddup2(actions, output, STDOUT_FILENO) == 0 &&
	       posix_spawn_file_actions_adddup2(actions, errors, STDERR_FILENO) == 0 &&
	       posix_spawn_file_actions_adddup2(actions, job, CONVERT_JOB_FD) == 0;
}

static bool set_up_attributes(posix_spawnattr_t *attributes)
{
	sigset_t none, all;

	sigemptyset(&none);
	sigfillset(&all);
	return posix_spawnattr_setsigmask(attributes, &none) == 0 && posix_spawnattr_setsigdefault(attributes, &all) == 0 &&
	       posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF) == 0;
}

/* An environment without anything of ours. */
static pid_t spawn(int attachment, int output, int errors, int job)
{
	char *const arguments[] = {(char *)"posthorn", (char *)"agent", (char *)"convert", NULL};
	char *const environment[] = {(char *)"PATH=/usr/bin:/bin", (char *)"LC_ALL=C.UTF-8", (char *)"HOME=/nonexistent",
				     SANITIZER_OPTIONS, NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	pid_t pid = -1;

	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attributes);
	if (!set_up_descriptors(&actions, attachment, output, errors, job) || !set_up_attributes(&attributes) ||
	    posix_spawn(&pid, THIS_PROGRAM, &actions, &attributes, arguments, environment) != 0)
		pid = -1;
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return pid;
}

static int out_of_the_way(int fd)
{
	int moved = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, FIRST_FREE_FD) : -1;

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

static bool start(struct running *running, const struct convert_process *process, struct slice job)
{
	int output[2] = {-1, -1}, errors[2] = {-1, -1};
	int job_fd = out_of_the_way(ipc_memfd(job)), attachment = fcntl(process->attachment, F_DUPFD_CLOEXEC, FIRST_FREE_FD);

	if (job_fd >= 0 && attachment >= 0 && make_pipe(output) && make_pipe(errors))
		running->pid = spawn(attachment, output[1], errors[1], job_fd);
	close_one(&job_fd);
	close_one(&attachment);
	close_one(&output[1]);
	close_one(&errors[1]);
	running->output = output[0];
	running->errors = errors[0];
	running->pidfd = running->pid > 0 ? pidfd_open(running->pid, 0) : -1;
	return running->pid > 0;
}

/* ---- to its end ---- */

/* Takes what is there. What is beyond the buffer's limit is thrown away; true: there was such. */
static bool drain(int *fd, struct buf *into)
{
	char bytes[PIECE];
	bool is_cut = false;
	ssize_t got;

	for (unsigned reads = 0; *fd >= 0 && reads < READS_AT_ONCE && !is_cut; reads++) {
		got = read(*fd, bytes, sizeof(bytes));
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && errno == EAGAIN)
			return false;
		if (got <= 0) {
			close_one(fd);
			return false;
		}
		is_cut = (size_t)got > into->limit - into->len;
		buf_add(into, slice_sub(slice_of(bytes, (size_t)got), 0, into->limit - into->len));
	}
	return is_cut;
}

static void take_output(struct running *running)
{
	running->is_cut |= drain(&running->output, running->text);
	(void)drain(&running->errors, &running->messages);
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

static int reap(const struct running *running)
{
	int status = 0;

	while (waitpid(running->pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return status;
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
		int status = reap(&running);

		if (ended)
			take_output(&running);
		if (ended || running.is_cut)
			judge(&running, arena, status, outcome);
		else
			*outcome = (struct convert_outcome){CONVERT_LATE, SLICE("it took too long")};
	}
	if (outcome->result == CONVERT_FAILED || outcome->result == CONVERT_LATE)
		buf_clear(text);
	close_one(&running.output);
	close_one(&running.errors);
	close_one(&running.pidfd);
}
