/* import maildir, import mbox */
#include "cli/import.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/output.h"
#include "import/maildir_source.h"
#include "import/mbox_source.h"
#include "ipc/pack.h"
#include "store/directory.h"

#define WARNINGS_MAX 100
#define BAR_WIDTH    24

/* ---- what is shown meanwhile ---- */

static void clear_line(struct import_run *run)
{
	if (run->shown)
		fputs("\r\033[K", stderr);
	run->shown = false;
}

static void show_progress(void *context, const struct import_report *report, struct slice mailbox, size_t done, size_t expected)
{
	struct import_run *run = context;
	char bar[BAR_WIDTH + 1];
	size_t filled = expected > 0 ? done * BAR_WIDTH / expected : BAR_WIDTH;

	if (!run->on_terminal)
		return;
	for (size_t i = 0; i < BAR_WIDTH; i++)
		bar[i] = i < filled ? '#' : '.';
	bar[BAR_WIDTH] = 0;
	fprintf(stderr, "\r\033[K[%s] %zu of %zu  %.*s  (%llu new in all)", bar, done, expected,
		(int)(mailbox.len > 40 ? 40 : mailbox.len), mailbox.data, (unsigned long long)report->added);
	fflush(stderr);
	run->shown = true;
}

static void show_warning(void *context, struct slice what, const char *why)
{
	struct import_run *run = context;

	clear_line(run);
	if (++run->warned <= WARNINGS_MAX)
		fprintf(stderr, "posthorn: %.*s %s\n", SLICE_ARG(what), why);
	if (run->warned == WARNINGS_MAX)
		fprintf(stderr, "posthorn: further ones are counted only\n");
}

/* ---- the run ---- */

bool import_find_account(struct cli *cli, struct slice given, int64_t *account)
{
	struct account found;
	struct slice address;

	if (!cli_address(cli, given, &address) || !cli_open_store(cli))
		return false;
	enum status status = directory_find_account(cli->store, &cli->arena, address, &found);

	if (status != STATUS_OK)
		cli_status(cli, status, address);
	*account = found.id;
	return status == STATUS_OK;
}

void import_run_begin(struct import_run *run, struct cli *cli, struct slice address, int64_t account, bool removes)
{
	run->cli = cli;
	run->address = address;
	run->on_terminal = isatty(STDERR_FILENO) && !cli->json;
	run->shown = false;
	run->warned = 0;
	run->importer = (struct importer){
		.store = cli->store,
		.account = account,
		.removes = removes,
		.progress = show_progress,
		.warn = show_warning,
		.context = run,
	};
	importer_begin(&run->importer);
}

void import_run_end(struct import_run *run)
{
	importer_end(&run->importer);
}

void import_announce(struct cli *cli, int64_t account)
{
	struct buf payload;

	buf_init(&payload, &cli->arena, 0);
	pack_u32(&payload, 1);
	pack_u64(&payload, (uint64_t)account);
	cli_announce(cli, SLICE("mailbox"), buf_slice(&payload));
}

static void tell_json(const struct import_run *run)
{
	const struct import_report *report = &run->importer.report;
	struct listing list = listing_new(run->cli, "address,mailboxes,added,already_here,flags_changed,removed,skipped,bytes");

	listing_text(&list, run->address);
	listing_number(&list, (int64_t)report->mailboxes);
	listing_number(&list, (int64_t)report->added);
	listing_number(&list, (int64_t)report->known);
	listing_number(&list, (int64_t)report->changed);
	listing_number(&list, (int64_t)report->removed);
	listing_number(&list, (int64_t)report->skipped);
	listing_number(&list, (int64_t)report->bytes);
	listing_print_one(&list);
}

static void tell_words(const struct import_run *run)
{
	const struct import_report *report = &run->importer.report;

	printf("%.*s: %llu mailboxes, %llu messages imported, %llu were here already", SLICE_ARG(run->address),
	       (unsigned long long)report->mailboxes, (unsigned long long)report->added, (unsigned long long)report->known);
	if (report->changed > 0)
		printf(", flags of %llu changed", (unsigned long long)report->changed);
	if (report->removed > 0)
		printf(", %llu removed", (unsigned long long)report->removed);
	if (report->skipped > 0)
		printf(", %llu skipped", (unsigned long long)report->skipped);
	putchar('\n');
}

int import_tell(struct import_run *run, enum status status, struct slice what)
{
	clear_line(run);
	if (run->cli->json)
		tell_json(run);
	else
		tell_words(run);
	if (run->importer.report.added + run->importer.report.changed + run->importer.report.removed > 0)
		import_announce(run->cli, run->importer.account);
	if (status == STATUS_LIMIT)
		return cli_fail(
			run->cli, EXIT_FAILED,
			"%.*s is full; give it more with posthorn account quota, then run the import again: it goes on where "
			"it ended",
			SLICE_ARG(run->address));
	if (status != STATUS_OK)
		return cli_status(run->cli, status, what);
	if (run->warned > 0)
		return cli_fail(run->cli, EXIT_FAILED,
				"not everything came; see above, then run the import again: it brings what is missing");
	return EXIT_OK;
}

bool import_path(struct cli *cli, struct slice given, struct slice *path)
{
	char *here = getcwd(NULL, 0);

	while (given.len > 1 && slice_ends_with(given, SLICE("/")))
		given.len--;
	*path = given;
	if (!slice_starts_with(given, SLICE("/")) && here)
		*path = slice_join(&cli->arena, (const struct slice[]){slice_from_cstr(here), SLICE("/"), given}, 3);
	if (!here && !slice_starts_with(given, SLICE("/")))
		cli_fail(cli, EXIT_FAILED, "the current folder can't be found; give the whole path");
	free(here);
	*path = slice_dup(&cli->arena, *path);
	return slice_starts_with(*path, SLICE("/"));
}

static int run_local(struct cli *cli, bool is_maildir)
{
	struct slice address = slice_from_cstr(cli_option(cli, "--account")), into = slice_from_cstr(cli_option(cli, "--into")),
		     path;
	bool removes = cli_flag(cli, "--delete");
	struct import_run run;
	int64_t account;

	if (!cli_finish(cli, 1, 1) || !import_path(cli, cli_argument(cli, 0), &path))
		return cli->failed;
	if (address.len == 0)
		return cli_fail(cli, EXIT_USAGE, "say whose it becomes: --account ADDRESS");
	if (into.len > 0 && is_maildir)
		return cli_fail(cli, EXIT_USAGE, "--into is for mbox files only");
	run.opener = opener_new();
	if (!run.opener)
		return cli_fail(cli, EXIT_TEMPORARY, "no process could be started; try again");
	if (!import_find_account(cli, address, &account)) {
		opener_free(run.opener);
		return cli->failed;
	}
	import_run_begin(&run, cli, address, account, removes);
	enum status status = is_maildir ? maildir_import(&run.importer, run.opener, path)
					: mbox_import(&run.importer, run.opener, path, into);

	if (status == STATUS_NOT_FOUND)
		cli_fail(cli, EXIT_FAILED, "%.*s is no %s that can be read", SLICE_ARG(path),
			 is_maildir ? "Maildir (a folder with cur, new and tmp)" : "file or folder");
	else
		import_tell(&run, status, path);
	import_run_end(&run);
	opener_free(run.opener);
	return cli->failed;
}

int command_import_maildir(struct cli *cli)
{
	return run_local(cli, true);
}

int command_import_mbox(struct cli *cli)
{
	return run_local(cli, false);
}
