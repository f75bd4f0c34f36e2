/* Reading messages in uid order: one range query per run of uids, joined with what is wanted and nothing else. */
#include "store/store_internal.h"

#define GAP_MAX 4 /* a row passed over costs more here than in mailbox_email alone */

/* One statement per set of tables: a column that isn't wanted isn't touched (CASE), a table that isn't wanted isn't joined. The order
 * of the tables is fixed by CROSS JOIN: SQLite then never walks email or blob. */
#define ROW_COLUMNS "SELECT m.uid, m.email, m.size, m.received_ms, m.saved_ms, "
#define NO_TEXTS    "0, NULL, NULL, NULL, NULL, NULL, NULL, "
#define TEXTS                                                                                               \
	"e.sent_ms, CASE WHEN ($5 & 1) <> 0 THEN e.envelope END, CASE WHEN ($5 & 2) <> 0 THEN e.body END,"  \
	" CASE WHEN ($5 & 4) <> 0 THEN e.body_structure END, CASE WHEN ($5 & 8) <> 0 THEN e.structure END," \
	" CASE WHEN ($5 & 128) <> 0 THEN e.message_id END, CASE WHEN ($5 & 256) <> 0 THEN e.refers_to END, "
#define ENVELOPE   "e.sent_ms, e.envelope, NULL, NULL, NULL, NULL, NULL, "
#define NO_BYTES   "0, 0, NULL"
#define BYTES      "b.encoding, b.size, CASE WHEN m.size <= $6 THEN b.bytes END"
#define JOIN_TEXT  " CROSS JOIN email e"
#define JOIN_BLOB  " CROSS JOIN blob b"
#define ON_TEXT    " AND e.account = m.account AND e.id = m.email"
#define ON_BLOB    " AND b.account = m.account AND b.id = m.email"
#define IN_MAILBOX " WHERE m.account = $1 AND m.mailbox = $2 AND m.uid >= $3 AND m.uid <= $4 AND $5 = $5 AND $6 = $6"
#define IN_ORDER   " ORDER BY m.uid LIMIT $7"

enum {
	COLUMN_UID,
	COLUMN_EMAIL,
	COLUMN_SIZE,
	COLUMN_RECEIVED,
	COLUMN_SAVED,
	COLUMN_SENT,
	COLUMN_ENVELOPE,
	COLUMN_BODY,
	COLUMN_BODY_STRUCTURE,
	COLUMN_STRUCTURE,
	COLUMN_MESSAGE_ID,
	COLUMN_REFERENCES,
	COLUMN_ENCODING,
	COLUMN_CHUNK_SIZE,
	COLUMN_BYTES
};

#define WANT_TEXTS                                                                                              \
	(EMAIL_ENVELOPE | EMAIL_BODY | EMAIL_BODY_STRUCTURE | EMAIL_STRUCTURE | EMAIL_SENT | EMAIL_MESSAGE_ID | \
	 EMAIL_REFERENCES)
#define WANT_BYTES (EMAIL_BYTES | EMAIL_HEADER)

/* Searches and sorting want envelopes of many messages and nothing else. */
enum texts { WITHOUT_TEXTS, WITH_ENVELOPE, WITH_TEXTS };

static const char *const statements[][2] = {
	[WITHOUT_TEXTS][false] = ROW_COLUMNS NO_TEXTS NO_BYTES " FROM mailbox_email m" IN_MAILBOX IN_ORDER,
	[WITH_ENVELOPE][false] = ROW_COLUMNS ENVELOPE NO_BYTES " FROM mailbox_email m" JOIN_TEXT IN_MAILBOX ON_TEXT IN_ORDER,
	[WITH_TEXTS][false] = ROW_COLUMNS TEXTS NO_BYTES " FROM mailbox_email m" JOIN_TEXT IN_MAILBOX ON_TEXT IN_ORDER,
	[WITHOUT_TEXTS][true] = ROW_COLUMNS NO_TEXTS BYTES " FROM mailbox_email m" JOIN_BLOB IN_MAILBOX ON_BLOB IN_ORDER,
	[WITH_ENVELOPE][true] = ROW_COLUMNS ENVELOPE BYTES " FROM mailbox_email m" JOIN_TEXT JOIN_BLOB IN_MAILBOX ON_TEXT ON_BLOB IN_ORDER,
	[WITH_TEXTS][true] = ROW_COLUMNS TEXTS BYTES " FROM mailbox_email m" JOIN_TEXT JOIN_BLOB IN_MAILBOX ON_TEXT ON_BLOB IN_ORDER,
};

