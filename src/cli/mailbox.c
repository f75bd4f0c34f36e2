/* mailbox list, create, remove, rename, undelete; the account is the first argument */
#include "cli/commands.h"
#include "cli/import.h"
#include "cli/output.h"
#include "store/deleted.h"
#include "store/mailbox.h"

/* The account, and the mailbox that the second argument names. */
static bool begin(struct cli *cli, int64_t *account, struct mailbox *mailbox)
{
	if (!import_find_account(cli, cli_argument(cli, 0), account))
		return false;
	enum status status = mailbox_find(cli->store, &cli->arena, *account, cli_argument(cli, 1), mailbox);

	if (status != STATUS_OK)
		cli_status(cli, status, cli_argument(cli, 1));
	return status == STATUS_OK;
}

static int done(struct cli *cli, int64_t account, enum status status, struct slice what, const char *how)
{
	if (status != STATUS_OK)
		return cli_status(cli, status, what);
	import_announce(cli, account);
	return cli_done(cli, what, how);
}

static int list_deleted(struct cli *cli, int64_t account)
{
	struct listing list = listing_new(cli, "name,messages,deleted");
	struct deleted_mailbox *mailboxes;
	size_t count;
	enum status status = deleted_mailboxes(cli->store, &cli->arena, account, &mailboxes, &count);

	if (status != STATUS_OK)
		return cli_status(cli, status, cli_argument(cli, 0));
	for (size_t i = 0; i < count; i++) {
		listing_text(&list, mailboxes[i].name);
		listing_number(&list, (int64_t)mailboxes[i].messages);
		listing_time(&list, mailboxes[i].deleted_ms);
	}
	listing_print(&list);
	if (count == 0)
		listing_hint(&list, "no mailbox was deleted that could be brought back");
	return EXIT_OK;
}

int command_mailbox_list(struct cli *cli)
{
	struct listing list = listing_new(cli, "name,special_use,messages,unseen,size,subscribed,uid_validity,uid_next");
	bool deleted = cli_flag(cli, "--deleted");
	struct mailbox *mailboxes;
	int64_t account;
	size_t count;

	if (!cli_finish(cli, 1, 1) || !import_find_account(cli, cli_argument(cli, 0), &account))
		return cli->failed;
	if (deleted)
		return list_deleted(cli, account);
	enum status status = mailbox_list(cli->store, &cli->arena, account, &mailboxes, &count);

	if (status != STATUS_OK)
		return cli_status(cli, status, cli_argument(cli, 0));
	for (size_t i = 0; i < count; i++) {
		listing_text(&list, mailboxes[i].name);
		listing_text(&list, mailboxes[i].role);
		listing_number(&list, mailboxes[i].messages);
		listing_number(&list, mailboxes[i].unseen);
		listing_size(&list, mailboxes[i].size_bytes);
		listing_bool(&list, mailboxes[i].subscribed);
		listing_number(&list, mailboxes[i].uid_validity);
		listing_number(&list, mailboxes[i].uid_next);
	}
	listing_print(&list);
	return EXIT_OK;
}

int command_mailbox_create(struct cli *cli)
{
	int64_t account;

	if (!cli_finish(cli, 2, 2) || !import_find_account(cli, cli_argument(cli, 0), &account))
		return cli->failed;
	struct slice name = cli_argument(cli, 1);
	enum status status = mailbox_create(cli->store, account, name, SLICE_EMPTY, NULL);

	if (status == STATUS_OK)
		status = mailbox_subscribe(cli->store, account, name, true);
	return done(cli, account, status, name, "created, and subscribed to");
}

int command_mailbox_remove(struct cli *cli)
{
	struct mailbox mailbox;
	int64_t account;

	if (!cli_finish(cli, 2, 2) || !begin(cli, &account, &mailbox))
		return cli->failed;
	enum status status = mailbox_delete(cli->store, account, mailbox.id);

	if (status == STATUS_REFUSED)
		return cli_fail(cli, EXIT_FAILED, "%.*s is INBOX, or has mailboxes below it; it stays",
				SLICE_ARG(mailbox.name));
	if (status == STATUS_OK)
		status = mailbox_subscribe(cli->store, account, mailbox.name, false);
	return done(cli, account, status, mailbox.name,
		    cli->config->retention.deleted_days > 0 ? "removed; posthorn mailbox undelete brings it back" : "removed");
}

int command_mailbox_rename(struct cli *cli)
{
	struct mailbox mailbox;
	int64_t account;

	if (!cli_finish(cli, 3, 3) || !begin(cli, &account, &mailbox))
		return cli->failed;
	return done(cli, account, mailbox_rename(cli->store, account, mailbox.id, cli_argument(cli, 2)), mailbox.name,
		    "renamed");
}

int command_mailbox_undelete(struct cli *cli)
{
	struct slice as = slice_from_cstr(cli_option(cli, "--as"));
	int64_t account;
	size_t count;

	if (!cli_finish(cli, 2, 2) || !import_find_account(cli, cli_argument(cli, 0), &account))
		return cli->failed;
	struct slice name = cli_argument(cli, 1);
	enum status status = undelete_mailbox(cli->store, account, name, as.len > 0 ? as : name, &count);

	if (status == STATUS_NOT_FOUND)
		return cli_fail(cli, EXIT_FAILED, "no deleted mailbox %.*s is kept; see: posthorn mailbox list %s --deleted",
				SLICE_ARG(name), cli->arguments[0]);
	if (status == STATUS_EXISTS)
		return cli_fail(cli, EXIT_FAILED,
				"%.*s is there again; bring the old one back under another name with --as NAME",
				SLICE_ARG(as.len > 0 ? as : name));
	if (status == STATUS_OK)
		status = mailbox_subscribe(cli->store, account, as.len > 0 ? as : name, true);
	struct buf how;

	buf_init(&how, &cli->arena, 0);
	buf_printf(&how, "is back, with %zu messages", count);
	buf_add_byte(&how, 0);
	return done(cli, account, status, as.len > 0 ? as : name, how.data);
}
