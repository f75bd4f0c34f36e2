/* message list, show, undelete */
#include <stdio.h>
#include <stdlib.h>

#include "cli/commands.h"
#include "cli/import.h"
#include "cli/message_select.h"
#include "cli/output.h"
#include "imap/write.h"
#include "store/deleted.h"
#include "store/email.h"
#include "store/mailbox.h"

#define LIST_MAX 1000

static bool take_max(struct cli *cli, const char *text, uint32_t *max)
{
	*max = LIST_MAX;
	if (!text || slice_to_u32(slice_from_cstr(text), 10000000, max))
		return true;
	cli_fail(cli, EXIT_USAGE, "\"%s\" is no number", text);
	return false;
}

/* The account, and the mailbox of --mailbox (default INBOX). */
static bool begin(struct cli *cli, struct slice name, int64_t *account, struct mailbox *mailbox)
{
	if (!import_find_account(cli, cli_argument(cli, 0), account))
		return false;
	enum status status = mailbox_find(cli->store, &cli->arena, *account, name, mailbox);

	if (status != STATUS_OK)
		cli_status(cli, status, name);
	return status == STATUS_OK;
}

static struct slice mailbox_option(struct cli *cli)
{
	const char *name = cli_option(cli, "--mailbox");

	return name ? slice_from_cstr(name) : SLICE("INBOX");
}

/* ---- list ---- */

static int list_deleted(struct cli *cli, int64_t account, uint32_t max)
{
	struct listing list = listing_new(cli, "mailbox,uid,deleted,received,size,subject");
	struct deleted_message *messages;
	size_t count;
	enum status status = deleted_messages(cli->store, &cli->arena, account, max, &messages, &count);

	if (status != STATUS_OK)
		return cli_status(cli, status, cli_argument(cli, 0));
	for (size_t i = 0; i < count; i++) {
		listing_text(&list, messages[i].mailbox_name);
		listing_number(&list, messages[i].uid);
		listing_time(&list, messages[i].deleted_ms);
		listing_time(&list, messages[i].received_ms);
		listing_size(&list, messages[i].size);
		listing_text(&list, messages[i].subject);
	}
	listing_print(&list);
	if (count == 0)
		listing_hint(&list, "no message was deleted that could be brought back");
	return EXIT_OK;
}

struct row_context {
	struct cli *cli;
	struct listing list;
	const struct mailbox_entry *entries;
	size_t count, at;
	struct keyword_table keywords;
};

static bool list_message(void *context, const struct email *email)
{
	struct row_context *rows = context;
	struct buf flags;

	while (rows->at < rows->count && rows->entries[rows->at].uid < email->uid)
		rows->at++;
	buf_init(&flags, &rows->cli->arena, 0);
	if (rows->at < rows->count)
		imap_put_flags(&flags, rows->entries[rows->at].flags, &rows->keywords);
	listing_number(&rows->list, email->uid);
	listing_time(&rows->list, email->received_ms);
	listing_size(&rows->list, email->size);
	listing_text(&rows->list, buf_slice(&flags));
	listing_text(&rows->list, slice_dup(&rows->cli->arena, email->message_id));
	return true;
}

/* The newest `max` of the uids that were found, or of all. */
static bool choose(struct cli *cli, const char *keys, struct slice mailbox, uint32_t max, const struct row_context *rows,
		   uint32_t **uids, size_t *count)
{
	const struct message_selection selection = {.mailbox = mailbox, .search = keys, .all = !keys};
	struct own_session *session;
	struct imap_client *client = NULL;
	struct slice text;

	*count = rows->count;
	if (keys) {
		if (!message_select_keys(cli, &selection, &text))
			return false;
		session = own_session_open(cli, cli_argument(cli, 0));
		if (session)
			client = own_session_select(cli, session, mailbox, true);
		if (client && !message_select_uids(cli, client, text, uids, count))
			*count = 0;
		imap_client_free(client);
		own_session_close(session);
		if (cli->failed != EXIT_OK)
			return false;
	} else {
		*uids = ARENA_ARRAY(&cli->arena, uint32_t, rows->count + 1);
		for (size_t i = 0; i < rows->count; i++)
			(*uids)[i] = rows->entries[i].uid;
	}
	if (*count > max) {
		*uids += *count - max;
		*count = max;
	}
	return true;
}

