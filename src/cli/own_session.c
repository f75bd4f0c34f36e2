#include "cli/own_session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/import.h"
#include "cli/search_settings.h"
#include "extract/extractor.h"
#include "imap/imap.h"
#include "store/directory.h"
#include "store/mailbox_view.h"

#define THREADS  2
#define GRACE_MS 5000

struct own_session {
	struct cli announcer; /* with an arena of its own: the session's thread announces */
	struct imap_context context;
	struct extractor extractor;
	struct listener listener;
	struct engine *engine;
	int64_t account;
	int client_end;
};

static void announce(void *context, int64_t account)
{
	struct own_session *session = context;

	import_announce(&session->announcer, account);
	arena_reset(&session->announcer.arena);
}

static bool begin(struct own_session *session)
{
	static const struct engine_limits limits = {.max_threads = THREADS, .max_connections = 1, .max_connections_per_address = 1};
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0)
		return false;
	session->client_end = ends[0];
	session->engine = engine_new(&limits, session->context.log);
	if (!engine_add_connection(session->engine, &session->listener, ends[1]))
		return false;
	engine_start(session->engine);
	return true;
}

/* SEARCH looks into attachments as the server does, as far as they have been read. */
static void set_extractor(struct own_session *session, struct cli *cli)
{
	struct extractor_options options;

	extract_leave_out_missing(cli->config, &cli->arena, NULL);
	if (!extract_is_on(cli->config))
		return;
	extract_options(cli->config, &cli->arena, &options);
	extractor_init(&session->extractor, &options, cli->store, NULL, &cli->log);
	session->context.extractor = &session->extractor;
}

static struct own_session *new_session(struct cli *cli, const struct account *account)
{
	struct own_session *session = calloc(1, sizeof *session);
	const struct config *config = cli->config;

	if (!session)
		abort();
	session->client_end = -1;
	session->account = account->id;
	session->announcer = *cli;
	arena_init(&session->announcer.arena, 0);
	session->listener = (struct listener){.protocol = &imap_protocol, .context = &session->context, .name = "imap"};
	session->context = (struct imap_context){
		.options = {.hostname = slice_from_cstr(config->hostname),
			    .append_limit = config->limits.message_size,
			    .comment = slice_from_cstr(config->imap.comment),
			    .admin = slice_from_cstr(config->imap.admin),
			    .idle_timeout_ms = INT32_MAX,
			    .command_timeout_ms = (int)config->limits.command_timeout_s * 1000,
			    .preauth = {.account = account->id, .address = account->address}},
		.store = cli->store,
		.announce = announce,
		.announce_context = session,
		.views = mailbox_view_cache_new(cli->store, 0),
		.log = &cli->log,
	};
	set_extractor(session, cli);
	return session;
}

struct own_session *own_session_open(struct cli *cli, struct slice given)
{
	struct account account;
	struct slice address;

	if (!cli_address(cli, given, &address) || !cli_open_store(cli))
		return NULL;
	enum status status = directory_find_account(cli->store, &cli->arena, address, &account);

	if (status != STATUS_OK) {
		cli_status(cli, status, address);
		return NULL;
	}
	struct own_session *session = new_session(cli, &account);

	if (begin(session))
		return session;
	cli_fail(cli, EXIT_TEMPORARY, "no session can be begun: %s", strerror(errno));
	own_session_close(session);
	return NULL;
}

void own_session_close(struct own_session *session)
{
	if (!session)
		return;
	if (session->client_end >= 0)
		close(session->client_end);
	if (session->engine)
		engine_stop(session->engine, GRACE_MS);
	mailbox_view_cache_free(session->context.views);
	arena_free(&session->announcer.arena);
	free(session);
}

int64_t own_session_account(const struct own_session *session)
{
	return session->account;
}

int own_session_take(struct own_session *session)
{
	int fd = session->client_end;

	session->client_end = -1;
	return fd;
}

void own_session_look(struct own_session *session)
{
	engine_announce(session->engine, (uint64_t)session->account);
}

/* ---- the client's side ---- */

bool own_session_run(struct cli *cli, struct imap_client *client, struct slice command,
		     void (*each)(void *context, const struct imap_response *response), void *context)
{
	enum status status = imap_client_run(client, command, each, context);

	if (status != STATUS_OK)
		cli_fail(cli, status == STATUS_TEMPORARY ? EXIT_TEMPORARY : EXIT_FAILED, "%.*s", SLICE_ARG(imap_client_error(client)));
	return status == STATUS_OK;
}

bool own_session_quote(struct cli *cli, struct buf *command, struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if ((unsigned char)text.data[i] < ' ' || text.data[i] == 0x7f) {
			cli_fail(cli, EXIT_USAGE, "a mailbox's name can't hold control characters");
			return false;
		}
	imap_put_quoted(command, text);
	return true;
}

static bool select_mailbox(struct cli *cli, struct imap_client *client, struct slice mailbox, bool read_only)
{
	struct buf command;

	buf_init(&command, &cli->arena, 0);
	buf_add(&command, read_only ? SLICE("EXAMINE ") : SLICE("SELECT "));
	return own_session_run(cli, client, SLICE("ENABLE IMAP4rev2"), NULL, NULL) && own_session_quote(cli, &command, mailbox) &&
	       own_session_run(cli, client, buf_slice(&command), NULL, NULL);
}

struct imap_client *own_session_select(struct cli *cli, struct own_session *session, struct slice mailbox, bool read_only)
{
	struct error error = {0};
	struct imap_client *client = imap_client_attach(own_session_take(session), &error, &cli->arena);

	if (!client) {
		cli_fail(cli, EXIT_TEMPORARY, "%.*s", SLICE_ARG(error.text));
		return NULL;
	}
	if (select_mailbox(cli, client, mailbox, read_only))
		return client;
	imap_client_free(client);
	return NULL;
}
