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

/* ---- limits ---- */

/* "message-size=10485760 quota=2147483648"; empty: it has none. */
static enum status limits_of(struct cli *cli, struct slice domain, struct slice *text)
{
	uint64_t size, quota;
	struct buf out;
	enum status status = routing_domain_limit(cli->store, RULE_DOMAIN_SIZE, domain, &size);

	if (status == STATUS_OK)
		status = routing_domain_limit(cli->store, RULE_DOMAIN_QUOTA, domain, &quota);
	if (status != STATUS_OK)
		return status;
	buf_init(&out, &cli->arena, 0);
	if (size > 0)
		buf_printf(&out, "message-size=%llu", (unsigned long long)size);
	if (quota > 0)
		buf_printf(&out, "%squota=%llu", size > 0 ? " " : "", (unsigned long long)quota);
	*text = buf_slice(&out);
	return STATUS_OK;
}

static enum status set_limit(struct cli *cli, enum rule_kind kind, struct slice domain, uint64_t bytes)
{
	struct rule rule = {kind, domain, SLICE_EMPTY, SLICE_EMPTY};
	struct buf number;

	if (bytes == 0) {
		enum status status = routing_remove(cli->store, kind, domain, SLICE_EMPTY);

		return status == STATUS_NOT_FOUND ? STATUS_OK : status;
	}
	buf_init(&number, &cli->arena, 0);
	buf_add_u64(&number, bytes);
	rule.target = buf_slice(&number);
	enum status status = routing_add(cli->store, &rule);

	return status == STATUS_EXISTS ? STATUS_OK : status;
}

/* A domain that mail is taken for. */
static bool is_taken(struct cli *cli, struct slice domain)
{
	const struct slice parts[] = {SLICE("postmaster@"), domain};
	struct directory_entry entry;
	enum status status =
		directory_look_up(cli->store, &cli->arena, slice_join(&cli->arena, parts, 2), '\0', &entry);

	if (status != STATUS_OK)
		cli_status(cli, status, domain);
	else if (entry.kind == DIRECTORY_NOT_LOCAL)
		cli_fail(cli, EXIT_FAILED, "%.*s is no domain here; see: posthorn domain list", SLICE_ARG(domain));
	return status == STATUS_OK && entry.kind != DIRECTORY_NOT_LOCAL;
}

int command_domain_set(struct cli *cli)
{
	const char *size = cli_option(cli, "--message-size"), *quota = cli_option(cli, "--quota");
	uint64_t size_bytes = 0, quota_bytes = 0;
	enum status status = STATUS_OK;
	struct slice domain;

	if (!size && !quota)
		return cli_fail(cli, EXIT_USAGE, "give --message-size or --quota");
	if ((size && !rules_size(cli, size, &size_bytes)) || (quota && !rules_size(cli, quota, &quota_bytes)) ||
	    !begin(cli, &domain) || !is_taken(cli, domain))
		return cli->failed;
	if (size)
		status = set_limit(cli, RULE_DOMAIN_SIZE, domain, size_bytes);
	if (status == STATUS_OK && quota)
		status = set_limit(cli, RULE_DOMAIN_QUOTA, domain, quota_bytes);
	return status == STATUS_OK ? changed(cli, domain, "has its new limits") : cli_status(cli, status, domain);
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
	for (size_t i = 0; i < count && status == STATUS_OK; i++) {
		struct slice limits;

		status = limits_of(cli, domains[i], &limits);
		listing_text(&list, domains[i]);
		listing_text(&list, SLICE("ours"));
		listing_text(&list, status == STATUS_OK ? limits : SLICE_EMPTY);
	}
	if (status == STATUS_OK)
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
	for (enum rule_kind kind = RULE_DOMAIN_SIZE; kind <= RULE_DOMAIN_QUOTA && status == STATUS_OK; kind++)
		status = set_limit(cli, kind, domain, 0);
	if (status == STATUS_REFUSED)
		return cli_fail(cli, EXIT_FAILED, "%.*s has accounts; remove them first: posthorn account list %.*s",
				SLICE_ARG(domain), SLICE_ARG(domain));
	return status == STATUS_OK ? changed(cli, domain, "removed") : cli_status(cli, status, domain);
}
