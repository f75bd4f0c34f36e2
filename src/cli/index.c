/* index list, index rebuild: the full-text index and what was read in attachments */
#include "cli/commands.h"
#include "cli/import.h"
#include "cli/output.h"
#include "store/directory.h"
#include "store/text_index.h"

/* The account that is named, or all. */
static bool find_accounts(struct cli *cli, struct account **accounts, size_t *count)
{
	struct slice address = SLICE("the accounts");
	enum status status;

	if (cli->argument_count > 0 && !cli_address(cli, cli_argument(cli, 0), &address))
		return false;
	if (!cli_open_store(cli))
		return false;
	if (cli->argument_count > 0) {
		*accounts = ARENA_NEW(&cli->arena, struct account);
		*count = 1;
		status = directory_find_account(cli->store, &cli->arena, address, *accounts);
	} else {
		status = directory_list_accounts(cli->store, &cli->arena, SLICE_EMPTY, accounts, count);
	}
	if (status != STATUS_OK)
		cli_status(cli, status, address);
	return status == STATUS_OK;
}

static enum status list_one(struct cli *cli, struct listing *list, const struct account *account)
{
	struct attachment_state attachments;
	struct text_index_state index;
	enum status status = text_index_state_of(cli->store, account->id, &index);

	if (status == STATUS_OK)
		status = attachment_state_of(cli->store, account->id, &attachments);
	if (status != STATUS_OK)
		return status;
	listing_text(list, account->address);
	listing_number(list, (int64_t)account->used_messages);
	listing_number(list, index.messages);
	listing_size(list, (uint64_t)index.bytes);
	listing_number(list, attachments.messages);
	return STATUS_OK;
}

int command_index_list(struct cli *cli)
{
	struct listing list = listing_new(cli, "address,messages,indexed,index_size,attachments_read");
	struct account *accounts;
	size_t count;

	if (!cli_finish(cli, 0, 1) || !find_accounts(cli, &accounts, &count))
		return cli->failed;
	for (size_t i = 0; i < count; i++) {
		enum status status = list_one(cli, &list, &accounts[i]);

		if (status != STATUS_OK)
			return cli_status(cli, status, accounts[i].address);
	}
	listing_print(&list);
	return EXIT_OK;
}

int command_index_rebuild(struct cli *cli)
{
	bool all = cli_flag(cli, "--all");
	struct account *accounts;
	size_t count;

	if (!cli_finish(cli, 0, 1))
		return cli->failed;
	if (all == (cli->argument_count > 0))
		return cli_fail(cli, EXIT_USAGE, "either ADDRESS or --all");
	if (!find_accounts(cli, &accounts, &count))
		return cli->failed;
	for (size_t i = 0; i < count; i++) {
		enum status status = text_index_forget(cli->store, accounts[i].id);

		if (status != STATUS_OK)
			return cli_status(cli, status, accounts[i].address);
	}
	return cli_done(cli, all ? SLICE("the index of all accounts") : accounts[0].address,
			"will be indexed anew by the running server");
}
