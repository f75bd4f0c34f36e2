/* check-config: beyond what loading checks: the files that are named, the certificates in them, the user. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <pwd.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/commands.h"
#include "net/tls.h"

#define FILE_MAX  (1024 * 1024)
#define SOON_DAYS 14

static bool read_file(struct cli *cli, const char *what, const char *path, struct slice *text)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct buf out;
	ssize_t got = -1;

	buf_init(&out, &cli->arena, FILE_MAX);
	while (fd >= 0) {
		char *to = buf_reserve(&out, 16384);

		got = to ? read(fd, to, 16384) : -1;
		if (got <= 0)
			break;
		buf_advance(&out, (size_t)got);
	}
	if (got < 0)
		cli_fail(cli, EXIT_FAILED, "%s: %s can't be read: %s; check the path and who may read it", what, path,
			 buf_ok(&out) ? strerror(errno) : "it is larger than 1 MB");
	if (fd >= 0)
		close(fd);
	*text = buf_slice(&out);
	return got == 0;
}

static bool check_readable(struct cli *cli, const char *what, const char *path)
{
	struct slice text;

	return !path || read_file(cli, what, path, &text);
}

/* Days from now; negative: over. */
static bool days_left(struct slice pem, int *days)
{
	BIO *memory = BIO_new_mem_buf(pem.data, (int)pem.len);
	X509 *certificate = memory ? PEM_read_bio_X509(memory, NULL, NULL, NULL) : NULL;
	int seconds = 0;
	bool known = certificate && ASN1_TIME_diff(days, &seconds, NULL, X509_get0_notAfter(certificate));

	if (known && seconds < 0)
		*days -= 1;
	X509_free(certificate);
	BIO_free(memory);
	return known;
}

static bool check_life(struct cli *cli, const char *path, struct slice pem)
{
	int days;

	if (!days_left(pem, &days))
		return true;
	if (days < 0) {
		cli_fail(cli, EXIT_FAILED, "tls.certificates: %s is over; renew it, then reload the server", path);
		return false;
	}
	if (days < SOON_DAYS)
		fprintf(stderr, "posthorn: note: %s is over in %d days\n", path, days);
	return true;
}

static bool check_pair(struct cli *cli, const struct config_certificate *names)
{
	struct tls_context *context = tls_server_new();
	struct error error = {0};
	struct tls_pair pair;
	bool good = read_file(cli, "tls.certificates", names->certificate, &pair.certificate_chain) &&
		    read_file(cli, "tls.certificates", names->key, &pair.private_key);

	if (good && context && tls_context_load(context, &pair, 1, &cli->arena, &error) != STATUS_OK) {
		cli_fail(cli, EXIT_FAILED, "tls.certificates: %s with %s: %.*s", names->certificate, names->key,
			 SLICE_ARG(error.text));
		good = false;
	}
	tls_context_free(context);
	return good && check_life(cli, names->certificate, pair.certificate_chain);
}

static bool check_files(struct cli *cli)
{
	const struct config *config = cli->config;
	bool good = true;

	for (unsigned i = 0; i < config->tls.certificates_count; i++)
		good &= check_pair(cli, &config->tls.certificates[i]);
	good &= check_readable(cli, "relay.smarthost_password_file", config->relay.smarthost_password_file);
	good &= check_readable(cli, "dns.trust_anchor_file", config->dns.trust_anchor_file);
	return good;
}

static bool check_user(struct cli *cli)
{
	if (geteuid() != 0 || getpwnam(cli->config->user))
		return true;
	cli_fail(cli, EXIT_FAILED, "user: there is no user %s; make it with: useradd --system --no-create-home %s",
		 cli->config->user, cli->config->user);
	return false;
}

int command_check_config(struct cli *cli)
{
	bool print = cli_flag(cli, "--print"), good;
	struct slice text;

	if (!cli_finish(cli, 0, 0) || !cli_load_config(cli))
		return cli->failed;
	good = check_files(cli);
	if (!check_user(cli) || !good)
		return cli->failed;
	if (!print)
		return cli_done(cli, slice_from_cstr(cli->config_path), "is good");
	if (config_to_text(cli->config, &cli->arena, &text))
		fwrite(text.data, 1, text.len, stdout);
	return EXIT_OK;
}
