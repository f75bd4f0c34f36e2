/* roles: the table of the plan: what each role is for, what it may do, whom it may ask and what it hears. The supervisor, the
 * sandbox and the tests read this one table. */
#pragma once

#include <stdint.h>

#include "ipc/ipc.h"

struct role_setup;

/* What is left to a role after it has entered its sandbox. */
enum {
	POWER_ACCEPT = 1 << 0,  /* take connections from the listeners it was given */
	POWER_CONNECT = 1 << 1, /* open connections and ask the DNS */
	POWER_STORE = 1 << 2,   /* the folder of the store (or the connection to PostgreSQL) */
	POWER_AUTH = 1 << 3,    /* the folder of the credentials */
	POWER_PROGRAMS = 1 << 5, /* start programs that see the system's files and no socket (main/programs.h) */
	POWER_USERS = 1 << 4,   /* become any Unix user; no sandbox but main/confine.h */
};

struct role_definition {
	enum role role;
	const char *purpose;
	unsigned powers;
	unsigned may_ask;       /* bits 1 << enum role */
	const char *hears;      /* announcements, separated by a space */
	const char *listeners;  /* protocols of the listeners it serves, separated by a space */
	int (*run)(struct role_setup *setup);
};

/* NULL for the supervisor. */
const struct role_definition *role_definition(enum role role);
/* Is `word` one of the space-separated `words`? */
bool role_words_have(const char *words, struct slice word);
