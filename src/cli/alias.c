#include <stdio.h>

#include "cli/commands.h"
#include "cli/local_target.h"
#include "cli/output.h"
#include "store/directory.h"

#define TARGETS_MAX 100

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

static bool take_target(struct cli *cli, struct slice text, struct slice *target)
{
	return local_target_is(text) ? local_target_take(cli, text, target) : cli_address(cli, text, target);
}

/* All are looked at before the first is added. */
static bool take_targets(struct cli *cli, struct slice *targets)
{
	for (size_t i = 1; i < cli->argument_count; i++) {
		if (!take_target(cli, cli_argument(cli, i), &targets[i - 1]))
			return false;
	}
	return true;
}

static enum status add_target(struct cli *cli, struct listing *list, struct slice address, struct slice target)
{
	const struct slice parts[] = {address, SLICE(" -> "), target};
	struct slice whole = slice_join(&cli->arena, parts, 3);
	enum status status = directory_add_alias(cli->store, address, target);

	if (status == STATUS_NOT_FOUND)
		cli_not_ours(cli, address);
	else if (status == STATUS_EXISTS)
		cli_fail(cli, EXIT_FAILED, "%.*s is there already, or %.*s is an account", SLICE_ARG(whole),
			 SLICE_ARG(address));
	else if (status != STATUS_OK)
		cli_status(cli, status, whole);
	if (status == STATUS_OK) {
		listing_text(list, address);
		listing_text(list, target);
	}
	return status;
}

int command_alias_add(struct cli *cli)
{
	struct listing list = listing_new(cli, "address,target");
	struct slice address, targets[TARGETS_MAX];
	enum status status = STATUS_OK;
	size_t added = 0, count;

	if (!cli_finish(cli, 2, TARGETS_MAX + 1) || !alias_address(cli, cli_argument(cli, 0), &address) ||
	    !take_targets(cli, targets) || !cli_open_store(cli))
		return cli->failed;
	count = cli->argument_count - 1;
	for (; added < count && status == STATUS_OK; added += status == STATUS_OK)
		status = add_target(cli, &list, address, targets[added]);
	if (added)
		cli_announce(cli, SLICE("directory"), address);
	listing_print(&list);
	return cli->failed;
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
	if (count == 0)
		listing_hint(&list, "no aliases; add one with: posthorn alias add ADDRESS TARGET");
	return EXIT_OK;
}

int command_alias_remove(struct cli *cli)
{
	struct slice address, target = SLICE_EMPTY;
	enum status status;

	if (!cli_finish(cli, 1, 2) || !alias_address(cli, cli_argument(cli, 0), &address))
		return cli->failed;
	/* One that has gone from the configuration can be removed all the same. */
	if (cli->argument_count == 2 && local_target_is(cli_argument(cli, 1)))
		target = slice_lower(&cli->arena, cli_argument(cli, 1));
	else if (cli->argument_count == 2 && !cli_address(cli, cli_argument(cli, 1), &target))
		return cli->failed;
	if (!cli_open_store(cli))
		return cli->failed;
	status = directory_remove_alias(cli->store, address, target);
	if (status != STATUS_OK)
		return cli_status(cli, status, address);
	cli_announce(cli, SLICE("directory"), address);
	return cli_done(cli, address, "removed");
}
