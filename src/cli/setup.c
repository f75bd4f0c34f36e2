/* setup: a configuration, a data folder, a certificate and the first accounts; --demo: all that in one folder, on loopback. */
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "auth/credential.h"
#include "cli/certificate.h"
#include "cli/commands.h"
#include "cli/files.h"
#include "cli/output.h"
#include "cli/password.h"
#include "config/paths.h"
#include "store/directory.h"

#define ACCOUNTS_MAX 2

struct plan {
	struct slice domain, hostname;
	char *config_path, *data;
	const char *store; /* NULL: SQLite in the data folder */
	const char *user;  /* NULL: not started by root */
	struct file_owner owner;
	struct slice accounts[ACCOUNTS_MAX];
	struct new_password passwords[ACCOUNTS_MAX];
	size_t account_count;
	bool is_demo;
	unsigned port_offset;
};

/* ---- the configuration ---- */

static void add_listeners(struct buf *out, unsigned offset)
{
	static const struct {
		const char *protocol;
		unsigned port;
	} listeners[] = {{"smtp", 25}, {"submission", 587}, {"submissions", 465}, {"imap", 143}, {"imaps", 993},
		     {"pop3", 110}, {"pop3s", 995}};

	buf_add_literal(out, "\nlisteners:\n");
	for (size_t i = 0; i < sizeof(listeners) / sizeof(listeners[0]); i++)
		buf_printf(out, "  - {address: \"127.0.0.1:%u\", protocol: %s}\n", listeners[i].port + offset,
			   listeners[i].protocol);
}

/* What JSON quotes, YAML reads. */
static void add_setting(struct buf *out, const char *key, struct slice value)
{
	buf_add(out, slice_from_cstr(key));
	json_string(out, value);
	buf_add_byte(out, '\n');
}

static struct slice config_text(struct cli *cli, const struct plan *plan)
{
	struct buf out;

	buf_init(&out, &cli->arena, 0);
	buf_add_literal(&out, "# Posthorn's configuration. All settings: posthorn help settings, or posthorn.yaml(5).\n"
			      "# After a change: posthorn check-config, then reload the server.\n\n");
	add_setting(&out, "hostname: ", plan->hostname);
	add_setting(&out, "data: ", slice_from_cstr(plan->data));
	if (plan->user)
		add_setting(&out, "user: ", slice_from_cstr(plan->user));
	if (plan->store) {
		buf_add_literal(&out, "\nstore:\n");
		add_setting(&out, "  url: ", slice_from_cstr(plan->store));
	}
	if (plan->is_demo)
		add_listeners(&out, plan->port_offset);
	buf_add_literal(&out, "\ntls:\n  certificates:\n");
	add_setting(&out, "    - certificate: ", slice_from_cstr(file_path(cli, plan->data, "tls/certificate.pem")));
	add_setting(&out, "      key: ", slice_from_cstr(file_path(cli, plan->data, "tls/key.pem")));
	return buf_slice(&out);
}

/* ---- accounts, by a process that has become the data folder's owner ---- */

static enum status add_account(struct cli *cli, const struct plan *plan, size_t i)
{
	int64_t id;
	enum status status = directory_add_account(cli->store, plan->accounts[i], SLICE_EMPTY, 0, &id);

	if (status == STATUS_OK)
		status = credential_set_password(cli->credentials, plan->accounts[i], id, plan->passwords[i].password);
	return status;
}

/* RFC 5321 section 4.5.1: mail for the postmaster must be taken. It is the first account's, if nothing else is. */
static enum status add_postmaster(struct cli *cli, const struct plan *plan)
{
	const struct slice parts[] = {SLICE("postmaster@"), plan->domain};
	struct slice postmaster = slice_join(&cli->arena, parts, 2);
	struct directory_entry entry;
	enum status status;

	if (plan->is_demo)
		return STATUS_OK;
	status = directory_look_up(cli->store, &cli->arena, postmaster, '\0', &entry);
	if (status != STATUS_OK || entry.kind != DIRECTORY_UNKNOWN)
		return status;
	return directory_add_alias(cli->store, postmaster, plan->accounts[0]);
}

