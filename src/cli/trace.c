/* trace: what happened to a message, or to those that somebody wrote or should have got. */
#include <stdio.h>

#include "base/clock.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/when.h"
#include "store/queue.h"

#define MESSAGES_MAX 20

static void list_steps(struct listing *list, const struct trace_step *steps, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		listing_time(list, steps[i].at_ms);
		listing_text(list, steps[i].queue_id);
		listing_text(list, steps[i].event);
		listing_text(list, steps[i].subject.len || !slice_eq(steps[i].event, SLICE("received")) ? steps[i].subject : SLICE("<>"));
		listing_text(list, steps[i].detail);
	}
}

static bool list_message(struct cli *cli, struct listing *list, struct slice id)
{
	struct trace_step *steps;
	size_t count = 0;
	enum status status = trace_find(cli->store, &cli->arena, id, &steps, &count);

	if (status == STATUS_OK)
		list_steps(list, steps, count);
	else if (status != STATUS_NOT_FOUND)
		cli_status(cli, status, SLICE("the trace"));
	return status == STATUS_OK && count > 0;
}

static struct listing new_listing(struct cli *cli)
{
	return listing_new(cli, "time,queue_id,event,subject,detail");
}

/* Oldest first, an empty line between messages. */
static int trace_many(struct cli *cli, const struct trace_search *search)
{
	struct listing all = new_listing(cli);
	struct slice *ids;
	size_t count;
	enum status status = trace_search(cli->store, &cli->arena, search, &ids, &count);

	if (status == STATUS_NOT_FOUND)
		return cli_fail(cli, EXIT_FAILED, "no such mail came in; note that traces are kept for %u days and name recipients as they are "
				"after aliases", cli->config->retention.trace_days);
	if (status != STATUS_OK)
		return cli_status(cli, status, SLICE("the trace"));
	for (size_t i = count; i-- > 0;) {
		struct listing one = new_listing(cli);

		(void)list_message(cli, cli->json ? &all : &one, ids[i]); /* it may be forgotten meanwhile */
		if (!cli->json)
			listing_print(&one);
		if (!cli->json && i > 0)
			putchar('\n');
	}
	if (cli->json)
		listing_print(&all);
	if (count == search->max)
		fprintf(stderr, "these are the newest %zu; see more with --max N, or narrow it with --since and --until\n", count);
	return EXIT_OK;
}

static int trace_one(struct cli *cli)
{
	struct listing list = new_listing(cli);
	struct slice id = cli_argument(cli, 0);

	if (list_message(cli, &list, id)) {
		listing_print(&list);
		return EXIT_OK;
	}
	if (cli->failed)
		return cli->failed;
	if (slice_find_byte(id, '@') != SLICE_NOT_FOUND) /* no message is called so: then it is somebody's address */
		return trace_many(cli, &(struct trace_search){.sender = id, .recipient = id, .either = true, .max = MESSAGES_MAX});
	return cli_fail(cli, EXIT_FAILED, "no trace of %s; give a queue id, a Message-ID or an address, and note that traces are kept for %u days",
			cli->arguments[0], cli->config->retention.trace_days);
}

static bool take_search(struct cli *cli, struct trace_search *search, bool *is_search)
{
	const char *address = cli_option(cli, "--address"), *max_text = cli_option(cli, "--max");
	uint64_t max = MESSAGES_MAX;

	*search = (struct trace_search){.sender = slice_from_cstr(cli_option(cli, "--sender")),
					.recipient = slice_from_cstr(cli_option(cli, "--recipient"))};
	if (!cli_when(cli, "--since", &search->since_ms) || !cli_when(cli, "--until", &search->until_ms))
		return false;
	*is_search = address || search->sender.len || search->recipient.len || search->since_ms || search->until_ms;
	if (address && (search->sender.len || search->recipient.len)) {
		cli_fail(cli, EXIT_USAGE, "--address stands for both --sender and --recipient");
		return false;
	}
	if (max_text && (!slice_to_u64(slice_from_cstr(max_text), 10000, &max) || max == 0)) {
		cli_fail(cli, EXIT_USAGE, "--max wants a number of 1 to 10000");
		return false;
	}
	search->max = (size_t)max;
	search->either = address != NULL;
	if (address)
		search->sender = search->recipient = slice_from_cstr(address);
	return true;
}

int command_trace(struct cli *cli)
{
	struct trace_search search;
	bool is_search;

	if (!take_search(cli, &search, &is_search) || !cli_finish(cli, is_search ? 0 : 1, is_search ? 0 : 1) || !cli_open_store(cli))
		return cli->failed;
	return is_search ? trace_many(cli, &search) : trace_one(cli);
}
