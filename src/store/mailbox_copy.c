/* COPY and MOVE that pass from one account to another, or are done by somebody who isn't the owner of either. */
#include "store/messages.h"
#include "store/seen.h"

struct between_work {
	const struct copy_request *request;
	struct copy_result *result;
};

/* Both places, and what is at work between them at the moment. */
struct between {
	struct arena *arena;
	const struct copy_request *request;
	struct account_row *from_account, *to_account;
	struct mailbox_row *from, *to;
	uint32_t *target; /* uids of these copies */
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
static void find_flags(struct db *db, const struct between *between, const struct list *entries, uint64_t *flags,
		       struct list *seen_at)
{
	const struct copy_request *request = between->request;
	const struct mailbox_entry *items = entries->items;
	struct seen_set seen;
	size_t *at;

	seen_read(db, between->arena, request->from_account, request->from, request->from_seen_by, &seen);
	for (size_t i = 0; i < entries->count; i++) {
		flags[i] = request->from_seen_by ? seen_flags(&seen, items[i].uid, items[i].flags) : items[i].flags;
		flags[i] = translated(request->bits, flags[i] & request->allowed);
		if (request->to_seen_by && flags[i] & FLAG_SEEN && (at = list_add(seen_at)))
			*at = i;
		if (request->to_seen_by)
			flags[i] &= ~(uint64_t)FLAG_SEEN;
	}
}

static void note_seen(struct db *db, const struct between *between, const struct list *seen_at)
{
	const struct copy_request *request = between->request;
	uint32_t *uids = ARENA_ARRAY(between->arena, uint32_t, seen_at->count + 1);

	for (size_t i = 0; i < seen_at->count; i++)
		uids[i] = between->target[((const size_t *)seen_at->items)[i]];
	seen_note(db, request->to_account, request->to, request->to_seen_by, uids, seen_at->count, true);
}

static enum status copy_entries(struct db *db, const struct between *between, const struct list *entries)
{
	const struct copy_request *request = between->request;
	uint64_t *flags = ARENA_ARRAY(between->arena, uint64_t, entries->count + 1);
	struct list seen_at = LIST(between->arena, size_t);
	enum status status;

	find_flags(db, between, entries, flags, &seen_at);
	if (between->from_account == between->to_account)
		status = messages_copy(db, between->to_account, between->from, between->to, entries->items, flags, entries->count,
				       request->move, between->target);
	else
		status = messages_copy_across(db, between->from_account, between->from, between->to_account, between->to,
					      entries->items, flags, entries->count, request->move, between->target);
	if (status == STATUS_OK)
		note_seen(db, between, &seen_at);
	return status != STATUS_OK ? status : db_status(db);
}

static enum status copy_piece(struct db *db, struct between *between, struct copy_result *result, const uint32_t *uids,
			      size_t uid_count)
{
	struct arena arena SCOPED_ARENA;
	struct list entries = LIST(&arena, struct mailbox_entry);

	messages_read(db, between->request->from_account, between->request->from, uids, uid_count, &entries);
	if (entries.failed)
		return STATUS_LIMIT;
	for (size_t i = 0; i < entries.count; i++)
		result->source[result->count + i] = ((const struct mailbox_entry *)entries.items)[i].uid;
	between->arena = &arena;
	between->target = result->target + result->count;
	result->count += entries.count;
	return copy_entries(db, between, &entries);
}

static enum status copy_between(struct db *db, void *context)
{
	const struct between_work *work = context;
	const struct copy_request *request = work->request;
	struct between between = {.request = request};
	enum status status = STATUS_OK;

	between.from_account = counters_account(db, request->from_account);
	between.to_account = between.from_account ? counters_account(db, request->to_account) : NULL;
	between.from = between.to_account ? counters_mailbox(db, request->from_account, request->from) : NULL;
	between.to = between.from ? counters_mailbox(db, request->to_account, request->to) : NULL;
	if (!between.to)
		return counters_missing(db);
	if (!between.to->selectable)
		return STATUS_NOT_FOUND;
	work->result->count = 0;
	work->result->uid_validity = between.to->uid_validity;
	for (size_t at = 0; at < request->uid_count && status == STATUS_OK; at += MESSAGES_AT_ONCE) {
		size_t left = request->uid_count - at;

		status = copy_piece(db, &between, work->result, request->uids + at, left < MESSAGES_AT_ONCE ? left : MESSAGES_AT_ONCE);
	}
	return status;
}

enum status mailbox_copy_between(struct store *store, struct arena *arena, const struct copy_request *request,
				 struct copy_result *result)
{
	struct between_work work = {request, result};

	*result = (struct copy_result){
		.source = arena_try_alloc(arena, (request->uid_count + 1) * sizeof(*result->source)),
		.target = arena_try_alloc(arena, (request->uid_count + 1) * sizeof(*result->target)),
	};
	if (!result->source || !result->target)
		return STATUS_LIMIT;
	enum status status = request->uid_count > 0 ? db_write(store->pool, copy_between, &work) : STATUS_OK;

	if (status != STATUS_OK || request->uid_count == 0)
		*result = (struct copy_result){0};
	return status;
}
