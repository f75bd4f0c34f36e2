/* deposit: a letter into a Maildir or an mbox file, with the powers that the process has. It is on disk, name and all, before the outcome
 * says DELIVERED; trouble that passes (disk full, a lock that is held, no home folder) is DEFERRED; what is no mailbox, or somebody else's,
 * is DEFERRED too, since people put it right and nothing is lost meanwhile.
 *
 * Maildir: made if it isn't there; tmp/, fsync, link into new/ under a name that the same recipient's row in the queue always gives: what a
 * crash makes come twice is there once.
 * mbox: no symbolic link, one name only, owned by the user; locked by fcntl, then by FILE.lock (Debian policy section 11.6); cut back to
 * what it was when it can't be written whole. /dev/null takes everything.
 */
#pragma once

#include "local/local.h"

struct deposit {
	struct arena *arena;
	struct slice path;     /* a Maildir's ends with '/' */
	struct slice name;     /* of the file in a Maildir */
	struct slice letter;
	bool for_group;        /* the folder of an mbox belongs to a group that its files are shared with: mode 0660 */
	int lock_wait_ms;
};
void deposit_maildir(const struct deposit *deposit, struct local_outcome *outcome);
void deposit_mbox(const struct deposit *deposit, struct local_outcome *outcome);
/* DEFERRED, with `enhanced` a literal and what errno says. */
void deposit_failed(struct arena *arena, const char *what, struct slice path, struct local_outcome *outcome);
