/* One message to any number of accounts and into the queue, in one transaction. Parsing and compressing happen before it. */
#include "base/buf.h"
#include "store/store_internal.h"

/* ---- before the transaction ---- */

static size_t prepare_targets(struct store *store, struct arena *arena, struct delivery *delivery,
			      struct prepared_delivery *prepared)
{
	struct shifted_message message = {.message = message_parse(arena, delivery->bytes, NULL)};
	const struct blob *rest = NULL;
	size_t size = 0;

	facts_of(arena, message.message, &message.facts);
	prepared->message_id = message.facts.message_id;
	prepared->emails = ARENA_ARRAY(arena, struct prepared_email, delivery->target_count);
	for (size_t i = 0; i < delivery->target_count; i++) {
		struct slice headers = delivery->targets[i].headers;
		struct prepared_email *email = &prepared->emails[i];

		facts_shift(arena, &message, headers.len);
		email->facts = message.facts;
		blob_prepare(store->codecs, arena, headers, delivery->bytes, store->compress_from, rest, &email->blob);
		rest = &email->blob;
		size += email->blob.size;
	}
	if (delivery->queue_count > 0)
		blob_prepare(store->codecs, arena, SLICE_EMPTY, delivery->bytes, store->compress_from, rest, &prepared->queue_blob);
	return size + prepared->queue_blob.size;
}

void delivery_prepare(struct store *store, struct arena *arena, struct delivery *delivery, struct prepared_delivery *prepared)
{
	*prepared = (struct prepared_delivery){.store = store, .delivery = delivery};
	prepared->size = prepare_targets(store, arena, delivery, prepared);
	if (!delivery->notice)
		return;
	prepared->notice = ARENA_NEW(arena, struct prepared_delivery);
	delivery_prepare(store, arena, delivery->notice, prepared->notice);
	prepared->size += prepared->notice->size;
}

/* ---- inside the transaction ---- */

static void trace(struct db *db, const struct prepared_delivery *prepared, size_t number, struct slice event,
		  struct slice subject, struct slice detail)
{
	const struct delivery *delivery = prepared->delivery;
	struct trace_step step = {
		.at_ms = delivery->received_ms,
		.queue_id = delivery->queue_id,
		.message_id = number == 0 ? prepared->message_id : SLICE_EMPTY,
		.event = event,
		.subject = subject,
		.detail = detail,
	};

	if (delivery->queue_id.len > 0)
		trace_insert(db, &step, number, SLICE_EMPTY);
}

static void trace_delivered(struct db *db, const struct prepared_delivery *prepared, size_t i,
			    const struct account_row *account)
{
	const struct delivery_target *target = &prepared->delivery->targets[i];
	struct buf detail SCOPED_BUF;

	buf_init(&detail, NULL, 0);
	buf_add(&detail, target->mailbox.len > 0 ? target->mailbox : SLICE("INBOX"));
	buf_add_literal(&detail, " uid ");
	buf_add_u64(&detail, target->uid);
	trace(db, prepared, 1 + i, SLICE("delivered"), account->address, buf_slice(&detail));
}

/* No mailbox is made by mail: what was for one that is gone comes into INBOX. */
static enum status find_place(struct db *db, struct account_row *account, struct slice *name, struct mailbox_row **mailbox)
{
	int64_t id = name->len > 0 ? mailbox_find_id(db, account->id, *name) : MAILBOX_INBOX_ID;

	*mailbox = id != 0 ? counters_mailbox(db, account->id, id) : NULL;
	if (name->len > 0 && db_status(db) == STATUS_OK && (!*mailbox || !(*mailbox)->selectable)) {
		*name = SLICE_EMPTY;
		*mailbox = counters_mailbox(db, account->id, MAILBOX_INBOX_ID);
	}
	return *mailbox ? STATUS_OK : counters_missing(db);
}

