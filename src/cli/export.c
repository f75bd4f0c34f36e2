/* export maildir, export mbox */
#include <errno.h>
#include <stdio.h>

#include "cli/commands.h"
#include "cli/import.h"
#include "cli/output.h"
#include "import/export.h"

static int tell(struct cli *cli, const struct export *export, struct slice address)
{
	struct listing list = listing_new(cli, "address,mailboxes,messages,bytes");

	if (!cli->json) {
		printf("%.*s: %llu mailboxes, %llu messages exported to %.*s\n", SLICE_ARG(address),
		       (unsigned long long)export->mailboxes, (unsigned long long)export->messages, SLICE_ARG(export->folder));
		return EXIT_OK;
	}
	listing_text(&list, address);
	listing_number(&list, (int64_t) export->mailboxes);
	listing_number(&list, (int64_t) export->messages);
	listing_number(&list, (int64_t) export->bytes);
	listing_print_one(&list);
	return EXIT_OK;
}

static int run(struct cli *cli, enum status (*put)(struct export *export))
{
	struct slice address = slice_from_cstr(cli_option(cli, "--account"));
	struct export export = {.opener = NULL};
	char host[256] = "localhost";

	if (!cli_finish(cli, 1, 1) || !import_path(cli, cli_argument(cli, 0), &export.folder))
		return cli->failed;
	if (address.len == 0)
		return cli_fail(cli, EXIT_USAGE, "say whose mail: --account ADDRESS");
	export.opener = opener_new();
	if (!export.opener)
		return cli_fail(cli, EXIT_TEMPORARY, "no process could be started; try again");
	if (import_find_account(cli, address, &export.account)) {
		export.store = cli->store;
		export.host = slice_from_cstr(cli->config->hostname ? cli->config->hostname : host);
		enum status status = put(&export);

		if (status == STATUS_REFUSED)
			cli_fail(cli, EXIT_FAILED, "can't write to %.*s: %s; give a new or empty folder",
				 SLICE_ARG(export.folder), strerror(errno));
		else if (status != STATUS_OK)
			cli_status(cli, status, address);
		else
			tell(cli, &export, address);
	}
	opener_free(export.opener);
	return cli->failed;
}

int command_export_maildir(struct cli *cli)
{
	return run(cli, export_maildir);
}

int command_export_mbox(struct cli *cli)
{
	return run(cli, export_mbox);
}
