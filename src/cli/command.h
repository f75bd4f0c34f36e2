/* command: the `posthorn` command's table and what each of its commands is given.
 *
 * A command is a row: its words, what it is for, how it is called, its options with an example, and its function, which returns
 * the exit status. Options are taken out of the arguments by name, then `cli_finish` counts what is left; errors are told on
 * standard error as "posthorn: what is wrong; what to do next". Nothing here is used by a role that serves.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/log.h"
#include "config/config.h"

#define CLI_DEFAULT_CONFIG "/etc/posthorn/posthorn.yaml"

enum exit_status { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_TEMPORARY = 75 };

struct cli;
struct store;
struct credentials;

struct command {
	const char *name;    /* "account add" */
	const char *usage;   /* "ADDRESS [--name NAME]" */
	const char *summary; /* one line; NULL: not listed by help */
	const char *help;    /* options and an example */
	int (*run)(struct cli *cli);
};

struct cli {
	struct arena arena; /* lives as long as the command */
	struct log log;     /* warnings of store/ and auth/, to standard error */
	const struct command *command;
	const struct command *extra; /* the caller's own commands */
	size_t extra_count;
	const char *config_path;
	bool json;
	char **arguments; /* what is left of them */
	size_t argument_count;
	const char *lacking;     /* an option that came without its value */
	enum exit_status failed; /* the first trouble */
	struct config *config;
	struct store *store;
	struct credentials *credentials;
};

/* The whole command line. `extra` are commands of the caller, such as serve; they may not open what is above them. */
int cli_main(int argc, char **argv, const struct command *extra, size_t extra_count);

/* ---- arguments ---- */

/* Takes "--name VALUE" or "--name=VALUE" out of the arguments; NULL if it isn't there. A VALUE that begins with "--" needs the
 * second form. */
const char *cli_option(struct cli *cli, const char *name);
/* Takes "--name" out. */
bool cli_flag(struct cli *cli, const char *name);
/* After all options were taken: are there `least` to `most` arguments and no unknown options? Tells if not. */
MUST_CHECK bool cli_finish(struct cli *cli, size_t least, size_t most);
struct slice cli_argument(const struct cli *cli, size_t index);

/* ---- trouble ---- */

/* Tells it, remembers `status` as the exit status and returns it. */
__attribute__((format(printf, 3, 4))) int cli_fail(struct cli *cli, enum exit_status status, const char *format, ...);
/* The same for what store/ or auth/ returned; STATUS_OK gives EXIT_OK. `what` is what was tried: "alice@example.test". */
int cli_status(struct cli *cli, enum status status, struct slice what);

/* The domain of `address` isn't there. */
int cli_not_ours(struct cli *cli, struct slice address);
/* What was done, for people or as JSON: "example.org added". Returns EXIT_OK. */
int cli_done(struct cli *cli, struct slice what, const char *done);

/* ---- what commands stand on: each tells its trouble and returns false ---- */

MUST_CHECK bool cli_load_config(struct cli *cli);
/* Loads the configuration, becomes the data folder's user where started by root, and opens. */
MUST_CHECK bool cli_open_store(struct cli *cli);
MUST_CHECK bool cli_open_credentials(struct cli *cli);
/* Tells a running server; none running is fine. Kinds: "directory", "credential" (payload: the address), "queue". */
void cli_announce(struct cli *cli, struct slice kind, struct slice payload);
/* A connection to the running server's supervisor, or -1. */
int cli_connect_server(struct cli *cli);

/* Normalised: "Alice@EXAMPLE.test" gives "Alice@example.test". Tells if it is none. */
MUST_CHECK bool cli_address(struct cli *cli, struct slice text, struct slice *address);
MUST_CHECK bool cli_domain(struct cli *cli, struct slice text, struct slice *domain);
