/* Rights as a viewer has them. Identifiers as they stand in the table: schema/0014_sharing.h. */
#include "store/rights.h"

#include <stdlib.h>

#include "store/store_internal.h"

#define SHARED_MAX 100000

/* RFC 4314 section 2.1, in the order of the bits. */
static const char letters[] = "lrswipkxtea";

bool rights_parse(struct slice text, unsigned *rights)
{
	*rights = 0;
	for (size_t i = 0; i < text.len; i++) {
		size_t at = slice_find_byte(SLICE("lrswipkxtea"), text.data[i]);

		/* RFC 4314 section 2.1.1: c is all of "create", d all of "delete". */
		if (text.data[i] == 'c')
			*rights |= RIGHT_CREATE | RIGHT_DELETE_MAILBOX;
		else if (text.data[i] == 'd')
			*rights |= RIGHT_EXPUNGE | RIGHT_DELETE;
		else if (at == SLICE_NOT_FOUND)
			return false;
		else
			*rights |= 1u << at;
	}
	return true;
}

void rights_put(struct buf *out, unsigned rights)
{
	for (unsigned i = 0; letters[i]; i++)
		if (rights & 1u << i)
			buf_add_byte(out, letters[i]);
	if (rights & (RIGHT_CREATE | RIGHT_DELETE_MAILBOX))
		buf_add_byte(out, 'c');
	if (rights & (RIGHT_EXPUNGE | RIGHT_DELETE))
		buf_add_byte(out, 'd');
}

uint64_t rights_flags(unsigned rights)
{
	uint64_t flags = 0;

	if (rights & RIGHT_SEEN)
		flags |= FLAG_SEEN;
	if (rights & RIGHT_DELETE)
		flags |= FLAG_DELETED;
	if (rights & RIGHT_WRITE)
		flags |= ~(uint64_t)(FLAG_SEEN | FLAG_DELETED);
	return flags;
}

/* ---- one mailbox ---- */

/* The entries that are about the viewer: by address, domain and groups. */
#define ABOUT_VIEWER(columns, only)                                                                                        \
	"SELECT " columns " FROM account v JOIN mailbox_right r ON r.identifier IN (v.address, '-' || v.address,"          \
	" '@' || v.domain, '-@' || v.domain, '@@' || v.domain, '-@@' || v.domain) WHERE v.id = $1 AND " only " UNION ALL " \
	"SELECT " columns " FROM group_member g JOIN mailbox_right r ON r.identifier IN (g.name, '-' || g.name)"           \
	" WHERE g.account = $1 AND " only

struct granted {
	unsigned given, taken;
};

static void take_row(struct db_query *query, int identifier, int rights, struct granted *granted)
{
	if (slice_starts_with(db_slice(query, identifier), SLICE("-")))
		granted->taken |= (unsigned)db_i64(query, rights);
	else
		granted->given |= (unsigned)db_i64(query, rights);
}

static void read_granted(struct db *db, int64_t viewer, int64_t account, int64_t mailbox, struct granted *granted)
{
	struct db_query query = db_query(db, ABOUT_VIEWER("r.identifier, r.rights", "r.account = $2 AND r.mailbox = $3"));

	db_bind_i64(&query, viewer);
	db_bind_i64(&query, account);
	db_bind_i64(&query, mailbox);
	while (db_row(&query))
		take_row(&query, 0, 1, granted);
	db_done(&query);
}

static unsigned read_rights(struct db *db, int64_t viewer, int64_t account, int64_t mailbox)
{
	struct granted granted = {0};

	read_granted(db, viewer, account, mailbox, &granted);
	return granted.given & ~granted.taken;
}

enum status rights_of(struct store *store, int64_t viewer, int64_t account, int64_t mailbox, unsigned *rights)
{
	*rights = RIGHTS_ALL;
	if (viewer == account)
		return STATUS_OK;
	*rights = RIGHTS_NONE;
	struct db *db SCOPED_DB = db_acquire(store->pool);

	if (!db)
		return STATUS_TEMPORARY;
	*rights = read_rights(db, viewer, account, mailbox);
	return db_status(db);
}

static void read_anyone(struct db *db, int64_t account, int64_t mailbox, struct granted *granted)
{
	struct db_query query = db_query(db, "SELECT r.identifier, r.rights FROM account a JOIN mailbox_right r"
					     " ON r.identifier IN ('@@' || a.domain, '-@@' || a.domain)"
					     " WHERE a.id = $1 AND r.account = $1 AND r.mailbox = $2");

	db_bind_i64(&query, account);
	db_bind_i64(&query, mailbox);
	while (db_row(&query))
		take_row(&query, 0, 1, granted);
	db_done(&query);
}

enum status rights_to_post(struct store *store, int64_t sender, int64_t account, int64_t mailbox, bool *may)
{
	struct granted granted = {0};

	*may = true;
	if (sender == account)
		return STATUS_OK;
	struct db *db SCOPED_DB = db_acquire(store->pool);

	if (!db)
		return STATUS_TEMPORARY;
	read_anyone(db, account, mailbox, &granted);
	if (sender != 0)
		read_granted(db, sender, account, mailbox, &granted);
	*may = granted.given & ~granted.taken & RIGHT_POST;
	return db_status(db);
}

