/* check: what must be true of what is kept, and putting it right */
#include "cli/commands.h"
#include "cli/import.h"
#include "cli/output.h"
#include "store/invariants.h"

static void list_rows(struct listing *list, const struct store_violation *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		listing_text(list, rows[i].claim);
		listing_number(list, rows[i].rows);
	}
}

static bool look(struct cli *cli, int64_t account, struct store_violation **violations, size_t *count)
{
	enum status status = store_check_account(cli->store, &cli->arena, account, violations, count);

	if (status != STATUS_OK)
		cli_status(cli, status, SLICE("the check of the store"));
	return status == STATUS_OK;
}

/* What was done, then what is left. */
static int repair(struct cli *cli, int64_t account, struct slice what)
{
	struct listing list = listing_new(cli, "done,rows");
	struct store_violation *repairs, *violations;
	size_t done, left;
	enum status status = store_repair(cli->store, &cli->arena, account, &repairs, &done);

	if (status != STATUS_OK)
		return cli_status(cli, status, SLICE("the repair of the store"));
	if (!look(cli, account, &violations, &left))
		return cli->failed;
	list_rows(&list, repairs, done);
	if (left > 0) {
		listing_print(&list);
		for (size_t i = 0; i < left; i++)
			cli_fail(cli, EXIT_FAILED, "still not so: %.*s (%lld rows)", SLICE_ARG(violations[i].claim),
				 (long long)violations[i].rows);
		return cli_fail(cli, EXIT_FAILED, "not all could be repaired; bring back what is lost from a backup");
	}
	if (done == 0)
		return cli_done(cli, what, "is sound");
	listing_print(&list);
	listing_hint(&list, "all is sound now");
	return EXIT_OK;
}

int command_check(struct cli *cli)
{
	bool all = cli_flag(cli, "--all"), repairs = cli_flag(cli, "--repair");
	struct listing list = listing_new(cli, "should_be_true,rows_that_differ");
	struct store_violation *violations;
	struct slice what = SLICE("the store");
	int64_t account = INVARIANTS_ALL;
	struct error error = {0};
	size_t count;

	if (!cli_finish(cli, 0, 1))
		return cli->failed;
	if (all && cli->argument_count > 0)
		return cli_fail(cli, EXIT_USAGE, "either ADDRESS or --all");
	if (cli->argument_count > 0)
		what = cli_argument(cli, 0);
	if (cli->argument_count > 0 ? !import_find_account(cli, what, &account) : !cli_open_store(cli))
		return cli->failed;
	enum status status = store_check(cli->store, &cli->arena, &error);

	if (status != STATUS_OK)
		return cli_fail(cli, status == STATUS_TEMPORARY ? EXIT_TEMPORARY : EXIT_FAILED,
				"the database is damaged: %.*s; restore it from a backup", SLICE_ARG(error.text));
	if (repairs)
		return repair(cli, account, what);
	if (!look(cli, account, &violations, &count))
		return cli->failed;
	if (count == 0)
		return cli_done(cli, what, "is sound");
	list_rows(&list, violations, count);
	listing_print(&list);
	return cli_fail(cli, EXIT_FAILED, "there are contradictions; keep a copy of the store, then: posthorn check --repair");
}
