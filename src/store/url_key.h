/* url_key: the keys that URLs of messages are authorised with (RFC 4467 section 2.2): one for each mailbox that an account reads, its own
 * or another's. They are made at need, and go with the mailbox or with either account. */
#pragma once

#include "store/store.h"

#define URL_KEY_BYTES 32

/* NOT_FOUND: none has been made. */
MUST_CHECK enum status url_key_find(struct store *store, int64_t viewer, int64_t account, int64_t mailbox,
				    unsigned char key[URL_KEY_BYTES]);
/* Makes it if there is none. NOT_FOUND: the mailbox isn't there. */
MUST_CHECK enum status url_key_make(struct store *store, int64_t viewer, int64_t account, int64_t mailbox,
				    unsigned char key[URL_KEY_BYTES]);
/* Another in its place; so what the old one authorised is void. *reset_ms: when, which is later than what was there. */
MUST_CHECK enum status url_key_reset(struct store *store, int64_t viewer, int64_t account, int64_t mailbox, int64_t *reset_ms);
/* All of the viewer's are gone. *accounts: whose mailboxes they were for. */
MUST_CHECK enum status url_key_reset_all(struct store *store, struct arena *arena, int64_t viewer, int64_t **accounts,
					 size_t *count);

/* How often the two above have worked in this process: who has seen the number needs to ask no more until it is another, or until another
 * process has announced something. */
uint64_t url_key_resets(struct store *store);
/* Has anybody any? As of a second ago; where nobody has, sessions need not look for news of them at each announcement. */
bool url_keys_exist(struct store *store);
/* When the key was reset last; 0: never. */
MUST_CHECK enum status url_key_reset_time(struct store *store, int64_t viewer, int64_t account, int64_t mailbox,
					  int64_t *reset_ms);
