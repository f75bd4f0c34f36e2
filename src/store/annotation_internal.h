/* annotation_internal: annotations inside a work, as mailboxes and accounts come and go. Private to store/. */
#pragma once

#include "store/db.h"

/* RFC 5464 section 4.1: INBOX keeps its own when it is renamed, and the new mailbox has them too. */
void annotation_copy(struct db *db, int64_t account, int64_t from, int64_t to);
void annotation_forget_mailbox(struct db *db, int64_t account, int64_t mailbox);
/* With those that it has on others' mailboxes. */
void annotation_forget_account(struct db *db, int64_t account);
