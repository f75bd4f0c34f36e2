/* session list, session end */
#include <stdlib.h>
#include <unistd.h>

#include "auth/password_scheme.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "ipc/client.h"
#include "ipc/pack.h"
#include "ipc/sessions.h"

#define ANSWER_MS    5000
#define SESSIONS_MAX 100000

static const enum role asked[] = {ROLE_IMAP, ROLE_SMTP};

static void list_one(struct cli *cli, struct listing *list, struct slice wanted, struct unpack *in)
{
	uint64_t number = unpack_u64(in);
	struct slice user = unpack_slice(in), listener = unpack_slice(in), peer = unpack_slice(in);
	int64_t since_ms = (int64_t)unpack_u64(in);

	if (in->failed || (wanted.len > 0 && !slice_eq(user, wanted)))
		return;
	listing_text(list, slice_dup(&cli->arena, user));
	listing_text(list, slice_dup(&cli->arena, listener));
	listing_text(list, slice_dup(&cli->arena, peer));
	listing_time(list, since_ms);
	listing_number(list, (int64_t)number);
}

/* A piece of them; *slot: where to go on. False: no answer. */
static bool ask(struct cli *cli, int channel, struct slice wanted, struct listing *list, uint32_t *slot)
{
	struct arena arena SCOPED_ARENA;
	struct slice reply;
	struct buf request;

	buf_init(&request, &arena, 0);
	pack_u32(&request, *slot);
	if (ipc_client_call(channel, IPC_SESSIONS, buf_slice(&request), ANSWER_MS, &arena, &reply) != STATUS_OK)
		return false;
	struct unpack in = unpack_begin(reply);
	*slot = unpack_u32(&in);
	uint32_t count = unpack_count(&in, SESSIONS_MAX);

	for (uint32_t i = 0; i < count; i++)
		list_one(cli, list, wanted, &in);
	return unpack_ok(&in);
}

static bool ask_role(struct cli *cli, int server, enum role role, struct slice wanted, struct listing *list)
{
	int channel = ipc_client_channel(server, role);
	uint32_t slot = 0;
	bool answered = channel >= 0;

	while (answered && (answered = ask(cli, channel, wanted, list, &slot)) && slot != 0)
		;
	if (channel >= 0)
		close(channel);
	return answered;
}

/* All of that user's, or everybody's, of all roles. */
static bool ask_all(struct cli *cli, struct slice wanted, struct listing *list)
{
	int server = cli_connect_server(cli);
	bool answered = server >= 0;

	if (!answered)
		cli_fail(cli, EXIT_FAILED, "the server is not running, or may not be asked by this user");
	for (size_t i = 0; answered && i < sizeof asked / sizeof asked[0]; i++)
		if (!(answered = ask_role(cli, server, asked[i], wanted, list)))
			cli_fail(cli, EXIT_TEMPORARY, "the role %.*s doesn't answer; see: posthorn status",
				 SLICE_ARG(role_name(asked[i])));
	if (server >= 0)
		close(server);
	return answered;
}

/* As accounts are called: in small letters. */
static bool take_user(struct cli *cli, struct slice *user)
{
	struct slice address;

	if (!cli_address(cli, cli_argument(cli, 0), &address))
		return false;
	if (!address_prepare(&cli->arena, address, user))
		*user = address;
	return true;
}

int command_session_list(struct cli *cli)
{
	struct listing list = listing_new(cli, "user,listener,peer,since,session");
	struct slice wanted = SLICE_EMPTY;

	if (!cli_finish(cli, 0, 1) || !cli_load_config(cli) || (cli->argument_count > 0 && !take_user(cli, &wanted)) ||
	    !ask_all(cli, wanted, &list))
		return cli->failed;
	listing_print(&list);
	if (list.cell_count == 0)
		listing_hint(&list, "nobody is logged in");
	return EXIT_OK;
}

int command_session_end(struct cli *cli)
{
	struct listing list = listing_new(cli, "user,listener,peer,since,session");
	struct slice user;
	struct buf what;

	if (!cli_finish(cli, 1, 1) || !cli_load_config(cli) || !take_user(cli, &user) || !ask_all(cli, user, &list))
		return cli->failed;
	size_t count = list.cell_count / list.column_count;

	cli_announce(cli, SLICE(IPC_SESSION_END), user);
	buf_init(&what, &cli->arena, 0);
	buf_printf(&what, "%zu %s of %.*s", count, count == 1 ? "session" : "sessions", SLICE_ARG(user));
	return cli_done(cli, buf_slice(&what), "ended");
}
