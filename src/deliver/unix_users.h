/* unix_users: addresses of local.domains that are neither accounts nor aliases: the local role is asked whether there is such a Unix user. */
#pragma once

#include "ipc/ipc.h"
#include "local/local.h"
#include "store/directory.h"

struct unix_users {
	struct ipc *ipc;
	struct local_domains domains; /* none: nothing is ever asked */
};

/* *entry is what the directory says, and becomes an alias for the user's hop (store/routing.h), before a catch-all; in such a domain nothing
 * is somebody else's. */
MUST_CHECK enum status unix_users_look_up(const struct unix_users *users, struct arena *arena, struct slice address,
					  struct directory_entry *entry);