struct scan {
	struct store *store;
	struct db *db;
	int64_t account, mailbox;
	unsigned wanted;
	email_each each;
	void *context;
	struct buf unpacked, whole; /* reused from message to message */
	bool stopped;
	enum status status;
};

/* ---- bytes ---- */

/* A body with more chunks than the first, put together. */
static struct slice read_whole(struct scan *scan, int64_t email, uint64_t size, struct slice first)
{
	struct db_query query = db_query(scan->db, "SELECT encoding, size, bytes FROM blob"
						   " WHERE account = $1 AND id > $2 AND id < $3 ORDER BY id");

	buf_clear(&scan->whole);
	buf_add(&scan->whole, first);
	db_bind_i64(&query, scan->account);
	db_bind_i64(&query, email);
	db_bind_i64(&query, email + 1 + (int64_t)(size / BLOB_CHUNK) + 1);
	while (scan->whole.len < size && db_row(&query)) {
		struct slice chunk = blob_unpack(scan->store->codecs, &scan->unpacked, (enum blob_encoding)db_i64(&query, 0),
						 (uint64_t)db_i64(&query, 1), db_slice(&query, 2));

		buf_add(&scan->whole, chunk.data ? chunk : SLICE_EMPTY);
	}
	db_done(&query);
	if (scan->whole.len == size && buf_ok(&scan->whole))
		return buf_slice(&scan->whole);
	return slice_of(NULL, 0);
}

static struct slice read_bytes(struct scan *scan, struct db_query *query, const struct email *email)
{
	struct slice stored = db_slice(query, COLUMN_BYTES);

	if (!stored.data)
		return stored;
	uint64_t chunk_size = (uint64_t)db_i64(query, COLUMN_CHUNK_SIZE);
	struct slice first =
		blob_unpack(scan->store->codecs, &scan->unpacked, (enum blob_encoding)db_i64(query, COLUMN_ENCODING), chunk_size, stored);

	if (!first.data) {
		scan->status = STATUS_BUG;
		return first;
	}
	if (chunk_size >= email->size)
		return first;
	bool is_wanted_whole = (scan->wanted & EMAIL_BYTES) && email->size <= EMAIL_BYTES_MAX;

	/* A header that is longer than the first chunk. */
	if (!is_wanted_whole && slice_find(first, SLICE("\r\n\r\n")) == SLICE_NOT_FOUND)
		is_wanted_whole = true;
	if (!is_wanted_whole)
		return first;
	struct slice whole = read_whole(scan, email->id, email->size, first);

	if (!whole.data && db_status(scan->db) == STATUS_OK)
		scan->status = STATUS_BUG;
	return whole;
}

/* ---- rows ---- */

/* A text that isn't wanted is NULL anyway; asking takes its time. */
static struct slice text_of(const struct scan *scan, struct db_query *query, unsigned item, int column)
{
	return scan->wanted & item ? db_slice(query, column) : slice_of(NULL, 0);
}

static enum texts texts_of(unsigned wanted)
{
	if (!(wanted & WANT_TEXTS))
		return WITHOUT_TEXTS;
	return wanted & WANT_TEXTS & ~(EMAIL_ENVELOPE | EMAIL_SENT) ? WITH_TEXTS : WITH_ENVELOPE;
}

