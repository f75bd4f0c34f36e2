/* verdict: what a command's end means (sysexits.h), as Postfix's local(8) and pipe(8) have it. Pure. */
#pragma once

#include "local/local.h"

/* `status` as of waitpid; `output`: what the command wrote, whose first line tells why. Exit 0: delivered. 75 (EX_TEMPFAIL) and 71
 * (EX_OSERR), 126 and 127 (it could not be run: a file system that isn't there, a program being installed) and death by a signal: try
 * again. Every other status fails. */
void local_verdict(struct arena *arena, int status, struct slice output, struct local_outcome *outcome);
