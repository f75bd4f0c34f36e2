#include <stdio.h>

#include "cli/commands.h"
#include "cli/output.h"
#include "store/queue.h"

#define LIST_MAX   1000
#define HEADER_MAX (256 * 1024)

static const char columns[] = "queue_id,sender,recipient,size,state,created,due,attempts,last_reply";

static void list_item(struct listing *list, const struct queue_item *item)
{
	listing_text(list, item->queue_id);
	listing_text(list, item->sender.len ? item->sender : SLICE("<>"));
	listing_text(list, item->recipient);
	listing_size(list, item->size);
	listing_text(list, item->state == QUEUE_HELD ? SLICE("held") : SLICE("due"));
	listing_time(list, item->created_ms);
	listing_time(list, item->due_ms);
	listing_number(list, item->attempts);
	listing_text(list, item->last_reply);
}

/* --sender, --domain; the queue id is an argument. */
static struct queue_filter take_filter(struct cli *cli)
{
	return (struct queue_filter){
		.sender = slice_from_cstr(cli_option(cli, "--sender")),
		.recipient_domain = slice_from_cstr(cli_option(cli, "--domain")),
		.state = -1,
	};
}

static bool list_items(struct cli *cli, const struct queue_filter *filter, size_t max, struct queue_item **items, size_t *count)
{
	enum status status = queue_list(cli->store, &cli->arena, filter, max, items, count);

	if (status != STATUS_OK)
		cli_status(cli, status, SLICE("the queue"));
	return status == STATUS_OK;
}

int command_queue_list(struct cli *cli)
{
	struct queue_filter filter = take_filter(cli);
	const char *max_text = cli_option(cli, "--max");
	struct listing list = listing_new(cli, columns);
	struct queue_item *items;
	uint64_t max = LIST_MAX;
	size_t count;

	if (cli_flag(cli, "--held"))
		filter.state = QUEUE_HELD;
	if (max_text && !slice_to_u64(slice_from_cstr(max_text), 1000000, &max))
		return cli_fail(cli, EXIT_USAGE, "--max wants a number of at most 1000000");
	if (!cli_finish(cli, 0, 0) || !cli_open_store(cli) || !list_items(cli, &filter, max, &items, &count))
		return cli->failed;
	for (size_t i = 0; i < count; i++)
		list_item(&list, &items[i]);
	listing_print(&list);
	if (count == max)
		fprintf(stderr, "there may be more; see them with --max N\n");
	else if (count == 0)
		listing_hint(&list, "the queue is empty");
	return EXIT_OK;
}

/* ---- show ---- */

/* Up to and without the empty line. */
static struct slice header_of(struct slice bytes)
{
	size_t end = slice_find(bytes, SLICE("\r\n\r\n"));

	return slice_sub(bytes, 0, end == SLICE_NOT_FOUND ? bytes.len : end);
}

static bool read_header(struct cli *cli, int64_t message, struct slice *header)
{
	struct email_reader *reader;
	struct buf text;
	enum status status = queue_open(cli->store, &cli->arena, message, &reader);

	buf_init(&text, &cli->arena, 0);
	if (status == STATUS_OK) {
		struct slice piece = SLICE_EMPTY;

		do {
			status = email_read(reader, text.len, &piece);
			buf_add(&text, slice_sub(piece, 0, HEADER_MAX));
			*header = header_of(buf_slice(&text));
		} while (status == STATUS_OK && piece.len && header->len == text.len && text.len < HEADER_MAX);
		email_close(reader);
	}
	if (status != STATUS_OK)
		cli_status(cli, status, SLICE("the message"));
	return status == STATUS_OK;
}

static void print_header(struct slice header)
{
	while (header.len) {
		struct slice line = slice_cut(&header, '\n');

		print_safely(slice_ends_with(line, SLICE("\r")) ? slice_sub(line, 0, line.len - 1) : line);
		putchar('\n');
	}
}

