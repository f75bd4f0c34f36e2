#include <stdio.h>

#include "cli/commands.h"
#include "cli/rules.h"
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

/* A domain whose mail isn't for mailboxes here. */
static enum status add_rule(struct cli *cli, const struct rule *rule)
{
	enum status status = routing_add(cli->store, rule);

	if (status == STATUS_REFUSED)
		cli_fail(cli, EXIT_FAILED, "%.*s is something else already; see: posthorn domain list",
			 SLICE_ARG(rule->subject));
	return status;
}

int command_domain_add(struct cli *cli)
{
	const char *alias_of = cli_option(cli, "--alias-of");
	bool relay = cli_flag(cli, "--relay"), listed = cli_flag(cli, "--listed");
	struct slice domain, target = SLICE_EMPTY;
	enum status status;

	if ((alias_of && (relay || listed)) || (listed && !relay))
		return cli_fail(cli, EXIT_USAGE, "give --alias-of, or --relay with or without --listed");
	if ((alias_of && !cli_domain(cli, slice_from_cstr(alias_of), &target)) || !begin(cli, &domain))
		return cli->failed;
	if (alias_of)
		status = add_rule(cli, &(struct rule){RULE_DOMAIN_ALIAS, domain, target, SLICE_EMPTY});
	else if (relay)
		status = add_rule(cli,
				  &(struct rule){RULE_RELAY_DOMAIN, domain, SLICE_EMPTY, listed ? RULE_LISTED : SLICE_EMPTY});
	else
		status = directory_add_domain(cli->store, domain);
	if (status == STATUS_OK)
		return changed(cli, domain, "added");
	return cli->failed ? cli->failed : cli_status(cli, status, domain);
}

static enum status list_rules(struct cli *cli, struct listing *list, enum rule_kind kind, const char *label)
{
	struct rule *rules;
	size_t count;
	enum status status = routing_list(cli->store, &cli->arena, kind, SLICE_EMPTY, &rules, &count);

	for (size_t i = 0; i < count && status == STATUS_OK; i++) {
		listing_text(list, rules[i].subject);
		listing_text(list, slice_from_cstr(label));
		listing_text(list, rules[i].target.len > 0 ? rules[i].target : rules[i].detail);
	}
	return status;
}

int command_domain_list(struct cli *cli)
{
	struct listing list = listing_new(cli, "domain,kind,detail");
	struct slice *domains;
	enum status status;
	size_t count;

	if (!cli_finish(cli, 0, 0) || !cli_open_store(cli))
		return cli->failed;
	status = directory_list_domains(cli->store, &cli->arena, &domains, &count);
	if (status != STATUS_OK)
		return cli_status(cli, status, SLICE("the list of domains"));
	for (size_t i = 0; i < count; i++) {
		listing_text(&list, domains[i]);
		listing_text(&list, SLICE("ours"));
		listing_text(&list, SLICE_EMPTY);
	}
	status = list_rules(cli, &list, RULE_DOMAIN_ALIAS, "alias");
	if (status == STATUS_OK)
		status = list_rules(cli, &list, RULE_RELAY_DOMAIN, "relay");
	if (status != STATUS_OK)
		return cli_status(cli, status, SLICE("the list of domains"));
	listing_print(&list);
	if (list.cell_count == 0)
		listing_hint(&list, "no domains; add one with: posthorn domain add DOMAIN");
	return EXIT_OK;
}

/* With the recipients that are listed for it. */
static enum status remove_rules(struct cli *cli, struct slice domain)
{
	enum status status = routing_remove(cli->store, RULE_DOMAIN_ALIAS, domain, SLICE_EMPTY);

	return status == STATUS_NOT_FOUND ? routing_remove_relay_domain(cli->store, domain) : status;
}

int command_domain_remove(struct cli *cli)
{
	struct slice domain;
	enum status status;

	if (!begin(cli, &domain))
		return cli->failed;
	status = directory_remove_domain(cli->store, domain);
	if (status == STATUS_NOT_FOUND)
		status = remove_rules(cli, domain);
	if (status == STATUS_REFUSED)
		return cli_fail(cli, EXIT_FAILED, "%.*s has accounts; remove them first: posthorn account list %.*s",
				SLICE_ARG(domain), SLICE_ARG(domain));
	return status == STATUS_OK ? changed(cli, domain, "removed") : cli_status(cli, status, domain);
}
