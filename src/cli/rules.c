/* rewrite, copy: the rules of routing that stand alone; and what all rules' commands share. */
#include "cli/rules.h"

#include <stdio.h>

#include "cli/output.h"
#include "net/conn.h"

#define TARGETS_MAX 100

bool rules_address(struct cli *cli, struct slice text, struct slice *address)
{
	struct slice domain;

	if (!slice_starts_with(text, SLICE("@")))
		return cli_address(cli, text, address);
	if (!cli_domain(cli, slice_skip(text, 1), &domain))
		return false;
	*address = slice_join(&cli->arena, (const struct slice[]){SLICE("@"), domain}, 2);
	return true;
}

int rules_add(struct cli *cli, const struct rule *rule, const char *done)
{
	enum status status = routing_add(cli->store, rule);

	if (status != STATUS_OK)
		return cli_status(cli, status, rule->subject);
	cli_announce(cli, SLICE("directory"), rule->subject);
	return cli_done(cli, rule->subject, done);
}

int rules_remove(struct cli *cli, enum rule_kind kind, struct slice subject, struct slice target)
{
	enum status status = routing_remove(cli->store, kind, subject, target);

	if (status != STATUS_OK)
		return cli_status(cli, status, subject);
	cli_announce(cli, SLICE("directory"), subject);
	return cli_done(cli, subject, "removed");
}

bool rules_list(struct cli *cli, struct listing *list, enum rule_kind kind, struct slice subject, const char *label)
{
	struct rule *rules;
	size_t count;
	enum status status = routing_list(cli->store, &cli->arena, kind, SLICE_EMPTY, &rules, &count);

	if (status != STATUS_OK) {
		cli_status(cli, status, SLICE("the list"));
		return false;
	}
	for (size_t i = 0; i < count; i++) {
		if (subject.len > 0 && !slice_eq_nocase(rules[i].subject, subject))
			continue;
		if (label)
			listing_text(list, slice_from_cstr(label));
		listing_text(list, rules[i].subject);
		listing_text(list, rules[i].target);
	}
	return true;
}

/* "user@example.org", "example.org", ".example.org", "*" */
/* "news-*@example.org": with another letter in the stars' place it is an address. */
static bool take_wildcard(struct cli *cli, struct slice text, struct slice *pattern)
{
	size_t at = slice_find_last_byte(text, '@');
	char *tried = slice_cstr(&cli->arena, text);
	struct slice address;

	if (at == SLICE_NOT_FOUND || slice_find_byte(slice_skip(text, at), '*') != SLICE_NOT_FOUND) {
		cli_fail(cli, EXIT_USAGE,
			 "\"%.*s\" is no pattern; there are: an address, one with * in its local part, a domain, .DOMAIN (all domains below it), *",
			 SLICE_ARG(text));
		return false;
	}
	for (size_t i = 0; i < at; i++)
		if (tried[i] == '*')
			tried[i] = 'x';
	if (!cli_address(cli, slice_from_cstr(tried), &address))
		return false;
	const struct slice parts[] = {slice_lower(&cli->arena, slice_sub(text, 0, at)), SLICE("@"),
				      slice_skip(address, slice_find_last_byte(address, '@') + 1)};

	*pattern = slice_join(&cli->arena, parts, 3);
	return true;
}

bool rules_pattern(struct cli *cli, struct slice text, bool is_sender, struct slice *pattern)
{
	struct slice domain;

	*pattern = text;
	if (slice_eq(text, SLICE("*")) && is_sender) {
		cli_fail(cli, EXIT_USAGE, "\"*\" stands for all mail, whoever sends it; leave --sender out");
		return false;
	}
	if (slice_eq(text, SLICE("*")))
		return true;
	if (slice_find_byte(text, '*') != SLICE_NOT_FOUND)
		return take_wildcard(cli, text, pattern);
	if (slice_find_byte(text, '@') != SLICE_NOT_FOUND)
		return cli_address(cli, text, pattern);
	if (!slice_starts_with(text, SLICE(".")))
		return cli_domain(cli, text, pattern);
	if (!cli_domain(cli, slice_skip(text, 1), &domain))
		return false;
	*pattern = slice_join(&cli->arena, (const struct slice[]){SLICE("."), domain}, 2);
	return true;
}

/* ---- rewriting and copies: about senders, or about recipients ---- */

