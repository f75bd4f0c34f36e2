#include "cli/password.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "auth/credential.h"
#include "base/random.h"

bool password_is_hash(struct slice text)
{
	struct slice rest = slice_skip(text, 1), word;

	if (text.len < 4 || (text.data[0] != '{' && text.data[0] != '$'))
		return false;
	word = slice_cut(&rest, text.data[0] == '{' ? '}' : '$');
	if (word.len == 0 || rest.len == 0)
		return false;
	for (size_t i = 0; i < word.len; i++) {
		if (!ascii_is_alnum(word.data[i]) && word.data[i] != '-' && word.data[i] != '.' && word.data[i] != '_')
			return false;
	}
	return true;
}

struct slice password_generate(struct arena *arena)
{
	return random_token(arena, 20);
}

struct password_source password_source_of(struct cli *cli)
{
	return (struct password_source){cli_flag(cli, "--password-stdin"), cli_option(cli, "--hash")};
}

static bool read_line(struct cli *cli, FILE *from, struct slice *line)
{
	char *text = arena_alloc(&cli->arena, CREDENTIAL_PASSWORD_MAX + 2);

	if (!fgets(text, CREDENTIAL_PASSWORD_MAX + 2, from))
		return false;
	*line = slice_from_cstr(text);
	while (line->len && (line->data[line->len - 1] == '\n' || line->data[line->len - 1] == '\r'))
		line->len--;
	return true;
}

/* What would end or stop the program must wait until the terminal shows again what is typed. */
static void hold_signals(sigset_t *held, sigset_t *before)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGQUIT, SIGHUP, SIGTSTP};

	sigemptyset(held);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		sigaddset(held, numbers[i]);
	sigprocmask(SIG_BLOCK, held, before);
}

/* False if one of the signals comes first; it stays pending. */
static bool wait_for_line(const sigset_t *held)
{
	struct pollfd waits[2] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.events = POLLIN}};
	bool came;

	waits[1].fd = signalfd(-1, held, SFD_CLOEXEC);
	came = poll(waits, 2, -1) > 0 && !waits[1].revents;
	if (waits[1].fd >= 0)
		close(waits[1].fd);
	return came;
}

static bool ask_hidden(struct cli *cli, const char *prompt, struct slice *line)
{
	struct termios before, hidden;
	sigset_t held, mask;
	bool got;

	if (tcgetattr(STDIN_FILENO, &before) != 0)
		return read_line(cli, stdin, line);
	fputs(prompt, stderr);
	hold_signals(&held, &mask);
	hidden = before;
	hidden.c_lflag &= ~(tcflag_t)ECHO;
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
	got = wait_for_line(&held) && read_line(cli, stdin, line);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
	fputc('\n', stderr);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	return got;
}

static bool ask_twice(struct cli *cli, struct slice address, struct slice *password)
{
	struct slice again;
	struct buf prompt SCOPED_BUF;

	buf_printf(&prompt, "Password for %.*s (nothing: one is made): ", SLICE_ARG(address));
	if (!ask_hidden(cli, slice_cstr(&cli->arena, buf_slice(&prompt)), password))
		cli_fail(cli, EXIT_FAILED, "no password was typed; nothing was changed");
	else if (password->len && (!ask_hidden(cli, "The same again: ", &again) || !slice_eq(*password, again)))
		cli_fail(cli, EXIT_FAILED, "the two passwords are not the same; nothing was changed");
	return cli->failed == EXIT_OK;
}

/* "-": from standard input, so that it is in no list of processes. */
static bool take_hash(struct cli *cli, const char *given, struct slice *hash)
{
	*hash = slice_from_cstr(given);
	if (strcmp(given, "-") == 0 && !read_line(cli, stdin, hash))
		*hash = SLICE_EMPTY;
	if (password_is_hash(*hash))
		return true;
	cli_fail(cli, EXIT_USAGE,
		 "--hash wants {SCHEME}HASH or $id$..., such as {SSHA}... or $2y$..., or - for standard input");
	return false;
}

bool password_get(struct cli *cli, struct password_source source, struct slice address, struct new_password *result)
{
	*result = (struct new_password){.password = SLICE_EMPTY};
	if (source.hash)
		return take_hash(cli, source.hash, &result->hash);
	if (source.from_stdin) {
		if (read_line(cli, stdin, &result->password) && result->password.len)
			return true;
		cli_fail(cli, EXIT_USAGE, "--password-stdin: no password came on standard input");
		return false;
	}
	if (isatty(STDIN_FILENO) && !ask_twice(cli, address, &result->password))
		return false;
	if (result->password.len == 0) {
		result->password = password_generate(&cli->arena);
		result->generated = true;
	}
	return true;
}
