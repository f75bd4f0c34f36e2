#include "store/threads.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/random.h"
#include "mime/subject.h"
#include "mime/words.h"
#include "store/store_internal.h"

#define EMAILS_AT_ONCE 500
#define REFERENCES_MAX 20 /* the latest ones of a message that are looked at */
#define NAMES_AT_ONCE  16
#define TIDY_PARTS     256
#define PREFIXES_MAX   10
#define WIDE_COLON     SLICE("\xef\xbc\x9a")

/* ---- names ---- */

/* Anybody may claim to belong to a thread, by naming its messages: the hash has nothing to guard. */
static int64_t hash_name(struct buf *work, struct slice message_id, struct slice subject)
{
	static const uint8_t key[16] = "posthorn threads";

	buf_clear(work);
	buf_add(work, message_id);
	buf_add_byte(work, '\n');
	buf_add(work, subject);
	return (int64_t)siphash(key, buf_slice(work));
}

/* What programs put before the subject of an answer or of what they pass on, beside "Re", "Fw" and "Fwd" (which the base subject is
 * without). */
static const char *const prefixes[] = {"aw", "wg", "antw", "antwort", "sv", "vs", "vb", "rv", "tr", "rif", "res", "enc", "odp", "pd",
				       "ynt", "ilt", "\xe5\x9b\x9e\xe5\xa4\x8d", "\xe7\xad\x94\xe5\xa4\x8d",
				       "\xe8\xbd\xac\xe5\x8f\x91"};

/* Takes one off. */
static bool skip_prefix(struct slice *subject)
{
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		struct slice prefix = slice_from_cstr(prefixes[i]), rest;

		if (!slice_starts_with_nocase(*subject, prefix))
			continue;
		rest = slice_skip(*subject, prefix.len);
		if (!slice_starts_with(rest, SLICE(":")) && !slice_starts_with(rest, WIDE_COLON))
			continue;
		*subject = slice_skip(rest, rest.data[0] == ':' ? 1 : WIDE_COLON.len);
		return true;
	}
	return false;
}

static struct slice thread_subject(struct arena *arena, struct slice subject)
{
	subject = subject_base(arena, subject, NULL);
	for (unsigned i = 0; i < PREFIXES_MAX && skip_prefix(&subject); i++)
		subject = subject_base(arena, subject, NULL);
	return subject;
}

struct names {
	int64_t names[REFERENCES_MAX + 1]; /* the message's own first, then what it refers to, from the latest on */
	size_t count;
};

struct unthreaded {
	int64_t id;
	struct names names;
};

static void add_name(struct names *names, int64_t name)
{
	for (size_t i = 0; i < names->count; i++) {
		if (names->names[i] == name)
			return;
	}
	names->names[names->count++] = name;
}

/* `references`: ids with a space between, the latest last. */
static void name_message(struct names *names, struct slice message_id, struct slice references, struct slice subject)
{
	struct arena arena SCOPED_ARENA;
	struct buf work, folded;

	buf_init(&work, &arena, 0);
	buf_init(&folded, &arena, 0);
	text_fold(&folded, thread_subject(&arena, subject));
	names->count = 0;
	if (message_id.len)
		add_name(names, hash_name(&work, message_id, buf_slice(&folded)));
	for (unsigned i = 0; i < REFERENCES_MAX && references.len; i++) {
		size_t space = slice_find_last_byte(references, ' ');
		struct slice last = space == SLICE_NOT_FOUND ? references : slice_skip(references, space + 1);

		references = slice_sub(references, 0, space == SLICE_NOT_FOUND ? 0 : space);
		if (last.len)
			add_name(names, hash_name(&work, last, buf_slice(&folded)));
	}
}

/* ---- catching up ---- */

struct catch_up {
	int64_t account;
	size_t done;
};

/* Holds the row, so that nodes do this one after the other. */
static int64_t lock_state(struct db *db, int64_t account)
{
	int64_t up_to = 0;
	struct db_query query =
		db_query(db, "INSERT INTO thread_state (account, up_to) VALUES ($1, 0) ON CONFLICT (account) DO NOTHING");

	db_bind_i64(&query, account);
	db_run(&query);
	query = db_query(db, "SELECT up_to FROM thread_state WHERE account = $1 FOR UPDATE");
	db_bind_i64(&query, account);
	if (db_row(&query))
		up_to = db_i64(&query, 0);
	db_done(&query);
	return up_to > account << 32 ? up_to : account << 32;
}

