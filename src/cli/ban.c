#include <stdio.h>

#include "base/clock.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "guard/ban_list.h"
#include "store/bans.h"

#define BANS_AT_ONCE 1000

/* In the one form in which the store keeps it. */
static bool network_argument(struct cli *cli, struct net_prefix *network, struct slice *text)
{
	if (!net_prefix_parse(cli_argument(cli, 0), network)) {
		cli_fail(cli, EXIT_USAGE, "%.*s is no address or network; write 192.0.2.1, 192.0.2.0/24 or 2001:db8::/64",
			 SLICE_ARG(cli_argument(cli, 0)));
		return false;
	}
	*network = ban_prefix_canonical(network);
	*text = ban_prefix_text(&cli->arena, network);
	return true;
}

/* One that is exempt would stand in the list and mean nothing. */
static bool is_bannable(struct cli *cli, const struct net_prefix *network, struct slice text)
{
	for (unsigned i = 0; i < cli->config->ban.exempt_count; i++) {
		struct net_prefix exempt;

		if (net_prefix_parse(slice_from_cstr(cli->config->ban.exempt[i]), &exempt) && exempt.bits <= network->bits &&
		    net_prefix_contains(&exempt, &network->address)) {
			cli_fail(cli, EXIT_FAILED, "%.*s is never banned: it is in ban.exempt", SLICE_ARG(text));
			return false;
		}
	}
	return true;
}

static int changed(struct cli *cli, struct slice text, const char *done)
{
	cli_announce(cli, SLICE("ban"), SLICE_EMPTY);
	return cli_done(cli, text, done);
}

int command_ban_add(struct cli *cli)
{
	const char *duration = cli_option(cli, "--for"), *reason = cli_option(cli, "--reason");
	struct net_prefix network;
	struct ban_row row = {.made_ms = clock_wall_ms(), .until_ms = BANS_FOREVER, .times = 1};
	int64_t ms;

	if (duration && !config_duration(slice_from_cstr(duration), &ms))
		return cli_fail(cli, EXIT_USAGE, "--for wants a duration such as 30m, 4h or 7d");
	if (duration)
		row.until_ms = row.made_ms + ms;
	row.reason = reason ? slice_from_cstr(reason) : SLICE("by hand");
	if (!cli_finish(cli, 1, 1) || !network_argument(cli, &network, &row.network) || !cli_open_store(cli) ||
	    !is_bannable(cli, &network, row.network))
		return cli->failed;
	enum status status = bans_set(cli->store, &row);

	return status == STATUS_OK ? changed(cli, row.network, "banned") : cli_status(cli, status, row.network);
}

int command_ban_remove(struct cli *cli)
{
	struct net_prefix network;
	struct slice text;

	if (!cli_finish(cli, 1, 1) || !network_argument(cli, &network, &text) || !cli_open_store(cli))
		return cli->failed;
	enum status status = bans_remove(cli->store, text);

	return status == STATUS_OK ? changed(cli, text, "not banned any more") : cli_status(cli, status, text);
}

static void list_rows(struct listing *list, const struct ban_row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		listing_text(list, rows[i].network);
		listing_text(list, rows[i].reason);
		listing_time(list, rows[i].made_ms);
		listing_time(list, rows[i].until_ms == BANS_FOREVER ? 0 : rows[i].until_ms);
		listing_number(list, (int64_t)rows[i].times);
	}
}

int command_ban_list(struct cli *cli)
{
	struct listing list = listing_new(cli, "network,reason,since,until,times");
	struct slice after = SLICE_EMPTY;
	struct ban_row *rows;
	size_t count, total = 0;

	if (!cli_finish(cli, 0, 0) || !cli_open_store(cli))
		return cli->failed;
	do {
		enum status status = bans_list(cli->store, &cli->arena, after, clock_wall_ms(), BANS_AT_ONCE, &rows, &count);

		if (status != STATUS_OK)
			return cli_status(cli, status, SLICE("the list of bans"));
		list_rows(&list, rows, count);
		total += count;
		after = count ? rows[count - 1].network : after;
	} while (count == BANS_AT_ONCE);
	listing_print(&list);
	if (total == 0)
		listing_hint(&list, "nobody is banned");
	return EXIT_OK;
}
