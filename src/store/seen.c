#include "store/seen.h"

#include "base/buf.h"
#include "store/store_internal.h"

#define RANGE_BYTES   8
#define RANGES_TO_ASK 64 /* more are compared with all uids */

/* As it is kept: pairs of big-endian numbers. */

static uint32_t get_u32(const char *bytes)
{
	const unsigned char *b = (const unsigned char *)bytes;

	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static void put_u32(struct buf *out, uint32_t number)
{
	for (int shift = 24; shift >= 0; shift -= 8)
		buf_add_byte(out, (char)(number >> shift));
}

static void unpack(struct arena *arena, struct slice bytes, struct seen_set *set)
{
	size_t count = bytes.len / RANGE_BYTES;

	set->ranges = ARENA_ARRAY(arena, struct uid_range, count + 1);
	for (size_t i = 0; i < count; i++) {
		uint32_t first = get_u32(bytes.data + i * RANGE_BYTES), last = get_u32(bytes.data + i * RANGE_BYTES + 4);

		if (first > 0 && first <= last && (set->count == 0 || first > set->ranges[set->count - 1].last))
			set->ranges[set->count++] = (struct uid_range){first, last};
	}
}

void seen_read(struct db *db, struct arena *arena, int64_t account, int64_t mailbox, int64_t viewer, struct seen_set *set)
{
	*set = (struct seen_set){0};
	if (viewer == 0)
		return;
	struct db_query query =
		db_query(db, "SELECT uids FROM mailbox_seen WHERE account = $1 AND mailbox = $2 AND viewer = $3");

	db_bind_i64(&query, account);
	db_bind_i64(&query, mailbox);
	db_bind_i64(&query, viewer);
	if (db_row(&query))
		unpack(arena, db_slice(&query, 0), set);
	db_done(&query);
}

void seen_write(struct db *db, int64_t account, int64_t mailbox, int64_t viewer, const struct seen_set *set)
{
	struct buf bytes SCOPED_BUF;

	buf_init(&bytes, NULL, 0);
	for (size_t i = 0; i < set->count; i++) {
		put_u32(&bytes, set->ranges[i].first);
		put_u32(&bytes, set->ranges[i].last);
	}
	struct db_query query = db_query(db, "INSERT INTO mailbox_seen (account, mailbox, viewer, uids) VALUES ($1, $2, $3, $4)"
					     " ON CONFLICT (account, mailbox, viewer) DO UPDATE SET uids = excluded.uids");

	db_bind_i64(&query, account);
	db_bind_i64(&query, mailbox);
	db_bind_i64(&query, viewer);
	db_bind_bytes(&query, buf_slice(&bytes));
	db_run(&query);
}

void seen_note(struct db *db, int64_t account, int64_t mailbox, int64_t viewer, const uint32_t *uids, size_t count, bool seen)
{
	struct arena arena SCOPED_ARENA;
	struct seen_set set;

	if (count == 0)
		return;
	seen_read(db, &arena, account, mailbox, viewer, &set);
	seen_change(&arena, &set, uids, count, seen);
	seen_write(db, account, mailbox, viewer, &set);
}

enum status seen_load(struct store *store, struct arena *arena, int64_t account, int64_t mailbox, int64_t viewer,
		      struct seen_set *set)
{
	struct db *db SCOPED_DB = db_acquire(store->pool);

	*set = (struct seen_set){0};
	if (!db)
		return STATUS_TEMPORARY;
	seen_read(db, arena, account, mailbox, viewer, set);
	return db_status(db);
}

/* ---- how many are unseen ---- */

static uint32_t count_range(struct db *db, int64_t account, int64_t mailbox, struct uid_range range)
{
	int64_t count = 0;
	struct db_query query = db_query(db, "SELECT count(*) FROM mailbox_email WHERE account = $1 AND mailbox = $2"
					     " AND uid >= $3 AND uid <= $4");

	db_bind_i64(&query, account);
	db_bind_i64(&query, mailbox);
	db_bind_i64(&query, range.first);
	db_bind_i64(&query, range.last);
	if (db_row(&query))
		count = db_i64(&query, 0);
	db_done(&query);
	return (uint32_t)count;
}

static uint32_t count_scanned(struct db *db, int64_t account, int64_t mailbox, const struct seen_set *set)
{
	uint32_t count = 0;
	struct db_query query = db_query(db, "SELECT uid FROM mailbox_email WHERE account = $1 AND mailbox = $2");

	db_bind_i64(&query, account);
	db_bind_i64(&query, mailbox);
	while (db_row(&query))
		count += seen_has(set, (uint32_t)db_i64(&query, 0));
	db_done(&query);
	return count;
}

enum status mailbox_unseen_by(struct store *store, int64_t account, struct mailbox *mailbox, int64_t viewer)
{
	struct arena arena SCOPED_ARENA;
	struct db *db SCOPED_DB = db_acquire(store->pool);
	struct mailbox now; /* in the same snapshot */
	struct seen_set set;
	uint32_t seen = 0;

	if (!db || db_begin(db, DB_READ) != STATUS_OK)
		return STATUS_TEMPORARY;
	if (!mailbox_read(db, &arena, account, mailbox->id, &now))
		return read_status(db, false);
	seen_read(db, &arena, account, mailbox->id, viewer, &set);
	if (set.count > RANGES_TO_ASK)
		seen = count_scanned(db, account, mailbox->id, &set);
	for (size_t i = 0; i < set.count && set.count <= RANGES_TO_ASK; i++)
		seen += count_range(db, account, mailbox->id, set.ranges[i]);
	mailbox->messages = now.messages;
	mailbox->unseen = now.messages - seen;
	return db_status(db);
}
