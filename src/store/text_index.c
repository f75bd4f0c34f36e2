/* Invariant: a segment's ids and its postings are written in one transaction, so that a snapshot never shows numbers of documents that
 * mean others. */
#include "store/text_index.h"

#include "mime/search_text.h"
#include "mime/words.h"
#include "store/attachment_text.h"
#include "store/email_texts.h"
#include "store/store_internal.h"
#include "store/trigram.h"

#define SEGMENT_EMAILS   1000
#define TEXTS_MAX        ((uint64_t)16 * 1024 * 1024) /* messages with more are looked into each time */
#define QUERY_TRIPLES    16
#define ACCOUNTS_AT_ONCE 100

/* ---- building ---- */

/* An account's messages have greater ids than this, and not greater than the next account's. */
static int64_t first_id(int64_t account)
{
	return account << 32;
}

struct source {
	int64_t id;
	uint64_t size;
	struct slice structure;
};

struct segment {
	struct store *store;
	int64_t account, first, last; /* ids above `first` up to `last` */
	bool again;                   /* it is there, and is written anew */
	const struct attachment_edition *edition; /* whose texts of attachments it gets; NULL: nobody's */
	struct buf ids;
	size_t count;
	struct trigram_set *set;
};

struct folding {
	struct trigram_set *set;
	uint32_t number;
	struct buf folded;
	bool is_full;
};

static bool each_text(void *context, struct slice text, enum message_text_place place)
{
	struct folding *folding = context;

	(void)place;
	buf_clear(&folding->folded);
	text_fold(&folding->folded, text);
	folding->is_full = !trigram_set_add(folding->set, folding->number, buf_slice(&folding->folded));
	return folding->is_full;
}

/* *is_unread: what is in them isn't known. */
static enum status fold_attachments(const struct segment *segment, struct arena *arena, const struct source *source,
				    struct folding *folding, bool *is_unread)
{
	const struct attachment_edition *edition = segment->edition;
	struct attachment_text text;
	struct slice packed;
	enum status status;

	if (!edition || !edition->wants(edition->context, arena, source->structure))
		return STATUS_OK;
	status = attachment_texts_read(segment->store, arena, segment->account, source->id, edition->number, &packed);
	while (status == STATUS_OK && !folding->is_full && attachment_texts_next(&packed, &text))
		(void)each_text(folding, text.utf8, MESSAGE_TEXT_BODY);
	*is_unread = status == STATUS_NOT_FOUND;
	return *is_unread ? STATUS_OK : status;
}

/* Distances of ids; the lowest bit: it isn't in the postings, and may hold anything. */
static void note_id(struct segment *segment, int64_t *last_id, int64_t id, bool may_hold_anything)
{
	trigram_put_number(&segment->ids, (uint64_t)(id - *last_id) << 1 | may_hold_anything);
	*last_id = id;
	segment->count++;
}

/* *is_full: there was no room for it behind the others. */
static enum status index_email(struct segment *segment, const struct source *source, int64_t *last_id, bool *is_full)
{
	struct arena arena SCOPED_ARENA;
	struct folding folding = {.set = segment->set, .number = (uint32_t)segment->count};
	struct email_texts texts;
	enum status status = email_texts_open(segment->store, &arena, segment->account, source->id, source->size, source->structure,
					      TEXTS_MAX, &texts);
	bool is_unread = false;

	if (status == STATUS_LIMIT)
		note_id(segment, last_id, source->id, true);
	if (status == STATUS_NOT_FOUND || status == STATUS_LIMIT)
		return STATUS_OK;
	if (status != STATUS_OK)
		return status;
	buf_init(&folding.folded, NULL, 0);
	message_texts(&arena, texts.message, each_text, &folding);
	email_texts_close(&texts);
	status = fold_attachments(segment, &arena, source, &folding, &is_unread);
	buf_free(&folding.folded);
	if (status != STATUS_OK)
		return status;
	*is_full = folding.is_full && segment->count > 0;
	if (!*is_full)
		note_id(segment, last_id, source->id, folding.is_full || is_unread);
	return STATUS_OK;
}

static enum status list_sources(struct segment *segment, struct arena *arena, struct list *sources)
{
	struct db *db SCOPED_DB = db_acquire(segment->store->pool);
	struct source *source = NULL;

