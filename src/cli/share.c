/* mailbox rights, mailbox share; group add, list, remove */
#include "cli/commands.h"
#include "cli/import.h"
#include "cli/output.h"
#include "store/directory.h"
#include "store/rights.h"

/* ---- rights ---- */

static struct slice letters_of(struct cli *cli, unsigned rights)
{
	struct buf letters;

	buf_init(&letters, &cli->arena, 0);
	rights_put(&letters, rights);
	return buf_slice(&letters);
}

static bool list_rights(struct cli *cli, struct listing *list, int64_t account, int64_t mailbox, struct slice name)
{
	struct acl_entry *entries;
	size_t count;
	enum status status = acl_list(cli->store, &cli->arena, account, mailbox, &entries, &count);

	if (status != STATUS_OK) {
		cli_status(cli, status, name);
		return false;
	}
	for (size_t i = 0; i < count; i++) {
		listing_text(list, name);
		listing_text(list, entries[i].identifier);
		listing_text(list, letters_of(cli, entries[i].rights));
	}
	return true;
}

static bool all_mailboxes(struct cli *cli, int64_t account, struct mailbox **mailboxes, size_t *count)
{
	enum status status = mailbox_list(cli->store, &cli->arena, account, mailboxes, count);

	if (status != STATUS_OK)
		cli_status(cli, status, cli_argument(cli, 0));
	return status == STATUS_OK;
}

static bool one_mailbox(struct cli *cli, int64_t account, struct slice name, struct mailbox *mailbox)
{
	enum status status = mailbox_find(cli->store, &cli->arena, account, name, mailbox);

	if (status != STATUS_OK)
		cli_status(cli, status, name);
	return status == STATUS_OK;
}

int command_mailbox_rights(struct cli *cli)
{
	struct listing list = listing_new(cli, "mailbox,who,rights");
	struct mailbox one, *mailboxes = &one;
	int64_t account;
	size_t count = 1;

	if (!cli_finish(cli, 1, 2) || !import_find_account(cli, cli_argument(cli, 0), &account))
		return cli->failed;
	bool all = cli->argument_count == 1;

	if (all ? !all_mailboxes(cli, account, &mailboxes, &count) : !one_mailbox(cli, account, cli_argument(cli, 1), &one))
		return cli->failed;
	if (all && !list_rights(cli, &list, account, MAILBOX_ROOT_ID, SLICE("(new mailboxes)")))
		return cli->failed;
	for (size_t i = 0; i < count; i++)
		if (!list_rights(cli, &list, account, mailboxes[i].id, mailboxes[i].name))
			return cli->failed;
	listing_print(&list);
	return EXIT_OK;
}

/* ---- giving and taking ---- */

static bool parse_rights(struct cli *cli, struct slice text, enum acl_change *change, unsigned *rights)
{
	static const struct {
		struct slice word, letters;
	} words[] = {
		{{"none", 4}, {"", 0}},
		{{"read", 4}, {"lrs", 3}},
		{{"write", 5}, {"lrswite", 7}},
		{{"all", 3}, {"lrswipkxtea", 11}},
	};

	*change = ACL_REPLACE;
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (slice_eq(text, words[i].word))
			return rights_parse(words[i].letters, rights);
	if (slice_starts_with(text, SLICE("+")) || slice_starts_with(text, SLICE("-"))) {
		*change = text.data[0] == '+' ? ACL_ADD : ACL_REMOVE;
		text = slice_skip(text, 1);
	}
	if (text.len > 0 && rights_parse(text, rights))
		return true;
	cli_fail(cli, EXIT_USAGE, "\"%.*s\" are no rights; see: posthorn help mailbox share", SLICE_ARG(text));
	return false;
}

static int refused(struct cli *cli, enum status status, struct slice who)
{
	if (status == STATUS_PEER)
		return cli_fail(cli, EXIT_USAGE, "\"%.*s\" names nobody; see: posthorn help mailbox share", SLICE_ARG(who));
	if (status == STATUS_REFUSED)
		return cli_fail(cli, EXIT_FAILED, "%.*s has all rights on its own mailboxes, always", SLICE_ARG(who));
	return cli_status(cli, status, who);
}

static enum status share_all(struct cli *cli, int64_t account, struct slice who, enum acl_change change, unsigned rights)
{
	struct mailbox *mailboxes;
	size_t count;
	enum status status = mailbox_list(cli->store, &cli->arena, account, &mailboxes, &count);

