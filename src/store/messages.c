#include "store/messages.h"

#include "base/clock.h"

#define GAP_MAX 16 /* rows passed over are cheaper than another query, up to here */

static void take_entry(struct db_query *query, struct mailbox_entry *entry)
{
	entry->uid = (uint32_t)db_i64(query, 0);
	entry->flags = (uint64_t)db_i64(query, 1);
	entry->modseq = (uint64_t)db_i64(query, 2);
	entry->size = (uint32_t)db_i64(query, 3);
	entry->email = db_i64(query, 4);
	entry->received_ms = db_i64(query, 5);
}

/* `run` NULL: all in the range. */
static void read_range(struct db *db, int64_t account, int64_t mailbox, uint32_t first, uint32_t last, struct uid_run *run,
		       struct list *entries)
{
	struct mailbox_entry *entry;
	struct db_query query = db_query(db, "SELECT uid, flags, modseq, size, email, received_ms FROM mailbox_email"
					     " WHERE account = $1 AND mailbox = $2 AND uid >= $3 AND uid <= $4 ORDER BY uid");

	db_bind_i64(&query, account);
	db_bind_i64(&query, mailbox);
	db_bind_i64(&query, first);
	db_bind_i64(&query, last);
	while (db_row(&query)) {
		if (run && !uid_run_has(run, (uint32_t)db_i64(&query, 0)))
			continue;
		entry = list_add(entries);
		if (!entry)
			break;
		take_entry(&query, entry);
	}
	db_done(&query);
}

void messages_read(struct db *db, int64_t account, int64_t mailbox, const uint32_t *uids, size_t count, struct list *entries)
{
	struct uid_run run;

	if (!uids)
		read_range(db, account, mailbox, 1, UID_MAX, NULL, entries);
	while (uids && uid_run_next(&uids, &count, GAP_MAX, &run))
		read_range(db, account, mailbox, run.uids[0], run.uids[run.count - 1], &run, entries);
}

void messages_read_range(struct db *db, int64_t account, int64_t mailbox, uint32_t first, uint32_t last, struct list *entries)
{
	read_range(db, account, mailbox, first, last, NULL, entries);
}

static void delete_entry(struct db *db, const struct mailbox_row *mailbox, uint32_t uid)
{
	struct db_query query = db_query(db, "DELETE FROM mailbox_email WHERE account = $1 AND mailbox = $2 AND uid = $3");

	db_bind_i64(&query, mailbox->account);
	db_bind_i64(&query, mailbox->id);
	db_bind_i64(&query, uid);
	db_run(&query);
}

void messages_remove(struct db *db, struct account_row *account, struct mailbox_row *mailbox,
		     const struct mailbox_entry *entries, size_t count)
{
	bool keep = db_keeps_deleted(db);
	int64_t now_ms = clock_wall_ms();

	if (count == 0)
		return;
	struct change_run run = {account->id, mailbox->id, counters_modseq(db, account), CHANGE_EXPUNGED, 0, 0};

	for (size_t i = 0; i < count && db_status(db) == STATUS_OK; i++) {
		delete_entry(db, mailbox, entries[i].uid);
		if (keep)
			deleted_keep(db, mailbox, &entries[i], now_ms);
		else
			email_forget(db, account->id, entries[i].email);
		counters_remove(account, mailbox, entries[i].size, entries[i].flags, run.modseq);
		change_run_add(db, &run, entries[i].uid);
	}
	change_run_end(db, &run);
}

void messages_set_flags(struct db *db, struct account_row *account, struct mailbox_row *mailbox,
			const struct mailbox_entry *entry, uint64_t flags)
{
	struct change_run run = {account->id, mailbox->id, counters_modseq(db, account), CHANGE_MESSAGES, 0, 0};
	struct db_query query = db_query(db, "UPDATE mailbox_email SET flags = $4, modseq = $5"
					     " WHERE account = $1 AND mailbox = $2 AND uid = $3");

	db_bind_i64(&query, mailbox->account);
	db_bind_i64(&query, mailbox->id);
	db_bind_i64(&query, entry->uid);
	db_bind_i64(&query, (int64_t)flags);
	db_bind_i64(&query, (int64_t)run.modseq);
	db_run(&query);
	mailbox->highest_modseq = run.modseq;
	mailbox->unseen += !(flags & FLAG_SEEN) - !(entry->flags & FLAG_SEEN);
	mailbox->deleted += !!(flags & FLAG_DELETED) - !!(entry->flags & FLAG_DELETED);
	change_run_add(db, &run, entry->uid);
	change_run_end(db, &run);
}

static void refer_once_more(struct db *db, int64_t account, int64_t email)
{
	struct db_query query = db_query(db, "UPDATE email SET copies = copies + 1 WHERE account = $1 AND id = $2");

	db_bind_i64(&query, account);
	db_bind_i64(&query, email);
	db_run(&query);
}

static uint64_t total_size(const struct mailbox_entry *entries, size_t count)
{
	uint64_t total = 0;

	for (size_t i = 0; i < count; i++)
		total += entries[i].size;
	return total;
}

static enum status copy_entry(struct db *db, struct account_row *account, struct mailbox_row *to,
			      const struct mailbox_entry *entry, struct change_run *added, uint32_t *uid)
{
	struct place_request place = {
		.email = entry->email,
		.size = entry->size,
		.flags = entry->flags,
		.received_ms = entry->received_ms,
		.modseq = added->modseq,
	};
	enum status status = mailbox_place(db, account, to, &place, uid);

	if (status == STATUS_OK)
		change_run_add(db, added, *uid);
	return status;
}

enum status messages_copy(struct db *db, struct account_row *account, struct mailbox_row *from, struct mailbox_row *to,
			  const struct mailbox_entry *entries, size_t count, bool move, uint32_t *target_uids)
{
	if (count == 0)
		return STATUS_OK;
	enum status status = move ? STATUS_OK : counters_check_quota(account, count, total_size(entries, count));

	if (status != STATUS_OK)
		return status;
	uint64_t modseq = counters_modseq(db, account);
	struct change_run added = {account->id, to->id, modseq, CHANGE_MESSAGES, 0, 0};
	struct change_run removed = {account->id, from->id, modseq, CHANGE_EXPUNGED, 0, 0};

	for (size_t i = 0; i < count && status == STATUS_OK; i++) {
		status = copy_entry(db, account, to, &entries[i], &added, &target_uids[i]);
		if (!move) {
			refer_once_more(db, account->id, entries[i].email);
			continue;
		}
		delete_entry(db, from, entries[i].uid);
		counters_remove(account, from, entries[i].size, entries[i].flags, modseq);
		change_run_add(db, &removed, entries[i].uid);
	}
	change_run_end(db, &added);
	change_run_end(db, &removed);
	return status != STATUS_OK ? status : db_status(db);
}
