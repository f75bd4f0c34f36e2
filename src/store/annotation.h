/* annotation: what clients note about mailboxes, and about the server for themselves (RFC 5464). An annotation is an entry, a path in lower
 * case ("/shared/comment"), and a value of bytes. Those below /private are each viewer's own, on whosever mailbox; those below /shared are
 * the mailbox's. Who may see or change them is the caller's to ask (rights.h). They go with their mailbox, and follow it when it is
 * renamed.
 *
 * Changes are numbered, server-wide, so that sessions can ask what is new.
 */
#pragma once

#include "store/store.h"

/* In place of a mailbox: what an account has noted about the server. */
#define ANNOTATION_SERVER 0

#define ANNOTATION_ENTRY_MAX   500                         /* bytes of an entry's path */
#define ANNOTATION_VALUE_MAX   ((size_t)64 * 1024)         /* bytes of a value */
#define ANNOTATION_COUNT_MAX   100                         /* on a mailbox: shared ones, and each viewer's own */
#define ANNOTATION_TOTAL_BYTES ((int64_t)16 * 1024 * 1024) /* of an account's shared ones, and of each viewer's own */

struct annotation {
	struct slice entry;
	struct slice value; /* data NULL: none */
};
/* Is it below /private (else /shared)? */
bool annotation_is_private(struct slice entry);

/* The shared ones and the viewer's own, by entry. */
MUST_CHECK enum status annotation_list(struct store *store, struct arena *arena, int64_t account, int64_t mailbox,
				       int64_t viewer, struct annotation **annotations, size_t *count);
/* Sets and removes, all or none. *number: that of the change. LIMIT: too many, or too much. */
MUST_CHECK enum status annotation_set(struct store *store, int64_t account, int64_t mailbox, int64_t viewer,
				      const struct annotation *annotations, size_t count, int64_t *number);

struct annotation_change {
	int64_t account, mailbox, number;
	struct slice address; /* the account's */
	bool is_shared;       /* nobody's own: directory.h */
	struct slice name;    /* the mailbox's; empty: the server's */
	struct slice entry;
};
/* The number of the latest change. */
MUST_CHECK enum status annotation_latest(struct store *store, int64_t *number);
/* What changed after a number: the viewer's own and shared ones, of everybody's mailboxes; by number, at most `max`. */
MUST_CHECK enum status annotation_changes(struct store *store, struct arena *arena, int64_t viewer, int64_t after, size_t max,
					  struct annotation_change **changes, size_t *count);