enum status delivery_run_target(struct db *db, const struct prepared_delivery *prepared, size_t i)
{
	struct delivery_target *target = &prepared->delivery->targets[i];
	const struct prepared_email *email = &prepared->emails[i];
	struct account_row *account = target->account != QUEUE_ACCOUNT ? counters_account(db, target->account) : NULL;
	struct mailbox_row *mailbox;

	if (!account)
		return counters_missing(db);
	enum status status = counters_check_quota(account, 1, email->blob.size);

	if (status == STATUS_OK)
		status = find_place(db, account, &target->mailbox, &mailbox);
	if (status != STATUS_OK)
		return status;
	struct change_run run = {account->id, mailbox->id, counters_modseq(db, account), CHANGE_MESSAGES, 0, 0};
	struct place_request place = {
		.email = target->email = email_insert(db, account, email),
		.size = email->blob.size,
		.flags = target->flags,
		.received_ms = prepared->delivery->received_ms,
		.modseq = run.modseq,
	};

	status = mailbox_place(db, account, mailbox, &place, &target->uid);
	target->uid_validity = mailbox->uid_validity;
	if (status != STATUS_OK)
		return status;
	change_run_add(db, &run, target->uid);
	change_run_end(db, &run);
	trace_delivered(db, prepared, i, account);
	return db_status(db);
}

/* Its trace is part of the same transaction. */
static bool is_committed(struct db *db, struct slice queue_id)
{
	struct db_query query = db_query(db, "SELECT 1 FROM trace WHERE queue_id = $1 LIMIT 1");

	db_bind_bytes(&query, queue_id);
	bool found = db_row(&query);

	db_done(&query);
	return found;
}

/* Looked at with the rows of all accounts locked: on PostgreSQL the other try may be at its commit in another session. */
static bool was_committed(struct db *db, const struct delivery *delivery)
{
	for (size_t i = 0; i < delivery->target_count; i++)
		(void)counters_account(db, delivery->targets[i].account);
	if (delivery->queue_count > 0)
		(void)counters_account(db, QUEUE_ACCOUNT);
	return is_committed(db, delivery->queue_id);
}

enum status delivery_run(struct db *db, struct prepared_delivery *prepared)
{
	struct delivery *delivery = prepared->delivery;

	delivery->was_committed = delivery->again && was_committed(db, delivery);
	if (delivery->was_committed)
		return STATUS_EXISTS;
	trace(db, prepared, 0, SLICE("received"), delivery->sender, delivery->trace_from);
	for (size_t i = 0; i < delivery->target_count; i++) {
		struct delivery_target *target = &delivery->targets[i];

		target->status = delivery_run_target(db, prepared, i);
		if (db_status(db) != STATUS_OK || (delivery->all_or_nothing && target->status != STATUS_OK))
			return db_status(db) != STATUS_OK ? db_status(db) : target->status;
	}
	enum status status = delivery->queue_count > 0 ? queue_add(db, prepared) : db_status(db);

	return status == STATUS_OK && prepared->notice ? delivery_run(db, prepared->notice) : status;
}

static enum status run(struct db *db, void *context)
{
	return delivery_run(db, context);
}

enum status store_deliver(struct store *store, struct delivery *delivery)
{
	struct arena arena SCOPED_ARENA;
	struct prepared_delivery prepared;

	delivery_prepare(store, &arena, delivery, &prepared);
	enum status status = db_write_sized(store->pool, run, &prepared, prepared.size, &delivery->in_doubt);

	if (status == STATUS_OK)
		return STATUS_OK;
	if (status != STATUS_EXISTS)
		delivery->was_committed = false;
	/* Nothing is kept: nobody may think that his was. */
	for (size_t i = 0; i < delivery->target_count; i++)
		if (delivery->targets[i].status == STATUS_OK)
			delivery->targets[i].status = status;
	return status;
}

enum status store_was_delivered(struct store *store, struct slice queue_id)
{
	struct db *db SCOPED_DB = db_acquire(store->pool);

	return db ? read_status(db, is_committed(db, queue_id)) : STATUS_TEMPORARY;
}
