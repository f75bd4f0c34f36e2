/* Straight-line, one thread. Not a byte of the attachment is looked at before all is given up. What is said on standard error is the reason
 * in the log. */
#include "main/agent_convert.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <signal.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/write.h"
#include "extract/converters.h"
#include "extract/job.h"
#include "extract/office.h"
#include "extract/rtf.h"
#include "ipc/ipc.h"
#include "main/sandbox.h"

#define JOB_MAX        (64 * 1024)
#define ATTACHMENT_MAX ((size_t)1024 * 1024 * 1024)
#define TEXT_MAX       ((size_t)64 * 1024 * 1024) /* more than is ever kept */
#define FILES_MAX      64

static int fail(const char *reason)
{
	dprintf(STDERR_FILENO, "%s\n", reason);
	return EXIT_FAILURE;
}

static bool read_job(struct arena *arena, struct convert_job *job)
{
	char *room = arena_alloc(arena, JOB_MAX);
	ssize_t got = pread(CONVERT_JOB_FD, room, JOB_MAX, 0);

	return got > 0 && convert_job_unpack(slice_of(room, (size_t)got), job);
}

static bool limit(int resource, uint64_t most)
{
	return setrlimit((__rlimit_resource_t)resource, &(struct rlimit){most, most}) == 0;
}

/* No file may be written, so there is no other memory than its own. */
static bool set_limits(const struct convert_job *job)
{
	return limit(RLIMIT_CORE, 0) && limit(RLIMIT_FSIZE, 0) && limit(RLIMIT_NOFILE, FILES_MAX) && limit(RLIMIT_MEMLOCK, 0) &&
	       limit(RLIMIT_MSGQUEUE, 0) && limit(RLIMIT_CPU, job->time_s);
}

/* A sanitizer reserves more than there is. */
static bool limit_own_memory(const struct convert_job *job)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	return job->memory > 0;
#else
	return limit(RLIMIT_AS, job->memory);
#endif
}

static int become_program(struct arena *arena, const struct convert_job *job)
{
	char **words = convert_job_words(arena, job->command);

	if (!words)
		return fail("the command has too many words");
	if (!set_limits(job) || !sandbox_enter_converter(SANDBOX_PROGRAM) || !limit(RLIMIT_AS, job->memory))
		return fail("the program can't be confined");
	execv(words[0], words);
	return fail("the program can't be started");
}

static int read_attachment(struct arena *arena, const struct convert_job *job)
{
	struct slice name = slice_skip(job->command, CONVERTER_INTERNAL.len);
	struct ipc_body body = {0};
	struct buf text;
	bool is_known;

	if (!ipc_body_map(STDIN_FILENO, ATTACHMENT_MAX, &body))
		return fail("the attachment can't be read");
	if (!set_limits(job) || !limit_own_memory(job) || !sandbox_enter_converter(SANDBOX_READER))
		return fail("the reader can't be confined");
	buf_init(&text, arena, TEXT_MAX);
	if (slice_eq(name, SLICE("office")))
		is_known = office_to_text(&text, body.bytes);
	else
		is_known = slice_eq(name, SLICE("rtf")) && rtf_to_text(&text, body.bytes);
	if (!is_known)
		return fail("it isn't what its type says");
	return write_all(STDOUT_FILENO, buf_slice(&text)) ? EXIT_SUCCESS : EXIT_FAILURE;
}

int convert_agent_main(void)
{
	struct arena arena SCOPED_ARENA;
	struct convert_job job;

	/* Should the role die, this dies too; it may have died already. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || !read_job(&arena, &job) || (uint32_t)getppid() != job.parent ||
	    lseek(STDIN_FILENO, 0, SEEK_SET) != 0)
		return fail("there is no job");
	close(CONVERT_JOB_FD);
	return slice_starts_with(job.command, CONVERTER_INTERNAL) ? read_attachment(&arena, &job)
								  : become_program(&arena, &job);
}
