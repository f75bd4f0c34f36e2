#include <stdio.h>

#include "cli/commands.h"
#include "cli/output.h"
#include "store/directory.h"

/* "sales@example.test", or "@example.test": all that has no other recipient there. */
static bool alias_address(struct cli *cli, struct slice text, struct slice *address)
{
	struct slice parts[2] = {SLICE("@"), SLICE_EMPTY};

	if (!slice_starts_with(text, SLICE("@")))
		return cli_address(cli, text, address);
	if (!cli_domain(cli, slice_skip(text, 1), &parts[1]))
		return false;
	*address = slice_join(&cli->arena, parts, 2);
	return true;
}

int command_alias_add(struct cli *cli)
{
	struct slice address, target;

	if (!cli_finish(cli, 2, 100) || !alias_address(cli, cli_argument(cli, 0), &address) || !cli_open_store(cli))
		return cli->failed;
	for (size_t i = 1; i < cli->argument_count; i++) {
		enum status status;

		if (!cli_address(cli, cli_argument(cli, i), &target))
			return cli->failed;
		status = directory_add_alias(cli->store, address, target);
		if (status == STATUS_NOT_FOUND)
			return cli_fail(cli, EXIT_FAILED, "the domain of %.*s is not ours; add it with: posthorn domain add",
					SLICE_ARG(address));
		if (status != STATUS_OK)
			return cli_status(cli, status, address);
		printf("%.*s -> %.*s added\n", SLICE_ARG(address), SLICE_ARG(target));
	}
	cli_announce(cli, SLICE("directory"), address);
	return EXIT_OK;
}

int command_alias_list(struct cli *cli)
{
	struct listing list = listing_new(cli, "address,target");
	struct alias *aliases;
	enum status status;
	size_t count;

	if (!cli_finish(cli, 0, 0) || !cli_open_store(cli))
		return cli->failed;
	status = directory_list_aliases(cli->store, &cli->arena, &aliases, &count);
	if (status != STATUS_OK)
		return cli_status(cli, status, SLICE("the list of aliases"));
	for (size_t i = 0; i < count; i++) {
		listing_text(&list, aliases[i].address);
		listing_text(&list, aliases[i].target);
	}
	listing_print(&list);
	return EXIT_OK;
}

int command_alias_remove(struct cli *cli)
{
	struct slice address, target = SLICE_EMPTY;
	enum status status;

	if (!cli_finish(cli, 1, 2) || !alias_address(cli, cli_argument(cli, 0), &address))
		return cli->failed;
	if (cli->argument_count == 2 && !cli_address(cli, cli_argument(cli, 1), &target))
		return cli->failed;
	if (!cli_open_store(cli))
		return cli->failed;
	status = directory_remove_alias(cli->store, address, target);
	if (status != STATUS_OK)
		return cli_status(cli, status, address);
	cli_announce(cli, SLICE("directory"), address);
	printf("%.*s removed\n", SLICE_ARG(address));
	return EXIT_OK;
}