static int add_accounts(struct cli *cli, const struct plan *plan)
{
	enum status status;

	if (!cli_open_store(cli) || !cli_open_credentials(cli))
		return cli->failed;
	status = directory_add_domain(cli->store, plan->domain);
	if (status != STATUS_OK && status != STATUS_EXISTS)
		return cli_status(cli, status, plan->domain);
	for (size_t i = 0; i < plan->account_count; i++) {
		status = add_account(cli, plan, i);
		if (status != STATUS_OK)
			return cli_status(cli, status, plan->accounts[i]);
	}
	status = add_postmaster(cli, plan);
	if (status != STATUS_OK)
		return cli_status(cli, status, SLICE("the postmaster's alias"));
	credentials_close(cli->credentials);
	store_close(cli->store);
	return EXIT_OK;
}

static bool run_as_owner(struct cli *cli, const struct plan *plan)
{
	int status = 0;
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child == 0)
		_exit(add_accounts(cli, plan));
	if (child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status)) {
		if (WEXITSTATUS(status) != EXIT_OK)
			cli->failed = (enum exit_status)WEXITSTATUS(status);
		return cli->failed == EXIT_OK;
	}
	cli_fail(cli, EXIT_FAILED, "the store could not be set up");
	return false;
}

/* ---- all together ---- */

static bool make_certificate(struct cli *cli, const struct plan *plan)
{
	struct slice names[] = {plan->hostname, SLICE("localhost"), SLICE("127.0.0.1")}, certificate, key;
	char *certificate_path = file_path(cli, plan->data, "tls/certificate.pem");
	char *key_path = file_path(cli, plan->data, "tls/key.pem");

	if (file_exists(certificate_path) && file_exists(key_path))
		return true; /* from an earlier life of this data folder */
	if (!certificate_make(names, plan->is_demo ? 3 : 1, &cli->arena, &certificate, &key)) {
		cli_fail(cli, EXIT_FAILED, "a certificate could not be made");
		return false;
	}
	return file_write_new(cli, key_path, 0600, FILE_OWNER_NONE, key) &&
	       file_write_new(cli, certificate_path, 0644, FILE_OWNER_NONE, certificate);
}

/* One that is there may be the roles' user's. */
static bool make_data_folder(struct cli *cli, const struct plan *plan)
{
	struct stat facts;

	return (stat(plan->data, &facts) == 0 && facts.st_uid == plan->owner.uid) ||
	       file_make_folder(cli, plan->data, 0755, FILE_OWNER_NONE);
}

/* The roles' user gets the folders that roles write. The data folder and the key stay with whoever starts the server: the supervisor alone reads it. */
static bool make_folders(struct cli *cli, const struct plan *plan)
{
	return make_data_folder(cli, plan) && file_make_folder(cli, file_path(cli, plan->data, "store"), 0700, plan->owner) &&
	       file_make_folder(cli, file_path(cli, plan->data, "auth"), 0700, plan->owner) &&
	       file_make_folder(cli, file_path(cli, plan->data, "tls"), 0755, FILE_OWNER_NONE);
}

/* Read by root and by the data folder's owner: store.url may come to hold a password. */
static bool write_config(struct cli *cli, const struct plan *plan)
{
	struct file_owner readers = {(uid_t)-1, plan->owner.gid};

	return file_make_folder_of(cli, plan->config_path) &&
	       file_write_new(cli, plan->config_path, plan->is_demo ? 0644 : 0640, readers, config_text(cli, plan));
}

/* The configuration is written before the accounts, which need it, and taken back if they fail: so setup can be run again. */
static bool carry_out(struct cli *cli, const struct plan *plan)
{
	cli->config_path = plan->config_path;
	if (!make_folders(cli, plan) || !make_certificate(cli, plan) || !write_config(cli, plan))
		return false;
	if (cli_load_config(cli) && run_as_owner(cli, plan))
		return true;
	unlink(plan->config_path);
	return false;
}

static bool refuse_existing(struct cli *cli, const char *path)
{
	if (!file_exists(path))
		return true;
	cli_fail(cli, EXIT_FAILED, "%s exists already and is not overwritten; remove it first, or choose another place", path);
	return false;
}

