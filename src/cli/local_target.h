/* local_target: aliases that lead to local.targets of the configuration: local:NAME. */
#pragma once

#include "cli/command.h"

bool local_target_is(struct slice text);
/* "local:NAME": is there such a one? Tells if not. */
MUST_CHECK bool local_target_take(struct cli *cli, struct slice text, struct slice *target);
/* The one that does this: |COMMAND, /FILE or /FOLDER/. False: there is none. */
MUST_CHECK bool local_target_find(struct cli *cli, struct slice to, struct slice *target);