	if (!db)
		return STATUS_TEMPORARY;
	struct db_query query = db_query(db, "SELECT id, size, structure FROM email WHERE account = $1 AND id > $2 AND id <= $3"
					     " ORDER BY id LIMIT $4");

	db_bind_i64(&query, segment->account);
	db_bind_i64(&query, segment->first);
	db_bind_i64(&query, segment->last);
	db_bind_i64(&query, SEGMENT_EMAILS);
	while (db_row(&query) && (source = list_add(sources)) != NULL)
		*source =
			(struct source){db_i64(&query, 0), (uint64_t)db_i64(&query, 1), slice_dup(arena, db_slice(&query, 2))};
	db_done(&query);
	return sources->failed ? STATUS_LIMIT : db_status(db);
}

static void insert_postings(struct db *db, struct segment *segment)
{
	struct buf postings SCOPED_BUF;

	for (unsigned bucket = 0; bucket < TRIGRAM_BUCKETS && db_status(db) == STATUS_OK; bucket++) {
		buf_clear(&postings);
		trigram_set_pack(segment->set, bucket, &postings);
		if (postings.len == 0)
			continue;
		struct db_query query = db_query(db, "INSERT INTO text_posting (account, bucket, segment, postings)"
						     " VALUES ($1, $2, $3, $4)");

		db_bind_i64(&query, segment->account);
		db_bind_i64(&query, bucket);
		db_bind_i64(&query, segment->last);
		db_bind_bytes(&query, buf_slice(&postings));
		db_run(&query);
	}
}

static void run_of_segment(struct db *db, const char *sql, const struct segment *segment)
{
	struct db_query query = db_query(db, sql);

	db_bind_i64(&query, segment->account);
	db_bind_i64(&query, segment->last);
	db_run(&query);
}

/* Is the account still there, and has nobody else been here? */
static bool is_ours(struct db *db, const struct segment *segment)
{
	struct db_query query = db_query(db, "SELECT id FROM account WHERE id = $1 FOR UPDATE");
	int64_t last = 0;

	db_bind_i64(&query, segment->account);
	bool is_there = db_row(&query);

	db_done(&query);
	query = db_query(db, "SELECT coalesce(max(last_email), $2) FROM text_segment WHERE account = $1");
	db_bind_i64(&query, segment->account);
	db_bind_i64(&query, first_id(segment->account));
	if (db_row(&query))
		last = db_i64(&query, 0);
	db_done(&query);
	return is_there && (segment->again ? last >= segment->last : last == segment->first);
}

static enum status write_segment(struct db *db, void *context)
{
	struct segment *segment = context;

	if (!is_ours(db, segment))
		return db_status(db) == STATUS_OK ? STATUS_NOT_FOUND : db_status(db);
	if (segment->again) {
		run_of_segment(db, "DELETE FROM text_segment WHERE account = $1 AND last_email = $2", segment);
		run_of_segment(db, "DELETE FROM text_posting WHERE account = $1 AND segment = $2", segment);
	}
	trigram_set_rewind(segment->set);
	insert_postings(db, segment);
	struct db_query query = db_query(db, "INSERT INTO text_segment (account, last_email, first_email, emails, ids, edition)"
					     " VALUES ($1, $2, $3, $4, $5, $6)");

	db_bind_i64(&query, segment->account);
	db_bind_i64(&query, segment->last);
	db_bind_i64(&query, segment->first);
	db_bind_i64(&query, (int64_t)segment->count);
	db_bind_bytes(&query, buf_slice(&segment->ids));
	db_bind_i64(&query, attachment_edition_number(segment->edition));
	db_run(&query);
	return db_status(db);
}

/* What lies between the segment's ends, or as much of it as one segment holds. */
static enum status build(struct segment *segment, size_t least)
{
	struct arena arena SCOPED_ARENA;
	struct list sources = LIST(&arena, struct source);
	int64_t last_id = segment->first;
	bool is_full = false;
	enum status status = list_sources(segment, &arena, &sources);

