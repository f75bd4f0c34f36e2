/* seen: which messages of a mailbox somebody has seen who isn't its owner: for each such viewer a set of uids, kept as runs. \Seen of a
 * message's flags is the owner's own; all other flags are everybody's. A change raises the message's modseq, so that the viewer's other
 * sessions hear of it as of any change of flags. Uids of messages that are gone may stand in a set: they are never given out again.
 *
 * Private to store/.
 */
#pragma once

#include "store/db.h"
#include "store/mailbox.h"

struct seen_set {
	struct uid_range *ranges; /* ascending, neither overlapping nor touching */
	size_t count;
};

bool seen_has(const struct seen_set *set, uint32_t uid);
/* The flags as the viewer has them. */
static inline uint64_t seen_flags(const struct seen_set *set, uint32_t uid, uint64_t flags)
{
	return (flags & ~(uint64_t)FLAG_SEEN) | (seen_has(set, uid) ? FLAG_SEEN : 0);
}
/* Takes the uids (ascending) in or out. */
void seen_change(struct arena *arena, struct seen_set *set, const uint32_t *uids, size_t count, bool seen);

/* viewer 0: the owner, of whom there is no set. */
void seen_read(struct db *db, struct arena *arena, int64_t account, int64_t mailbox, int64_t viewer, struct seen_set *set);
void seen_write(struct db *db, int64_t account, int64_t mailbox, int64_t viewer, const struct seen_set *set);
/* Both at once, inside a work. */
void seen_note(struct db *db, int64_t account, int64_t mailbox, int64_t viewer, const uint32_t *uids, size_t count, bool seen);

/* Outside of a work. */
MUST_CHECK enum status seen_load(struct store *store, struct arena *arena, int64_t account, int64_t mailbox, int64_t viewer,
				 struct seen_set *set);
