#include <stdio.h>
#include <unistd.h>

#include "auth/credential.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/password.h"
#include "cli/rules.h"
#include "ipc/sessions.h"
#include "store/directory.h"

static bool open_both(struct cli *cli)
{
	return cli_open_store(cli) && cli_open_credentials(cli);
}

/* Who is logged in may not be any more. */
static void end_sessions(struct cli *cli, struct slice address)
{
	cli_announce(cli, SLICE(IPC_SESSION_END), address);
}

static void announce(struct cli *cli, struct slice address)
{
	cli_announce(cli, SLICE("directory"), address);
	cli_announce(cli, SLICE("credential"), address);
}

static enum status set_password(struct cli *cli, struct slice address, int64_t account, const struct new_password *new)
{
	if (new->hash.len)
		return credential_set_hash(cli->credentials, address, account, new->hash);
	return credential_set_password(cli->credentials, address, account, new->password);
}

static int password_refused(struct cli *cli, enum status status, const struct new_password *new, struct slice address)
{
	if (status == STATUS_REFUSED && new->hash.len)
		return cli_fail(cli, EXIT_FAILED, "the hash is of no known scheme, malformed, or costs too much to check");
	if (status == STATUS_LIMIT)
		return cli_fail(cli, EXIT_FAILED, "the password is too long: at most %d bytes", CREDENTIAL_PASSWORD_MAX);
	return cli_status(cli, status, address);
}

static int tell_password(struct cli *cli, struct slice address, const struct new_password *new, const char *done)
{
	struct listing list = listing_new(cli, "address,password");

	if (!cli->json) {
		printf("%.*s %s\n", SLICE_ARG(address), done);
		if (new->generated)
			printf("password: %.*s\n", SLICE_ARG(new->password));
		return EXIT_OK;
	}
	listing_text(&list, address);
	listing_text(&list, new->generated ? new->password : SLICE_EMPTY);
	listing_print_one(&list);
	return EXIT_OK;
}

/* Nobody's own: it has no password, and others are given rights on it. */
static int add_shared(struct cli *cli, struct slice address, struct slice name, uint64_t quota)
{
	enum status status = directory_add_shared_account(cli->store, address, name, quota, NULL);

	if (status == STATUS_NOT_FOUND)
		return cli_not_ours(cli, address);
	if (status != STATUS_OK)
		return cli_status(cli, status, address);
	announce(cli, address);
	return cli_done(cli, address, "added; give others rights on it with: posthorn mailbox share");
}

static int add_one(struct cli *cli, struct slice address, struct slice name, uint64_t quota, const struct new_password *new)
{
	int64_t id;
	enum status status = directory_add_account(cli->store, address, name, quota, &id);

	if (status == STATUS_NOT_FOUND)
		return cli_not_ours(cli, address);
	if (status != STATUS_OK)
		return cli_status(cli, status, address);
	status = set_password(cli, address, id, new);
	if (status != STATUS_OK) {
		if (directory_remove_account(cli->store, address) != STATUS_OK)
			cli_fail(cli, EXIT_FAILED, "%.*s is there without a password; set one with: posthorn account password",
				 SLICE_ARG(address));
		return password_refused(cli, status, new, address);
	}
	announce(cli, address);
	return tell_password(cli, address, new, "added");
}

int command_account_add(struct cli *cli)
{
	const char *batch = cli_option(cli, "--batch"), *name = cli_option(cli, "--name"), *quota = cli_option(cli, "--quota");
	struct password_source source = password_source_of(cli);
	bool shared = cli_flag(cli, "--shared");
	struct new_password new;
	struct slice address;
	uint64_t quota_bytes = 0;

	if (shared && (batch || source.from_stdin || source.hash))
		return cli_fail(cli, EXIT_USAGE, "a shared mailbox has no password; see: posthorn help account add");
	if (batch)
		return cli_finish(cli, 0, 0) ? account_add_batch(cli, batch) : (int)cli->failed;
	if (!cli_finish(cli, 1, 1) || !cli_address(cli, cli_argument(cli, 0), &address) ||
	    (quota && !rules_size(cli, quota, &quota_bytes)))
		return cli->failed;
	if ((!shared && !password_get(cli, source, address, &new)) || !open_both(cli) ||
	    (!quota && !rules_default_quota(cli, address, &quota_bytes)))
		return cli->failed;
	if (shared)
		return add_shared(cli, address, slice_from_cstr(name), quota_bytes);
	return add_one(cli, address, slice_from_cstr(name), quota_bytes, &new);
}

static void list_account(struct listing *list, const struct account *account)
{
	listing_text(list, account->address);
	listing_text(list, account->name);
	listing_bool(list, account->enabled);
	listing_size(list, account->used_bytes);
	listing_limit(list, account->quota_bytes);
	listing_number(list, (int64_t)account->used_messages);
	listing_time(list, account->created_ms);
	listing_bool(list, account->is_shared);
}