	if (status != STATUS_OK || sources.count < least)
		return status;
	segment->set = trigram_set_new();
	if (!segment->set)
		return STATUS_TEMPORARY;
	for (size_t i = 0; i < sources.count && status == STATUS_OK && !is_full; i++) {
		const struct source *source = (const struct source *)sources.items + i;

		status = index_email(segment, source, &last_id, &is_full);
		if (!segment->again && !is_full)
			segment->last = source->id;
	}
	/* What is written anew keeps its ends; it did fit in once. */
	if (status == STATUS_OK && segment->again && is_full)
		status = STATUS_LIMIT;
	if (status == STATUS_OK)
		status = buf_ok(&segment->ids) ? db_write(segment->store->pool, write_segment, segment) : STATUS_TEMPORARY;
	trigram_set_free(segment->set);
	/* Gone, or done by another node. */
	if (status == STATUS_NOT_FOUND) {
		segment->count = 0;
		return STATUS_OK;
	}
	return status;
}

/* ---- which account ---- */

struct account_place {
	int64_t id, last;
	bool waits;
};

/* The next accounts from `from` on, with what their index reaches to. */
static enum status list_accounts(struct store *store, int64_t from, struct list *accounts)
{
	struct db *db SCOPED_DB = db_acquire(store->pool);
	struct account_place *place = NULL;

	if (!db)
		return STATUS_TEMPORARY;
	struct db_query query =
		db_query(db, "SELECT a.id, (SELECT max(s.last_email) FROM text_segment s WHERE s.account = a.id), a.next_email"
			     " FROM account a WHERE a.id >= $1 ORDER BY a.id LIMIT $2");

	db_bind_i64(&query, from);
	db_bind_i64(&query, ACCOUNTS_AT_ONCE);
	while (db_row(&query) && (place = list_add(accounts)) != NULL) {
		*place = (struct account_place){.id = db_i64(&query, 0)};
		place->last = db_is_null(&query, 1) ? first_id(place->id) : db_i64(&query, 1);
		place->waits = db_i64(&query, 2) - (place->last & UINT32_MAX) > TEXT_INDEX_PENDING;
	}
	db_done(&query);
	return accounts->failed ? STATUS_LIMIT : db_status(db);
}

/* All messages up to this one have been read by the edition. */
static enum status find_reach(struct store *store, int64_t edition, int64_t account, int64_t *reach)
{
	struct attachment_state state;
	enum status status = attachment_state_of(store, account, &state);

	*reach = state.edition == edition ? state.last_email : 0;
	return status;
}

static enum status index_account(struct store *store, const struct attachment_edition *edition, const struct account_place *place,
				 size_t *indexed)
{
	struct segment segment = {.store = store, .account = place->id, .first = place->last, .last = first_id(place->id + 1),
				  .edition = edition};
	enum status status = edition ? find_reach(store, edition->number, place->id, &segment.last) : STATUS_OK;

	if (status == STATUS_OK)
		status = build(&segment, TEXT_INDEX_PENDING);
	*indexed = status == STATUS_OK ? segment.count : 0;
	buf_free(&segment.ids);
	return status;
}

enum status text_index_step(struct store *store, const struct attachment_edition *edition, int64_t *account, size_t *indexed)
{
	struct arena arena SCOPED_ARENA;
	struct list accounts = LIST(&arena, struct account_place);
	enum status status = list_accounts(store, *account, &accounts);
	const struct account_place *places = accounts.items;

	*indexed = 0;
	for (size_t i = 0; i < accounts.count && status == STATUS_OK && *indexed == 0; i++) {
		*account = places[i].id;
		if (places[i].waits)
			status = index_account(store, edition, &places[i], indexed);
		if (*indexed == 0)
			(*account)++;
	}
	if (status == STATUS_OK && *indexed == 0 && accounts.count == ACCOUNTS_AT_ONCE)
		return text_index_step(store, edition, account, indexed);
	return status;
}

/* ---- what has gone ---- */

/* Segments of the account of which less than half is left. */
static enum status list_thin(struct store *store, int64_t account, struct list *thin)
{
	struct db *db SCOPED_DB = db_acquire(store->pool);
	struct segment *segment = NULL;