static void hand_out(struct scan *scan, struct db_query *query)
{
	struct email email = {
		.uid = (uint32_t)db_i64(query, COLUMN_UID),
		.id = db_i64(query, COLUMN_EMAIL),
		.size = (uint64_t)db_i64(query, COLUMN_SIZE),
		.received_ms = db_i64(query, COLUMN_RECEIVED),
		.saved_ms = db_i64(query, COLUMN_SAVED),
	};

	if (scan->wanted & WANT_TEXTS) {
		email.sent_ms = db_i64(query, COLUMN_SENT);
		email.envelope = text_of(scan, query, EMAIL_ENVELOPE, COLUMN_ENVELOPE);
		email.body = text_of(scan, query, EMAIL_BODY, COLUMN_BODY);
		email.body_structure = text_of(scan, query, EMAIL_BODY_STRUCTURE, COLUMN_BODY_STRUCTURE);
		email.structure = text_of(scan, query, EMAIL_STRUCTURE, COLUMN_STRUCTURE);
		email.message_id = text_of(scan, query, EMAIL_MESSAGE_ID, COLUMN_MESSAGE_ID);
		email.references = text_of(scan, query, EMAIL_REFERENCES, COLUMN_REFERENCES);
	}
	if (scan->wanted & WANT_BYTES)
		email.bytes = read_bytes(scan, query, &email);
	if (scan->status != STATUS_OK || db_status(scan->db) != STATUS_OK || !scan->each(scan->context, &email))
		scan->stopped = true;
}

/* From `first` to the run's end, at most a page. The last uid seen, or 0 when the run is at its end. */
static uint32_t scan_page(struct scan *scan, struct uid_run *run, uint32_t first, uint32_t last)
{
	bool bytes = (scan->wanted & WANT_BYTES) != 0;
	int64_t page = bytes ? scan->store->bodies_per_page : scan->store->rows_per_page, rows = 0;
	uint32_t uid = 0;
	struct db_query query = db_query(scan->db, statements[texts_of(scan->wanted)][bytes]);

	db_bind_i64(&query, scan->account);
	db_bind_i64(&query, scan->mailbox);
	db_bind_i64(&query, first);
	db_bind_i64(&query, last);
	db_bind_i64(&query, scan->wanted);
	db_bind_i64(&query, scan->wanted & EMAIL_HEADER ? INT64_MAX : EMAIL_BYTES_MAX);
	db_bind_i64(&query, page);
	while (!scan->stopped && db_row(&query)) {
		rows++;
		uid = (uint32_t)db_i64(&query, COLUMN_UID);
		if (uid_run_has(run, uid))
			hand_out(scan, &query);
	}
	db_done(&query);
	return rows == page && !scan->stopped ? uid : 0;
}

static void scan_run(struct scan *scan, struct uid_run run)
{
	uint32_t first = run.uids[0], last = run.uids[run.count - 1], seen;

	do {
		seen = scan_page(scan, &run, first, last);
		first = seen + 1;
	} while (seen != 0 && seen < last);
}

static void free_buffers(struct scan *scan)
{
	buf_free(&scan->unpacked);
	buf_free(&scan->whole);
}

enum status email_scan(struct store *store, int64_t account, int64_t mailbox, const uint32_t *uids, size_t uid_count,
		       unsigned wanted, email_each each, void *context)
{
	struct db *db SCOPED_DB = db_acquire(store->pool);
	__attribute__((cleanup(free_buffers))) struct scan scan = {.store = store,
								   .db = db,
								   .account = account,
								   .mailbox = mailbox,
								   .wanted = wanted,
								   .each = each,
								   .context = context};
	struct uid_run run;

	buf_init(&scan.unpacked, NULL, 0);
	buf_init(&scan.whole, NULL, 0);
	if (!db || db_begin(db, DB_READ) != STATUS_OK)
		return STATUS_TEMPORARY;
	while (!scan.stopped && db_status(db) == STATUS_OK && uid_run_next(&uids, &uid_count, GAP_MAX, &run))
		scan_run(&scan, run);
	return db_status(db) != STATUS_OK ? db_status(db) : scan.status;
}
