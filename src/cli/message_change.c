/* message add, copy, flag, move, remove: said in IMAP to a session of our own, so that what holds for mail programs holds here too. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/message_select.h"

#define UIDS_MAX 1000

static void put_count(struct buf *out, uint32_t count)
{
	buf_printf(out, "%u %s", count, count == 1 ? "message" : "messages");
}

static int tell(struct cli *cli, uint32_t count, const char *done)
{
	struct buf what;

	buf_init(&what, &cli->arena, 0);
	put_count(&what, count);
	return cli_done(cli, buf_slice(&what), done);
}

/* Commands to be carried out, one after the other, on "$". */
struct change {
	struct message_selection selection;
	struct slice commands[3];
	size_t command_count;
	const char *done;
};

static bool carry_out(struct cli *cli, struct imap_client *client, const struct change *change, struct slice keys)
{
	uint32_t count;

	if (!message_select(cli, client, keys, &count))
		return false;
	for (size_t i = 0; count > 0 && i < change->command_count; i++)
		if (!own_session_run(cli, client, change->commands[i], NULL, NULL))
			return false;
	return tell(cli, count, change->done) == EXIT_OK;
}

static int run(struct cli *cli, const struct change *change)
{
	struct own_session *session;
	struct imap_client *client = NULL;
	struct slice keys;

	if (!message_select_keys(cli, &change->selection, &keys))
		return cli->failed;
	session = own_session_open(cli, cli_argument(cli, 0));
	if (session)
		client = own_session_select(cli, session, change->selection.mailbox, false);
	if (client)
		(void)carry_out(cli, client, change, keys);
	imap_client_free(client);
	own_session_close(session);
	return cli->failed;
}

static void add_command(struct change *change, const struct buf *command)
{
	change->commands[change->command_count++] = buf_slice(command);
}

/* ---- remove ---- */

/* What has \Deleted for other reasons stays: only "$" is expunged (RFC 9051 section 6.4.9). */
int command_message_remove(struct cli *cli)
{
	struct change change = {.commands = {SLICE("UID STORE $ +FLAGS.SILENT (\\Deleted)"), SLICE("UID EXPUNGE $")},
				.command_count = 2,
				.done = "removed"};

	message_select_options(cli, &change.selection);
	return cli_finish(cli, 1, UIDS_MAX) ? run(cli, &change) : (int)cli->failed;
}

/* ---- move, copy ---- */

static int transfer(struct cli *cli, const char *verb, const char *done)
{
	struct change change = {.done = done};
	const char *to = cli_option(cli, "--to");
	struct buf command;

	message_select_options(cli, &change.selection);
	if (!cli_finish(cli, 1, UIDS_MAX))
		return cli->failed;
	if (!to)
		return cli_fail(cli, EXIT_USAGE, "say where to: --to NAME");
	buf_init(&command, &cli->arena, 0);
	buf_printf(&command, "UID %s $ ", verb);
	if (!own_session_quote(cli, &command, slice_from_cstr(to)))
		return cli->failed;
	add_command(&change, &command);
	return run(cli, &change);
}

int command_message_move(struct cli *cli)
{
	return transfer(cli, "MOVE", "moved");
}

int command_message_copy(struct cli *cli)
{
	return transfer(cli, "COPY", "copied");
}

/* ---- flag ---- */

static bool is_flag_list(struct cli *cli, struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if ((unsigned char)text.data[i] < ' ' || text.data[i] == '(' || text.data[i] == ')') {
			cli_fail(cli, EXIT_USAGE, "flags are given as '\\Seen \\Flagged Work'");
			return false;
		}
	return true;
}

static bool add_flags(struct cli *cli, struct change *change, char sign, const char *flags)
{
	struct buf command;

	if (!flags)
		return true;
	if (!is_flag_list(cli, slice_from_cstr(flags)))
		return false;
	buf_init(&command, &cli->arena, 0);
	buf_printf(&command, "UID STORE $ %cFLAGS.SILENT (%s)", sign, flags);
	add_command(change, &command);
	return true;
}