static bool take_side(struct cli *cli, enum rule_kind of_sender, enum rule_kind of_recipient, enum rule_kind *kind)
{
	struct slice word = cli_argument(cli, 0);

	*kind = slice_eq(word, SLICE("sender")) ? of_sender : of_recipient;
	if (*kind == of_sender || slice_eq(word, SLICE("recipient")))
		return true;
	cli_fail(cli, EXIT_USAGE, "say \"sender\" or \"recipient\", not \"%.*s\"", SLICE_ARG(word));
	return false;
}

static int list_both(struct cli *cli, enum rule_kind of_sender, enum rule_kind of_recipient, const char *columns)
{
	struct listing list = listing_new(cli, columns);

	if (!cli_finish(cli, 0, 0) || !cli_open_store(cli) || !rules_list(cli, &list, of_sender, SLICE_EMPTY, "sender") ||
	    !rules_list(cli, &list, of_recipient, SLICE_EMPTY, "recipient"))
		return cli->failed;
	listing_print(&list);
	return EXIT_OK;
}

static int remove_of_side(struct cli *cli, enum rule_kind of_sender, enum rule_kind of_recipient)
{
	struct slice address, target = SLICE_EMPTY;
	enum rule_kind kind;

	if (!cli_finish(cli, 2, 3) || !take_side(cli, of_sender, of_recipient, &kind) ||
	    !rules_address(cli, cli_argument(cli, 1), &address) ||
	    (cli->argument_count == 3 && !rules_address(cli, cli_argument(cli, 2), &target)) || !cli_open_store(cli))
		return cli->failed;
	return rules_remove(cli, kind, address, target);
}

int command_rewrite_add(struct cli *cli)
{
	struct rule rule = {.kind = RULE_REWRITE_SENDER};

	if (!cli_finish(cli, 3, 3) || !take_side(cli, RULE_REWRITE_SENDER, RULE_REWRITE_RECIPIENT, &rule.kind) ||
	    !rules_address(cli, cli_argument(cli, 1), &rule.subject) || !rules_address(cli, cli_argument(cli, 2), &rule.target))
		return cli->failed;
	if (rule.subject.data[0] != '@' && rule.target.data[0] == '@')
		return cli_fail(cli, EXIT_USAGE, "one address becomes one address; give a whole one instead of %.*s",
				SLICE_ARG(rule.target));
	return cli_open_store(cli) ? rules_add(cli, &rule, "is rewritten") : (int)cli->failed;
}

int command_rewrite_list(struct cli *cli)
{
	return list_both(cli, RULE_REWRITE_SENDER, RULE_REWRITE_RECIPIENT, "of,address,becomes");
}

int command_rewrite_remove(struct cli *cli)
{
	return remove_of_side(cli, RULE_REWRITE_SENDER, RULE_REWRITE_RECIPIENT);
}

int command_copy_add(struct cli *cli)
{
	struct rule rule = {.kind = RULE_BCC_SENDER};

	if (!cli_finish(cli, 3, 3) || !take_side(cli, RULE_BCC_SENDER, RULE_BCC_RECIPIENT, &rule.kind) ||
	    !rules_address(cli, cli_argument(cli, 1), &rule.subject) || !cli_address(cli, cli_argument(cli, 2), &rule.target) ||
	    !cli_open_store(cli))
		return cli->failed;
	return rules_add(cli, &rule, "is copied");
}

int command_copy_list(struct cli *cli)
{
	return list_both(cli, RULE_BCC_SENDER, RULE_BCC_RECIPIENT, "of,address,copy_to");
}

int command_copy_remove(struct cli *cli)
{
	return remove_of_side(cli, RULE_BCC_SENDER, RULE_BCC_RECIPIENT);
}

/* ---- who may send as whom ---- */

static int list_may_send(struct cli *cli, struct slice account)
{
	struct listing list = listing_new(cli, "account,may_send_as,how");
	struct rule *rules;
	size_t count;
	enum status status = routing_list(cli->store, &cli->arena, RULE_MAY_SEND, SLICE_EMPTY, &rules, &count);

	if (status != STATUS_OK)
		return cli_status(cli, status, SLICE("the list"));
	for (size_t i = 0; i < count; i++) {
		if (account.len > 0 && !slice_eq_nocase(rules[i].subject, account))
			continue;
		listing_text(&list, rules[i].subject);
		listing_text(&list, rules[i].target);
		listing_text(&list, rules[i].detail.len > 0 ? rules[i].detail : SLICE("as"));
	}
	listing_print(&list);
	if (list.cell_count == 0)
		listing_hint(&list, "nothing but their own addresses and aliases");
	return EXIT_OK;
}

