#include <stdio.h>

#include "cli/commands.h"
#include "cli/output.h"
#include "mime/address.h"
#include "store/directory.h"

/* The common beginning: one domain, the store open. */
static bool begin(struct cli *cli, struct slice *domain)
{
	return cli_finish(cli, 1, 1) && cli_domain(cli, cli_argument(cli, 0), domain) && cli_open_store(cli);
}

static int changed(struct cli *cli, struct slice domain, const char *what)
{
	cli_announce(cli, SLICE("directory"), domain);
	return cli_done(cli, domain, what);
}

int command_domain_add(struct cli *cli)
{
	struct slice domain;
	enum status status;

	if (!begin(cli, &domain))
		return cli->failed;
	status = directory_add_domain(cli->store, domain);
	return status == STATUS_OK ? changed(cli, domain, "added") : cli_status(cli, status, domain);
}

int command_domain_list(struct cli *cli)
{
	struct listing list = listing_new(cli, "domain");
	struct slice *domains;
	enum status status;
	size_t count;

	if (!cli_finish(cli, 0, 0) || !cli_open_store(cli))
		return cli->failed;
	status = directory_list_domains(cli->store, &cli->arena, &domains, &count);
	if (status != STATUS_OK)
		return cli_status(cli, status, SLICE("the list of domains"));
	for (size_t i = 0; i < count; i++)
		listing_text(&list, domains[i]);
	listing_print(&list);
	if (count == 0)
		listing_hint(&list, "no domains; add one with: posthorn domain add DOMAIN");
	return EXIT_OK;
}

int command_domain_remove(struct cli *cli)
{
	struct slice domain;
	enum status status;

	if (!begin(cli, &domain))
		return cli->failed;
	status = directory_remove_domain(cli->store, domain);
	if (status == STATUS_REFUSED)
		return cli_fail(cli, EXIT_FAILED, "%.*s has accounts; remove them first: posthorn account list %.*s",
				SLICE_ARG(domain), SLICE_ARG(domain));
	return status == STATUS_OK ? changed(cli, domain, "removed") : cli_status(cli, status, domain);
}
