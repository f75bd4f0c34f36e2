/* messages: rows of mailbox_email inside a work: read some, remove some, move some. Private to store/. */
#pragma once

#include "store/store_internal.h"

/* A work on many messages reads them so many at a time; one that may be done in parts is a transaction for each, so that nobody
 * waits for long. */
#define MESSAGES_AT_ONCE 5000

/* Reads the entries with those uids (NULL: all), by uid, into a list of struct mailbox_entry. */
void messages_read(struct db *db, int64_t account, int64_t mailbox, const uint32_t *uids, size_t count, struct list *entries);
/* The first `max` of those behind `after`. */
void messages_read_some(struct db *db, int64_t account, int64_t mailbox, uint32_t after, size_t max, struct list *entries);
/* All from `first` to `last`. */
void messages_read_range(struct db *db, int64_t account, int64_t mailbox, uint32_t first, uint32_t last, struct list *entries);
/* Takes them out of the mailbox and lets go of their emails, or keeps them for those who want them back (deleted.h). */
void messages_remove(struct db *db, struct account_row *account, struct mailbox_row *mailbox,
		     const struct mailbox_entry *entries, size_t count);
/* One message's flags; the change is noted. */
void messages_set_flags(struct db *db, struct account_row *account, struct mailbox_row *mailbox,
			const struct mailbox_entry *entry, uint64_t flags);
/* Copies or moves (also within one mailbox: to its end); target_uids has room for `count`. `flags`: the copies'; NULL: as they are.
 * LIMIT: quota, or out of uids. */
enum status messages_copy(struct db *db, struct account_row *account, struct mailbox_row *from, struct mailbox_row *to,
			  const struct mailbox_entry *entries, const uint64_t *flags, size_t count, bool move,
			  uint32_t *target_uids);
/* Likewise into another account: the messages are doubled. */
enum status messages_copy_across(struct db *db, struct account_row *from_account, struct mailbox_row *from,
				 struct account_row *to_account, struct mailbox_row *to, const struct mailbox_entry *entries,
				 const uint64_t *flags, size_t count, bool move, uint32_t *target_uids);

/* deleted.c: a message that was taken out is kept; a mailbox that is going to be deleted. */
void deleted_keep(struct db *db, const struct mailbox_row *mailbox, const struct mailbox_entry *entry, int64_t now_ms);
/* Since `now_ms`, or since the beginning of the deletion if it was done in parts. */
void deleted_keep_mailbox(struct db *db, int64_t account, int64_t id, int64_t now_ms);
/* import.c: what was brought into it is forgotten with it. */
void import_forget_mailbox(struct db *db, int64_t account, int64_t mailbox);
