/* Messages as rows: in, and out when the last mailbox lets go of them. APPEND. */
#include "base/clock.h"
#include "store/messages.h"
#include "store/seen.h"

int64_t email_insert(struct db *db, struct account_row *account, const struct prepared_email *email)
{
	const struct email_facts *facts = &email->facts;
	int64_t id = counters_take_ids(account, (int64_t)email->blob.count);
	struct db_query query =
		db_query(db, "INSERT INTO email (account, id, copies, chunks, size, sent_ms, envelope, body_structure,"
			     " body, structure, message_id, subject, refers_to)"
			     " VALUES ($1, $2, 1, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)");

	db_bind_i64(&query, account->id);
	db_bind_i64(&query, id);
	db_bind_i64(&query, (int64_t)email->blob.count);
	db_bind_i64(&query, (int64_t)email->blob.size);
	db_bind_i64(&query, facts->sent_ms);
	db_bind_bytes(&query, facts->envelope);
	db_bind_bytes(&query, facts->body_structure);
	db_bind_bytes(&query, facts->body);
	db_bind_bytes(&query, facts->structure);
	db_bind_bytes(&query, facts->message_id);
	db_bind_bytes(&query, facts->subject);
	db_bind_bytes(&query, facts->references);
	db_run(&query);
	blob_insert(db, account->id, id, &email->blob);
	return id;
}

void email_forget(struct db *db, int64_t account, int64_t email)
{
	int64_t chunks = 0;
	struct db_query query =
		db_query(db, "DELETE FROM email WHERE account = $1 AND id = $2 AND copies <= 1 RETURNING chunks");

	db_bind_i64(&query, account);
	db_bind_i64(&query, email);
	bool was_last = db_row(&query);

	if (was_last)
		chunks = db_i64(&query, 0);
	db_done(&query);
	if (was_last) {
		blob_delete(db, account, email, chunks);
		query = db_query(db, "DELETE FROM email_thread WHERE account = $1 AND email = $2");
		db_bind_i64(&query, account);
		db_bind_i64(&query, email);
		db_run(&query);
		query = db_query(db, "DELETE FROM attachment_text WHERE account = $1 AND email = $2");
		db_bind_i64(&query, account);
		db_bind_i64(&query, email);
		db_run(&query);
		return;
	}
	query = db_query(db, "UPDATE email SET copies = copies - 1 WHERE account = $1 AND id = $2");
	db_bind_i64(&query, account);
	db_bind_i64(&query, email);
	db_run(&query);
}

enum status mailbox_place(struct db *db, struct account_row *account, struct mailbox_row *mailbox,
			  const struct place_request *request, uint32_t *uid)
{
	if (mailbox->uid_next == UID_MAX || request->size > UINT32_MAX)
		return STATUS_LIMIT;
	*uid = mailbox->uid_next++;
	struct db_query query =
		db_query(db, "INSERT INTO mailbox_email (account, mailbox, uid, flags, modseq, size, email, received_ms,"
			     " saved_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)");

	db_bind_i64(&query, account->id);
	db_bind_i64(&query, mailbox->id);
	db_bind_i64(&query, *uid);
	db_bind_i64(&query, (int64_t)request->flags);
	db_bind_i64(&query, (int64_t)request->modseq);
	db_bind_i64(&query, (int64_t)request->size);
	db_bind_i64(&query, request->email);
	db_bind_i64(&query, request->received_ms);
	db_bind_i64(&query, clock_wall_ms());
	db_run(&query);
	counters_add(account, mailbox, request->size, request->flags, request->modseq);
	return db_status(db);
}

/* ---- APPEND ---- */

struct append {
	const struct append_request *requests;
	const struct prepared_email *emails;
	size_t count;
	uint32_t *uids;
	uint32_t uid_validity;
	int64_t from_account, from; /* REPLACE: where the one that goes lies */
	uint32_t from_uid;
};