int command_message_flag(struct cli *cli)
{
	const char *set = cli_option(cli, "--set"), *clear = cli_option(cli, "--clear");
	struct change change = {.done = "flagged"};

	message_select_options(cli, &change.selection);
	if (!cli_finish(cli, 1, UIDS_MAX) || !add_flags(cli, &change, '+', set) || !add_flags(cli, &change, '-', clear))
		return cli->failed;
	if (change.command_count == 0)
		return cli_fail(cli, EXIT_USAGE, "say what: --set FLAGS or --clear FLAGS");
	return run(cli, &change);
}

/* ---- add ---- */

/* IMAP's messages have CRLF (RFC 9051 section 6.3.12); files here have LF. */
static void add_line(struct buf *message, struct slice line)
{
	if (line.len > 0 && line.data[line.len - 1] == '\n')
		line.len--;
	if (line.len > 0 && line.data[line.len - 1] == '\r')
		line.len--;
	buf_add(message, line);
	buf_add_literal(message, "\r\n");
}

static bool read_message(struct cli *cli, FILE *file, struct buf *message)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t got;

	while (buf_ok(message) && (got = getline(&line, &room, file)) >= 0)
		add_line(message, slice_of(line, (size_t)got));
	free(line);
	if (ferror(file))
		cli_fail(cli, EXIT_FAILED, "the message can't be read: %s", strerror(errno));
	else if (!buf_ok(message))
		cli_fail(cli, EXIT_FAILED, "the message is too large");
	else if (message->len == 0)
		cli_fail(cli, EXIT_FAILED, "the message is empty");
	return cli->failed == EXIT_OK;
}

/* Before the store is opened, which takes root's rights away. */
static bool take_message(struct cli *cli, struct buf *message)
{
	const char *path = cli->argument_count > 1 ? cli->arguments[1] : "-";
	FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");

	if (!file) {
		cli_fail(cli, EXIT_FAILED, "%s: %s", path, strerror(errno));
		return false;
	}
	bool taken = read_message(cli, file, message);

	if (file != stdin)
		fclose(file);
	return taken;
}

static bool append(struct cli *cli, struct own_session *session, struct buf *command, const struct buf *message)
{
	struct error error = {0};
	struct imap_client *client = imap_client_attach(own_session_take(session), &error, &cli->arena);

	if (!client) {
		cli_fail(cli, EXIT_TEMPORARY, "%.*s", SLICE_ARG(error.text));
		return false;
	}
	buf_printf(command, " {%zu+}\r\n", message->len);
	buf_add(command, buf_slice(message));
	bool added = own_session_run(cli, client, SLICE("ENABLE IMAP4rev2"), NULL, NULL) &&
		     own_session_run(cli, client, buf_slice(command), NULL, NULL);

	imap_client_free(client);
	return added;
}

int command_message_add(struct cli *cli)
{
	const char *mailbox = cli_option(cli, "--mailbox"), *flags = cli_option(cli, "--set");
	struct own_session *session;
	struct buf message, command;

	if (!cli_finish(cli, 1, 2) || (flags && !is_flag_list(cli, slice_from_cstr(flags))) || !cli_load_config(cli))
		return cli->failed;
	buf_init(&message, &cli->arena, cli->config->limits.message_size);
	buf_init(&command, &cli->arena, 0);
	buf_add_literal(&command, "APPEND ");
	if (!own_session_quote(cli, &command, mailbox ? slice_from_cstr(mailbox) : SLICE("INBOX")) || !take_message(cli, &message))
		return cli->failed;
	if (flags)
		buf_printf(&command, " (%s)", flags);
	session = own_session_open(cli, cli_argument(cli, 0));
	if (session && append(cli, session, &command, &message))
		(void)tell(cli, 1, "added");
	own_session_close(session);
	return cli->failed;
}
