/* queue list and show: reading the queue. */
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/queue_select.h"

#define SHOWN_MAX  1000 /* recipients of one message */
#define HEADER_MAX (256 * 1024)

static const char columns[] = "queue_id,sender,recipient,next_hop,size,state,created,due,scheduled_until,priority,attempts,last_reply";

static struct slice keep(const struct listing *list, struct slice text)
{
	return slice_dup(list->arena, text);
}

static void list_item(struct listing *list, const struct queue_item *item, int64_t now_ms)
{
	listing_text(list, keep(list, item->queue_id));
	listing_text(list, item->sender.len ? keep(list, item->sender) : SLICE("<>"));
	listing_text(list, keep(list, item->recipient));
	listing_text(list, keep(list, queue_item_hop(item)));
	listing_size(list, item->size);
	listing_text(list, queue_phase_name(queue_item_phase(item, now_ms)));
	listing_time(list, item->created_ms);
	listing_time(list, item->due_ms);
	listing_time(list, item->timing.release_ms > now_ms ? item->timing.release_ms : 0);
	listing_number(list, item->timing.priority);
	listing_number(list, item->attempts);
	listing_text(list, keep(list, item->last_reply));
}

/* ---- list ---- */

struct listed {
	struct listing list;
	uint64_t count, max;
};

static bool list_one(void *context, const struct queue_item *item)
{
	struct listed *listed = context;

	if (listed->count == listed->max)
		return false;
	list_item(&listed->list, item, clock_wall_ms());
	if (++listed->count % QUEUE_PAGE == 0)
		listing_flush(&listed->list);
	return true;
}

int command_queue_list(struct cli *cli)
{
	struct listed listed = {.list = listing_new(cli, columns), .max = UINT64_MAX};
	struct arena arena SCOPED_ARENA;
	struct queue_selection selection;
	const char *max_text = cli_option(cli, "--max");

	if (!queue_select(cli, &selection))
		return cli->failed;
	if (max_text && !slice_to_u64(slice_from_cstr(max_text), UINT32_MAX, &listed.max))
		return cli_fail(cli, EXIT_USAGE, "--max wants a number");
	if (!cli_finish(cli, 0, 1) || !cli_open_store(cli))
		return cli->failed;
	selection.filter.queue_id = cli_argument(cli, 0);
	listed.list.arena = &arena;
	enum status status = queue_scan(cli->store, &selection.filter, list_one, &listed);

	listing_end(&listed.list);
	if (status != STATUS_OK)
		return cli_status(cli, status, SLICE("the queue"));
	if (listed.count == 0)
		listing_hint(&listed.list, selection.is_narrow || selection.filter.queue_id.len ? "nothing in the queue fits" : "the queue is empty");
	return EXIT_OK;
}

/* ---- show ---- */

/* Up to and without the empty line. */
static struct slice header_of(struct slice bytes)
{
	size_t end = slice_find(bytes, SLICE("\r\n\r\n"));

	return slice_sub(bytes, 0, end == SLICE_NOT_FOUND ? bytes.len : end);
}

/* The header, or with `whole` the message. */
static bool read_message(struct cli *cli, int64_t message, bool whole, struct slice *read)
{
	struct email_reader *reader;
	struct buf text;
	enum status status = queue_open(cli->store, &cli->arena, message, &reader);

	buf_init(&text, &cli->arena, 0);
	if (status == STATUS_OK) {
		struct slice piece = SLICE_EMPTY;
		bool more;

		do {
			status = email_read(reader, text.len, &piece);
			buf_add(&text, whole ? piece : slice_sub(piece, 0, HEADER_MAX));
			*read = whole ? buf_slice(&text) : header_of(buf_slice(&text));
			more = status == STATUS_OK && piece.len && (whole || (read->len == text.len && text.len < HEADER_MAX));
		} while (more);
		email_close(reader);
	}
	if (status != STATUS_OK)
		cli_status(cli, status, SLICE("the message"));
	return status == STATUS_OK;
}

/* A message in whole goes to a file or a pipe as it is; to a terminal nothing goes that would act on it. */
static void print_message(struct slice text, bool whole)
{
	if (whole && !isatty(STDOUT_FILENO)) {
		fwrite(text.data, 1, text.len, stdout);
		return;
	}
	while (text.len) {
		struct slice line = slice_cut(&text, '\n');

		print_safely(slice_ends_with(line, SLICE("\r")) ? slice_sub(line, 0, line.len - 1) : line);
		putchar('\n');
	}
}

static void show_json(const struct listing *list, size_t count, struct slice text, bool whole)
{
	struct buf out SCOPED_BUF;

	buf_add_literal(&out, "{\"recipients\":[");
	for (size_t i = 0; i < count; i++) {
		if (i)
			buf_add_byte(&out, ',');
		listing_json_row(list, i, &out);
	}
	buf_printf(&out, "],\"%s\":", whole ? "message" : "header");
	json_string(&out, text);
	buf_add_literal(&out, "}\n");
	fwrite(buf_slice(&out).data, 1, out.len, stdout);
}

static void show(struct cli *cli, const struct queue_item *items, size_t count, struct slice text, bool whole)
{
	struct listing all = listing_new(cli, columns);

	for (size_t i = 0; i < count; i++) {
		struct listing one = listing_new(cli, columns);

		list_item(&all, &items[i], clock_wall_ms());
		list_item(&one, &items[i], clock_wall_ms());
		if (!cli->json && !whole) {
			listing_print_one(&one);
			putchar('\n');
		}
	}
	if (cli->json)
		show_json(&all, count, text, whole);
	else
		print_message(text, whole);
}

int command_queue_show(struct cli *cli)
{
	struct queue_filter filter = {.state = -1};
	bool whole = cli_flag(cli, "--message");
	struct queue_item *items;
	struct slice text;
	size_t count;

	if (!cli_finish(cli, 1, 1) || !cli_open_store(cli))
		return cli->failed;
	filter.queue_id = cli_argument(cli, 0);
	enum status status = queue_list(cli->store, &cli->arena, &filter, SHOWN_MAX, &items, &count);

	if (status != STATUS_OK)
		return cli_status(cli, status, SLICE("the queue"));
	if (count == 0)
		return cli_fail(cli, EXIT_FAILED, "%s is not in the queue; where it went tells: posthorn trace %s",
				cli->arguments[0], cli->arguments[0]);
	if (!read_message(cli, items[0].message, whole, &text))
		return cli->failed;
	show(cli, items, count, text, whole);
	return EXIT_OK;
}