/* {"config":...,"accounts":[{"address":...,"password":...}]}; a password that was given is not shown. */
static bool print_as_json(struct cli *cli, const struct plan *plan)
{
	struct listing accounts = listing_new(cli, "address,password");
	struct buf out SCOPED_BUF;

	if (!cli->json)
		return false;
	buf_add_literal(&out, "{\"config\":");
	json_string(&out, slice_from_cstr(plan->config_path));
	buf_add_literal(&out, ",\"accounts\":[");
	for (size_t i = 0; i < plan->account_count; i++) {
		if (i)
			buf_add_byte(&out, ',');
		listing_text(&accounts, plan->accounts[i]);
		listing_text(&accounts, plan->passwords[i].generated ? plan->passwords[i].password : SLICE_EMPTY);
		listing_json_row(&accounts, i, &out);
	}
	buf_add_literal(&out, "]}\n");
	fwrite(out.data, 1, out.len, stdout);
	return true;
}

/* ---- demo ---- */

static void set_user(struct plan *plan, const char *name, const struct passwd *user)
{
	plan->user = name;
	plan->owner = (struct file_owner){user->pw_uid, user->pw_gid};
}

/* Posthorn's own user if there is one, else nobody. */
static bool choose_demo_user(struct cli *cli, struct plan *plan)
{
	const char *name = getpwnam("posthorn") ? "posthorn" : "nobody";
	struct passwd *user = getpwnam(name);

	if (geteuid() != 0)
		return true;
	if (user)
		set_user(plan, name, user);
	else
		cli_fail(cli, EXIT_FAILED, "there is no user posthorn or nobody for the server to run as");
	return user != NULL;
}

static struct slice passwords_text(struct cli *cli, const struct plan *plan)
{
	struct buf out;

	buf_init(&out, &cli->arena, 0);
	for (size_t i = 0; i < plan->account_count; i++)
		buf_printf(&out, "%.*s %.*s\n", SLICE_ARG(plan->accounts[i]), SLICE_ARG(plan->passwords[i].password));
	return buf_slice(&out);
}

static void print_demo(struct cli *cli, const struct plan *plan)
{
	struct slice alice = plan->passwords[0].password, bob = plan->passwords[1].password;
	const char *certificate = file_path(cli, plan->data, "tls/certificate.pem");
	unsigned n = plan->port_offset;

	if (print_as_json(cli, plan))
		return;
	printf("A demo server is ready: domain example.test, users and passwords:\n"
	       "  alice@example.test  %.*s\n  bob@example.test    %.*s\n\n"
	       "Start it:\n  posthorn serve --config %s\n\n",
	       SLICE_ARG(alice), SLICE_ARG(bob), plan->config_path);
	printf("Mail from outside for alice:\n"
	       "  swaks --server 127.0.0.1:%u --from friend@example.org --to alice@example.test\n\n"
	       "Mail from alice to bob, with login over TLS:\n"
	       "  swaks --server 127.0.0.1:%u --tls --auth PLAIN --auth-user alice@example.test --auth-password %.*s \\\n"
	       "    --from alice@example.test --to bob@example.test\n\n",
	       25 + n, 587 + n, SLICE_ARG(alice));
	printf("The same with curl:\n"
	       "  printf 'To: bob@example.test\\nSubject: Hello\\n\\nIt works.\\n' | curl --crlf --ssl-reqd --cacert %s \\\n"
	       "    --user alice@example.test:%.*s --mail-from alice@example.test --mail-rcpt bob@example.test \\\n"
	       "    --upload-file - smtp://127.0.0.1:%u\n\n",
	       certificate, SLICE_ARG(alice), 587 + n);
	printf("Read bob's mail:\n"
	       "  curl --cacert %s --user bob@example.test:%.*s \\\n"
	       "    imaps://127.0.0.1:%u/INBOX -X 'FETCH 1:* (FLAGS ENVELOPE)'\n"
	       "  curl --cacert %s --user bob@example.test:%.*s \\\n"
	       "    'imaps://127.0.0.1:%u/INBOX;MAILINDEX=1'\n"
	       "  curl --cacert %s --user bob@example.test:%.*s pop3s://127.0.0.1:%u/1\n\n",
	       certificate, SLICE_ARG(bob), 993 + n, certificate, SLICE_ARG(bob), 993 + n, certificate, SLICE_ARG(bob), 995 + n);
	printf("See what happened:\n  posthorn status --config %s\n"
	       "  posthorn trace QUEUE-ID --config %s      (the id that the server answered: queued as ...)\n",
	       plan->config_path, plan->config_path);
}