static void read_emails(struct db *db, int64_t account, int64_t after, struct list *emails)
{
	struct db_query query = db_query(db, "SELECT id, message_id, refers_to, subject FROM email WHERE account = $1"
					     " AND id > $2 AND id < $3 ORDER BY id LIMIT $4");
	struct unthreaded *email;

	db_bind_i64(&query, account);
	db_bind_i64(&query, after);
	db_bind_i64(&query, (account + 1) << 32);
	db_bind_i64(&query, EMAILS_AT_ONCE);
	while (db_row(&query) && (email = list_add(emails))) {
		email->id = db_i64(&query, 0);
		name_message(&email->names, db_slice(&query, 1), db_slice(&query, 2), db_slice(&query, 3));
	}
	db_done(&query);
}

/* All names of a batch and their threads; 0: none has it yet. Looked up many at a time: on PostgreSQL a question is a round trip. */
struct known_name {
	int64_t name, thread;
};

static int compare_known(const void *a, const void *b)
{
	const struct known_name *left = a, *right = b;

	return (left->name > right->name) - (left->name < right->name);
}

static struct known_name *find_known(const struct list *known, int64_t name)
{
	struct known_name key = {name, 0};

	return bsearch(&key, known->items, known->count, sizeof(key), compare_known);
}

/* A group that isn't full asks for its last name again. */
static void look_up(struct db *db, int64_t account, struct list *known, size_t from)
{
	const struct known_name *names = known->items;
	struct db_query query = db_query(db, "SELECT name, thread FROM thread_ref WHERE account = $1 AND name IN ($2, $3, $4, $5, $6,"
					     " $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)");

	db_bind_i64(&query, account);
	for (size_t i = from; i < from + NAMES_AT_ONCE; i++)
		db_bind_i64(&query, names[i < known->count ? i : known->count - 1].name);
	while (db_row(&query)) {
		struct known_name *one = find_known(known, db_i64(&query, 0));

		if (one)
			one->thread = db_i64(&query, 1);
	}
	db_done(&query);
}

static void find_names(struct db *db, int64_t account, const struct list *emails, struct list *known)
{
	const struct unthreaded *items = emails->items;
	struct known_name *names, *one;
	size_t count = 0;

	for (size_t i = 0; i < emails->count; i++) {
		for (size_t j = 0; j < items[i].names.count && (one = list_add(known)); j++)
			*one = (struct known_name){items[i].names.names[j], 0};
	}
	names = known->items;
	if (known->count == 0)
		return;
	qsort(names, known->count, sizeof(*names), compare_known);
	for (size_t i = 0; i < known->count; i++) {
		if (i == 0 || names[i].name != names[count - 1].name)
			names[count++] = names[i];
	}
	known->count = count;
	for (size_t from = 0; from < count && db_status(db) == STATUS_OK; from += NAMES_AT_ONCE)
		look_up(db, account, known, from);
}

static void add_ref(struct db *db, int64_t account, int64_t name, int64_t thread)
{
	struct db_query query = db_query(db, "INSERT INTO thread_ref (account, name, thread) VALUES ($1, $2, $3)"
					     " ON CONFLICT (account, name) DO NOTHING");

	db_bind_i64(&query, account);
	db_bind_i64(&query, name);
	db_bind_i64(&query, thread);
	db_run(&query);
}

static void add_member(struct db *db, int64_t account, int64_t email, int64_t thread)
{
	struct db_query query = db_query(db, "INSERT INTO email_thread (account, email, thread) VALUES ($1, $2, $3)"
					     " ON CONFLICT (account, email) DO NOTHING");

	db_bind_i64(&query, account);
	db_bind_i64(&query, email);
	db_bind_i64(&query, thread);
	db_run(&query);
}