int command_account_list(struct cli *cli)
{
	struct listing list = listing_new(cli, "address,name,enabled,used,quota,messages,created,shared");
	struct slice domain = SLICE_EMPTY;
	struct account *accounts;
	enum status status;
	size_t count;

	if (!cli_finish(cli, 0, 1) || (cli->argument_count && !cli_domain(cli, cli_argument(cli, 0), &domain)) ||
	    !cli_open_store(cli))
		return cli->failed;
	status = directory_list_accounts(cli->store, &cli->arena, domain, &accounts, &count);
	if (status != STATUS_OK)
		return cli_status(cli, status, domain.len ? domain : SLICE("the list of accounts"));
	for (size_t i = 0; i < count; i++)
		list_account(&list, &accounts[i]);
	listing_print(&list);
	if (count == 0)
		listing_hint(&list, "no accounts there; add one with: posthorn account add ADDRESS");
	return EXIT_OK;
}

/* One address that has an account. */
static bool begin(struct cli *cli, struct slice *address, struct account *account)
{
	enum status status;

	if (!cli_address(cli, cli_argument(cli, 0), address) || !open_both(cli))
		return false;
	status = directory_find_account(cli->store, &cli->arena, *address, account);
	if (status == STATUS_OK)
		*address = account->address;
	else
		cli_status(cli, status, *address);
	return status == STATUS_OK;
}

int command_account_password(struct cli *cli)
{
	struct password_source source = password_source_of(cli);
	struct new_password new;
	struct account account;
	struct slice address;
	enum status status;

	if (!cli_finish(cli, 1, 1) || !password_get(cli, source, cli_argument(cli, 0), &new) || !begin(cli, &address, &account))
		return cli->failed;
	if (account.is_shared)
		return cli_fail(cli, EXIT_FAILED, "%.*s is a shared mailbox, which nobody logs in to; see: posthorn mailbox share",
				SLICE_ARG(address));
	status = set_password(cli, address, account.id, &new);
	if (status != STATUS_OK)
		return password_refused(cli, status, &new, address);
	cli_announce(cli, SLICE("credential"), address);
	end_sessions(cli, address);
	return tell_password(cli, address, &new, "has its new password");
}

int command_account_quota(struct cli *cli)
{
	struct account account;
	struct slice address;
	enum status status;
	uint64_t bytes;

	if (!cli_finish(cli, 2, 2) || !rules_size(cli, cli->arguments[1], &bytes) || !begin(cli, &address, &account))
		return cli->failed;
	status = directory_set_quota(cli->store, address, bytes, account.quota_messages);
	if (status != STATUS_OK)
		return cli_status(cli, status, address);
	cli_announce(cli, SLICE("directory"), address);
	return cli_done(cli, address, "has its new quota");
}

static bool confirm(struct cli *cli, struct slice address)
{
	char answer[16];

	if (!isatty(STDIN_FILENO))
		return true;
	fprintf(stderr, "Remove %.*s with all its mail? Type yes: ", SLICE_ARG(address));
	if (fgets(answer, sizeof(answer), stdin) && strcmp(answer, "yes\n") == 0)
		return true;
	cli_fail(cli, EXIT_FAILED, "nothing was removed");
	return false;
}

int command_account_remove(struct cli *cli)
{
	bool sure = cli_flag(cli, "--yes");
	struct account account;
	struct slice address;
	enum status status;

	if (!cli_finish(cli, 1, 1) || !begin(cli, &address, &account) || (!sure && !confirm(cli, address)))
		return cli->failed;
	/* First the credential: from then on nobody can log in to what is being removed. */
	status = credential_remove(cli->credentials, address);
	if (status == STATUS_OK || status == STATUS_NOT_FOUND)
		status = directory_remove_account(cli->store, address);
	if (status != STATUS_OK)
		return cli_status(cli, status, address);
	announce(cli, address);
	end_sessions(cli, address);
	return cli_done(cli, address, "removed");
}

static int enable(struct cli *cli, bool enabled)
{
	struct account account;
	struct slice address;
	enum status status;

	if (!cli_finish(cli, 1, 1) || !begin(cli, &address, &account))
		return cli->failed;
	status = credential_enable(cli->credentials, address, enabled);
	if (status == STATUS_OK || status == STATUS_NOT_FOUND)
		status = directory_enable_account(cli->store, address, enabled);
	if (status != STATUS_OK)
		return cli_status(cli, status, address);
	announce(cli, address);
	if (!enabled)
		end_sessions(cli, address);
	return cli_done(cli, address, enabled ? "enabled" : "disabled");
}

int command_account_enable(struct cli *cli)
{
	return enable(cli, true);
}

int command_account_disable(struct cli *cli)
{
	return enable(cli, false);
}
