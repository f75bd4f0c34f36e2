#include <string.h>

#include "cli/command.h"

static void remove_arguments(struct cli *cli, size_t at, size_t count)
{
	memmove(cli->arguments + at, cli->arguments + at + count, (cli->argument_count - at - count) * sizeof(char *));
	cli->argument_count -= count;
}

/* "--" ends the options: what stands behind it is never one. */
static size_t options_end(const struct cli *cli)
{
	size_t end = 0;

	while (end < cli->argument_count && strcmp(cli->arguments[end], "--") != 0)
		end++;
	return end;
}

const char *cli_option(struct cli *cli, const char *name)
{
	size_t length = strlen(name), end = options_end(cli);

	for (size_t i = 0; i < end; i++) {
		const char *argument = cli->arguments[i];

		if (strncmp(argument, name, length) == 0 && argument[length] == '=') {
			remove_arguments(cli, i, 1);
			return argument + length + 1;
		}
		if (strcmp(argument, name) != 0)
			continue;
		if (i + 1 == end || strncmp(cli->arguments[i + 1], "--", 2) == 0) {
			cli->lacking = name;
			remove_arguments(cli, i, 1);
			return NULL;
		}
		argument = cli->arguments[i + 1];
		remove_arguments(cli, i, 2);
		return argument;
	}
	return NULL;
}

bool cli_flag(struct cli *cli, const char *name)
{
	size_t end = options_end(cli);

	for (size_t i = 0; i < end; i++) {
		if (strcmp(cli->arguments[i], name) == 0) {
			remove_arguments(cli, i, 1);
			return true;
		}
	}
	return false;
}

static int tell_usage(struct cli *cli, const char *what, const char *which)
{
	return cli_fail(cli, EXIT_USAGE, "%s%s; usage: posthorn %s %s (more with --help)", what, which, cli->command->name,
			cli->command->usage);
}

bool cli_finish(struct cli *cli, size_t least, size_t most)
{
	size_t end = options_end(cli);

	if (cli->lacking) {
		tell_usage(cli, "a value is wanted behind ", cli->lacking);
		return false;
	}
	for (size_t i = 0; i < end; i++) {
		if (cli->arguments[i][0] == '-' && cli->arguments[i][1]) {
			tell_usage(cli, "there is no option ", cli->arguments[i]);
			return false;
		}
	}
	if (end < cli->argument_count)
		remove_arguments(cli, end, 1);
	if (cli->argument_count < least) {
		tell_usage(cli, "too few arguments", "");
		return false;
	}
	if (cli->argument_count > most) {
		tell_usage(cli, "too many arguments: ", cli->arguments[most]);
		return false;
	}
	return true;
}

struct slice cli_argument(const struct cli *cli, size_t index)
{
	return index < cli->argument_count ? slice_from_cstr(cli->arguments[index]) : SLICE_EMPTY;
}