static enum status append_one(struct db *db, struct append *append, size_t i)
{
	const struct append_request *request = &append->requests[i];
	struct account_row *account = counters_account(db, request->account);
	struct mailbox_row *mailbox = account ? counters_mailbox(db, request->account, request->mailbox) : NULL;

	if (!mailbox)
		return counters_missing(db);
	if (!mailbox->selectable)
		return STATUS_NOT_FOUND;
	enum status status = counters_check_quota(account, 1, request->facts->size);

	if (status != STATUS_OK)
		return status;
	struct change_run run = {account->id, mailbox->id, counters_modseq(db, account), CHANGE_MESSAGES, 0, 0};
	struct place_request place = {
		.email = email_insert(db, account, &append->emails[i]),
		.size = request->facts->size,
		.flags = request->seen_by ? request->flags & ~(uint64_t)FLAG_SEEN : request->flags,
		.received_ms = request->received_ms,
		.modseq = run.modseq,
	};

	status = mailbox_place(db, account, mailbox, &place, &append->uids[i]);
	if (status == STATUS_OK && request->seen_by && request->flags & FLAG_SEEN)
		seen_note(db, account->id, mailbox->id, request->seen_by, &append->uids[i], 1, true);
	change_run_add(db, &run, append->uids[i]);
	change_run_end(db, &run);
	append->uid_validity = mailbox->uid_validity;
	return status;
}

static enum status append_all(struct db *db, void *context)
{
	struct append *append = context;
	enum status status = STATUS_OK;

	for (size_t i = 0; i < append->count && status == STATUS_OK; i++)
		status = append_one(db, append, i);
	return status;
}

static enum status replace(struct db *db, void *context)
{
	struct append *append = context;
	struct arena arena SCOPED_ARENA;
	struct list entries = LIST(&arena, struct mailbox_entry);
	struct account_row *account = counters_account(db, append->from_account);
	struct mailbox_row *mailbox = account ? counters_mailbox(db, append->from_account, append->from) : NULL;

	if (!mailbox)
		return counters_missing(db);
	messages_read(db, append->from_account, append->from, &append->from_uid, 1, &entries);
	if (entries.count == 0)
		return db_status(db) != STATUS_OK ? db_status(db) : STATUS_EXISTS;
	/* It goes first, so that a full account can replace. */
	messages_remove(db, account, mailbox, entries.items, entries.count);
	return append_one(db, append, 0);
}

static enum status write_appends(struct store *store, struct append *append, db_work work)
{
	struct arena arena SCOPED_ARENA;
	struct prepared_email *emails = ARENA_ARRAY(&arena, struct prepared_email, append->count);
	size_t size = 0;

	for (size_t i = 0; i < append->count; i++) {
		struct slice bytes = append->requests[i].facts->bytes;

		emails[i].facts = *append->requests[i].facts;
		blob_prepare(store->codecs, &arena, SLICE_EMPTY, bytes, store->compress_from, NULL, &emails[i].blob);
		size += bytes.len;
	}
	append->emails = emails;
	bool in_doubt; /* APPEND promises nothing without its OK (RFC 9051 section 6.3.12) */

	return db_write_sized(store->pool, work, append, size, &in_doubt);
}

enum status store_replace(struct store *store, const struct append_request *request, int64_t from_account, int64_t from,
			  uint32_t from_uid, uint32_t *uid, uint32_t *uid_validity)
{
	struct append append = {
		.requests = request, .count = 1, .uids = uid, .from_account = from_account, .from = from, .from_uid = from_uid};
	enum status status = write_appends(store, &append, replace);

	*uid_validity = append.uid_validity;
	return status;
}

enum status store_append(struct store *store, const struct append_request *requests, size_t count, uint32_t *uids,
			 uint32_t *uid_validity)
{
	struct append append = {.requests = requests, .count = count, .uids = uids};
	enum status status = write_appends(store, &append, append_all);

	if (uid_validity)
		*uid_validity = append.uid_validity;
	return status;
}
