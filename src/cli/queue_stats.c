/* queue stats: how much waits, by destination and age, as Postfix's qshape shows it. */
#include <stdio.h>
#include <stdlib.h>
#include <uthash.h>

#include "base/clock.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/queue_select.h"

/* Upper ends in minutes; what is older stands in the last column. */
static const unsigned ages[] = {5, 10, 20, 40, 80, 160, 320, 640, 1280};
#define AGES         (sizeof(ages) / sizeof(ages[0]) + 1)
#define COLUMNS      "total,5m,10m,20m,40m,80m,160m,320m,640m,1280m,older"
#define LINES_MAX    20
#define KEYS_MAX     100000 /* what comes after so many destinations counts as one of them */
#define NAME_MAX_LEN 255

struct line {
	struct slice name;
	size_t total, by_age[AGES];
	UT_hash_handle hh;
};

struct stats {
	struct arena *arena;
	struct line *lines;
	struct line all, others;
	bool by_sender;
	int64_t now_ms;
};

static size_t age_of(const struct stats *stats, const struct queue_item *item)
{
	int64_t minutes = (stats->now_ms - item->created_ms) / 60000;
	size_t i = 0;

	while (i < AGES - 1 && minutes >= ages[i])
		i++;
	return i;
}

static struct slice key_of(const struct stats *stats, const struct queue_item *item)
{
	if (!stats->by_sender)
		return queue_item_hop(item);
	if (item->sender.len == 0)
		return SLICE("<>");
	return slice_skip(item->sender, slice_find_last_byte(item->sender, '@') + 1);
}

static struct line *line_for(struct stats *stats, struct slice key)
{
	struct slice name = slice_lower(stats->arena, slice_sub(key, 0, NAME_MAX_LEN));
	struct line *line;

	HASH_FIND(hh, stats->lines, name.data, name.len, line);
	if (line)
		return line;
	if (HASH_COUNT(stats->lines) >= KEYS_MAX)
		return &stats->others;
	line = ARENA_NEW(stats->arena, struct line);
	line->name = name;
	HASH_ADD_KEYPTR(hh, stats->lines, line->name.data, line->name.len, line);
	return line;
}

static bool count_item(void *context, const struct queue_item *item)
{
	struct stats *stats = context;
	struct line *line = line_for(stats, key_of(stats, item));
	size_t age = age_of(stats, item);

	line->total++;
	line->by_age[age]++;
	stats->all.total++;
	stats->all.by_age[age]++;
	return true;
}

static int larger_first(struct line *a, struct line *b)
{
	if (a->total != b->total)
		return a->total < b->total ? 1 : -1;
	return slice_compare(a->name, b->name);
}

static void list_line(struct listing *list, const struct line *line, struct slice name)
{
	listing_text(list, name);
	listing_number(list, (int64_t)line->total);
	for (size_t i = 0; i < AGES; i++)
		listing_number(list, (int64_t)line->by_age[i]);
}

static void add_line(struct line *sum, const struct line *line)
{
	sum->total += line->total;
	for (size_t i = 0; i < AGES; i++)
		sum->by_age[i] += line->by_age[i];
}

static void print_stats(struct cli *cli, struct stats *stats, size_t max)
{
	struct listing list = listing_new(cli, stats->by_sender ? "sender_domain," COLUMNS : "destination," COLUMNS);
	size_t shown = 0;

	HASH_SORT(stats->lines, larger_first);
	list_line(&list, &stats->all, SLICE("TOTAL"));
	for (struct line *line = stats->lines; line; line = line->hh.next) {
		if (shown++ < max)
			list_line(&list, line, line->name);
		else
			add_line(&stats->others, line);
	}
	if (stats->others.total > 0)
		list_line(&list, &stats->others, SLICE("OTHERS"));
	listing_print(&list);
}

int command_queue_stats(struct cli *cli)
{
	struct stats stats = {.arena = &cli->arena, .by_sender = cli_flag(cli, "--by-sender"), .now_ms = clock_wall_ms()};
	const char *max_text = cli_option(cli, "--max");
	struct queue_selection selection;
	uint64_t max = LINES_MAX;

	if (!queue_select(cli, &selection))
		return cli->failed;
	if (max_text && !slice_to_u64(slice_from_cstr(max_text), KEYS_MAX, &max))
		return cli_fail(cli, EXIT_USAGE, "--max wants a number of at most %d", KEYS_MAX);
	if (!cli_finish(cli, 0, 0) || !cli_open_store(cli))
		return cli->failed;
	enum status status = queue_scan(cli->store, &selection.filter, count_item, &stats);

	if (status != STATUS_OK)
		return cli_status(cli, status, SLICE("the queue"));
	print_stats(cli, &stats, max);
	HASH_CLEAR(hh, stats.lines);
	return EXIT_OK;
}
