/* queue retry, hold, release, schedule, remove, bounce: changing the queue. The server may be running: what its relay has in hand is treated as
 * store/queue.h says, and told of. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/random.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/queue_select.h"
#include "cli/when.h"
#include "ipc/pack.h"
#include "relay/give_up.h"

#define IDS_MAX        1000
#define CLAIM_LEASE_MS (5 * 60 * 1000)
#define DEFAULT_REASON "returned by the administrator of this server"

struct change {
	struct queue_selection selection;
	bool sure;
	const char *reason;
};

/* What was done: for people a line each, or JSON. */
struct outcome {
	size_t count, in_hand;
	size_t notifications; /* bounce */
	const char *done;     /* "held" */
	const char *note;     /* about those in hand, behind their number */
	bool may_be_none; /* there being nothing is no failure */
};

static bool is_narrow(const struct cli *cli, const struct change *change)
{
	return cli->argument_count > 0 || change->selection.is_narrow;
}

static bool begin(struct cli *cli, struct change *change)
{
	change->sure = cli_flag(cli, "--yes");
	if (!queue_select(cli, &change->selection) || !cli_finish(cli, 0, IDS_MAX))
		return false;
	if (!change->selection.all && !is_narrow(cli, change)) {
		cli_fail(cli, EXIT_USAGE, "say which: QUEUE-ID, --sender ADDRESS, --domain DOMAIN or another of the options, or --all");
		return false;
	}
	return cli_open_store(cli);
}

static bool count_one(void *context, const struct queue_item *item)
{
	size_t *count = context;

	(void)item;
	(*count)++;
	return true;
}

/* Of what can't be undone, and was not named by its ids: on a terminal somebody says yes. */
static bool confirm(struct cli *cli, const struct change *change, const char *what)
{
	char answer[16];
	size_t count = 0;

	if (change->sure || cli->argument_count > 0 || !isatty(STDIN_FILENO))
		return true;
	if (queue_scan(cli->store, &change->selection.filter, count_one, &count) != STATUS_OK || count <= 1)
		return true; /* the change itself tells what is wrong */
	fprintf(stderr, "%s %zu recipients? Type yes: ", what, count);
	if (fgets(answer, sizeof(answer), stdin) && strcmp(answer, "yes\n") == 0)
		return true;
	cli_fail(cli, EXIT_FAILED, "nothing was changed");
	return false;
}

static void print_outcome(struct cli *cli, const struct outcome *outcome)
{
	struct listing list = listing_new(cli, "subject,done,recipients,in_hand,notifications");
	struct buf subject;

	buf_init(&subject, &cli->arena, 0);
	buf_printf(&subject, "%zu %s", outcome->count, outcome->count == 1 ? "recipient" : "recipients");
	if (cli->json) {
		listing_text(&list, buf_slice(&subject));
		listing_text(&list, slice_from_cstr(outcome->done));
		listing_number(&list, (int64_t)outcome->count);
		listing_number(&list, (int64_t)outcome->in_hand);
		listing_number(&list, (int64_t)outcome->notifications);
		listing_print_one(&list);
		return;
	}
	printf("%.*s %s\n", SLICE_ARG(buf_slice(&subject)), outcome->done);
	if (outcome->in_hand > 0)
		printf("%zu %s\n", outcome->in_hand, outcome->note);
}

static int end(struct cli *cli, enum status status, const struct outcome *outcome, struct slice announced)
{
	if (outcome->count > 0)
		cli_announce(cli, SLICE("queue"), announced);
	if (status != STATUS_OK && outcome->count > 0)
		fprintf(stderr, "posthorn: %zu recipients were %s before it failed\n", outcome->count, outcome->done);
	if (status != STATUS_OK)
		return cli_status(cli, status, SLICE("the queue"));
	if (outcome->count + outcome->in_hand == 0 && !outcome->may_be_none)
		return cli_fail(cli, EXIT_FAILED, "nothing in the queue fits; see: posthorn queue list");
	print_outcome(cli, outcome);
	return EXIT_OK;
}

/* Once for each id, or once. */
static enum status for_each_id(struct cli *cli, struct change *change,
			       enum status (*act)(struct cli *cli, const struct queue_filter *filter, void *context), void *context)
{
	enum status status = STATUS_OK;
	size_t i = 0;

	do {
		change->selection.filter.queue_id = cli_argument(cli, i);
		status = act(cli, &change->selection.filter, context);
	} while (status == STATUS_OK && ++i < cli->argument_count);
	return status;
}

struct acting {
	enum queue_action action;
	struct outcome outcome;
};

static enum status act(struct cli *cli, const struct queue_filter *filter, void *context)
{
	struct acting *acting = context;
	struct queue_acted acted;
	enum status status = queue_act(cli->store, filter, acting->action, &acted);

	acting->outcome.count += acted.count;
	acting->outcome.in_hand += acted.in_hand;
	return status;
}

static int run(struct cli *cli, struct acting *acting, const char *question, struct slice announced)
{
	struct change change;

	if (!begin(cli, &change) || (question && !confirm(cli, &change, question)))
		return cli->failed;
	enum status status = for_each_id(cli, &change, act, acting);

	/* All of an empty queue has been tried. */
	acting->outcome.may_be_none = acting->action == QUEUE_RETRY && change.selection.all;
	return end(cli, status, &acting->outcome, announced);
}

int command_queue_retry(struct cli *cli)
{
	struct acting acting = {QUEUE_RETRY, {.done = "will be tried now", .note = "more being tried already"}};

	return run(cli, &acting, NULL, SLICE("retry"));
}

