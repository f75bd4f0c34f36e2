/* rights_internal: rights inside a work, as mailboxes, accounts and domains come and go. Private to store/. */
#pragma once

#include "store/db.h"

/* RFC 4314 section 4: a new mailbox has the list of the one above it; from MAILBOX_ROOT_ID at the top. */
void rights_inherit(struct db *db, int64_t account, int64_t from, int64_t to);
/* With what others have seen in it. */
void rights_forget_mailbox(struct db *db, int64_t account, int64_t mailbox);
/* Also those that it has on others' mailboxes, so that who gets the address later doesn't inherit them. */
void rights_forget_account(struct db *db, int64_t account, struct slice address);
void rights_forget_domain(struct db *db, struct slice domain);