static void thread_one(struct db *db, int64_t account, const struct unthreaded *email, const struct list *known)
{
	int64_t thread = 0;

	for (size_t i = 0; i < email->names.count && thread == 0; i++)
		thread = find_known(known, email->names.names[i])->thread;
	if (thread == 0)
		thread = email->id;
	else if (thread != email->id)
		add_member(db, account, email->id, thread);
	for (size_t i = 0; i < email->names.count; i++) {
		struct known_name *name = find_known(known, email->names.names[i]);

		if (name->thread != 0)
			continue;
		name->thread = thread;
		add_ref(db, account, name->name, thread);
	}
}

static enum status catch_up(struct db *db, void *context)
{
	struct catch_up *work = context;
	struct arena arena SCOPED_ARENA;
	struct list emails = LIST(&arena, struct unthreaded), known = LIST(&arena, struct known_name);
	const struct unthreaded *items;

	read_emails(db, work->account, lock_state(db, work->account), &emails);
	items = emails.items;
	work->done = emails.count;
	find_names(db, work->account, &emails, &known);
	for (size_t i = 0; i < emails.count && db_status(db) == STATUS_OK; i++)
		thread_one(db, work->account, &items[i], &known);
	if (emails.count == 0)
		return db_status(db);
	struct db_query query = db_query(db, "UPDATE thread_state SET up_to = $2 WHERE account = $1");

	db_bind_i64(&query, work->account);
	db_bind_i64(&query, items[emails.count - 1].id);
	db_run(&query);
	return db_status(db);
}

/* Is there a message behind the last one that is in a thread, or has nobody asked for this account yet? */
static enum status is_behind(struct store *store, int64_t account, bool *behind)
{
	struct db *db SCOPED_DB = db_acquire(store->pool);

	*behind = true;
	if (!db)
		return STATUS_TEMPORARY;
	struct db_query query =
		db_query(db, "SELECT EXISTS (SELECT 1 FROM email e WHERE e.account = $1 AND e.id > s.up_to AND e.id > $2"
			     " AND e.id < $3) FROM thread_state s WHERE s.account = $1");

	db_bind_i64(&query, account);
	db_bind_i64(&query, account << 32);
	db_bind_i64(&query, (account + 1) << 32);
	if (db_row(&query))
		*behind = db_i64(&query, 0) != 0;
	db_done(&query);
	return db_status(db);
}

enum status threads_catch_up(struct store *store, int64_t account)
{
	struct catch_up work = {.account = account, .done = EMAILS_AT_ONCE};
	bool behind;
	enum status status = is_behind(store, account, &behind);

	while (status == STATUS_OK && behind && work.done == EMAILS_AT_ONCE)
		status = db_write(store->pool, catch_up, &work);
	return status;
}

/* ---- asking ---- */

struct place {
	int64_t email;
	size_t at;
};

static int compare_places(const void *a, const void *b)
{
	const struct place *left = a, *right = b;

	return (left->email > right->email) - (left->email < right->email);
}

/* One ordered scan over what lies between the first and the last. */
enum status threads_of(struct store *store, struct arena *arena, int64_t account, const int64_t *emails, size_t count,
		       int64_t *threads)
{
	struct place *places = ARENA_ARRAY(arena, struct place, count + 1);
	struct db *db SCOPED_DB = db_acquire(store->pool);
	size_t at = 0;

	for (size_t i = 0; i < count; i++) {
		places[i] = (struct place){emails[i], i};
		threads[i] = emails[i];
	}
	if (!db)
		return STATUS_TEMPORARY;
	if (count == 0)
		return STATUS_OK;
	qsort(places, count, sizeof(*places), compare_places);
	struct db_query query = db_query(db, "SELECT email, thread FROM email_thread WHERE account = $1 AND email >= $2"
					     " AND email <= $3 ORDER BY email");

	db_bind_i64(&query, account);
	db_bind_i64(&query, places[0].email);
	db_bind_i64(&query, places[count - 1].email);
	while (db_row(&query)) {
		int64_t email = db_i64(&query, 0);

		while (at < count && places[at].email < email)
			at++;
		for (; at < count && places[at].email == email; at++)
			threads[places[at].at] = db_i64(&query, 1);
	}
	db_done(&query);
	return db_status(db);
}