int command_queue_hold(struct cli *cli)
{
	struct acting acting = {QUEUE_HOLD, {.done = "held", .note = "of them being tried now: that attempt may still deliver"}};

	return run(cli, &acting, NULL, SLICE_EMPTY);
}

int command_queue_release(struct cli *cli)
{
	struct acting acting = {QUEUE_RELEASE, {.done = "released", .note = "of them being tried already"}};

	return run(cli, &acting, NULL, SLICE("due"));
}

int command_queue_remove(struct cli *cli)
{
	struct acting acting = {QUEUE_REMOVE,
				{.done = "removed, without a bounce", .note = "of them were with the relay: an attempt that runs may still deliver"}};

	return run(cli, &acting, "Remove, without a bounce, the mail to", SLICE_EMPTY);
}

/* ---- schedule ---- */

struct scheduling {
	int64_t at_ms;
	struct outcome outcome;
};

static enum status schedule(struct cli *cli, const struct queue_filter *filter, void *context)
{
	struct scheduling *scheduling = context;
	struct queue_acted acted;
	enum status status = queue_schedule(cli->store, filter, scheduling->at_ms, &acted);

	scheduling->outcome.count += acted.count;
	scheduling->outcome.in_hand += acted.in_hand;
	return status;
}

int command_queue_schedule(struct cli *cli)
{
	struct scheduling scheduling = {.outcome = {.done = "scheduled", .note = "being tried now were left alone"}};
	const char *at = cli_option(cli, "--at");
	struct change change;

	if (!at || !when_parse_ahead(slice_from_cstr(at), clock_wall_ms(), &scheduling.at_ms))
		return cli_fail(cli, EXIT_USAGE, "--at wants now, how far ahead as 90s, 30m, 2h, 5d, or a time as 2026-11-25T10:53 (UTC)");
	if (!begin(cli, &change))
		return cli->failed;
	enum status status = for_each_id(cli, &change, schedule, &scheduling);

	return end(cli, status, &scheduling.outcome, SLICE("due"));
}

/* ---- bounce ---- */

struct bouncing {
	struct bounce_options options;
	struct queue_claim claim;
	struct slice reason;
	struct given_up sums;
};

/* Items of one message follow each other. */
static enum status bounce_page(struct cli *cli, struct bouncing *bouncing, const struct queue_item *items, size_t count)
{
	enum status status = STATUS_OK;

	for (size_t i = 0, next; i < count && status == STATUS_OK; i = next) {
		for (next = i + 1; next < count && queue_go_together(&items[i], &items[next]); next++)
			;
		status = give_up_message(&bouncing->options, cli->store, &cli->log, items + i, next - i, bouncing->reason, &bouncing->sums);
	}
	return status;
}

static enum status bounce(struct cli *cli, const struct queue_filter *filter, void *context)
{
	struct bouncing *bouncing = context;
	enum status status;

	bouncing->claim.after = 0;
	do {
		struct arena arena SCOPED_ARENA;
		struct queue_item *items;
		size_t count;

		status = queue_claim(cli->store, &arena, filter, &bouncing->claim, &items, &count);
		if (status == STATUS_OK)
			status = bounce_page(cli, bouncing, items, count);
	} while (status == STATUS_OK && bouncing->claim.after != 0);
	return status;
}

static void begin_bouncing(struct cli *cli, struct bouncing *bouncing, const char *reason)
{
	const struct config *config = cli->config;
	const struct slice node[] = {SLICE("bounce "), random_token(&cli->arena, 16)};

	*bouncing = (struct bouncing){
		.options = {.hostname = slice_from_cstr(config->hostname),
			    .smarthost = slice_from_cstr(config->relay.smarthost),
			    .details = detail_rules_of(config->smtp.recipient_separator, config->smtp.detail_folders),
			    .double_bounce_to = slice_from_cstr(config->relay.double_bounce)},
		.claim = {.node = slice_join(&cli->arena, node, 2), .lease_ms = CLAIM_LEASE_MS},
		.reason = slice_from_cstr(reason ? reason : DEFAULT_REASON),
	};
	buf_init(&bouncing->sums.accounts, &cli->arena, 0);
}

/* Sessions of those who got a notification show it at once. */
static void announce_notifications(struct cli *cli, const struct bouncing *bouncing)
{
	struct buf payload;

	if (bouncing->sums.account_count == 0)
		return;
	buf_init(&payload, &cli->arena, 0);
	pack_u32(&payload, bouncing->sums.account_count);
	buf_add(&payload, buf_slice(&bouncing->sums.accounts));
	cli_announce(cli, SLICE("mailbox"), buf_slice(&payload));
}

int command_queue_bounce(struct cli *cli)
{
	const char *reason = cli_option(cli, "--text");
	struct bouncing bouncing;
	struct change change;

	if (!begin(cli, &change) || !confirm(cli, &change, "Return to its senders the mail to"))
		return cli->failed;
	begin_bouncing(cli, &bouncing, reason);
	enum status status = for_each_id(cli, &change, bounce, &bouncing);
	struct outcome outcome = {
		.count = bouncing.sums.recipients,
		.in_hand = bouncing.claim.in_hand,
		.notifications = bouncing.sums.notifications,
		.done = "returned to their senders",
		.note = "being tried now were left alone; hold them first, or come again in a moment",
	};

	/* What a failure left claimed is the queue's again. */
	if (status != STATUS_OK && queue_release_leases(cli->store, bouncing.claim.node) != STATUS_OK)
		fprintf(stderr, "posthorn: what was not returned is tried again in %d minutes\n", CLAIM_LEASE_MS / 60000);
	announce_notifications(cli, &bouncing);
	return end(cli, status, &outcome, SLICE_EMPTY);
}
