/* import imap: one account, or many from a CSV file. Hosts are looked up and files read before the store is opened: afterwards we may be
 * another user, in another root. */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/csv.h"
#include "cli/import.h"
#include "import/imap_source.h"

#define TRUST_ANCHORS "/etc/ssl/certs/ca-certificates.crt"
#define FILE_MAX      (64 * 1024 * 1024)
#define EXCLUDED_MAX  64
#define PORT_IMAPS    993
#define PORT_IMAP     143

struct options {
	struct imap_server server;
	struct slice excluded[EXCLUDED_MAX];
	size_t excluded_count;
	bool removes;
};

struct row {
	struct slice address, user, password;
	unsigned line;
};

static bool read_file(struct cli *cli, const char *path, struct slice *text)
{
	int fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
	struct buf out;
	ssize_t got = -1;

	buf_init(&out, &cli->arena, FILE_MAX);
	while (fd >= 0) {
		char *to = buf_reserve(&out, 65536);

		got = to ? read(fd, to, 65536) : -1;
		if (got <= 0)
			break;
		buf_advance(&out, (size_t)got);
	}
	if (got < 0)
		cli_fail(cli, EXIT_FAILED, "%s can't be read: %s", path, buf_ok(&out) ? strerror(errno) : "it is too large");
	if (fd >= 0)
		close(fd);
	*text = buf_slice(&out);
	return got == 0;
}

/* ---- the server ---- */

static bool look_up(struct cli *cli, struct imap_server *server)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG}, *list = NULL;
	int trouble = getaddrinfo(slice_cstr(&cli->arena, server->host), NULL, &hints, &list);
	size_t count = 0;

	for (const struct addrinfo *one = list; one; one = one->ai_next)
		count++;
	server->addresses = ARENA_ARRAY(&cli->arena, struct net_address, count + 1);
	for (const struct addrinfo *one = list; one; one = one->ai_next) {
		struct sockaddr_storage storage = {0};

		if (one->ai_addrlen > sizeof storage)
			continue;
		memcpy(&storage, one->ai_addr, one->ai_addrlen);
		server->addresses[server->address_count] = net_address_from_sockaddr(&storage);
		server->addresses[server->address_count++].port = server->port;
	}
	if (list)
		freeaddrinfo(list);
	if (server->address_count == 0)
		cli_fail(cli, EXIT_TEMPORARY, "%.*s has no address: %s", SLICE_ARG(server->host),
			 trouble ? gai_strerror(trouble) : "none was found");
	return server->address_count > 0;
}

static bool take_tls(struct cli *cli, const char *given, struct imap_server *server)
{
	struct slice tls = slice_from_cstr(given);

	server->tls = server->port == PORT_IMAP ? IMAP_STARTTLS : IMAP_TLS;
	if (slice_eq(tls, SLICE("starttls")))
		server->tls = IMAP_STARTTLS;
	else if (slice_eq(tls, SLICE("none")))
		server->tls = IMAP_PLAIN;
	else if (slice_eq(tls, SLICE("implicit")))
		server->tls = IMAP_TLS;
	else if (given)
		cli_fail(cli, EXIT_USAGE, "\"%s\" is no kind of TLS: implicit, starttls or none", given);
	return cli->failed == EXIT_OK;
}

static bool take_options(struct cli *cli, struct options *options)
{
	const char *host = cli_option(cli, "--host"), *port = cli_option(cli, "--port"), *tls = cli_option(cli, "--tls"),
		   *ca_file = cli_option(cli, "--ca-file"), *excluded;
	struct imap_server *server = &options->server;
	uint32_t number = tls && strcmp(tls, "implicit") != 0 ? PORT_IMAP : PORT_IMAPS;

	server->host = slice_from_cstr(host);
	server->any_certificate = cli_flag(cli, "--any-certificate");
	options->removes = cli_flag(cli, "--delete");
	while ((excluded = cli_option(cli, "--exclude"))) {
		if (options->excluded_count == EXCLUDED_MAX) {
			cli_fail(cli, EXIT_USAGE, "at most %d times --exclude", EXCLUDED_MAX);
			return false;
		}
		options->excluded[options->excluded_count++] = slice_from_cstr(excluded);
	}
	if (port && !slice_to_u32(slice_from_cstr(port), 65535, &number)) {
		cli_fail(cli, EXIT_USAGE, "\"%s\" is no port", port);
		return false;
	}
	server->port = (uint16_t)number;
	if (!take_tls(cli, tls, server))
		return false;
	server->trust_anchors = SLICE_EMPTY;
	if (!server->any_certificate && server->tls != IMAP_PLAIN)
		return read_file(cli, ca_file ? ca_file : TRUST_ANCHORS, &server->trust_anchors);
	return true;
}

/* ---- one account ---- */

static struct slice make_label(struct cli *cli, const struct options *options, struct slice user)
{
	const struct slice parts[] = {SLICE("imap:"), user, SLICE("@"), options->server.host};

	return slice_join(&cli->arena, parts, 4);
}

