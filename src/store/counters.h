/* counters: the rows of accounts and mailboxes that every write raises: next numbers, modseq, counts, sizes. A group commit loads
 * each once and writes it back once, before it commits; works change the copies here. A work that reads these columns by SQL of its
 * own calls counters_flush first, one that removes rows counters_drop.
 *
 * Private to store/. Only inside a db_work. Pointers are valid until the work ends or counters_drop is called.
 */
#pragma once

#include "store/db.h"
#include "store/mailbox.h"

#define QUEUE_ACCOUNT    0 /* owns the numbers of the queue's rows and bodies */
#define MAILBOX_INBOX_ID 1 /* of every account */

struct account_row {
	int64_t id;
	struct slice address;
	uint64_t quota_bytes, quota_messages, used_bytes, used_messages;
	int64_t next_email, next_mailbox, next_uid_validity;
	uint64_t modseq;
};

struct mailbox_row {
	int64_t account, id;
	uint32_t uid_validity, uid_next;
	uint64_t highest_modseq;
	uint32_t messages, unseen, deleted;
	uint64_t size_bytes;
	bool selectable;
};

extern const struct db_write_cache counters_cache;

/* NULL: not there, or trouble (db_status tells). Whoever asks for a row may change it. */
struct account_row *counters_account(struct db *db, int64_t account);
struct mailbox_row *counters_mailbox(struct db *db, int64_t account, int64_t mailbox);
/* STATUS_NOT_FOUND, or the connection's trouble: for those who got NULL. */
enum status counters_missing(const struct db *db);

/* The modseq of this work in this account: the account's, raised once. */
uint64_t counters_modseq(struct db *db, struct account_row *account);
/* Counts a message in or out, in the mailbox and the account, and marks the mailbox as changed at `modseq`. */
void counters_add(struct account_row *account, struct mailbox_row *mailbox, uint64_t size, uint64_t flags, uint64_t modseq);
void counters_remove(struct account_row *account, struct mailbox_row *mailbox, uint64_t size, uint64_t flags, uint64_t modseq);
/* May the account take so much more? STATUS_LIMIT. */
enum status counters_check_quota(const struct account_row *account, uint64_t messages, uint64_t bytes);
/* Takes `count` numbers; the first, as an id. */
int64_t counters_take_ids(struct account_row *account, int64_t count);

/* Writes back. */
void counters_flush(struct db *db);
/* Writes back and forgets: rows are going to be removed or changed by SQL. */
void counters_drop(struct db *db);
