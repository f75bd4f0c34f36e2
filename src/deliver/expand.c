/* Depth first. An address that is met again within one recipient's expansion adds nothing: everything behind it is being taken or
 * has been. */
#include "deliver/expand.h"

#include <uthash.h>
#include <utlist.h>

#include "store/routing.h"

#define MAX_DEPTH          32
#define MAX_VISITS         1000
#define RECIPIENTS_AT_FULL 20 /* so many recipients of an envelope may each expand to the utmost */

struct expand_node {
	enum expand_outcome outcome;
	UT_hash_handle hh;
};

void expansion_init(struct expansion *expansion, struct arena *arena, expand_look_up look_up, void *context)
{
	*expansion = (struct expansion){.arena = arena, .look_up = look_up, .context = context, .max_visits = MAX_VISITS};
}

void expansion_free(struct expansion *x)
{
	HASH_CLEAR(hh, x->taken);
	HASH_CLEAR(hh, x->visited);
}

static struct expand_node *find(struct expand_node *table, struct slice key)
{
	struct expand_node *node;

	HASH_FIND(hh, table, key.data, key.len, node);
	return node;
}

/* The node of a key that isn't in the table yet. `key` lives as long as the arena. */
static struct expand_node *add(struct arena *arena, struct expand_node **table, struct slice key)
{
	struct expand_node *node = ARENA_NEW(arena, struct expand_node);

	HASH_ADD_KEYPTR(hh, *table, key.data, key.len, node);
	return node;
}

/* True the first time. */
static bool take(struct expansion *x, struct slice key)
{
	if (find(x->taken, key))
		return false;
	add(x->arena, &x->taken, key);
	return true;
}

static enum expand_outcome fits(const struct account *account, uint64_t size)
{
	if (account->quota_bytes > 0 && size > account->quota_bytes)
		return EXPAND_LARGER_THAN_MAILBOX;
	if (account->quota_bytes > 0 &&
	    (account->used_bytes >= account->quota_bytes || size > account->quota_bytes - account->used_bytes))
		return EXPAND_OVER_QUOTA;
	if (account->quota_messages > 0 && account->used_messages >= account->quota_messages)
		return EXPAND_OVER_QUOTA;
	return EXPAND_OK;
}

/* An account's folders are places of their own. */
static enum expand_outcome take_account(struct expansion *x, const struct account *account, struct slice address)
{
	struct slice folder = SLICE_EMPTY, key = slice_lower(x->arena, account->address);
	struct expand_local *local;

	if (!account->enabled)
		return EXPAND_DISABLED;
	if (x->find_folder &&
	    x->find_folder(x->context, x->arena, account, address, x->sender_account, &folder) != STATUS_OK)
		return EXPAND_TEMPORARY;
	if (folder.len > 0)
		key = slice_join(x->arena, (const struct slice[]){key, SLICE("/"), folder}, 3);
	x->own_locals++;
	if (take(x, key)) {
		local = ARENA_NEW(x->arena, struct expand_local);
		local->account = *account;
		local->address = address;
		local->folder = folder;
		local->key = key;
		local->recipient = x->recipient;
		DL_APPEND(x->locals, local);
		x->local_count++;
	}
	return fits(account, x->size);
}

/* RFC 5321 section 2.4: only the other host knows whether its local parts differ by case. */
static enum expand_outcome take_remote(struct expansion *x, struct slice address, bool is_forwarded)
{
	size_t at = slice_find_last_byte(address, '@');
	struct expand_remote *remote;

	if (at == SLICE_NOT_FOUND)
		return EXPAND_UNKNOWN;
	address = slice_dup(x->arena, address);
	x->own_remotes++;
	if (take(x, address)) {
		remote = ARENA_NEW(x->arena, struct expand_remote);
		remote->address = address;
		remote->domain = slice_skip(address, at + 1);
		remote->recipient = x->recipient;
		remote->is_forwarded = is_forwarded;
		DL_APPEND(x->remotes, remote);
		x->remote_count++;
	}
	return EXPAND_OK;
}

/* An alias's word: local:NAME, unix:USER. The address is the recipient's. */
static enum expand_outcome take_local_hop(struct expansion *x, struct slice hop)
{
	const struct slice key[] = {hop, SLICE(" "), x->recipient->address};
	struct expand_remote *remote;

	if (!x->has_local)
		return EXPAND_UNKNOWN;
	x->own_remotes++;
	if (take(x, slice_join(x->arena, key, 3))) {
		remote = ARENA_NEW(x->arena, struct expand_remote);
		*remote = (struct expand_remote){.address = slice_dup(x->arena, x->recipient->address), .domain = SLICE_EMPTY,
						 .local_hop = slice_dup(x->arena, hop), .recipient = x->recipient};
		DL_APPEND(x->remotes, remote);
		x->remote_count++;
	}
	return EXPAND_OK;
}

