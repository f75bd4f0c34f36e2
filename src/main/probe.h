/* probe: `posthorn probe ROLE`: enters the sandbox exactly as that role does and tries what it should not be able to do; one line per
 * attempt, `name=allowed` or `name=refused`. For the tests and for administrators who want to see it. */
#pragma once

#include "config/config.h"
#include "ipc/ipc.h"

int probe_run(enum role role, const char *config_path);