static bool email_exists(struct db *db, int64_t account, int64_t email)
{
	struct db_query query = db_query(db, "SELECT 1 FROM email WHERE account = $1 AND id = $2 AND NOT EXISTS (SELECT 1"
					     " FROM email_thread t WHERE t.account = $1 AND t.email = $2)");

	db_bind_i64(&query, account);
	db_bind_i64(&query, email);
	bool exists = db_row(&query);

	db_done(&query);
	return exists;
}

enum status thread_members(struct store *store, struct arena *arena, int64_t account, int64_t thread, int64_t **emails,
			   size_t *count)
{
	struct db *db SCOPED_DB = db_acquire(store->pool);
	struct list list = LIST(arena, int64_t);
	int64_t *email;

	*emails = NULL;
	*count = 0;
	if (!db)
		return STATUS_TEMPORARY;
	/* The first is its own thread's, if it is still there; its id is the lowest. */
	if (email_exists(db, account, thread) && (email = list_add(&list)))
		*email = thread;
	struct db_query query =
		db_query(db, "SELECT email FROM email_thread WHERE account = $1 AND thread = $2 ORDER BY email");

	db_bind_i64(&query, account);
	db_bind_i64(&query, thread);
	while (db_row(&query) && (email = list_add(&list)))
		*email = db_i64(&query, 0);
	db_done(&query);
	*emails = list.items;
	*count = list.count;
	return list.failed ? STATUS_LIMIT : db_status(db);
}

/* ---- jobs ---- */

static enum status next_account(struct store *store, const char *sql, int64_t *account, bool *found)
{
	struct db *db SCOPED_DB = db_acquire(store->pool);

	*found = false;
	if (!db)
		return STATUS_TEMPORARY;
	struct db_query query = db_query(db, sql);

	db_bind_i64(&query, *account);
	if (db_row(&query)) {
		*account = db_i64(&query, 0);
		*found = true;
	}
	db_done(&query);
	return db_status(db);
}

enum status threads_step(struct store *store, int64_t *account, size_t *threaded)
{
	struct catch_up work = {0};
	bool found;
	enum status status = next_account(store,
					  "SELECT s.account FROM thread_state s WHERE s.account >= $1 AND EXISTS (SELECT 1 FROM email e"
					  " WHERE e.account = s.account AND e.id > s.up_to AND e.id > s.account * 4294967296"
					  " AND e.id < (s.account + 1) * 4294967296) ORDER BY s.account LIMIT 1",
					  account, &found);

	work.account = *account;
	if (status == STATUS_OK && found)
		status = db_write(store->pool, catch_up, &work);
	*threaded = work.done;
	return status;
}

struct tidy {
	int64_t account, first, last;
	size_t removed;
};

static enum status tidy(struct db *db, void *context)
{
	struct tidy *work = context;
	struct db_query query = db_query(
		db, "DELETE FROM thread_ref WHERE account = $1 AND name >= $2 AND name <= $3"
		    " AND NOT EXISTS (SELECT 1 FROM email e WHERE e.account = $1 AND e.id = thread_ref.thread)"
		    " AND NOT EXISTS (SELECT 1 FROM email_thread m WHERE m.account = $1 AND m.thread = thread_ref.thread)");

	db_bind_i64(&query, work->account);
	db_bind_i64(&query, work->first);
	db_bind_i64(&query, work->last);
	db_run(&query);
	work->removed = (size_t)db_changes(db);
	return db_status(db);
}

enum status threads_tidy(struct store *store, int64_t *account, unsigned *part, size_t *removed, bool *more)
{
	int64_t before = *account;
	enum status status =
		next_account(store, "SELECT account FROM thread_state WHERE account >= $1 ORDER BY account LIMIT 1", account, more);
	struct tidy work = {.account = *account};

	*removed = 0;
	if (status != STATUS_OK || !*more)
		return status;
	if (*account != before)
		*part = 0;
	work.first = INT64_MIN + (int64_t)*part * (INT64_MAX / (TIDY_PARTS / 2) + 1);
	work.last = work.first + INT64_MAX / (TIDY_PARTS / 2);
	status = db_write(store->pool, tidy, &work);
	*removed = work.removed;
	if (++*part == TIDY_PARTS) {
		*part = 0;
		(*account)++;
	}
	return status;
}
