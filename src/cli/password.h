/* password: where a new password comes from: standard input, a terminal, or chance. */
#pragma once

#include "cli/command.h"

/* A hash as other systems make them, "{SCHEME}..." or "$id$...", rather than a password? */
bool password_is_hash(struct slice text);
/* 20 characters that can be read aloud, 100 bits. */
struct slice password_generate(struct arena *arena);

struct new_password {
	struct slice password, hash; /* one of them */
	bool generated;              /* to be shown */
};
/* Takes --password-stdin and --hash out of the arguments. */
struct password_source {
	bool from_stdin;
	const char *hash;
};
struct password_source password_source_of(struct cli *cli);
/* Asks on a terminal; elsewhere, or where nothing is typed, makes one. Tells if none can be had. */
MUST_CHECK bool password_get(struct cli *cli, struct password_source source, struct slice address, struct new_password *result);