int command_message_list(struct cli *cli)
{
	const char *max_text = cli_option(cli, "--max"), *keys = cli_option(cli, "--search");
	bool deleted = cli_flag(cli, "--deleted");
	struct row_context rows = {.cli = cli};
	struct slice name = mailbox_option(cli);
	struct mailbox_entry *entries = NULL;
	struct mailbox mailbox;
	int64_t account;
	uint32_t max, *uids = NULL;
	size_t count = 0;

	if (!cli_finish(cli, 1, 1) || !take_max(cli, max_text, &max))
		return cli->failed;
	if (deleted)
		return import_find_account(cli, cli_argument(cli, 0), &account) ? list_deleted(cli, account, max)
										: (int)cli->failed;
	if (!begin(cli, name, &account, &mailbox))
		return cli->failed;
	rows.list = listing_new(cli, "uid,received,size,flags,message_id");
	enum status status = mailbox_load(cli->store, &cli->arena, account, mailbox.id, &mailbox, &entries, &rows.count);

	if (status == STATUS_OK)
		status = keyword_list(cli->store, &cli->arena, account, &rows.keywords);
	rows.entries = entries;
	bool chosen = status == STATUS_OK && choose(cli, keys, name, max, &rows, &uids, &count);

	if (chosen)
		status = email_scan(cli->store, account, mailbox.id, uids, count, EMAIL_MESSAGE_ID, list_message, &rows);
	free(entries);
	if (status != STATUS_OK)
		return cli_status(cli, status, mailbox.name);
	if (!chosen)
		return cli->failed;
	listing_print(&rows.list);
	return EXIT_OK;
}

/* ---- show ---- */

struct found {
	int64_t email;
};

static bool take_email(void *context, const struct email *email)
{
	((struct found *)context)->email = email->id;
	return false;
}

static bool take_uid(struct cli *cli, struct slice text, uint32_t *uid)
{
	if (slice_to_u32(text, UINT32_MAX, uid) && *uid > 0)
		return true;
	cli_fail(cli, EXIT_USAGE, "\"%.*s\" is no uid; see: posthorn message list", SLICE_ARG(text));
	return false;
}

int command_message_show(struct cli *cli)
{
	struct slice name = mailbox_option(cli), piece = SLICE_EMPTY;
	struct email_reader *reader;
	struct found found = {0};
	struct mailbox mailbox;
	uint64_t offset = 0;
	int64_t account;
	uint32_t uid;

	if (!cli_finish(cli, 2, 2) || !take_uid(cli, cli_argument(cli, 1), &uid) || !begin(cli, name, &account, &mailbox))
		return cli->failed;
	enum status status = email_scan(cli->store, account, mailbox.id, &uid, 1, EMAIL_SENT, take_email, &found);

	if (status == STATUS_OK)
		status = found.email == 0 ? STATUS_NOT_FOUND
					  : email_open(cli->store, &cli->arena, account, found.email, &reader);
	if (status != STATUS_OK)
		return cli_status(cli, status, cli_argument(cli, 1));
	do {
		status = email_read(reader, offset, &piece);
		offset += piece.len;
		fwrite(piece.data, 1, piece.len, stdout);
	} while (status == STATUS_OK && piece.len > 0);
	email_close(reader);
	return status == STATUS_OK ? EXIT_OK : cli_status(cli, status, cli_argument(cli, 1));
}

/* ---- undelete ---- */

/* Where its mailbox was deleted, the one of that name is meant. */
static bool find_deleted(struct cli *cli, int64_t account, struct slice name, int64_t *mailbox)
{
	struct deleted_mailbox *deleted;
	struct mailbox here;
	size_t count;

	if (mailbox_find(cli->store, &cli->arena, account, name, &here) == STATUS_OK) {
		*mailbox = here.id;
		return true;
	}
	if (deleted_mailboxes(cli->store, &cli->arena, account, &deleted, &count) == STATUS_OK)
		for (size_t i = 0; i < count; i++)
			if (slice_eq(deleted[i].name, name)) {
				*mailbox = deleted[i].id;
				return true;
			}
	cli_status(cli, STATUS_NOT_FOUND, name);
	return false;
}

int command_message_undelete(struct cli *cli)
{
	struct slice name = mailbox_option(cli), into = slice_from_cstr(cli_option(cli, "--into"));
	struct undelete_request request = {0};
	bool all = cli_flag(cli, "--all");
	struct buf what;
	size_t count;

	if (!cli_finish(cli, all ? 1 : 2, all ? 1 : 1000))
		return cli->failed;
	request.uid_count = all ? 0 : cli->argument_count - 1;
	uint32_t *uids = ARENA_ARRAY(&cli->arena, uint32_t, request.uid_count + 1);

	for (size_t i = 0; i < request.uid_count; i++)
		if (!take_uid(cli, cli_argument(cli, 1 + i), &uids[i]))
			return cli->failed;
	if (!import_find_account(cli, cli_argument(cli, 0), &request.account) ||
	    !find_deleted(cli, request.account, name, &request.mailbox))
		return cli->failed;
	request.uids = uids;
	request.into = into.len > 0 ? into : name;
	enum status status = undelete_messages(cli->store, &request, &count);

	if (status == STATUS_NOT_FOUND)
		return cli_fail(cli, EXIT_FAILED, "no such deleted message is kept; see: posthorn message list %s --deleted",
				cli->arguments[0]);
	if (status != STATUS_OK)
		return cli_status(cli, status, request.into);
	import_announce(cli, request.account);
	buf_init(&what, &cli->arena, 0);
	buf_printf(&what, "%zu %s", count, count == 1 ? "message" : "messages");
	return cli_done(cli, buf_slice(&what), "brought back");
}
