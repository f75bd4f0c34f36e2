/* mailbox: mailboxes and what lies in them, IMAP's view. UIDs only grow; a UID is never given to another message, whatever
 * crashes. Every change of an account raises its modseq (one for a whole transaction) and is in its change log. */
#pragma once

#include "store/store.h"

/* So many an account may have, mere levels too. */
#define ACCOUNT_MAILBOXES_MAX 100000

/* Flags: one 64-bit word. The first bits are fixed; the rest are the account's own keywords (keyword_*). */
enum {
	FLAG_SEEN = 1 << 0,
	FLAG_ANSWERED = 1 << 1,
	FLAG_FLAGGED = 1 << 2,
	FLAG_DRAFT = 1 << 3,
	FLAG_DELETED = 1 << 4,
	FLAG_KEYWORD_FIRST = 5, /* the first bit that is a keyword's */
	FLAG_KEYWORD_LAST = 62,
};

struct mailbox {
	int64_t id;
	struct slice name; /* UTF-8, "/" between levels; INBOX in capitals */
	struct slice role; /* "inbox", "drafts", "sent", "junk", "trash", "archive", or empty */
	uint32_t uid_validity, uid_next;
	uint64_t highest_modseq;
	uint32_t messages, unseen, deleted;
	uint64_t size_bytes;
	uint32_t recent_uid; /* messages from this uid on have been told to no session (RFC 3501 section 2.3.2) */
	bool subscribed;
	bool selectable;         /* false: only a level of the hierarchy */
	struct slice mailbox_id; /* RFC 8474 */
};

MUST_CHECK enum status mailbox_list(struct store *store, struct arena *arena, int64_t account, struct mailbox **mailboxes,
				    size_t *count);
/* Those whose names begin so: as quick as there are few of them. */
MUST_CHECK enum status mailbox_list_prefix(struct store *store, struct arena *arena, int64_t account, struct slice prefix,
					   struct mailbox **mailboxes, size_t *count);
MUST_CHECK enum status mailbox_find(struct store *store, struct arena *arena, int64_t account, struct slice name,
				    struct mailbox *mailbox);
MUST_CHECK enum status mailbox_get(struct store *store, struct arena *arena, int64_t account, int64_t id,
				   struct mailbox *mailbox);
/* The size of the messages with \Deleted: they are looked for. */
MUST_CHECK enum status mailbox_deleted_bytes(struct store *store, int64_t account, int64_t id, uint64_t *bytes);
/* How many messages have at least that uid. */
MUST_CHECK enum status mailbox_count_from(struct store *store, int64_t account, int64_t id, uint32_t uid, uint64_t *count);
/* Whoever isn't the mailbox's owner has \Seen of his own (store/seen.h): *mailbox counts as `viewer` does. */
MUST_CHECK enum status mailbox_unseen_by(struct store *store, int64_t account, struct mailbox *mailbox, int64_t viewer);
/* Makes missing levels above too (RFC 9051 section 6.3.4). `role` may be empty; REFUSED if another mailbox has it. */
MUST_CHECK enum status mailbox_create(struct store *store, int64_t account, struct slice name, struct slice role, int64_t *id);
/* With its messages. A mailbox that has children becomes unselectable instead (RFC 9051 section 6.3.5). INBOX: REFUSED. */
MUST_CHECK enum status mailbox_delete(struct store *store, int64_t account, int64_t id);
/* With its children; INBOX: its messages move into the new mailbox (RFC 9051 section 6.3.6). */
MUST_CHECK enum status mailbox_rename(struct store *store, int64_t account, int64_t id, struct slice new_name);
MUST_CHECK enum status mailbox_subscribe(struct store *store, int64_t account, struct slice name, bool subscribed);
/* Names subscribed to, existing or not (RFC 9051 section 6.3.7), that begin so. */
MUST_CHECK enum status mailbox_subscriptions(struct store *store, struct arena *arena, int64_t account, struct slice prefix,
					     struct slice **names, size_t *count);

/* Keywords of an account: name to bit and back. With `create`, a new one is given the next bit; LIMIT when there is none. */
MUST_CHECK enum status keyword_find(struct store *store, int64_t account, struct slice name, bool create, unsigned *bit);
/* names[bit]; empty where there is none. */
struct keyword_table {
	struct slice names[64];
};
MUST_CHECK enum status keyword_list(struct store *store, struct arena *arena, int64_t account, struct keyword_table *table);

/* A message in a mailbox, without its texts. */
struct mailbox_entry {
	uint32_t uid;
	uint32_t size;
	uint64_t flags;
	uint64_t modseq;
	int64_t email;
	int64_t received_ms;
};
/* All entries by uid, from one snapshot, and the mailbox's state in the same snapshot. For the in-memory view. malloc'd: the
 * caller frees. */
