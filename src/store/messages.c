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

void messages_read_some(struct db *db, int64_t account, int64_t mailbox, uint32_t after, size_t max, struct list *entries)
{
	struct mailbox_entry *entry;
	struct db_query query = db_query(db, "SELECT uid, flags, modseq, size, email, received_ms FROM mailbox_email"
					     " WHERE account = $1 AND mailbox = $2 AND uid > $3 ORDER BY uid LIMIT $4");

	db_bind_i64(&query, account);
	db_bind_i64(&query, mailbox);
	db_bind_i64(&query, after);
	db_bind_i64(&query, (int64_t)max);
	while (db_row(&query) && (entry = list_add(entries)))
		take_entry(&query, entry);
	db_done(&query);
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
			      const struct mailbox_entry *entry, int64_t email, uint64_t flags, struct change_run *added,
			      uint32_t *uid)
{
	struct place_request place = {
		.email = email,
		.size = entry->size,
		.flags = flags,
		.received_ms = entry->received_ms,
		.modseq = added->modseq,
	};
	enum status status = mailbox_place(db, account, to, &place, uid);

	if (status == STATUS_OK)
		change_run_add(db, added, *uid);
	return status;
}

enum status messages_copy(struct db *db, struct account_row *account, struct mailbox_row *from, struct mailbox_row *to,
			  const struct mailbox_entry *entries, const uint64_t *flags, size_t count, bool move,
			  uint32_t *target_uids)
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
		status = copy_entry(db, account, to, &entries[i], entries[i].email, flags ? flags[i] : entries[i].flags, &added,
				    &target_uids[i]);
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

/* ---- into another account ---- */

/* The message itself in the other account, which it is the first reference to; 0: it isn't there. */
static int64_t double_email(struct db *db, int64_t email, int64_t from, struct account_row *to)
{
	int64_t chunks = 0;
	struct db_query query = db_query(db, "SELECT chunks FROM email WHERE account = $1 AND id = $2");

	db_bind_i64(&query, from);
	db_bind_i64(&query, email);
	if (db_row(&query))
		chunks = db_i64(&query, 0);
	db_done(&query);
	if (chunks == 0)
		return 0;
	int64_t id = counters_take_ids(to, chunks);

	query = db_query(db, "INSERT INTO email (account, id, copies, chunks, size, sent_ms, envelope, body_structure, body,"
			     " structure, message_id, subject, refers_to) SELECT $3, $4, 1, chunks, size, sent_ms, envelope,"
			     " body_structure, body, structure, message_id, subject, refers_to FROM email"
			     " WHERE account = $1 AND id = $2");
	db_bind_i64(&query, from);
	db_bind_i64(&query, email);
	db_bind_i64(&query, to->id);
	db_bind_i64(&query, id);
	db_run(&query);
	query = db_query(db,
			 "INSERT INTO blob (account, id, encoding, size, bytes) SELECT $3, id - $2 + $4, encoding, size, bytes"
			 " FROM blob WHERE account = $1 AND id >= $2 AND id < $2 + $5");
	db_bind_i64(&query, from);
	db_bind_i64(&query, email);
	db_bind_i64(&query, to->id);
	db_bind_i64(&query, id);
	db_bind_i64(&query, chunks);
	db_run(&query);
	return id;
}

static void take_away(struct db *db, struct account_row *account, struct mailbox_row *from, const struct mailbox_entry *entries,
		      size_t count)
{
	struct change_run removed = {account->id, from->id, counters_modseq(db, account), CHANGE_EXPUNGED, 0, 0};

	for (size_t i = 0; i < count; i++) {
		delete_entry(db, from, entries[i].uid);
		email_forget(db, account->id, entries[i].email);
		counters_remove(account, from, entries[i].size, entries[i].flags, removed.modseq);
		change_run_add(db, &removed, entries[i].uid);
	}
	change_run_end(db, &removed);
}

enum status messages_copy_across(struct db *db, struct account_row *from_account, struct mailbox_row *from,
				 struct account_row *to_account, struct mailbox_row *to, const struct mailbox_entry *entries,
				 const uint64_t *flags, size_t count, bool move, uint32_t *target_uids)
{
	enum status status = counters_check_quota(to_account, count, total_size(entries, count));

	if (status != STATUS_OK || count == 0)
		return status;
	struct change_run added = {to_account->id, to->id, counters_modseq(db, to_account), CHANGE_MESSAGES, 0, 0};

	for (size_t i = 0; i < count && status == STATUS_OK; i++) {
		int64_t email = double_email(db, entries[i].email, from_account->id, to_account);

		if (email == 0)
			return db_status(db) != STATUS_OK ? db_status(db) : STATUS_BUG;
		status = copy_entry(db, to_account, to, &entries[i], email, flags[i], &added, &target_uids[i]);
	}
	change_run_end(db, &added);
	if (move && status == STATUS_OK)
		take_away(db, from_account, from, entries, count);
	return status != STATUS_OK ? status : db_status(db);
}