static bool take_addresses(struct cli *cli, struct rule *rules, enum rule_kind kind, struct slice subject)
{
	for (size_t i = 1; i < cli->argument_count; i++) {
		rules[i - 1] = (struct rule){kind, subject, SLICE_EMPTY, SLICE_EMPTY};
		if (kind == RULE_LIST_SENDER && slice_eq(cli_argument(cli, i), RULE_MEMBERS))
			rules[i - 1].target = RULE_MEMBERS;
		else if (!rules_address(cli, cli_argument(cli, i), &rules[i - 1].target))
			return false;
	}
	return true;
}

static enum status remove_each(struct cli *cli, const struct rule *rules, size_t count)
{
	enum status status = STATUS_OK;

	for (size_t i = 0; i < count && status == STATUS_OK; i++)
		status = routing_remove(cli->store, rules[i].kind, rules[i].subject, rules[i].target);
	return status;
}

int command_account_may_send(struct cli *cli)
{
	bool removes = cli_flag(cli, "--remove"), on_behalf = cli_flag(cli, "--on-behalf");
	struct rule rules[TARGETS_MAX];
	struct slice address = SLICE_EMPTY;
	struct account account;
	enum status status;

	if (!cli_finish(cli, removes ? 2 : 0, TARGETS_MAX + 1) ||
	    (cli->argument_count > 0 && !cli_address(cli, cli_argument(cli, 0), &address)) ||
	    !take_addresses(cli, rules, RULE_MAY_SEND, address) || !cli_open_store(cli))
		return cli->failed;
	if (cli->argument_count < 2)
		return list_may_send(cli, address);
	for (size_t i = 0; on_behalf && i + 1 < cli->argument_count; i++)
		rules[i].detail = RULE_ON_BEHALF;
	status = directory_find_account(cli->store, &cli->arena, address, &account);
	if (status == STATUS_OK)
		status = removes ? remove_each(cli, rules, cli->argument_count - 1)
				 : routing_add_all(cli->store, rules, cli->argument_count - 1);
	if (status != STATUS_OK)
		return cli_status(cli, status, address);
	cli_announce(cli, SLICE("directory"), address);
	return cli_done(cli, address, removes     ? "may not send as that any more"
				      : on_behalf ? "may send on behalf of that"
						  : "may send as that");
}

/* ---- who may write to a list ---- */

static int list_senders(struct cli *cli, struct slice address)
{
	struct listing list = listing_new(cli, "alias,may_write");

	if (!rules_list(cli, &list, RULE_LIST_SENDER, address, NULL))
		return cli->failed;
	listing_print(&list);
	if (list.cell_count == 0)
		listing_hint(&list, "everybody may write to it");
	return EXIT_OK;
}

static enum status set_senders(struct cli *cli, struct slice address, const struct rule *rules, size_t count)
{
	struct directory_entry entry;
	enum status status = directory_look_up(cli->store, &cli->arena, address, '\0', &entry);

	if (status != STATUS_OK || entry.kind != DIRECTORY_ALIAS || entry.is_domain_alias || entry.is_catch_all)
		return status != STATUS_OK ? status : STATUS_NOT_FOUND;
	status = routing_remove(cli->store, RULE_LIST_SENDER, address, SLICE_EMPTY);
	if (status == STATUS_OK || status == STATUS_NOT_FOUND)
		status = routing_add_all(cli->store, rules, count);
	return status;
}

int command_alias_senders(struct cli *cli)
{
	bool everybody = cli_flag(cli, "--everybody");
	struct rule rules[TARGETS_MAX];
	struct slice address = SLICE_EMPTY;
	enum status status;

	if (!cli_finish(cli, everybody ? 1 : 0, everybody ? 1 : TARGETS_MAX + 1) ||
	    (cli->argument_count > 0 && !cli_address(cli, cli_argument(cli, 0), &address)) ||
	    !take_addresses(cli, rules, RULE_LIST_SENDER, address) || !cli_open_store(cli))
		return cli->failed;
	if (cli->argument_count < 2 && !everybody)
		return list_senders(cli, address);
	status = set_senders(cli, address, rules, cli->argument_count - 1);
	if (status != STATUS_OK)
		return cli_status(cli, status, address);
	cli_announce(cli, SLICE("directory"), address);
	return cli_done(cli, address, everybody ? "takes mail from everybody" : "takes mail from these only");
}

