#include "local/command.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "ipc/ipc.h"

#define SHELL "/bin/sh"
#define PATH  "/usr/local/bin:/usr/bin:/bin"

/* Postfix's command_expansion_filter. */
static bool is_harmless(char c)
{
	return ascii_is_alnum(c) || (c != '\0' && strchr("!@%-_=+:,./", c));
}

static char *variable(struct arena *arena, const char *name, struct slice value, bool is_ours)
{
	struct buf out;

	buf_init(&out, arena, 0);
	buf_printf(&out, "%s=", name);
	for (size_t i = 0; i < value.len; i++)
		buf_add_byte(&out, is_ours || is_harmless(value.data[i]) ? value.data[i] : '_');
	return slice_cstr(arena, buf_slice(&out));
}

/* RFC 3461 section 4.2: "rfc822;address". */
static struct slice original_of(const struct local_request *request)
{
	struct slice original = request->original_recipient;

	(void)slice_cut(&original, ';');
	return original.len > 0 ? original : request->recipient;
}

char **command_environment(struct arena *arena, const struct command_user *user, const struct local_job *job, const char *zone)
{
	const struct local_request *request = &job->request;
	size_t at = slice_find_last_byte(request->recipient, '@');
	struct slice local = slice_sub(request->recipient, 0, at), domain = slice_skip(request->recipient, local.len + 1);
	size_t mark = job->separator ? slice_find_byte(local, job->separator) : SLICE_NOT_FOUND;
	struct slice extension = mark == SLICE_NOT_FOUND ? SLICE_EMPTY : slice_skip(local, mark + 1);
	char **out = ARENA_ARRAY(arena, char *, 16);
	size_t n = 0;

	out[n++] = variable(arena, "HOME", user->home, true);
	out[n++] = variable(arena, "USER", user->name, true);
	out[n++] = variable(arena, "LOGNAME", user->name, true);
	out[n++] = variable(arena, "SHELL", user->shell, true);
	out[n++] = variable(arena, "PATH", SLICE(PATH), true);
	out[n++] = variable(arena, "SENDER", request->sender.len > 0 ? request->sender : SLICE("MAILER-DAEMON"), false);
	out[n++] = variable(arena, "RECIPIENT", request->recipient, false);
	out[n++] = variable(arena, "ORIGINAL_RECIPIENT", original_of(request), false);
	out[n++] = variable(arena, "LOCAL", local, false);
	out[n++] = variable(arena, "DOMAIN", domain, false);
	if (extension.len > 0)
		out[n++] = variable(arena, "EXTENSION", extension, false);
	if (zone)
		out[n++] = variable(arena, "TZ", slice_from_cstr(zone), true);
	return out;
}

/* As a program expects to be started. */
static void reset_signals(void)
{
	sigset_t none;

	for (int number = 1; number < NSIG; number++)
		(void)signal(number, SIG_DFL);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

void command_run(struct arena *arena, const struct command_user *user, const struct local_job *job, struct slice command,
		 struct slice letter)
{
	char *const arguments[] = {(char *)"sh", (char *)"-c", slice_cstr(arena, command), NULL};
	char **environment = command_environment(arena, user, job, getenv("TZ"));
	int input = ipc_memfd(letter);

	if (input < 0 || dup2(input, STDIN_FILENO) < 0 || (chdir(slice_cstr(arena, user->home)) != 0 && chdir("/") != 0))
		return;
	/* Should the role die its command dies too: the letter is given to it again. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)lseek(STDIN_FILENO, 0, SEEK_SET);
	for (int fd = STDERR_FILENO + 1; fd <= AGENT_MESSAGE_FD; fd++)
		close(fd);
	reset_signals();
	execve(SHELL, arguments, environment);
}