	if (!db)
		return STATUS_TEMPORARY;
	struct db_query query = db_query(
		db, "SELECT s.first_email, s.last_email FROM text_segment s WHERE s.account = $1 AND s.emails > 0 AND"
		    " (SELECT count(*) FROM email e WHERE e.account = $1 AND e.id > s.first_email AND e.id <= s.last_email)"
		    " * 2 < s.emails ORDER BY s.last_email");

	db_bind_i64(&query, account);
	while (db_row(&query) && (segment = list_add(thin)) != NULL)
		*segment = (struct segment){.store = store,
					    .account = account,
					    .first = db_i64(&query, 0),
					    .last = db_i64(&query, 1),
					    .again = true};
	db_done(&query);
	return thin->failed ? STATUS_LIMIT : db_status(db);
}

static enum status next_account(struct store *store, int64_t *account, bool *found)
{
	struct db *db SCOPED_DB = db_acquire(store->pool);

	*found = false;
	if (!db)
		return STATUS_TEMPORARY;
	struct db_query query = db_query(db, "SELECT min(account) FROM text_segment WHERE account >= $1");

	db_bind_i64(&query, *account);
	if (db_row(&query) && !db_is_null(&query, 0)) {
		*account = db_i64(&query, 0);
		*found = true;
	}
	db_done(&query);
	return db_status(db);
}

enum status text_index_tidy(struct store *store, const struct attachment_edition *edition, int64_t *account, size_t *rewritten,
			    bool *more)
{
	struct arena arena SCOPED_ARENA;
	struct list thin = LIST(&arena, struct segment);
	enum status status = next_account(store, account, more);
	int64_t reach = 0;

	*rewritten = 0;
	if (status == STATUS_OK && *more)
		status = list_thin(store, *account, &thin);
	if (status == STATUS_OK && *more && edition)
		status = find_reach(store, edition->number, *account, &reach);
	for (size_t i = 0; i < thin.count && status == STATUS_OK; i++) {
		struct segment *segment = (struct segment *)thin.items + i;

		segment->edition = segment->last <= reach ? edition : NULL;
		status = build(segment, 0);
		buf_free(&segment->ids);
		(*rewritten)++;
	}
	(*account)++;
	return status;
}

/* ---- forgetting ---- */

struct forgetting {
	int64_t account;
	bool more;
};

static void forget_above(struct db *db, const char *sql, int64_t account, int64_t last)
{
	struct db_query query = db_query(db, sql);

	db_bind_i64(&query, account);
	db_bind_i64(&query, last);
	db_run(&query);
}

static bool find_one(struct db *db, const char *sql, int64_t account, int64_t *number)
{
	struct db_query query = db_query(db, sql);

	db_bind_i64(&query, account);
	bool found = db_row(&query);

	if (found)
		*number = db_i64(&query, 0);
	db_done(&query);
	return found;
}

static void forget_segments(struct db *db, int64_t account, int64_t last)
{
	forget_above(db, "DELETE FROM text_posting WHERE account = $1 AND segment > $2", account, last);
	forget_above(db, "DELETE FROM text_segment WHERE account = $1 AND last_email > $2", account, last);
}

/* From the end, a segment or some texts at a time. */
static enum status forget_piece(struct db *db, void *context)
{
	struct forgetting *work = context;
	int64_t last = 0;

	work->more = true;
	forget_above(db, "DELETE FROM attachment_progress WHERE account = $1 AND last_email >= $2", work->account, 0);
	if (find_one(db, "SELECT first_email FROM text_segment WHERE account = $1 ORDER BY last_email DESC LIMIT 1", work->account,
		     &last)) {
		forget_segments(db, work->account, last);
		return db_status(db);
	}
	work->more = find_one(db, "SELECT email FROM attachment_text WHERE account = $1 AND chunk = 0 ORDER BY email DESC LIMIT 1"
				  " OFFSET 200",
			      work->account, &last);
	forget_above(db, "DELETE FROM attachment_text WHERE account = $1 AND email > $2", work->account, last);
	return db_status(db);
}

enum status text_index_forget(struct store *store, int64_t account)
{
	struct forgetting work = {account, true};
	enum status status = STATUS_OK;

	while (status == STATUS_OK && work.more)
		status = db_write(store->pool, forget_piece, &work);
	return status;
}

