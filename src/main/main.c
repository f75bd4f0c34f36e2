/* The one program: `posthorn COMMAND` for people, `posthorn role NAME` and `posthorn prepare NAME` for its own supervisor,
 * `posthorn agent NAME` for its roles local and convert. */
#include <stdio.h>
#include <stdlib.h>

#include "cli/command.h"
#include "cli/sendmail.h"
#include "local/job.h"
#include "main/agent_convert.h"
#include "main/probe.h"
#include "main/role.h"
#include "main/supervisor.h"

/* Whatever the working folder or PATH are, the roles run what runs now. */
#define THIS_PROGRAM "/proc/self/exe"

static int command_serve(struct cli *cli)
{
	if (!cli_finish(cli, 0, 0))
		return cli->failed;
	return supervisor_run(cli->config_path, THIS_PROGRAM);
}

static int command_probe(struct cli *cli)
{
	enum role role;

	if (!cli_finish(cli, 1, 1))
		return cli->failed;
	if (!role_from_name(cli_argument(cli, 0), &role) || role == ROLE_SUPERVISOR)
		return cli_fail(cli, EXIT_USAGE, "there is no role \"%s\"; give one of smtp, deliver, relay, imap, auth, jobs, metrics, local, convert",
		                cli->arguments[0]);
	return probe_run(role, cli->config_path);
}

static const struct command own_commands[] = {
	{"serve", "", "run the server",
	 "Runs in the foreground until SIGTERM or SIGINT; SIGHUP takes certificates and log level anew. Events are logged to standard error.\n"
	 "Example:\n  posthorn serve --config /tmp/demo/posthorn.yaml\n",
	 command_serve},
	{"probe", "ROLE", "show what a role's sandbox leaves it",
	 "Enters the sandbox as that role does and tries what it should not be able to do, a line each: name=allowed or name=refused.\n"
	 "ROLE is smtp, deliver, relay, imap, auth, jobs, metrics or convert. Example:\n  posthorn probe smtp\n",
	 command_probe},
};

static int run_as_role(struct slice command, struct slice name)
{
	enum role role;

	if (!role_from_name(name, &role))
		return EXIT_FAILURE;
	return role_main(role, slice_eq(command, SLICE("prepare")));
}

int main(int argc, char **argv)
{
	struct slice command = slice_from_cstr(argc == 3 ? argv[1] : NULL);

	if (argc > 0 && sendmail_is_name(argv[0]))
		return sendmail_main(argc, argv);
	if (slice_eq(command, SLICE("agent")) && strcmp(argv[2], "local") == 0)
		return local_agent_main();
	if (slice_eq(command, SLICE("agent")) && strcmp(argv[2], "convert") == 0)
		return convert_agent_main();
	if (slice_eq(command, SLICE("role")) || slice_eq(command, SLICE("prepare")))
		return run_as_role(command, slice_from_cstr(argv[2]));
	return cli_main(argc, argv, own_commands, sizeof(own_commands) / sizeof(own_commands[0]));
}
