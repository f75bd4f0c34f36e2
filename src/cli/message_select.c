#include "cli/message_select.h"

#include "base/buf.h"

#define KEYS_MAX 65536

void message_select_options(struct cli *cli, struct message_selection *selection)
{
	const char *mailbox = cli_option(cli, "--mailbox");

	selection->mailbox = mailbox ? slice_from_cstr(mailbox) : SLICE("INBOX");
	selection->search = cli_option(cli, "--search");
	selection->all = cli_flag(cli, "--all");
}

static bool is_set(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (!(text.data[i] >= '0' && text.data[i] <= '9') && text.data[i] != ':' && text.data[i] != ',')
			return false;
	return text.len > 0;
}

/* "UID 3,7:9". Not "*": in IMAP 99:* is the last message where there is no 99th, and somebody who wants to remove all from the 99th on would
 * remove that. */
static bool keys_of_uids(struct cli *cli, struct slice *keys)
{
	struct buf out;

	buf_init(&out, &cli->arena, 0);
	buf_add_literal(&out, "UID ");
	for (size_t i = 1; i < cli->argument_count; i++) {
		struct slice text = cli_argument(cli, i);

		if (!is_set(text)) {
			cli_fail(cli, EXIT_USAGE, "\"%.*s\" is no uid; see: posthorn message list", SLICE_ARG(text));
			return false;
		}
		if (i > 1)
			buf_add_byte(&out, ',');
		buf_add(&out, text);
	}
	*keys = buf_slice(&out);
	return true;
}

/* What ends as "{5}" would make the session wait for a literal. */
static bool keys_of_search(struct cli *cli, struct slice text, struct slice *keys)
{
	uint64_t size;

	for (size_t i = 0; i < text.len; i++)
		if (text.data[i] == '\r' || text.data[i] == '\n') {
			cli_fail(cli, EXIT_USAGE, "--search can't hold line ends");
			return false;
		}
	if (text.len == 0 || text.len > KEYS_MAX || imap_line_announces(text, &size)) {
		cli_fail(cli, EXIT_USAGE, "--search takes SEARCH's keys, such as 'UNSEEN FROM bob'");
		return false;
	}
	*keys = text;
	return true;
}

bool message_select_keys(struct cli *cli, const struct message_selection *selection, struct slice *keys)
{
	if ((cli->argument_count > 1) + (selection->search != NULL) + selection->all != 1) {
		cli_fail(cli, EXIT_USAGE, "say which: either UIDs, --search KEYS or --all");
		return false;
	}
	if (selection->search)
		return keys_of_search(cli, slice_from_cstr(selection->search), keys);
	*keys = SLICE("ALL");
	return selection->all || keys_of_uids(cli, keys);
}

/* ---- ESEARCH's answer (RFC 9051 section 7.3.4) ---- */

struct found {
	struct arena *arena;
	struct slice item, value; /* "COUNT", and what stands behind it */
};

static void take_item(void *context, const struct imap_response *response)
{
	struct found *found = context;

	if (response->kind != IMAP_RESPONSE_DATA || !slice_eq_nocase(response->name, SLICE("ESEARCH")))
		return;
	for (const struct imap_value *value = response->values; value && value->next; value = value->next)
		if (value->kind == IMAP_ATOM && slice_eq_nocase(value->text, found->item))
			found->value = slice_dup(found->arena, value->next->text);
}

static bool search(struct cli *cli, struct imap_client *client, struct slice results, struct slice keys, struct found *found)
{
	struct buf command;

	buf_init(&command, &cli->arena, 0);
	buf_printf(&command, "UID SEARCH RETURN (%.*s) %.*s", SLICE_ARG(results), SLICE_ARG(keys));
	return own_session_run(cli, client, buf_slice(&command), take_item, found);
}

bool message_select(struct cli *cli, struct imap_client *client, struct slice keys, uint32_t *count)
{
	struct found found = {.arena = &cli->arena, .item = SLICE("COUNT"), .value = SLICE_EMPTY};

	*count = 0;
	return search(cli, client, SLICE("SAVE COUNT"), keys, &found) && slice_to_u32(found.value, UINT32_MAX, count);
}

/* A run "3:9" or "3". */
static bool take_run(struct slice run, uint32_t *first, uint32_t *last)
{
	struct slice low = slice_cut(&run, ':');

	if (!slice_to_u32(low, UINT32_MAX, first))
		return false;
	*last = *first;
	return run.len == 0 || (slice_to_u32(run, UINT32_MAX, last) && *last >= *first);
}

static bool expand(struct slice set, uint32_t *uids, size_t count)
{
	size_t at = 0;

	while (set.len > 0) {
		uint32_t first, last;

		if (!take_run(slice_cut(&set, ','), &first, &last) || last - first >= count - at)
			return false;
		for (uint64_t uid = first; uid <= last; uid++)
			uids[at++] = (uint32_t)uid;
	}
	return at == count;
}

bool message_select_uids(struct cli *cli, struct imap_client *client, struct slice keys, uint32_t **uids, size_t *count)
{
	struct found found = {.arena = &cli->arena, .item = SLICE("ALL"), .value = SLICE_EMPTY};
	uint32_t number;

	if (!message_select(cli, client, keys, &number))
		return false;
	*uids = ARENA_ARRAY(&cli->arena, uint32_t, number + 1);
	*count = number;
	if (number == 0)
		return true;
	if (search(cli, client, SLICE("ALL"), SLICE("UID $"), &found) && expand(found.value, *uids, number))
		return true;
	if (cli->failed == EXIT_OK)
		cli_fail(cli, EXIT_FAILED, "the answer to SEARCH isn't understood");
	return false;
}
