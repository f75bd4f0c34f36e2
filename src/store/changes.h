/* changes: the change log. A row says that a run of uids of a mailbox (or the mailbox itself) changed at a modseq. It holds no
 * contents: who reads it looks at the rows as they are now. Private to store/.
 */
#pragma once

#include "store/db.h"

enum change_kind {
	CHANGE_MESSAGES = 1, /* new, or flags changed */
	CHANGE_EXPUNGED = 2,
	CHANGE_MAILBOX = 3, /* made, renamed, its counters aside; uids 0 */
	CHANGE_MAILBOX_GONE = 4,
	CHANGE_SUBSCRIPTION = 5, /* of mailbox 0: some name was subscribed to, or no longer is */
};

/* Gathers uids, in ascending order, into runs. */
struct change_run {
	int64_t account, mailbox;
	uint64_t modseq;
	enum change_kind kind;
	uint32_t first, last; /* 0: none yet */
};
void change_run_add(struct db *db, struct change_run *run, uint32_t uid);
void change_run_end(struct db *db, struct change_run *run);
/* The mailbox itself. */
void change_note_mailbox(struct db *db, int64_t account, uint64_t modseq, int64_t mailbox, enum change_kind kind);
