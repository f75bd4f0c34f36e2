/* command: a program that takes a letter on its standard input, with the environment that Postfix's local(8) gives: HOME, USER, LOGNAME,
 * SHELL, PATH, SENDER, RECIPIENT, ORIGINAL_RECIPIENT, LOCAL, EXTENSION, DOMAIN, and TZ if there is one; nothing else is inherited. In
 * what a stranger wrote all but a few characters become "_". */
#pragma once

#include <sys/types.h>

#include "local/job.h"

struct command_user {
	struct slice name, home, shell;
	uid_t uid;
	gid_t gid;
	bool forward_ignored;
};

/* The variables as "NAME=value", with a NULL behind them. Pure. */
char **command_environment(struct arena *arena, const struct command_user *user, const struct local_job *job, const char *zone);
/* Becomes `/bin/sh -c command`, in the user's home. Comes back if that failed. */
void command_run(struct arena *arena, const struct command_user *user, const struct local_job *job, struct slice command,
		 struct slice letter);
