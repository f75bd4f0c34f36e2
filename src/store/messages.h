/* messages: rows of mailbox_email inside a work: read some, remove some, move some. Private to store/. */
#pragma once

#include "store/store_internal.h"

/* Reads the entries with those uids (NULL: all), by uid, into a list of struct mailbox_entry. */
void messages_read(struct db *db, int64_t account, int64_t mailbox, const uint32_t *uids, size_t count, struct list *entries);
/* Takes them out of the mailbox and lets go of their emails. */
void messages_remove(struct db *db, struct account_row *account, struct mailbox_row *mailbox,
		     const struct mailbox_entry *entries, size_t count);
/* Copies or moves; target_uids has room for `count`. LIMIT: quota, or out of uids. */
enum status messages_copy(struct db *db, struct account_row *account, struct mailbox_row *from, struct mailbox_row *to,
			  const struct mailbox_entry *entries, size_t count, bool move, uint32_t *target_uids);