	if (status == STATUS_OK)
		status = acl_change(cli->store, account, MAILBOX_ROOT_ID, who, change, rights);
	for (size_t i = 0; i < count && status == STATUS_OK; i++) {
		status = acl_change(cli->store, account, mailboxes[i].id, who, change, rights);
		/* It was removed meanwhile. */
		if (status == STATUS_NOT_FOUND &&
		    mailbox_get(cli->store, &cli->arena, account, mailboxes[i].id, &mailboxes[i]) != STATUS_OK)
			status = STATUS_OK;
	}
	return status;
}

int command_mailbox_share(struct cli *cli)
{
	bool all = cli_flag(cli, "--all");
	size_t first = all ? 1 : 2; /* the argument that says who */
	struct mailbox mailbox;
	enum acl_change change;
	unsigned rights;
	int64_t account;

	if (!cli_finish(cli, first + 2, first + 2) || !parse_rights(cli, cli_argument(cli, first + 1), &change, &rights) ||
	    !import_find_account(cli, cli_argument(cli, 0), &account) ||
	    (!all && !one_mailbox(cli, account, cli_argument(cli, 1), &mailbox)))
		return cli->failed;
	struct slice who = cli_argument(cli, first);
	enum status status = all ? share_all(cli, account, who, change, rights)
				 : acl_change(cli->store, account, mailbox.id, who, change, rights);

	if (status != STATUS_OK)
		return refused(cli, status, who);
	import_announce(cli, account);
	return cli_done(cli, who, "has its new rights");
}

/* ---- groups ---- */

/* As it is kept: "$team". A shell takes the $ away easily, so it may be left out. */
static struct slice group_name(struct cli *cli)
{
	struct slice name = cli_argument(cli, 0);

	if (slice_starts_with(name, SLICE("$")))
		return name;
	return slice_join(&cli->arena, (const struct slice[]){SLICE("$"), name}, 2);
}

/* Each address that follows, in or out. */
static bool set_members(struct cli *cli, struct slice name, bool are_members)
{
	for (size_t i = 1; i < cli->argument_count; i++) {
		enum status done = are_members ? STATUS_EXISTS : STATUS_NOT_FOUND;
		int64_t account;

		if (!import_find_account(cli, cli_argument(cli, i), &account))
			return false;
		enum status status = group_set_member(cli->store, name, account, are_members);

		if (status != STATUS_OK && status != done) {
			cli_status(cli, status, cli_argument(cli, i));
			return false;
		}
	}
	return true;
}

int command_group_add(struct cli *cli)
{
	if (!cli_finish(cli, 1, 10000) || !cli_open_store(cli))
		return cli->failed;
	struct slice name = group_name(cli);
	enum status status = group_add(cli->store, name);

	if (status == STATUS_REFUSED)
		return cli_fail(cli, EXIT_USAGE, "\"%.*s\" can't be the name of a group: no blanks, no @", SLICE_ARG(name));
	if (status != STATUS_OK && !(status == STATUS_EXISTS && cli->argument_count > 1))
		return cli_status(cli, status, name);
	return set_members(cli, name, true) ? cli_done(cli, name, "is as you wish") : (int)cli->failed;
}

int command_group_remove(struct cli *cli)
{
	if (!cli_finish(cli, 1, 10000) || !cli_open_store(cli))
		return cli->failed;
	struct slice name = group_name(cli);

	if (cli->argument_count > 1)
		return set_members(cli, name, false) ? cli_done(cli, name, "is without them") : (int)cli->failed;
	enum status status = group_remove(cli->store, name);

	return status == STATUS_OK ? cli_done(cli, name, "removed") : cli_status(cli, status, name);
}

int command_group_list(struct cli *cli)
{
	struct listing list = listing_new(cli, "group,member");
	struct group_entry *entries;
	size_t count;

	if (!cli_finish(cli, 0, 1) || !cli_open_store(cli))
		return cli->failed;
	enum status status =
		group_list(cli->store, &cli->arena, cli->argument_count ? group_name(cli) : SLICE_EMPTY, &entries, &count);

	if (status != STATUS_OK)
		return cli_status(cli, status, SLICE("the list of groups"));
	for (size_t i = 0; i < count; i++) {
		listing_text(&list, entries[i].name);
		listing_text(&list, entries[i].member);
	}
	listing_print(&list);
	if (count == 0)
		listing_hint(&list, "no groups there; add one with: posthorn group add NAME ADDRESS");
	return EXIT_OK;
}