MUST_CHECK enum status mailbox_load(struct store *store, struct arena *arena, int64_t account, int64_t id,
				    struct mailbox *mailbox, struct mailbox_entry **entries, size_t *count);
/* What changed after `modseq`, from the change log, and the mailbox's state in the same snapshot: entries new or changed, by uid,
 * and uids expunged. Cheap when nothing changed. */
struct mailbox_changes {
	struct mailbox mailbox;
	struct mailbox_entry *changed;
	size_t changed_count;
	uint32_t *expunged;
	size_t expunged_count;
	bool too_old; /* the log doesn't reach back so far: load anew */
};
MUST_CHECK enum status mailbox_changes_since(struct store *store, struct arena *arena, int64_t account, int64_t id,
					     uint64_t modseq, struct mailbox_changes *changes);
/* The runs of uids that were expunged after `modseq`, ascending and disjoint. *too_old: the log doesn't reach back so far, and none are
 * told. */
struct uid_range {
	uint32_t first, last;
};
MUST_CHECK enum status mailbox_expunged_since(struct store *store, struct arena *arena, int64_t account, int64_t id,
					      uint64_t modseq, struct uid_range **ranges, size_t *count, bool *too_old);
/* What changed in a whole account after `modseq`: a row for each mailbox, ascending, and whether the subscriptions did. */
struct account_change {
	int64_t mailbox;
	bool messages, expunged; /* new ones or flags; expunged ones */
	bool itself;             /* made, renamed, gone */
	uint32_t first_uid;      /* of `messages` the lowest */
};
struct account_changes {
	uint64_t modseq; /* the account's now: where to go on from */
	struct account_change *changes;
	size_t count;
	bool subscriptions;
	bool too_old; /* the log doesn't reach back so far: look at everything */
};
MUST_CHECK enum status account_changes_since(struct store *store, struct arena *arena, int64_t account, uint64_t modseq,
					     struct account_changes *changes);
/* One quick question: the highest modseq of the mailbox (0 with NOT_FOUND if it is gone). */
MUST_CHECK enum status mailbox_highest_modseq(struct store *store, int64_t account, int64_t id, uint64_t *modseq);

enum flag_change { FLAGS_ADD, FLAGS_REMOVE, FLAGS_REPLACE };
struct flag_request {
	const uint32_t *uids; /* ascending; unknown ones are passed over */
	size_t uid_count;
	enum flag_change change;
	uint64_t flags;
	uint64_t unchanged_since; /* RFC 7162 section 3.1.3; UINT64_MAX: no matter */
	uint64_t kept;            /* flags that stay as they are, whatever is asked for */
	int64_t seen_by;          /* whose \Seen is meant, if not the owner's; 0: the owner's */
};
/* *modified (may be NULL): uids left alone because of unchanged_since. *modseq: the new one, or 0 if nothing changed. */
MUST_CHECK enum status mailbox_change_flags(struct store *store, struct arena *arena, int64_t account, int64_t id,
					    const struct flag_request *request, uint32_t **modified, size_t *modified_count,
					    uint64_t *modseq);
/* Removes messages with \Deleted; `uids` NULL: all of them, else only these. *expunged ascending. Bodies that nothing refers
 * to any more go too. */
MUST_CHECK enum status mailbox_expunge(struct store *store, struct arena *arena, int64_t account, int64_t id,
				       const uint32_t *uids, size_t uid_count, uint32_t **expunged, size_t *expunged_count);
/* Which have \Deleted, ascending: for who expunges in parts. */
MUST_CHECK enum status mailbox_deleted_uids(struct store *store, struct arena *arena, int64_t account, int64_t id,
					    uint32_t **uids, size_t *count);
/* The same between accounts, or by somebody who isn't the owner. */
struct copy_request {
	int64_t from_account, from, to_account, to;
	const uint32_t *uids;
	size_t uid_count;
	bool move;
	uint64_t allowed;                 /* flags that the copies may have */
	int64_t from_seen_by, to_seen_by; /* whose \Seen counts at either place; 0: the owner's */
	const unsigned *bits;             /* of keywords there, by the bit here; 0: none. NULL: the same account */
};
struct copy_result {
	uint32_t *source, *target;
	size_t count;
	uint32_t uid_validity;
};
MUST_CHECK enum status mailbox_copy_between(struct store *store, struct arena *arena, const struct copy_request *request,
					    struct copy_result *result);
/* COPY and MOVE (RFC 9051 section 6.4.7, 6.4.8), whole or not at all. For UIDPLUS: *source and *target are parallel. LIMIT: over quota. */
MUST_CHECK enum status mailbox_copy(struct store *store, struct arena *arena, int64_t account, int64_t from, int64_t to,
				    const uint32_t *uids, size_t uid_count, bool move, uint32_t **source, uint32_t **target,
				    size_t *count, uint32_t *uid_validity);