static void note_dropped(struct expansion *x, struct slice address, enum expand_outcome why)
{
	struct expand_dropped *dropped;

	if (why != EXPAND_UNKNOWN && why != EXPAND_DISABLED)
		return;
	dropped = ARENA_NEW(x->arena, struct expand_dropped);
	dropped->address = address;
	dropped->why = why;
	DL_APPEND(x->dropped, dropped);
}

static enum expand_outcome visit(struct expansion *x, struct slice address, unsigned depth);

static enum expand_outcome visit_targets(struct expansion *x, const struct directory_entry *entry, unsigned depth)
{
	enum expand_outcome worst = EXPAND_NOTHING;

	for (size_t i = 0; i < entry->target_count; i++) {
		bool stays = hop_is_local(entry->targets[i]);
		enum expand_outcome outcome = stays ? take_local_hop(x, entry->targets[i])
						    : visit(x, entry->targets[i], entry->is_domain_alias ? depth : depth + 1);

		note_dropped(x, entry->targets[i], outcome);
		if (outcome > worst)
			worst = outcome;
	}
	return worst;
}

/* Whoever says to be one of us, and isn't known to be, is not. */
static bool is_impostor(struct expansion *x)
{
	struct directory_entry entry;

	return !x->may_relay && (x->look_up(x->context, x->arena, x->sender, &entry) != STATUS_OK ||
				 entry.kind == DIRECTORY_ACCOUNT || entry.kind == DIRECTORY_ALIAS);
}

/* Of the list that was written to; what stands behind it is its owner's choice. */
static bool may_write_to(struct expansion *x, const struct directory_entry *list)
{
	bool is_listed = list->sender_count == 0, members = false;

	for (size_t i = 0; i < list->sender_count && !is_listed; i++) {
		members = members || slice_eq(list->senders[i], RULE_MEMBERS);
		is_listed = routing_address_matches(x->sender, list->senders[i]);
	}
	for (size_t i = 0; i < list->target_count && members && !is_listed; i++)
		is_listed = slice_eq_nocase(x->sender, list->targets[i]);
	return is_listed && (list->sender_count == 0 || !is_impostor(x));
}

static enum expand_outcome look_up_and_take(struct expansion *x, struct slice address, unsigned depth)
{
	struct directory_entry entry;

	if (x->look_up(x->context, x->arena, address, &entry) != STATUS_OK)
		return EXPAND_TEMPORARY;
	switch (entry.kind) {
	case DIRECTORY_ACCOUNT:
		return take_account(x, &entry.account, address);
	case DIRECTORY_ALIAS:
		if (depth == 0 && x->sender.data && !may_write_to(x, &entry))
			return EXPAND_NOT_ALLOWED;
		return visit_targets(x, &entry, depth);
	case DIRECTORY_UNKNOWN:
		return EXPAND_UNKNOWN;
	case DIRECTORY_RELAY:
		return take_remote(x, address, depth > 0);
	case DIRECTORY_NOT_LOCAL:
		break;
	}
	return depth > 0 || x->may_relay ? take_remote(x, address, depth > 0) : EXPAND_RELAY_DENIED;
}

static enum expand_outcome visit(struct expansion *x, struct slice address, unsigned depth)
{
	struct expand_node *node = find(x->visited, address);

	if (node)
		return node->outcome;
	if (depth > MAX_DEPTH || ++x->visits > x->max_visits || ++x->all_visits > x->max_visits * RECIPIENTS_AT_FULL)
		return EXPAND_TOO_MANY;
	node = add(x->arena, &x->visited, address);
	node->outcome = EXPAND_NOTHING; /* while we are behind it */
	node->outcome = look_up_and_take(x, address, depth);
	return node->outcome;
}

enum expand_outcome expand(struct expansion *x, const struct deliver_recipient *recipient)
{
	HASH_CLEAR(hh, x->visited);
	x->visits = 0;
	x->own_locals = x->own_remotes = 0;
	x->recipient = recipient;
	return visit(x, recipient->address, 0);
}

/* ---- taking back ---- */

struct expand_mark expansion_mark(const struct expansion *x)
{
	return (struct expand_mark){x->locals ? x->locals->prev : NULL, x->remotes ? x->remotes->prev : NULL};
}

static void give_back(struct expansion *x, struct slice key)
{
	struct expand_node *node = find(x->taken, key);

	if (node)
		HASH_DEL(x->taken, node);
}

/* The head's prev is the tail. */
void expansion_return_to(struct expansion *x, const struct expand_mark *mark)
{
	while (x->locals && x->locals->prev != mark->local) {
		struct expand_local *last = x->locals->prev;

		give_back(x, last->key);
		DL_DELETE(x->locals, last);
		x->local_count--;
	}
	while (x->remotes && x->remotes->prev != mark->remote) {
		struct expand_remote *last = x->remotes->prev;

		const struct slice hop_key[] = {last->local_hop, SLICE(" "), last->address};

		give_back(x, last->local_hop.len > 0 ? slice_join(x->arena, hop_key, 3) : last->address);
		DL_DELETE(x->remotes, last);
		x->remote_count--;
	}
}
