/* store_internal: what the files of store/ share. */
#pragma once

#include <stdatomic.h>

#include "store/blob.h"
#include "store/changes.h"
#include "store/counters.h"
#include "store/email.h"
#include "store/queue.h"

struct store {
	struct db_pool *pool;
	const struct log *log;
	struct blob_codecs *codecs;
	size_t compress_from;
	int64_t rows_per_page; /* of long scans: PostgreSQL's answers are in memory whole */
	int64_t bodies_per_page;
	_Atomic uint64_t url_key_resets; /* url_key.h */
	_Atomic int64_t url_keys_looked_ms; /* when it was last seen whether there are any */
	_Atomic bool url_keys_exist;
};

#define UID_MAX UINT32_MAX

/* ---- inside a work ---- */

/* A message ready to be stored: everything that takes time is done. */
struct prepared_email {
	struct email_facts facts;
	struct blob blob;
};
/* The message without a place yet (copies 0 becomes 1 with its first). */
int64_t email_insert(struct db *db, struct account_row *account, const struct prepared_email *email);
/* Takes one reference off; the last takes the message with it. */
void email_forget(struct db *db, int64_t account, int64_t email);

struct place_request {
	int64_t email;
	uint64_t size, flags;
	int64_t received_ms;
	uint64_t modseq;
};
/* Puts an email into a mailbox under the next uid; the change is the caller's to note. */
enum status mailbox_place(struct db *db, struct account_row *account, struct mailbox_row *mailbox,
			  const struct place_request *request, uint32_t *uid);
/* The mailbox of that valid name; 0: there is none. */
int64_t mailbox_find_id(struct db *db, int64_t account, struct slice name);
/* The mailbox of that name; made, with its levels above, if missing. */
enum status mailbox_ensure(struct db *db, struct account_row *account, struct slice name, struct slice role, int64_t *id,
			   bool *made);
/* Valid names: UTF-8 without control characters, no empty level, at most 1,000 bytes; INBOX in capitals. */
bool mailbox_name_prepare(struct arena *arena, struct slice name, struct slice *prepared);

bool mailbox_read(struct db *db, struct arena *arena, int64_t account, int64_t id, struct mailbox *mailbox);

/* ---- delivery, as a work that others may run inside theirs (the queue's bounces) ---- */

struct prepared_delivery {
	struct store *store;
	struct delivery *delivery;
	struct prepared_email *emails; /* per target */
	struct blob queue_blob;
	struct slice message_id;
	size_t size;
	struct prepared_delivery *notice;
};
void delivery_prepare(struct store *store, struct arena *arena, struct delivery *delivery, struct prepared_delivery *prepared);
enum status delivery_run(struct db *db, struct prepared_delivery *prepared);
/* One of its targets; its status. */
enum status delivery_run_target(struct db *db, const struct prepared_delivery *prepared, size_t i);
/* delivery_run's part for the queue. */
enum status queue_add(struct db *db, const struct prepared_delivery *prepared);

/* One step of a message's trace; `number` orders steps of the same moment. */
void trace_insert(struct db *db, const struct trace_step *step, size_t number, struct slice followed_by);

/* ---- facts ---- */

/* A message whose facts are wanted with more header in front (`shift` bytes), again and again with another: only offsets move. */
struct shifted_message {
	struct message *message;
	uint64_t shift;
	struct email_facts facts; /* at this shift */
};
void facts_shift(struct arena *arena, struct shifted_message *message, uint64_t shift);
void facts_of(struct arena *arena, struct message *message, struct email_facts *facts);

/* ---- results that grow in an arena ---- */

struct list {
	struct arena *arena;
	size_t item_size, count, capacity;
	void *items;
	bool failed; /* the arena is full */
};
#define LIST(the_arena, type) ((struct list){.arena = (the_arena), .item_size = sizeof(type)})
/* Room for one more, not zeroed; NULL when the arena is full. */
void *list_add(struct list *list);

/* ---- ascending uids as ranges that are worth one query each ---- */

struct uid_run {
	const uint32_t *uids;
	size_t count;
};
/* Cuts the next run off: neighbours at most `gap` apart. False: none left. */
bool uid_run_next(const uint32_t **uids, size_t *count, uint32_t gap, struct uid_run *run);
/* Is it in the run? Uids are asked for in ascending order; what lies before is dropped. */
bool uid_run_has(struct uid_run *run, uint32_t uid);

/* The status of a read that found something or not. */
static inline enum status read_status(const struct db *db, bool found)
{
	return db_status(db) != STATUS_OK ? db_status(db) : found ? STATUS_OK : STATUS_NOT_FOUND;
}