static int64_t mailbox_named(struct db *db, int64_t account, struct slice name)
{
	int64_t id = MAILBOX_ROOT_ID;
	struct db_query query = db_query(db, "SELECT id FROM mailbox WHERE account = $1 AND name = $2");

	db_bind_i64(&query, account);
	db_bind_text(&query, name);
	if (db_row(&query))
		id = db_i64(&query, 0);
	db_done(&query);
	return id;
}

enum status rights_above(struct store *store, int64_t viewer, int64_t account, struct slice name, unsigned *rights)
{
	struct arena arena SCOPED_ARENA;
	struct slice prepared = name;
	int64_t above = MAILBOX_ROOT_ID;

	*rights = RIGHTS_ALL;
	if (viewer == account)
		return STATUS_OK;
	*rights = RIGHTS_NONE;
	struct db *db SCOPED_DB = db_acquire(store->pool);

	if (!db)
		return STATUS_TEMPORARY;
	if (!mailbox_name_prepare(&arena, name, &prepared))
		return STATUS_OK;
	for (size_t at = slice_find_last_byte(prepared, '/'); at != SLICE_NOT_FOUND && above == MAILBOX_ROOT_ID;
	     at = slice_find_last_byte(prepared, '/')) {
		prepared = slice_sub(prepared, 0, at);
		above = mailbox_named(db, account, prepared);
	}
	*rights = read_rights(db, viewer, account, above);
	return db_status(db);
}

/* ---- all that is shared with somebody ---- */

struct grant {
	int64_t account, mailbox;
	struct granted granted;
};

static int compare_grants(const void *a, const void *b)
{
	const struct grant *left = a, *right = b;

	if (left->account != right->account)
		return left->account < right->account ? -1 : 1;
	return (left->mailbox > right->mailbox) - (left->mailbox < right->mailbox);
}

static void read_grants(struct db *db, int64_t viewer, struct list *grants)
{
	struct grant *grant;
	struct db_query query =
		db_query(db, ABOUT_VIEWER("r.account, r.mailbox, r.identifier, r.rights", "r.account <> $1 AND r.mailbox > 0"));

	db_bind_i64(&query, viewer);
	while (grants->count < SHARED_MAX && db_row(&query) && (grant = list_add(grants))) {
		*grant = (struct grant){.account = db_i64(&query, 0), .mailbox = db_i64(&query, 1)};
		take_row(&query, 2, 3, &grant->granted);
	}
	db_done(&query);
}

/* Several entries of one mailbox become one. */
static void join_grants(struct list *grants)
{
	struct grant *items = grants->items;
	size_t count = 0;

	if (grants->count > 0)
		qsort(items, grants->count, sizeof *items, compare_grants);
	for (size_t i = 0; i < grants->count; i++) {
		if (count > 0 && compare_grants(&items[count - 1], &items[i]) == 0) {
			items[count - 1].granted.given |= items[i].granted.given;
			items[count - 1].granted.taken |= items[i].granted.taken;
		} else {
			items[count++] = items[i];
		}
	}
	grants->count = count;
}

static bool read_owner(struct db *db, struct arena *arena, int64_t account, struct shared_mailbox *owner)
{
	struct db_query query = db_query(db, "SELECT address, shared FROM account WHERE id = $1");

	db_bind_i64(&query, account);
	bool found = db_row(&query);

	if (found)
		*owner = (struct shared_mailbox){.account = account,
						 .address = slice_dup(arena, db_slice(&query, 0)),
						 .is_shared = db_i64(&query, 1) != 0};
	db_done(&query);
	return found;
}

static int compare_shared(const void *a, const void *b)
{
	const struct shared_mailbox *left = a, *right = b;

	if (left->account != right->account)
		return left->account < right->account ? -1 : 1;
	return slice_compare(left->mailbox.name, right->mailbox.name);
}

static void add_visible(struct db *db, struct arena *arena, const struct list *grants, struct list *mailboxes)
{
	const struct grant *items = grants->items;
	struct shared_mailbox owner = {0}, *shared;

	for (size_t i = 0; i < grants->count; i++) {
		unsigned rights = items[i].granted.given & ~items[i].granted.taken;
		struct mailbox mailbox;

		if (!(rights & RIGHT_LOOKUP))
			continue;
		if (items[i].account != owner.account && !read_owner(db, arena, items[i].account, &owner))
			continue;
		if (!mailbox_read(db, arena, items[i].account, items[i].mailbox, &mailbox) || !(shared = list_add(mailboxes)))
			continue;
		*shared = owner;
		shared->rights = rights;
		shared->mailbox = mailbox;
	}
}

enum status rights_shared(struct store *store, struct arena *arena, int64_t viewer, struct shared_mailbox **mailboxes,
			  size_t *count)
{
	struct arena scratch SCOPED_ARENA;
	struct list grants = LIST(&scratch, struct grant), visible = LIST(arena, struct shared_mailbox);
	struct db *db SCOPED_DB = db_acquire(store->pool);

	*mailboxes = NULL;
	*count = 0;
	if (!db)
		return STATUS_TEMPORARY;
	read_grants(db, viewer, &grants);
	join_grants(&grants);
	add_visible(db, arena, &grants, &visible);
	if (visible.count > 0)
		qsort(visible.items, visible.count, sizeof(struct shared_mailbox), compare_shared);
	*mailboxes = visible.items;
	*count = visible.count;
	return visible.failed || grants.failed ? STATUS_LIMIT : db_status(db);
}
