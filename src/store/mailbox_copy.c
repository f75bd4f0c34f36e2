/* COPY and MOVE that pass from one account to another, or are done by somebody who isn't the owner of either. */
#include "store/messages.h"
#include "store/seen.h"

struct between_work {
	struct arena *arena;
	const struct copy_request *request;
	struct copy_result *result;
};

/* Keywords have other bits in another account. */
static uint64_t translated(const unsigned *bits, uint64_t flags)
{
	uint64_t there = flags & ((UINT64_C(1) << FLAG_KEYWORD_FIRST) - 1);

	if (!bits)
		return flags;
	for (unsigned bit = FLAG_KEYWORD_FIRST; bit <= FLAG_KEYWORD_LAST; bit++)
		if (flags & UINT64_C(1) << bit && bits[bit])
			there |= UINT64_C(1) << bits[bit];
	return there;
}

/* The copies' flags, as whoever copies has them; \Seen of its own is taken out of them and noted apart. */
static void find_flags(struct db *db, const struct between_work *work, const struct list *entries, uint64_t *flags,
		       struct list *seen_at)
{
	const struct copy_request *request = work->request;
	const struct mailbox_entry *items = entries->items;
	struct seen_set seen;
	size_t *at;

	seen_read(db, work->arena, request->from_account, request->from, request->from_seen_by, &seen);
	for (size_t i = 0; i < entries->count; i++) {
		flags[i] = request->from_seen_by ? seen_flags(&seen, items[i].uid, items[i].flags) : items[i].flags;
		flags[i] = translated(request->bits, flags[i] & request->allowed);
		if (request->to_seen_by && flags[i] & FLAG_SEEN && (at = list_add(seen_at)))
			*at = i;
		if (request->to_seen_by)
			flags[i] &= ~(uint64_t)FLAG_SEEN;
	}
}

static void note_seen(struct db *db, const struct between_work *work, const struct list *seen_at)
{
	const struct copy_request *request = work->request;
	uint32_t *uids = ARENA_ARRAY(work->arena, uint32_t, seen_at->count + 1);

	for (size_t i = 0; i < seen_at->count; i++)
		uids[i] = work->result->target[((const size_t *)seen_at->items)[i]];
	seen_note(db, request->to_account, request->to, request->to_seen_by, uids, seen_at->count, true);
}

static enum status copy_entries(struct db *db, const struct between_work *work, struct account_row *from_account,
				struct mailbox_row *from, struct account_row *to_account, struct mailbox_row *to,
				const struct list *entries)
{
	const struct copy_request *request = work->request;
	uint64_t *flags = ARENA_ARRAY(work->arena, uint64_t, entries->count + 1);
	struct list seen_at = LIST(work->arena, size_t);
	enum status status;

	find_flags(db, work, entries, flags, &seen_at);
	if (from_account == to_account)
		status = messages_copy(db, to_account, from, to, entries->items, flags, entries->count, request->move,
				       work->result->target);
	else
		status = messages_copy_across(db, from_account, from, to_account, to, entries->items, flags, entries->count,
					      request->move, work->result->target);
	if (status == STATUS_OK)
		note_seen(db, work, &seen_at);
	return status != STATUS_OK ? status : db_status(db);
}

static enum status copy_between(struct db *db, void *context)
{
	const struct between_work *work = context;
	const struct copy_request *request = work->request;
	struct copy_result *result = work->result;
	struct list entries = LIST(work->arena, struct mailbox_entry);
	struct account_row *from_account = counters_account(db, request->from_account);
	struct account_row *to_account = from_account ? counters_account(db, request->to_account) : NULL;
	struct mailbox_row *from = to_account ? counters_mailbox(db, request->from_account, request->from) : NULL;
	struct mailbox_row *to = from ? counters_mailbox(db, request->to_account, request->to) : NULL;

	if (!to)
		return counters_missing(db);
	if (!to->selectable)
		return STATUS_NOT_FOUND;
	messages_read(db, request->from_account, request->from, request->uids, request->uid_count, &entries);
	if (entries.failed)
		return STATUS_LIMIT;
	*result = (struct copy_result){
		.source = ARENA_ARRAY(work->arena, uint32_t, entries.count + 1),
		.target = ARENA_ARRAY(work->arena, uint32_t, entries.count + 1),
		.count = entries.count,
		.uid_validity = to->uid_validity,
	};
	for (size_t i = 0; i < entries.count; i++)
		result->source[i] = ((const struct mailbox_entry *)entries.items)[i].uid;
	return copy_entries(db, work, from_account, from, to_account, to, &entries);
}

enum status mailbox_copy_between(struct store *store, struct arena *arena, const struct copy_request *request,
				 struct copy_result *result)
{
	struct between_work work = {arena, request, result};
	enum status status = request->uid_count > 0 ? db_write(store->pool, copy_between, &work) : STATUS_OK;

	if (status != STATUS_OK || request->uid_count == 0)
		*result = (struct copy_result){0};
	return status;
}