static int setup_demo(struct cli *cli, const char *folder, const char *offset_text)
{
	struct plan plan = {
		.domain = SLICE("example.test"),
		.hostname = SLICE("mail.example.test"),
		.owner = FILE_OWNER_NONE,
		.accounts = {SLICE("alice@example.test"), SLICE("bob@example.test")},
		.account_count = 2,
		.is_demo = true,
		.port_offset = 10000,
	};
	char *absolute;

	if (offset_text && !slice_to_u32(slice_from_cstr(offset_text), 65535 - 995, &plan.port_offset))
		return cli_fail(cli, EXIT_USAGE, "--port-offset wants a number of at most %d", 65535 - 995);
	if (!cli_finish(cli, 0, 0) || !choose_demo_user(cli, &plan) || !file_make_folder(cli, folder, 0755, FILE_OWNER_NONE))
		return cli->failed;
	absolute = realpath(folder, NULL);
	if (!absolute) {
		file_failed(cli, folder);
		return cli->failed;
	}
	plan.config_path = file_path(cli, absolute, "posthorn.yaml");
	plan.data = file_path(cli, absolute, "data");
	free(absolute);
	for (size_t i = 0; i < plan.account_count; i++)
		plan.passwords[i] = (struct new_password){.password = password_generate(&cli->arena), .generated = true};
	if (refuse_existing(cli, plan.config_path) && carry_out(cli, &plan) &&
	    file_write_new(cli, file_path(cli, folder, "passwords.txt"), 0600, FILE_OWNER_NONE, passwords_text(cli, &plan)))
		print_demo(cli, &plan);
	return cli->failed;
}

/* ---- the real thing ---- */

/* A given option, or what is typed, or the default. */
static struct slice ask(struct cli *cli, const char *given, const char *question, struct slice otherwise)
{
	char *text;

	if (given)
		return slice_from_cstr(given);
	if (!isatty(STDIN_FILENO))
		return otherwise;
	fprintf(stderr, "%s", question);
	if (otherwise.len)
		fprintf(stderr, " [%.*s]", SLICE_ARG(otherwise));
	fputs(": ", stderr);
	text = arena_alloc(&cli->arena, 1024);
	if (!fgets(text, 1024, stdin) || slice_trim(slice_from_cstr(text)).len == 0)
		return otherwise;
	return slice_trim(slice_from_cstr(text));
}

static struct slice prefixed(struct cli *cli, struct slice prefix, struct slice domain)
{
	const struct slice parts[] = {prefix, domain};

	return slice_join(&cli->arena, parts, 2);
}

static bool choose_user(struct cli *cli, struct plan *plan, const char *given)
{
	const char *name = given ? given : "posthorn";
	struct passwd *user;

	if (geteuid() != 0)
		return true;
	user = getpwnam(name);
	if (user && user->pw_uid != 0) {
		set_user(plan, name, user);
		return true;
	}
	cli_fail(cli, EXIT_FAILED,
		 user ? "%s is root, whom the server may not run as; give another with --user, as made by: useradd --system "
			"--no-create-home --shell /usr/sbin/nologin posthorn"
		      : "there is no user %s for the server to run as; make it with: useradd --system --no-create-home "
			"--shell /usr/sbin/nologin %s",
		 name, name);
	return false;
}

static bool choose_names(struct cli *cli, struct plan *plan, const char *domain, const char *hostname, const char *admin)
{
	struct slice text = ask(cli, domain, "Domain whose mail comes here, as example.org", SLICE_EMPTY);

	if (text.len == 0) {
		cli_fail(cli, EXIT_USAGE, "--domain DOMAIN is needed; or try posthorn with: posthorn setup --demo DIR");
		return false;
	}
	if (!cli_domain(cli, text, &plan->domain))
		return false;
	text = ask(cli, hostname, "This server's name", prefixed(cli, SLICE("mail."), plan->domain));
	if (!cli_domain(cli, text, &plan->hostname))
		return false;
	text = ask(cli, admin, "The first account", prefixed(cli, SLICE("postmaster@"), plan->domain));
	plan->account_count = 1;
	if (!cli_address(cli, text, &plan->accounts[0]))
		return false;
	if (slice_ends_with(plan->accounts[0], prefixed(cli, SLICE("@"), plan->domain)))
		return true;
	cli_fail(cli, EXIT_USAGE, "the first account must be in the domain %.*s", SLICE_ARG(plan->domain));
	return false;
}

