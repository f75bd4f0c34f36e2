#include "store/mailbox_remove.h"

#include "store/messages.h"

struct remove_work {
	int64_t account, mailbox;
	const uint32_t *uids;
	size_t uid_count, removed;
};

static enum status remove_messages(struct db *db, void *context)
{
	struct remove_work *work = context;
	struct arena arena SCOPED_ARENA;
	struct list entries = LIST(&arena, struct mailbox_entry);
	struct account_row *account = counters_account(db, work->account);
	struct mailbox_row *mailbox = account ? counters_mailbox(db, work->account, work->mailbox) : NULL;

	arena_init(&arena, 0);
	if (!mailbox)
		return counters_missing(db);
	messages_read(db, work->account, work->mailbox, work->uids, work->uid_count, &entries);
	if (entries.failed)
		return STATUS_LIMIT;
	messages_remove(db, account, mailbox, entries.items, entries.count);
	work->removed = entries.count;
	return db_status(db);
}

enum status mailbox_remove(struct store *store, int64_t account, int64_t id, const uint32_t *uids, size_t uid_count,
			   size_t *removed)
{
	enum status status = STATUS_OK;

	*removed = 0;
	while (uid_count > 0 && status == STATUS_OK) {
		struct remove_work work = {.account = account, .mailbox = id, .uids = uids, .uid_count = uid_count};

		if (work.uid_count > MESSAGES_AT_ONCE)
			work.uid_count = MESSAGES_AT_ONCE;
		status = db_write(store->pool, remove_messages, &work);
		if (status == STATUS_OK)
			*removed += work.removed;
		uids += work.uid_count;
		uid_count -= work.uid_count;
	}
	return status;
}
