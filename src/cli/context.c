/* What commands stand on: configuration, user, store, credentials, the running server. */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "auth/credential.h"
#include "auth/password_scheme.h"
#include "cli/command.h"
#include "cli/files.h"
#include "config/paths.h"
#include "ipc/ipc.h"
#include "ipc/pack.h"
#include "mime/address.h"
#include "store/store.h"

int cli_fail(struct cli *cli, enum exit_status status, const char *format, ...)
{
	va_list args;

	fputs("posthorn: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	if (cli->failed == EXIT_OK)
		cli->failed = status;
	return status;
}

int cli_status(struct cli *cli, enum status status, struct slice what)
{
	static const struct {
		const char *text;
		enum exit_status exit;
	} answers[] = {
		[STATUS_NEED_MORE] = {"is incomplete", EXIT_FAILED},
		[STATUS_PEER] = {"is malformed", EXIT_FAILED},
		[STATUS_NOT_FOUND] = {"does not exist; the list commands show what there is", EXIT_FAILED},
		[STATUS_EXISTS] = {"exists already", EXIT_FAILED},
		[STATUS_REFUSED] = {"is not allowed", EXIT_FAILED},
		[STATUS_TEMPORARY] = {"could not be done now (disk full, or the database is away or busy); try again",
				      EXIT_TEMPORARY},
		[STATUS_LIMIT] = {"is over a limit", EXIT_FAILED},
		[STATUS_BUG] = {"failed by a fault of posthorn's; please report it", EXIT_FAILED},
	};

	if (status == STATUS_OK)
		return EXIT_OK;
	return cli_fail(cli, answers[status].exit, "%.*s %s", SLICE_ARG(what), answers[status].text);
}

int cli_not_ours(struct cli *cli, struct slice address)
{
	struct slice domain = slice_skip(address, slice_find_last_byte(address, '@') + 1);

	return cli_fail(cli, EXIT_FAILED, "%.*s: its domain is not ours; add it with: posthorn domain add %.*s",
			SLICE_ARG(address), SLICE_ARG(domain));
}

bool cli_load_config(struct cli *cli)
{
	struct error error = {0};

	if (!cli->config)
		cli->config = config_load_file(cli->config_path, &cli->arena, &error);
	if (!cli->config)
		cli_fail(cli, EXIT_FAILED, "%.*s", SLICE_ARG(error.text));
	return cli->config != NULL;
}

static bool is_sqlite(const struct cli *cli)
{
	return !slice_starts_with(slice_from_cstr(cli->config->store.url), SLICE("postgres"));
}

/* Could that user come to the data folder? Asked by a child that has become the user. */
static bool user_may_enter(const char *folder, struct file_owner owner)
{
	int status = 1;
	pid_t child = fork();

	if (child == 0)
		_exit(setgroups(0, NULL) != 0 || setgid(owner.gid) != 0 || setuid(owner.uid) != 0 || access(folder, X_OK) != 0);
	return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

/* The data folder may lie where only root may go (/root/demo): then it becomes the whole world, as for the roles. */
static bool enter_data_folder(struct cli *cli)
{
	if (!auth_warm_up() || chroot(cli->config->data) != 0 || chdir("/") != 0)
		return false;
	cli->config->data = slice_cstr(&cli->arena, SLICE_EMPTY);
	return true;
}

/* Whose the files in the data folder are: its owner's, or the roles' user's where root owns it. */
static bool find_owner(struct cli *cli, struct file_owner *owner)
{
	struct passwd *user;
	struct stat facts;

	if (stat(cli->config->data, &facts) == 0 && facts.st_uid != 0) {
		*owner = (struct file_owner){facts.st_uid, facts.st_gid};
		return true;
	}
	user = getpwnam(cli->config->user);
	if (!user) {
		cli_fail(cli, EXIT_FAILED,
			 "there is no user %s; make it with: useradd --system --no-create-home %s, or set `user`",
			 cli->config->user, cli->config->user);
		return false;
	}
	*owner = (struct file_owner){user->pw_uid, user->pw_gid};
	return true;
}

/* Made by root, for that owner. What is the owner's already may be a symbolic link, to another disk. */
static bool make_own_folder(struct cli *cli, struct slice name, struct file_owner owner)
{
	char *folder = config_data_path(cli->config, name, &cli->arena);
	struct stat facts;

	return (stat(folder, &facts) == 0 && facts.st_uid == owner.uid) || file_make_folder(cli, folder, 0700, owner);
}

static bool drop_to(struct cli *cli, struct file_owner owner)
{
	struct passwd *user = getpwuid(owner.uid);

	if ((user ? initgroups(user->pw_name, owner.gid) : setgroups(0, NULL)) == 0 && setgid(owner.gid) == 0 &&
	    setuid(owner.uid) == 0)
		return true;
	cli_fail(cli, EXIT_FAILED, "can't become the owner of %s: %s", cli->config->data, strerror(errno));
	return false;
}

/* Files that root makes in the data folder could not be written by the roles: root becomes who they are. */
static bool become_owner(struct cli *cli)
{
	struct file_owner owner;

	if (geteuid() != 0)
		return true;
	if (!find_owner(cli, &owner) ||
	    (is_sqlite(cli) && !(make_own_folder(cli, SLICE("store"), owner) && make_own_folder(cli, SLICE("auth"), owner))))
		return false;
	if (is_sqlite(cli) && !user_may_enter(cli->config->data, owner) && !enter_data_folder(cli)) {
		cli_fail(cli, EXIT_FAILED, "%s can't be entered by its owner; choose another data folder", cli->config->data);
		return false;
	}
	return drop_to(cli, owner);
}

static bool prepare(struct cli *cli, struct slice folder_name)
{
	char *folder;

	if (!cli_load_config(cli) || !become_owner(cli))
		return false;
	if (!is_sqlite(cli))
		return true;
	folder = config_data_path(cli->config, folder_name, &cli->arena);
	if (mkdir(folder, 0700) == 0 || errno == EEXIST)
		return true;
	cli_fail(cli, EXIT_FAILED, "%s can't be made: %s; run posthorn as root, or as the owner of %s", folder, strerror(errno),
		 cli->config->data);
	return false;
}

static void cant_open(struct cli *cli, const char *what, const struct error *error)
{
	bool is_foreign = is_sqlite(cli) && access(config_data_path(cli->config, SLICE("store"), &cli->arena), W_OK) != 0;

	cli_fail(cli, error->status == STATUS_TEMPORARY && !is_foreign ? EXIT_TEMPORARY : EXIT_FAILED,
		 "%s can't be opened: %.*s%s", what, SLICE_ARG(error->text),
		 is_foreign ? "; run posthorn as root, or as the owner of the data folder" : "");
}

bool cli_open_store(struct cli *cli)
{
	struct error error = {0};
	struct store_options options;

	if (cli->store)
		return true;
	if (!prepare(cli, SLICE("store")))
		return false;
	options = (struct store_options){
		.url = config_store_url(cli->config, &cli->arena),
		.connections = cli->config->store.connections,
		.compress_from = cli->config->store.compress_from,
		.keep_deleted = cli->config->retention.deleted_days > 0,
	};
	cli->store = store_open(&options, true, &cli->log, &cli->arena, &error);
	if (!cli->store)
		cant_open(cli, "the store", &error);
	return cli->store != NULL;
}

bool cli_open_credentials(struct cli *cli)
{
	struct error error = {0};
	struct credential_options options;

	if (cli->credentials)
		return true;
	if (!prepare(cli, SLICE("auth")))
		return false;
	options = (struct credential_options){
		.url = config_credential_url(cli->config, &cli->arena),
		.argon2_memory_kb = cli->config->auth.argon2_memory_kb,
		.argon2_passes = cli->config->auth.argon2_passes,
		.scram_iterations = cli->config->auth.scram_iterations,
	};
	cli->credentials = credentials_open(&options, &cli->log, &cli->arena, &error);
	if (!cli->credentials)
		cant_open(cli, "the credentials", &error);
	return cli->credentials != NULL;
}

int cli_connect_server(struct cli *cli)
{
	struct slice path = slice_from_cstr(config_data_path(cli->config, SLICE("control.sock"), &cli->arena));
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timeval limit = {.tv_sec = 5};
	int server;

	if (path.len >= sizeof(address.sun_path))
		return -1;
	memcpy(address.sun_path, path.data, path.len);
	server = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (server < 0)
		return -1;
	setsockopt(server, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(server, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (connect(server, (struct sockaddr *)&address, sizeof(address)) == 0)
		return server;
	close(server);
	return -1;
}

void cli_announce(struct cli *cli, struct slice kind, struct slice payload)
{
	struct buf frame;
	int server = cli_connect_server(cli);

	if (server < 0)
		return;
	buf_init(&frame, &cli->arena, 0);
	pack_slice(&frame, kind);
	pack_slice(&frame, payload);
	if (!control_send(server, CONTROL_ANNOUNCE, buf_slice(&frame), -1))
		fprintf(stderr, "posthorn: done, but the running server could not be told; it will notice within minutes\n");
	close(server);
}

bool cli_address(struct cli *cli, struct slice text, struct slice *address)
{
	struct email_address parsed;
	struct buf out;

	if (!email_address_parse(&cli->arena, text, &parsed)) {
		cli_fail(cli, EXIT_USAGE, "\"%.*s\" is not an address; give one as alice@example.org", SLICE_ARG(text));
		return false;
	}
	buf_init(&out, &cli->arena, 0);
	email_address_format(&out, &parsed);
	*address = buf_slice(&out);
	return true;
}

bool cli_domain(struct cli *cli, struct slice text, struct slice *domain)
{
	if (domain_parse(&cli->arena, text, domain))
		return true;
	cli_fail(cli, EXIT_USAGE, "\"%.*s\" is not a domain name; give one as example.org", SLICE_ARG(text));
	return false;
}