/* ---- recipients of domains that are taken for another host ---- */

#define ADDRESSES_PER_WRITE 1000

struct batch {
	struct rule rules[ADDRESSES_PER_WRITE];
	size_t count, total;
};

static bool write_batch(struct cli *cli, struct batch *batch)
{
	enum status status = batch->count > 0 ? routing_add_all(cli->store, batch->rules, batch->count) : STATUS_OK;

	batch->total += batch->count;
	batch->count = 0;
	return cli_status(cli, status, SLICE("the list of recipients")) == EXIT_OK;
}

static bool batch_add(struct cli *cli, struct batch *batch, struct slice text)
{
	struct rule *rule = &batch->rules[batch->count];

	*rule = (struct rule){RULE_RELAY_RECIPIENT, SLICE_EMPTY, SLICE_EMPTY, SLICE_EMPTY};
	if (!cli_address(cli, text, &rule->subject))
		return false;
	return ++batch->count < ADDRESSES_PER_WRITE || write_batch(cli, batch);
}

/* One a line; what stands behind the first word (as in Postfix's maps) and comments are passed over. */
static bool add_from_file(struct cli *cli, struct batch *batch, const char *path)
{
	FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	char line[1024];
	bool ok = file != NULL;

	if (!file)
		cli_fail(cli, EXIT_FAILED, "%s can't be read", path);
	while (ok && fgets(line, sizeof(line), file)) {
		struct slice rest = slice_trim(slice_from_cstr(line));
		size_t end = 0;

		while (end < rest.len && rest.data[end] != ' ' && rest.data[end] != '\t')
			end++;
		if (rest.len > 0 && rest.data[0] != '#')
			ok = batch_add(cli, batch, slice_dup(&cli->arena, slice_sub(rest, 0, end)));
	}
	if (file && file != stdin)
		fclose(file);
	return ok;
}

int command_recipient_add(struct cli *cli)
{
	const char *path = cli_option(cli, "--file");
	struct batch *batch = ARENA_NEW(&cli->arena, struct batch);
	bool ok = cli_finish(cli, path ? 0 : 1, SIZE_MAX) && cli_open_store(cli);

	for (size_t i = 0; i < cli->argument_count && ok; i++)
		ok = batch_add(cli, batch, cli_argument(cli, i));
	if (ok && path)
		ok = add_from_file(cli, batch, path);
	if (!ok || !write_batch(cli, batch))
		return cli->failed;
	cli_announce(cli, SLICE("directory"), SLICE_EMPTY);
	return cli_done(cli, cli_argument(cli, 0).len ? cli_argument(cli, 0) : SLICE("the list"), "added");
}

int command_recipient_list(struct cli *cli)
{
	struct listing list = listing_new(cli, "recipient");
	struct slice domain;
	struct rule *rules;
	size_t count;

	if (!cli_finish(cli, 1, 1) || !cli_domain(cli, cli_argument(cli, 0), &domain) || !cli_open_store(cli))
		return cli->failed;
	enum status status = routing_list(cli->store, &cli->arena, RULE_RELAY_RECIPIENT, domain, &rules, &count);

	if (status != STATUS_OK)
		return cli_status(cli, status, domain);
	for (size_t i = 0; i < count; i++)
		listing_text(&list, rules[i].subject);
	listing_print(&list);
	return EXIT_OK;
}

int command_recipient_remove(struct cli *cli)
{
	struct slice address;

	if (!cli_finish(cli, 1, 1) || !cli_address(cli, cli_argument(cli, 0), &address) || !cli_open_store(cli))
		return cli->failed;
	return rules_remove(cli, RULE_RELAY_RECIPIENT, address, SLICE_EMPTY);
}

bool rules_size(struct cli *cli, const char *text, uint64_t *bytes)
{
	*bytes = 0;
	if (strcmp(text, "none") == 0 || config_size(slice_from_cstr(text), bytes))
		return true;
	cli_fail(cli, EXIT_USAGE, "\"%s\" is not a size; give one as 500MB, 5G or none", text);
	return false;
}

bool rules_default_quota(struct cli *cli, struct slice address, uint64_t *bytes)
{
	struct slice domain = slice_skip(address, slice_find_last_byte(address, '@') + 1);
	enum status status = routing_domain_limit(cli->store, RULE_DOMAIN_QUOTA, domain, bytes);

	if (status != STATUS_OK)
		cli_status(cli, status, domain);
	return status == STATUS_OK;
}