static enum status forget_from(struct db *db, void *context)
{
	const struct segment *segment = context;

	forget_segments(db, segment->account, segment->first);
	return db_status(db);
}

/* ---- what was written before attachments were read ---- */

static enum status next_former(struct store *store, const struct attachment_edition *edition, int64_t account, struct segment *segment)
{
	struct db *db SCOPED_DB = db_acquire(store->pool);

	if (!db)
		return STATUS_TEMPORARY;
	struct db_query query =
		db_query(db, "SELECT s.account, s.first_email, s.last_email FROM text_segment s JOIN attachment_progress p"
			     " ON p.account = s.account WHERE s.account >= $1 AND s.edition <> $2 AND p.edition = $2"
			     " AND s.last_email <= p.last_email ORDER BY s.account, s.last_email LIMIT 1");

	db_bind_i64(&query, account);
	db_bind_i64(&query, edition->number);
	if (db_row(&query))
		*segment = (struct segment){.store = store,
					    .account = db_i64(&query, 0),
					    .first = db_i64(&query, 1),
					    .last = db_i64(&query, 2),
					    .again = true,
					    .edition = edition};
	db_done(&query);
	return db_status(db);
}

enum status text_index_renew(struct store *store, const struct attachment_edition *edition, int64_t *account, size_t *rewritten)
{
	struct segment segment = {.store = NULL};
	enum status status = edition ? next_former(store, edition, *account, &segment) : STATUS_OK;

	*rewritten = 0;
	if (status != STATUS_OK || !segment.store)
		return status;
	*account = segment.account;
	status = build(&segment, 0);
	/* With what was read in attachments its messages no longer fit into one. */
	if (status == STATUS_LIMIT)
		status = db_write(store->pool, forget_from, &segment);
	buf_free(&segment.ids);
	*rewritten = status == STATUS_OK;
	return status;
}

/* ---- asking ---- */

struct known_segment {
	int64_t last;
	size_t start, count; /* its documents in the arrays */
};

struct question {
	struct arena *arena;
	int64_t edition;
	struct list segments, ids; /* of struct known_segment; of int64_t */
	struct list anything;      /* bool: may hold anything */
	uint16_t *hits;
	bool is_damaged;
};

static void read_ids(struct question *q, int64_t first, struct slice packed, bool is_former)
{
	uint64_t number;

	while (packed.len) {
		int64_t *id = list_add(&q->ids);
		bool *anything = list_add(&q->anything);

		if (!id || !anything)
			return;
		if (!trigram_take_number(&packed, &number)) {
			q->is_damaged = true;
			return;
		}
		first += (int64_t)(number >> 1);
		*id = first;
		*anything = is_former || (number & 1);
	}
}

static void read_segments(struct db *db, struct question *q, int64_t account)
{
	struct db_query query =
		db_query(db, "SELECT last_email, first_email, ids, edition FROM text_segment WHERE account = $1 ORDER BY last_email");
	struct known_segment *segment;

	db_bind_i64(&query, account);
	while (db_row(&query) && (segment = list_add(&q->segments)) != NULL) {
		*segment = (struct known_segment){.last = db_i64(&query, 0), .start = q->ids.count};
		read_ids(q, db_i64(&query, 1), db_slice(&query, 2), q->edition != 0 && db_i64(&query, 3) != q->edition);
		segment->count = q->ids.count - segment->start;
	}
	db_done(&query);
}

static void count_triple(struct db *db, struct question *q, int64_t account, uint32_t triple)
{
	const struct known_segment *segments = q->segments.items;
	struct db_query query = db_query(db, "SELECT segment, postings FROM text_posting WHERE account = $1 AND bucket = $2"
					     " ORDER BY segment");
	size_t at = 0;

	db_bind_i64(&query, account);
	db_bind_i64(&query, trigram_bucket(triple));
	while (db_row(&query)) {
		int64_t last = db_i64(&query, 0);

		while (at < q->segments.count && segments[at].last < last)
			at++;
		if (at < q->segments.count && segments[at].last == last &&
		    !trigram_count(db_slice(&query, 1), triple, q->hits + segments[at].start, segments[at].count))
			q->is_damaged = true;
	}
	db_done(&query);
}

