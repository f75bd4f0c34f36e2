#include "cli/password.h"

#include <stdio.h>
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

static bool ask_hidden(struct cli *cli, const char *prompt, struct slice *line)
{
	struct termios before, hidden;
	bool got, is_terminal = tcgetattr(STDIN_FILENO, &before) == 0;

	fputs(prompt, stderr);
	if (is_terminal) {
		hidden = before;
		hidden.c_lflag &= ~(tcflag_t)ECHO;
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
	}
	got = read_line(cli, stdin, line);
	if (is_terminal)
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
	fputc('\n', stderr);
	return got;
}

static bool ask_twice(struct cli *cli, struct slice address, struct slice *password)
{
	struct slice again;

	fprintf(stderr, "Password for %.*s (nothing: one is made): ", SLICE_ARG(address));
	if (!ask_hidden(cli, "", password))
		return false;
	if (password->len == 0)
		return true;
	return ask_hidden(cli, "The same again: ", &again) && slice_eq(*password, again);
}

bool password_get(struct cli *cli, struct password_source source, struct slice address, struct new_password *result)
{
	*result = (struct new_password){.password = SLICE_EMPTY};
	if (source.hash) {
		result->hash = slice_from_cstr(source.hash);
		if (password_is_hash(result->hash))
			return true;
		cli_fail(cli, EXIT_USAGE, "--hash wants {SCHEME}HASH or $id$..., such as {SSHA}... or $2y$...");
		return false;
	}
	if (source.from_stdin) {
		if (read_line(cli, stdin, &result->password) && result->password.len)
			return true;
		cli_fail(cli, EXIT_USAGE, "--password-stdin: no password came on standard input");
		return false;
	}
	if (isatty(STDIN_FILENO) && !ask_twice(cli, address, &result->password)) {
		cli_fail(cli, EXIT_FAILED, "the two passwords are not the same; nothing was changed");
		return false;
	}
	if (result->password.len == 0) {
		result->password = password_generate(&cli->arena);
		result->generated = true;
	}
	return true;
}