static void print_records(const struct plan *plan)
{
	printf("\nSet these DNS records; ADDRESS is this machine's public one:\n"
	       "  %.*s.  A     ADDRESS   (AAAA likewise)\n"
	       "  %.*s.  MX    10 %.*s.\n"
	       "  %.*s.  TXT   \"v=spf1 mx -all\"\n"
	       "  and let whoever gave you ADDRESS make it resolve back (PTR) to %.*s\n\n",
	       SLICE_ARG(plan->hostname), SLICE_ARG(plan->domain), SLICE_ARG(plan->hostname), SLICE_ARG(plan->domain),
	       SLICE_ARG(plan->hostname));
}

static void print_next_steps(struct cli *cli, const struct plan *plan)
{
	const char *option = strcmp(plan->config_path, CLI_DEFAULT_CONFIG) == 0 ? "" : " --config ";

	if (print_as_json(cli, plan))
		return;
	printf("Posthorn is set up: %s, data in %s.\nFirst account: %.*s", plan->config_path, plan->data,
	       SLICE_ARG(plan->accounts[0]));
	if (plan->passwords[0].generated)
		printf(", password: %.*s", SLICE_ARG(plan->passwords[0].password));
	putchar('\n');
	print_records(plan);
	printf("The certificate in %s/tls is self-signed; name a real one in tls.certificates when you have it.\n"
	       "Start the server:\n  posthorn serve%s%s\n",
	       plan->data, option, option[0] ? plan->config_path : "");
}

/* Where it is in the end, if it is there: a data folder may be a symbolic link to another disk. */
static char *absolute_path(struct cli *cli, const char *path)
{
	char *real = realpath(path, NULL), *current = real || path[0] == '/' ? NULL : realpath(".", NULL);
	char *whole = current ? file_path(cli, current, path) : slice_cstr(&cli->arena, slice_from_cstr(real ? real : path));

	free(real);
	free(current);
	return whole;
}

static bool setup_real(struct cli *cli, struct plan *plan, struct password_source source)
{
	if (!password_get(cli, source, plan->accounts[0], &plan->passwords[0]))
		return false;
	if (plan->passwords[0].hash.len) {
		cli_fail(cli, EXIT_USAGE, "setup takes no --hash; set one later with: posthorn account password");
		return false;
	}
	return carry_out(cli, plan);
}

/* What says nothing in a demo, and the other way round. */
static bool fits_together(struct cli *cli, bool is_demo, const char *offset, const char *const *others, size_t count)
{
	bool has_others = false;

	for (size_t i = 0; i < count; i++)
		has_others |= others[i] != NULL;
	if (is_demo ? !has_others : !offset)
		return true;
	cli_fail(cli, EXIT_USAGE,
		 is_demo ? "--demo takes --port-offset and no other options; leave them out"
			 : "--port-offset is for --demo DIR; for ports of a real server see: posthorn help settings");
	return false;
}

int command_setup(struct cli *cli)
{
	const char *demo = cli_option(cli, "--demo"), *offset = cli_option(cli, "--port-offset");
	const char *domain = cli_option(cli, "--domain"), *hostname = cli_option(cli, "--hostname");
	const char *admin = cli_option(cli, "--admin"), *data = cli_option(cli, "--data"), *user = cli_option(cli, "--user");
	const char *store = cli_option(cli, "--store");
	const char *const others[] = {domain, hostname, admin, data, user, store};
	struct password_source source = password_source_of(cli);
	struct plan plan = {
		.data = absolute_path(cli, data ? data : "/var/lib/posthorn"), .store = store, .owner = FILE_OWNER_NONE};

	if (!fits_together(cli, demo != NULL, offset, others, sizeof(others) / sizeof(others[0])))
		return cli->failed;
	if (demo)
		return setup_demo(cli, demo, offset);
	plan.config_path = absolute_path(cli, cli->config_path);
	if (!cli_finish(cli, 0, 0) || !refuse_existing(cli, plan.config_path) || !choose_user(cli, &plan, user) ||
	    !choose_names(cli, &plan, domain, hostname, admin))
		return cli->failed;
	if (setup_real(cli, &plan, source))
		print_next_steps(cli, &plan);
	return cli->failed;
}
