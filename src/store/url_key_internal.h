/* url_key_internal: the keys of URLs inside a work, as mailboxes and accounts go. Private to store/. */
#pragma once

#include "store/db.h"

void url_key_forget_mailbox(struct db *db, int64_t account, int64_t mailbox);
/* With those that it has for others' mailboxes. */
void url_key_forget_account(struct db *db, int64_t account);