static int run_one(struct cli *cli, const struct options *options, const struct row *row)
{
	struct error error = {0};
	struct import_run run;
	int64_t account;

	if (!import_find_account(cli, row->address, &account))
		return cli->failed;
	struct imap_client *client = imap_client_open(&options->server, row->user, row->password, &error, &cli->arena);

	if (!client)
		return cli_fail(cli, error.status == STATUS_TEMPORARY ? EXIT_TEMPORARY : EXIT_FAILED, "%.*s: %.*s",
				SLICE_ARG(row->address), SLICE_ARG(error.text));
	import_run_begin(&run, cli, row->address, account, options->removes);
	struct imap_import import = {
		.importer = &run.importer,
		.client = client,
		.label = make_label(cli, options, row->user),
		.excluded = options->excluded,
		.excluded_count = options->excluded_count,
	};
	enum status status = imap_import(&import);
	struct slice trouble = slice_dup(&cli->arena, imap_client_error(client));

	imap_client_free(client);
	if (status == STATUS_TEMPORARY && trouble.len > 0) {
		import_tell(&run, STATUS_OK, row->address);
		cli_fail(cli, EXIT_TEMPORARY, "%.*s: %.*s; run the import again: it goes on where it ended",
			 SLICE_ARG(options->server.host), SLICE_ARG(trouble));
	} else if (status == STATUS_PEER) {
		import_tell(&run, STATUS_OK, row->address);
		cli_fail(cli, EXIT_FAILED, "%.*s said: %.*s", SLICE_ARG(options->server.host), SLICE_ARG(trouble));
	} else {
		import_tell(&run, status, row->address);
	}
	import_run_end(&run);
	return cli->failed;
}

/* ---- many ---- */

static bool read_rows(struct cli *cli, const char *path, struct row **rows, size_t *count)
{
	struct slice text;
	struct csv_row line;
	size_t capacity = 1;

	if (!read_file(cli, path, &text))
		return false;
	for (size_t i = 0; i < text.len; i++)
		capacity += text.data[i] == '\n';
	*rows = ARENA_ARRAY(&cli->arena, struct row, capacity);
	*count = 0;
	struct csv csv = csv_begin(text);

	for (bool first = true; csv_next(&csv, &cli->arena, &line); first = false) {
		if (first && slice_eq_nocase(line.fields[0], SLICE("address")))
			continue;
		if (line.count != 3) {
			cli_fail(cli, EXIT_FAILED,
				 "%s:%u: three columns are wanted: address,user,password; nothing was imported", path,
				 line.line);
			return false;
		}
		(*rows)[(*count)++] = (struct row){line.fields[0], line.fields[1], line.fields[2], line.line};
	}
	if (csv.failed)
		cli_fail(cli, EXIT_FAILED, "%s:%u: a quote isn't closed, or there are too many columns", path, csv.line);
	return !csv.failed;
}

static int run_batch(struct cli *cli, const struct options *options, const struct row *rows, size_t count)
{
	size_t failed = 0;

	for (size_t i = 0; i < count; i++) {
		enum exit_status before = cli->failed;

		cli->failed = EXIT_OK;
		failed += run_one(cli, options, &rows[i]) != EXIT_OK;
		cli->failed = before != EXIT_OK ? before : cli->failed;
	}
	fprintf(stderr, "%zu of %zu accounts imported\n", count - failed, count);
	return cli->failed;
}

/* The password's own lines are the file's first. */
static bool take_password(struct cli *cli, const char *path, struct slice *password)
{
	struct slice text;

	if (!read_file(cli, path, &text))
		return false;
	*password = slice_cut(&text, '\n');
	if (slice_ends_with(*password, SLICE("\r")))
		password->len--;
	return true;
}

int command_import_imap(struct cli *cli)
{
	const char *batch = cli_option(cli, "--batch"), *password_file = cli_option(cli, "--password-file");
	struct row one = {.address = slice_from_cstr(cli_option(cli, "--account")),
			  .user = slice_from_cstr(cli_option(cli, "--user"))};
	struct options options = {0};
	struct row *rows = &one;
	size_t count = 1;

	if (cli_flag(cli, "--password-stdin"))
		password_file = "-";
	if (!take_options(cli, &options) || !cli_finish(cli, 0, 0))
		return cli->failed;
	if (options.server.host.len == 0)
		return cli_fail(cli, EXIT_USAGE, "say from where: --host HOST");
	if (!batch && (one.address.len == 0 || one.user.len == 0 || !password_file))
		return cli_fail(cli, EXIT_USAGE,
				"say whose: --account ADDRESS --user USER and --password-file FILE or --password-stdin; or "
				"many with --batch FILE");
	if (batch ? !read_rows(cli, batch, &rows, &count) : !take_password(cli, password_file, &one.password))
		return cli->failed;
	if (!look_up(cli, &options.server))
		return cli->failed;
	return batch ? run_batch(cli, &options, rows, count) : run_one(cli, &options, &one);
}