/* Some of the text's triples, each once, spread over it. */
static size_t choose_triples(struct slice folded, uint32_t *triples)
{
	size_t all = folded.len - 2, wanted = all < QUERY_TRIPLES ? all : QUERY_TRIPLES, count = 0;

	for (size_t i = 0; i < wanted; i++) {
		uint32_t triple = trigram_at(folded.data + (wanted > 1 ? i * (all - 1) / (wanted - 1) : 0));
		bool is_new = true;

		for (size_t j = 0; j < count; j++)
			is_new &= triples[j] != triple;
		if (is_new)
			triples[count++] = triple;
	}
	return count;
}

static enum status collect(struct question *q, size_t triples, unsigned least_percent, struct text_hits *hits)
{
	int64_t *emails = arena_try_alloc(q->arena, (q->ids.count + 1) * sizeof(*emails));
	uint8_t *percents = arena_try_alloc(q->arena, q->ids.count + 1);
	const struct known_segment *segments = q->segments.items;

	if (!emails || !percents)
		return STATUS_LIMIT;
	for (size_t i = 0; i < q->ids.count; i++) {
		unsigned percent = ((const bool *)q->anything.items)[i] ? TEXT_INDEX_UNKNOWN
									: (unsigned)(q->hits[i] * 100 / triples);

		if (percent < least_percent)
			continue;
		emails[hits->count] = ((const int64_t *)q->ids.items)[i];
		percents[hits->count++] = (uint8_t)percent;
	}
	hits->emails = emails;
	hits->percents = percents;
	hits->covered = segments[q->segments.count - 1].last;
	return STATUS_OK;
}

enum status text_index_find(struct store *store, struct arena *arena, int64_t account, struct slice folded,
			    int64_t edition, unsigned least_percent, struct text_hits *hits)
{
	struct question q = {.arena = arena,
			     .edition = edition,
			     .segments = LIST(arena, struct known_segment),
			     .ids = LIST(arena, int64_t),
			     .anything = LIST(arena, bool)};
	uint32_t triples[QUERY_TRIPLES];
	size_t count;

	*hits = (struct text_hits){0};
	if (folded.len < 3)
		return STATUS_OK;
	struct db *db SCOPED_DB = db_acquire(store->pool);

	if (!db || db_begin(db, DB_READ) != STATUS_OK)
		return STATUS_TEMPORARY;
	read_segments(db, &q, account);
	if (db_status(db) != STATUS_OK || q.segments.count == 0)
		return db_status(db);
	q.hits = arena_try_alloc(arena, (q.ids.count + 1) * sizeof(*q.hits));
	if (!q.hits || q.segments.failed || q.ids.failed || q.anything.failed)
		return STATUS_LIMIT;
	memset(q.hits, 0, (q.ids.count + 1) * sizeof(*q.hits));
	count = choose_triples(folded, triples);
	for (size_t i = 0; i < count && db_status(db) == STATUS_OK; i++)
		count_triple(db, &q, account, triples[i]);
	if (db_status(db) != STATUS_OK)
		return db_status(db);
	/* A damaged index narrows nothing. */
	return q.is_damaged ? STATUS_OK : collect(&q, count, least_percent, hits);
}

/* ---- how far it is ---- */

enum status text_index_state_of(struct store *store, int64_t account, struct text_index_state *state)
{
	struct db *db SCOPED_DB = db_acquire(store->pool);

	*state = (struct text_index_state){0};
	if (!db)
		return STATUS_TEMPORARY;
	struct db_query query = db_query(db, "SELECT count(*), max(last_email), CAST(coalesce(sum(emails), 0) AS BIGINT)"
					     " FROM text_segment WHERE account = $1");

	db_bind_i64(&query, account);
	if (db_row(&query)) {
		state->segments = db_i64(&query, 0);
		state->last_email = db_i64(&query, 1);
		state->messages = db_i64(&query, 2);
	}
	db_done(&query);
	query = db_query(db, "SELECT CAST(coalesce(sum(length(postings)), 0) AS BIGINT) FROM text_posting WHERE account = $1");
	db_bind_i64(&query, account);
	if (db_row(&query))
		state->bytes = db_i64(&query, 0);
	db_done(&query);
	return db_status(db);
}
