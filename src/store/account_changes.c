/* What is new in an account, for who watches all of it (IMAP's NOTIFY): the change log, a row for each mailbox. */
#include "store/store_internal.h"

static bool read_account(struct db *db, int64_t account, uint64_t since, struct account_changes *changes)
{
	struct db_query query = db_query(db, "SELECT modseq, log_modseq FROM account WHERE id = $1");

	db_bind_i64(&query, account);
	bool found = db_row(&query);

	if (found) {
		changes->modseq = (uint64_t)db_i64(&query, 0);
		changes->too_old = (uint64_t)db_i64(&query, 1) > since;
	}
	db_done(&query);
	return found;
}

static void note(struct account_change *change, enum change_kind kind, uint32_t first_uid)
{
	switch (kind) {
	case CHANGE_MESSAGES:
		change->messages = true;
		change->first_uid = first_uid;
		break;
	case CHANGE_EXPUNGED:
		change->expunged = true;
		break;
	case CHANGE_MAILBOX:
	case CHANGE_MAILBOX_GONE:
		change->itself = true;
		break;
	case CHANGE_SUBSCRIPTION:
		break;
	}
}

static void read_rows(struct db *db, int64_t account, uint64_t since, struct list *list, bool *subscriptions)
{
	struct account_change *change = NULL;
	struct db_query query = db_query(db, "SELECT mailbox, kind, min(first_uid) FROM change WHERE account = $1"
					     " AND modseq > $2 GROUP BY mailbox, kind ORDER BY mailbox, kind");

	db_bind_i64(&query, account);
	db_bind_i64(&query, (int64_t)since);
	while (db_row(&query)) {
		int64_t mailbox = db_i64(&query, 0);
		enum change_kind kind = (enum change_kind)db_i64(&query, 1);

		*subscriptions |= kind == CHANGE_SUBSCRIPTION;
		if (mailbox == 0)
			continue;
		if (!change || change->mailbox != mailbox) {
			change = list_add(list);
			if (!change)
				break;
			*change = (struct account_change){.mailbox = mailbox};
		}
		note(change, kind, (uint32_t)db_i64(&query, 2));
	}
	db_done(&query);
}

enum status account_changes_since(struct store *store, struct arena *arena, int64_t account, uint64_t modseq,
				  struct account_changes *changes)
{
	struct db *db SCOPED_DB = db_acquire(store->pool);
	struct list list = LIST(arena, struct account_change);

	*changes = (struct account_changes){0};
	if (!db || db_begin(db, DB_READ) != STATUS_OK)
		return STATUS_TEMPORARY;
	if (!read_account(db, account, modseq, changes))
		return read_status(db, false);
	if (changes->modseq > modseq && !changes->too_old)
		read_rows(db, account, modseq, &list, &changes->subscriptions);
	changes->changes = list.items;
	changes->count = list.count;
	return list.failed ? STATUS_LIMIT : db_status(db);
}