static void show_json(const struct listing *list, size_t count, struct slice header)
{
	struct buf out SCOPED_BUF;

	buf_add_literal(&out, "{\"recipients\":[");
	for (size_t i = 0; i < count; i++) {
		if (i)
			buf_add_byte(&out, ',');
		listing_json_row(list, i, &out);
	}
	buf_add_literal(&out, "],\"header\":");
	json_string(&out, header);
	buf_add_literal(&out, "}\n");
	fwrite(out.data, 1, out.len, stdout);
}

static void show(struct cli *cli, const struct queue_item *items, size_t count, struct slice header)
{
	struct listing all = listing_new(cli, columns);

	for (size_t i = 0; i < count; i++) {
		struct listing one = listing_new(cli, columns);

		list_item(&all, &items[i]);
		list_item(&one, &items[i]);
		if (!cli->json) {
			listing_print_one(&one);
			putchar('\n');
		}
	}
	if (cli->json)
		show_json(&all, count, header);
	else
		print_header(header);
}

int command_queue_show(struct cli *cli)
{
	struct queue_filter filter = {.state = -1};
	struct queue_item *items;
	struct slice header;
	size_t count;

	if (!cli_finish(cli, 1, 1) || !cli_open_store(cli))
		return cli->failed;
	filter.queue_id = cli_argument(cli, 0);
	if (!list_items(cli, &filter, LIST_MAX, &items, &count))
		return cli->failed;
	if (count == 0)
		return cli_fail(cli, EXIT_FAILED, "%s is not in the queue; where it went tells: posthorn trace %s",
				cli->arguments[0], cli->arguments[0]);
	if (!read_header(cli, items[0].message, &header))
		return cli->failed;
	show(cli, items, count, header);
	return EXIT_OK;
}

/* ---- changes ---- */

static bool begin_change(struct cli *cli, struct queue_filter *filter)
{
	bool all = cli_flag(cli, "--all");

	*filter = take_filter(cli);
	if (!cli_finish(cli, 0, 1))
		return false;
	filter->queue_id = cli_argument(cli, 0);
	if (!all && !filter->queue_id.len && !filter->sender.len && !filter->recipient_domain.len) {
		cli_fail(cli, EXIT_USAGE, "say which: QUEUE-ID, --sender ADDRESS, --domain DOMAIN, or --all");
		return false;
	}
	return cli_open_store(cli);
}

static int end_change(struct cli *cli, enum status status, size_t count, const char *done)
{
	struct buf what;

	if (status != STATUS_OK)
		return cli_status(cli, status, SLICE("the queue"));
	if (count == 0)
		return cli_fail(cli, EXIT_FAILED, "nothing in the queue fits; see: posthorn queue list");
	cli_announce(cli, SLICE("queue"), SLICE_EMPTY);
	buf_init(&what, &cli->arena, 0);
	buf_printf(&what, "%zu %s", count, count == 1 ? "recipient" : "recipients");
	return cli_done(cli, buf_slice(&what), done);
}

int command_queue_retry(struct cli *cli)
{
	struct queue_filter filter;
	enum status status;
	size_t count = 0;

	if (!begin_change(cli, &filter))
		return cli->failed;
	status = queue_retry(cli->store, &filter, &count);
	return end_change(cli, status, count, "will be tried now");
}

static int hold(struct cli *cli, bool held)
{
	struct queue_filter filter;
	enum status status;
	size_t count = 0;

	if (!begin_change(cli, &filter))
		return cli->failed;
	status = queue_hold(cli->store, &filter, held, &count);
	return end_change(cli, status, count, held ? "held" : "released");
}

int command_queue_hold(struct cli *cli)
{
	return hold(cli, true);
}

int command_queue_release(struct cli *cli)
{
	return hold(cli, false);
}

int command_queue_remove(struct cli *cli)
{
	struct queue_filter filter;
	enum status status;
	size_t count = 0;

	if (!begin_change(cli, &filter))
		return cli->failed;
	status = queue_remove(cli->store, &filter, &count);
	return end_change(cli, status, count, "removed, without a bounce");
}
