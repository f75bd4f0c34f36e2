/* The command line as a whole: global options, finding the command, help. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "auth/credential.h"
#include "cli/commands.h"
#include "store/store.h"

static const struct command *command_at(const struct cli *cli, size_t index)
{
	if (index < cli->extra_count)
		return &cli->extra[index];
	index -= cli->extra_count;
	return index < command_count ? &commands[index] : NULL;
}

/* How many of the arguments are the command's words; 0 if it is another. */
static size_t matching_words(const struct command *command, char **arguments, size_t count)
{
	struct slice rest = slice_from_cstr(command->name);
	size_t words = 0;

	while (rest.len) {
		if (words == count || !slice_eq(slice_cut(&rest, ' '), slice_from_cstr(arguments[words])))
			return 0;
		words++;
	}
	return words;
}

static size_t find_command(struct cli *cli)
{
	for (size_t i = 0; command_at(cli, i); i++) {
		size_t words = matching_words(command_at(cli, i), cli->arguments, cli->argument_count);

		if (words) {
			cli->command = command_at(cli, i);
			return words;
		}
	}
	return 0;
}

/* ---- help ---- */

static void print_summaries(struct cli *cli, struct slice family)
{
	for (size_t i = 0; command_at(cli, i); i++) {
		const struct command *command = command_at(cli, i);
		struct slice name = slice_from_cstr(command->name);

		if (command->summary && (!family.len || slice_eq(slice_cut(&name, ' '), family)))
			printf("  %-18s %s\n", command->name, command->summary);
	}
}

static int print_overview(struct cli *cli)
{
	printf("posthorn " POSTHORN_VERSION ", a mail server\n\n"
	       "usage: posthorn COMMAND [ARGUMENTS] [--config FILE] [--json]\n\n");
	print_summaries(cli, SLICE_EMPTY);
	printf("\n  --config FILE      the configuration; default $POSTHORN_CONFIG or " CLI_DEFAULT_CONFIG "\n"
	       "  --json             answer as JSON\n"
	       "  --version          the version\n\n"
	       "Each command tells more with --help, as does posthorn(1). To try it: posthorn setup --demo DIR\n");
	return EXIT_OK;
}

static int print_command(const struct command *command)
{
	printf("posthorn %s: %s\n\nusage: posthorn %s%s%s\n", command->name, command->summary ? command->summary : "",
	       command->name, command->usage[0] ? " " : "", command->usage);
	if (command->help)
		printf("\n%s", command->help);
	return EXIT_OK;
}

/* "account", of which there are several commands. */
static bool is_family(struct cli *cli, struct slice word)
{
	for (size_t i = 0; command_at(cli, i); i++) {
		struct slice name = slice_from_cstr(command_at(cli, i)->name);

		if (slice_eq(slice_cut(&name, ' '), word) && name.len)
			return true;
	}
	return false;
}

static int print_family(struct cli *cli, struct slice family)
{
	printf("usage: posthorn %.*s COMMAND\n\n", SLICE_ARG(family));
	print_summaries(cli, family);
	printf("\nEach tells more with --help.\n");
	return EXIT_OK;
}

/* --man and --markdown make the pages of docs/. */
static int print_settings(struct cli *cli)
{
	enum config_document_form form = cli_flag(cli, "--man")        ? CONFIG_AS_MAN_PAGE
					 : cli_flag(cli, "--markdown") ? CONFIG_AS_MARKDOWN
								       : CONFIG_AS_TEXT;
	struct buf out SCOPED_BUF;

	config_document(&out, form);
	fwrite(buf_slice(&out).data, 1, out.len, stdout);
	return EXIT_OK;
}

int command_help(struct cli *cli)
{
	if (cli->argument_count == 0)
		return print_overview(cli);
	if (slice_eq(cli_argument(cli, 0), SLICE("settings")))
		return print_settings(cli);
	if (find_command(cli))
		return print_command(cli->command);
	if (is_family(cli, cli_argument(cli, 0)))
		return print_family(cli, cli_argument(cli, 0));
	return cli_fail(cli, EXIT_USAGE, "there is no command \"%s\"; see: posthorn help", cli->arguments[0]);
}

/* ---- running ---- */

static int run_command(struct cli *cli)
{
	bool wants_help = cli_flag(cli, "--help") || cli_flag(cli, "-h");
	size_t words = find_command(cli);
	struct slice first = cli_argument(cli, 0);

	if (words && !wants_help) {
		cli->arguments += words;
		cli->argument_count -= words;
		return cli->command->run(cli);
	}
	if (words)
		return print_command(cli->command);
	if (cli->argument_count == 0) {
		print_overview(cli);
		return wants_help ? EXIT_OK : EXIT_USAGE;
	}
	if (is_family(cli, first) && (wants_help || cli->argument_count == 1)) {
		print_family(cli, first);
		return wants_help ? EXIT_OK : EXIT_USAGE;
	}
	if (is_family(cli, first))
		return cli_fail(cli, EXIT_USAGE, "there is no command \"%s %s\"; see: posthorn help %s", cli->arguments[0],
				cli->arguments[1], cli->arguments[0]);
	return cli_fail(cli, EXIT_USAGE, "there is no command \"%s\"; see: posthorn help", cli->arguments[0]);
}

static void take_global_options(struct cli *cli)
{
	const char *path = cli_option(cli, "--config");

	if (!path)
		path = getenv("POSTHORN_CONFIG");
	cli->config_path = path && path[0] ? path : CLI_DEFAULT_CONFIG;
	cli->json = cli_flag(cli, "--json");
}

static void clean_up(struct cli *cli)
{
	if (cli->credentials)
		credentials_close(cli->credentials);
	if (cli->store)
		store_close(cli->store);
	config_free(cli->config);
	arena_free(&cli->arena);
}

int cli_main(int argc, char **argv, const struct command *extra, size_t extra_count)
{
	struct cli cli = {.extra = extra, .extra_count = extra_count, .arguments = argv + (argc > 0)};
	int status;

	cli.argument_count = argc > 0 ? (size_t)argc - 1 : 0;
	arena_init(&cli.arena, 0);
	log_init(&cli.log, STDERR_FILENO, LOG_FORMAT_LOGFMT, LOG_LEVEL_WARNING, SLICE("cli"));
	take_global_options(&cli);
	if (cli_flag(&cli, "--version")) {
		printf("posthorn " POSTHORN_VERSION "\n");
		status = EXIT_OK;
	} else {
		status = run_command(&cli);
	}
	if (fflush(stdout) != 0 && status == EXIT_OK)
		status = cli_fail(&cli, EXIT_FAILED, "the answer could not be written");
	clean_up(&cli);
	return status;
}
