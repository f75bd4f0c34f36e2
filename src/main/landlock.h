/* landlock: the file and port half of the sandbox (Linux 5.13 and later; ports 6.7). */
#pragma once

#include "main/sandbox.h"

enum landlock_outcome { LANDLOCK_DONE, LANDLOCK_ABSENT, LANDLOCK_FAILED };
/* Is there Landlock in this kernel? */
bool landlock_is_known(void);
/* Needs no_new_privs. */
MUST_CHECK enum landlock_outcome landlock_enter(const struct sandbox *sandbox);
