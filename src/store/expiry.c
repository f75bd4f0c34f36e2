#include "store/expiry.h"

#include "store/messages.h"

#define PLACES_AT_ONCE 100

/* ---- places ---- */

static bool has_inbox_level(struct slice name)
{
	return slice_eq_nocase(slice_sub(name, 0, 5), SLICE("INBOX")) && (name.len == 5 || name.data[5] == '/');
}

bool expiry_rule_fits(const struct expiry_rule *rule, struct slice name, struct slice role)
{
	struct slice wanted = rule->mailbox;

	if (wanted.len > 0 && wanted.data[0] == '\\')
		return role.len > 0 && slice_eq_nocase(slice_skip(wanted, 1), role);
	bool is_front = wanted.len > 0 && wanted.data[wanted.len - 1] == '*';

	if (is_front)
		wanted = slice_sub(wanted, 0, wanted.len - 1);
	/* As in mailbox_name_prepare: INBOX in any case. */
	if (has_inbox_level(wanted) && has_inbox_level(name)) {
		wanted = slice_skip(wanted, 5);
		name = slice_skip(name, 5);
	}
	return is_front ? slice_starts_with(name, wanted) : slice_eq(wanted, name);
}

static const struct expiry_rule *find_rule(const struct expiry_rule *rules, size_t count, struct slice name, struct slice role)
{
	for (size_t i = 0; i < count; i++)
		if (expiry_rule_fits(&rules[i], name, role))
			return &rules[i];
	return NULL;
}

/* False: there was no place left to look at. */
static bool look_on(struct db *db, const struct expiry_rule *rules, size_t count, struct expiry_place *place,
		    const struct expiry_rule **rule)
{
	struct db_query query = db_query(db, "SELECT account, id, name, role FROM mailbox WHERE (account, id) > ($1, $2)"
					     " ORDER BY account, id LIMIT $3");
	bool any = false;

	*rule = NULL;
	db_bind_i64(&query, place->account);
	db_bind_i64(&query, place->mailbox);
	db_bind_i64(&query, PLACES_AT_ONCE);
	while (!*rule && db_row(&query)) {
		any = true;
		*place = (struct expiry_place){db_i64(&query, 0), db_i64(&query, 1)};
		*rule = find_rule(rules, count, db_slice(&query, 2), db_slice(&query, 3));
	}
	db_done(&query);
	return any;
}

enum status expiry_next(struct store *store, const struct expiry_rule *rules, size_t count, struct expiry_place *place,
			int64_t *before_ms)
{
	struct db *db SCOPED_DB = db_acquire(store->pool);
	const struct expiry_rule *rule = NULL;

	if (!db)
		return STATUS_TEMPORARY;
	while (!rule)
		if (!look_on(db, rules, count, place, &rule))
			return db_status(db) == STATUS_OK ? STATUS_NOT_FOUND : db_status(db);
	*before_ms = rule->before_ms;
	return db_status(db);
}

/* ---- messages ---- */

/* Uids and the moments of saving grow together: the first that may stay ends the search. What was saved before that moment was noted
 * has the day of its arrival. */
static void find_uids(struct db *db, struct expiry_place place, int64_t before_ms, size_t max, struct list *uids)
{
	struct db_query query = db_query(db, "SELECT uid, saved_ms, received_ms FROM mailbox_email WHERE account = $1 AND mailbox = $2"
					     " ORDER BY uid LIMIT $3");
	uint32_t *uid;

	db_bind_i64(&query, place.account);
	db_bind_i64(&query, place.mailbox);
	db_bind_i64(&query, (int64_t)max);
	while (db_row(&query)) {
		int64_t saved_ms = db_i64(&query, 1);

		if ((saved_ms > 0 ? saved_ms : db_i64(&query, 2)) >= before_ms || !(uid = list_add(uids)))
			break;
		*uid = (uint32_t)db_i64(&query, 0);
	}
	db_done(&query);
}

struct expire_work {
	struct expiry_place place;
	const struct list *uids;
	size_t removed;
};

/* Others may have taken some meanwhile, or the whole mailbox. */
static enum status expire(struct db *db, void *context)
{
	struct expire_work *work = context;
	struct arena arena SCOPED_ARENA;
	struct list entries = LIST(&arena, struct mailbox_entry);
	struct account_row *account = counters_account(db, work->place.account);
	struct mailbox_row *mailbox = account ? counters_mailbox(db, work->place.account, work->place.mailbox) : NULL;

	work->removed = 0;
	if (!mailbox)
		return db_status(db);
	messages_read(db, work->place.account, work->place.mailbox, work->uids->items, work->uids->count, &entries);
	messages_remove(db, account, mailbox, entries.items, entries.count);
	work->removed = entries.count;
	return db_status(db);
}

static enum status find(struct store *store, struct expiry_place place, int64_t before_ms, size_t max, struct list *uids)
{
	struct db *db SCOPED_DB = db_acquire(store->pool);

	if (!db)
		return STATUS_TEMPORARY;
	find_uids(db, place, before_ms, max, uids);
	return db_status(db);
}

enum status expiry_expunge(struct store *store, struct expiry_place place, int64_t before_ms, size_t max, size_t *removed)
{
	struct arena arena SCOPED_ARENA;
	struct list uids = LIST(&arena, uint32_t);
	struct expire_work work = {.place = place, .uids = &uids};
	enum status status = find(store, place, before_ms, max, &uids);

	*removed = 0;
	if (status != STATUS_OK || uids.count == 0)
		return status;
	status = db_write(store->pool, expire, &work);
	if (status == STATUS_OK)
		*removed = work.removed;
	return status;
}
