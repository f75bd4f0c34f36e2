/* deleted: messages that were expunged and mailboxes that were deleted, kept for some days (store_options.keep_deleted) so that they can
 * be brought back. They count for no quota and no protocol sees them; their bodies stay where they are, held by one reference. What is
 * brought back comes as a new message: under a new uid, since clients know that the old one is gone.
 */
#pragma once

#include "store/store.h"

struct deleted_message {
	int64_t mailbox;
	struct slice mailbox_name; /* empty: its mailbox is gone for good */
	bool mailbox_is_deleted;
	uint32_t uid, size;
	int64_t email, received_ms, deleted_ms;
	struct slice subject, envelope;
};
/* The newest `max`, of all mailboxes. */
MUST_CHECK enum status deleted_messages(struct store *store, struct arena *arena, int64_t account, size_t max,
					struct deleted_message **messages, size_t *count);

struct deleted_mailbox {
	int64_t id, deleted_ms;
	struct slice name;
	uint64_t messages; /* that can be brought back */
};
MUST_CHECK enum status deleted_mailboxes(struct store *store, struct arena *arena, int64_t account,
					 struct deleted_mailbox **mailboxes, size_t *count);

struct undelete_request {
	int64_t account, mailbox;
	const uint32_t *uids; /* as they were */
	size_t uid_count;     /* 0: all of the mailbox that were deleted since `since_ms` */
	int64_t since_ms;
	struct slice into; /* a mailbox's name, made if missing */
};
/* All or none. LIMIT: over quota. NOT_FOUND: there is nothing of that. \Deleted is taken off. */
MUST_CHECK enum status undelete_messages(struct store *store, const struct undelete_request *request, size_t *count);
/* The mailbox that was deleted last under that name, with the messages that it had then; under its name again, or another. */
MUST_CHECK enum status undelete_mailbox(struct store *store, int64_t account, struct slice name, struct slice new_name,
					size_t *count);

/* Clean-up: of accounts that have a quota no more is kept than what the quota allows once more, or who fills and empties a mailbox could take
 * all the room there is. */
struct deleted_excess {
	int64_t account;
	uint64_t bytes; /* that are too much */
};
MUST_CHECK enum status deleted_excesses(struct store *store, struct arena *arena, struct deleted_excess **excesses, size_t *count);
/* Forgets the oldest, at most `max`, and takes what they had from excess->bytes. *removed 0: there are none left. */
MUST_CHECK enum status deleted_bound(struct store *store, struct deleted_excess *excess, size_t max, size_t *removed);
/* Clean-up: forgets at most `max` that were deleted before `before_ms`. */
MUST_CHECK enum status deleted_purge(struct store *store, int64_t before_ms, size_t max, size_t *removed);
