/* import: what the import and export commands share: the account, the progress shown, the report told. */
#pragma once

#include "cli/command.h"
#include "import/importer.h"
#include "import/opener.h"

struct import_run {
	struct cli *cli;
	struct slice address;
	struct importer importer;
	struct opener *opener;
	bool on_terminal, shown;
	uint64_t warned;
};

/* Finds the account. Tells if there is none. */
MUST_CHECK bool import_find_account(struct cli *cli, struct slice address, int64_t *account);
/* Between them the importer may be used. */
void import_run_begin(struct import_run *run, struct cli *cli, struct slice address, int64_t account, bool removes);
void import_run_end(struct import_run *run);
/* Tells running sessions. */
void import_announce(struct cli *cli, int64_t account);
/* Told, in JSON too; returns the exit status. `status` is the import's. */
int import_tell(struct import_run *run, enum status status, struct slice what);
/* A path as it was given, made absolute. */
MUST_CHECK bool import_path(struct cli *cli, struct slice given, struct slice *path);
