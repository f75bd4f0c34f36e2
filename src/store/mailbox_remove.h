/* mailbox_remove: messages out of a mailbox whatever their flags, as POP3's UPDATE state wants it (RFC 1939 section 6). */
#pragma once

#include "store/mailbox.h"

/* All of `uids` (ascending; those that are gone already are passed over): up to 5,000 in one transaction, more in parts, of which the first
 * have been done when a later one fails. *removed: how many there were. */
MUST_CHECK enum status mailbox_remove(struct store *store, int64_t account, int64_t id, const uint32_t *uids, size_t uid_count,
				      size_t *removed);
