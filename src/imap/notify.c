#include "imap/notify.h"

#include <stdlib.h>

#include "imap/name.h"
#include "imap/parse_notify.h"
#include "imap/session.h"
#include "imap/url_auth.h"

#define NOTIFY_BYTES_MAX ((size_t)1024 * 1024) /* of what was asked for */
/* Of what is known: enough for ACCOUNT_MAILBOXES_MAX with common names. */
#define KNOWN_BYTES_MAX ((size_t)16 * 1024 * 1024)

/* What the client knows of a mailbox, or was never told but may think. */
struct known_mailbox {
	int64_t id;
	struct slice name;
	uint32_t uid_validity, uid_next, messages;
	uint64_t modseq;
	bool subscribed, selectable;
};

struct known {
	struct arena arena;
	uint64_t modseq; /* the account's */
	struct known_mailbox *mailboxes; /* ascending by id */
	const struct known_mailbox **by_name; /* the same */
	size_t count;
	struct slice *subscriptions; /* ascending */
	size_t subscription_count;
};

struct notify {
	struct arena arena;
	struct notify_request request;
	bool begun; /* what is known is known */
	struct known known;
};

/* ---- the selected mailbox ---- */

/* RFC 5465 section 3.1: who doesn't name the selected mailbox hears nothing of it, but for what he does himself. */
bool imap_notify_allows_news(const struct imap_session *s, const struct imap_command *command)
{
	if (!s->notify || s->notify->request.selected)
		return true;
	return command && command->spec &&
	       (command->spec->handler == imap_expunge || command->spec->handler == imap_move ||
		command->spec->handler == imap_replace);
}

bool imap_notify_allows_flags(const struct imap_session *s)
{
	return !s->notify || s->notify->request.selected & NOTIFY_FLAG_CHANGE;
}

bool imap_notify_has_items(const struct imap_session *s)
{
	return s->notify && s->notify->request.has_items;
}

void imap_notify_put_items(struct imap_session *s, uint32_t uid_next)
{
	struct imap_range range = {uid_next, UINT32_MAX};
	struct imap_set set = {.ranges = &range, .count = 1};
	enum status status = imap_put_messages(s, &s->notify->request.items, &set);

	if (status != STATUS_OK)
		LOG_WARNING(s->context->log, "imap.notify_failed", LOG_INT("session", s->env->id),
			    LOG_STR("status", status_name(status)));
}

/* ---- what is known ---- */

static int compare_known(const void *a, const void *b)
{
	const struct known_mailbox *left = a, *right = b;

	return (left->id > right->id) - (left->id < right->id);
}

static struct known_mailbox *find_known(const struct known *known, int64_t id)
{
	struct known_mailbox key = {.id = id};

	return known->count ? bsearch(&key, known->mailboxes, known->count, sizeof(key), compare_known) : NULL;
}

static int compare_known_names(const void *a, const void *b)
{
	const struct known_mailbox *const *left = a, *const *right = b;

	return slice_compare((*left)->name, (*right)->name);
}

static const struct known_mailbox *find_named(const struct known *known, struct slice name)
{
	const struct known_mailbox key = {.name = name}, *wanted = &key, **found = NULL;

	if (known->count)
		found = bsearch(&wanted, known->by_name, known->count, sizeof(wanted), compare_known_names);
	return found ? *found : NULL;
}

/* As `name` with a slash behind it would be. */
static int compare_with_below(struct slice one, struct slice name)
{
	int order = slice_compare(slice_sub(one, 0, name.len), name);

	return order != 0 ? order : slice_compare(slice_skip(one, name.len), SLICE("/"));
}

static bool has_children(const struct known *known, struct slice name)
{
	size_t low = 0, high = known->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_with_below(known->by_name[middle]->name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < known->count && imap_name_is_below(known->by_name[low]->name, name);
}

static void keep(struct known_mailbox *to, const struct mailbox *mailbox)
{
	to->uid_validity = mailbox->uid_validity;
	to->uid_next = mailbox->uid_next;
	to->messages = mailbox->messages;
	to->modseq = mailbox->highest_modseq;
}

static bool make_room(struct known *known, size_t count, size_t subscription_count)
{
	arena_init(&known->arena, KNOWN_BYTES_MAX);
	known->mailboxes = arena_try_alloc(&known->arena, (count + 1) * sizeof(*known->mailboxes));
	known->by_name = arena_try_alloc(&known->arena, (count + 1) * sizeof(*known->by_name));
	known->subscriptions = arena_try_alloc(&known->arena, (subscription_count + 1) * sizeof(*known->subscriptions));
	return known->mailboxes && known->by_name && known->subscriptions;
}

static void sort_known(struct known *known)
{
	qsort(known->mailboxes, known->count, sizeof(*known->mailboxes), compare_known);
	for (size_t i = 0; i < known->count; i++)
		known->by_name[i] = &known->mailboxes[i];
	qsort(known->by_name, known->count, sizeof(*known->by_name), compare_known_names);
}

/* All of it as it is now; mailboxes and subscriptions in the command's arena too. LIMIT: too many to watch. */
static enum status read_all(struct imap_session *s, uint64_t modseq, struct known *known, struct mailbox **mailboxes)
{
	struct slice *names;
	size_t count, name_count;
	enum status status = mailbox_list(imap_store(s), imap_arena(s), s->account, mailboxes, &count);

	*known = (struct known){.modseq = modseq};
	if (status == STATUS_OK)
		status = mailbox_subscriptions(imap_store(s), imap_arena(s), s->account, SLICE_EMPTY, &names, &name_count);
	if (status != STATUS_OK)
		return status;
	if (!make_room(known, count, name_count))
		return STATUS_LIMIT;
	for (size_t i = 0; i < count; i++) {
		struct known_mailbox *one = &known->mailboxes[known->count++];

		keep(one, &(*mailboxes)[i]);
		one->id = (*mailboxes)[i].id;
		one->name = slice_dup(&known->arena, (*mailboxes)[i].name);
		one->subscribed = (*mailboxes)[i].subscribed;
		one->selectable = (*mailboxes)[i].selectable;
	}
	for (size_t i = 0; i < name_count; i++)
		known->subscriptions[known->subscription_count++] = slice_dup(&known->arena, names[i]);
	sort_known(known);
	return arena_is_full(&known->arena) ? STATUS_LIMIT : STATUS_OK;
}

static unsigned events_of(const struct imap_session *s, struct slice name, bool subscribed)
{
	const struct notify_request *request = &s->notify->request;
	unsigned events = 0;

	for (size_t i = 0; i < request->count; i++) {
		if (imap_filter_matches(&request->groups[i].filter, name, subscribed))
			events |= request->groups[i].events;
	}
	return events;
}

static bool is_selected(struct imap_session *s, int64_t mailbox)
{
	return mailbox_viewer_is_open(&s->viewer) && s->selected_account == s->account &&
	       mailbox_viewer_state(&s->viewer).mailbox == mailbox;
}

/* ---- STATUS ---- */

static void put_status(struct imap_session *s, const struct mailbox *mailbox, const char *items)
{
	struct imap_place place = imap_own_place(s, mailbox);
	struct imap_parser p;
	unsigned bits;

	imap_parser_init(&p, imap_arena(s), slice_from_cstr(items), false);
	if (imap_parse_status_items(&p, &bits))
		imap_put_status(s, &place, bits);
	conn_flush_if_high(imap_conn(s));
}

/* RFC 5465 section 3.1. */
static void put_first_status(struct imap_session *s, const struct mailbox *mailbox, unsigned events)
{
	if (events & NOTIFY_FLAG_CHANGE)
		put_status(s, mailbox, "(MESSAGES UIDNEXT UIDVALIDITY UNSEEN HIGHESTMODSEQ)");
	else if (events & NOTIFY_MESSAGES)
		put_status(s, mailbox, "(MESSAGES UIDNEXT UIDVALIDITY UNSEEN)");
}

/* RFC 5465 section 5.1 to 5.3. `change` NULL: not in the log any more, so the numbers must say it. */
static void tell_messages(struct imap_session *s, const struct known_mailbox *old, const struct mailbox *now,
			  const struct account_change *change, unsigned events)
{
	bool is_new = now->uid_next != old->uid_next;
	bool is_expunged = change ? change->expunged : now->messages < old->messages;
	bool has_flags = change ? change->messages && change->first_uid < old->uid_next : now->highest_modseq != old->modseq;

	if (old->uid_validity != now->uid_validity && events & NOTIFY_FLAG_CHANGE)
		put_status(s, now, "(MESSAGES UIDNEXT UIDVALIDITY UNSEEN)");
	else if ((is_new && events & NOTIFY_MESSAGE_NEW) || (is_expunged && events & NOTIFY_MESSAGE_EXPUNGE))
		put_status(s, now, s->condstore ? "(MESSAGES UIDNEXT UIDVALIDITY UNSEEN HIGHESTMODSEQ)"
						: "(MESSAGES UIDNEXT UIDVALIDITY UNSEEN)");
	else if (has_flags && events & NOTIFY_FLAG_CHANGE)
		put_status(s, now, s->condstore ? "(UIDVALIDITY UNSEEN HIGHESTMODSEQ)" : "(UIDVALIDITY UNSEEN)");
}

/* ---- LIST ---- */

static int compare_names(const void *a, const void *b)
{
	const struct slice *left = a, *right = b;

	return slice_compare(*left, *right);
}

static bool has_name(const struct known *known, struct slice name)
{
	return known->subscription_count &&
	       bsearch(&name, known->subscriptions, known->subscription_count, sizeof(name), compare_names);
}

/* RFC 5465 section 5.4, 5.5: the name as it is now; old_name empty: it hasn't been renamed. */
static void put_list(struct imap_session *s, const struct known *now, struct slice name, struct slice old_name)
{
	const struct known_mailbox *mailbox = find_named(now, name);
	struct buf *out = imap_output(s);

	buf_add_literal(out, "* LIST (");
	if (!mailbox)
		buf_add_literal(out, "\\NonExistent ");
	else if (!mailbox->selectable)
		buf_add_literal(out, "\\Noselect ");
	if (has_children(now, name))
		buf_add_literal(out, "\\HasChildren");
	else
		buf_add_literal(out, "\\HasNoChildren");
	if (has_name(now, name))
		buf_add_literal(out, " \\Subscribed");
	buf_add_literal(out, ") \"/\" ");
	imap_put_mailbox(out, name, imap_utf8_names(s));
	if (old_name.len) {
		buf_add_literal(out, " (\"OLDNAME\" (");
		imap_put_mailbox(out, old_name, imap_utf8_names(s));
		buf_add_literal(out, "))");
	}
	buf_add_literal(out, "\r\n");
	conn_flush_if_high(imap_conn(s));
}

static struct slice parent_of(struct slice name)
{
	size_t slash = slice_find_last_byte(name, '/');

	return slash == SLICE_NOT_FOUND ? SLICE_EMPTY : slice_sub(name, 0, slash);
}

/* RFC 5465 section 5.4: made or gone; what is right above is affected too. */
static void tell_name(struct imap_session *s, const struct known *now, struct slice name, bool subscribed)
{
	struct slice parent = parent_of(name);

	if (events_of(s, name, subscribed) & NOTIFY_MAILBOX_NAME)
		put_list(s, now, name, SLICE_EMPTY);
	if (parent.len && events_of(s, parent, has_name(now, parent)) & NOTIFY_MAILBOX_NAME)
		put_list(s, now, parent, SLICE_EMPTY);
}

/* Was it renamed only because what is above was? */
static bool was_taken_along(const struct known *old, const struct known *now, const struct known_mailbox *before,
			    const struct known_mailbox *after)
{
	const struct known_mailbox *parent = find_named(old, parent_of(before->name));
	const struct known_mailbox *renamed = parent ? find_known(now, parent->id) : NULL;

	return renamed && !slice_eq(renamed->name, parent->name) && slice_eq(renamed->name, parent_of(after->name)) &&
	       slice_eq(slice_skip(before->name, parent->name.len), slice_skip(after->name, renamed->name.len));
}

static void tell_renamed(struct imap_session *s, const struct known *old, const struct known *now,
			 const struct known_mailbox *before, const struct known_mailbox *after)
{
	unsigned events = events_of(s, after->name, after->subscribed) | events_of(s, before->name, before->subscribed);

	if (events & NOTIFY_MAILBOX_NAME && !was_taken_along(old, now, before, after))
		put_list(s, now, after->name, before->name);
}

static void tell_names(struct imap_session *s, const struct known *old, const struct known *now)
{
	for (size_t i = 0; i < old->count; i++) {
		const struct known_mailbox *before = &old->mailboxes[i], *after = find_known(now, before->id);

		if (!after)
			tell_name(s, now, before->name, before->subscribed);
		else if (!slice_eq(before->name, after->name))
			tell_renamed(s, old, now, before, after);
		else if (before->selectable != after->selectable)
			tell_name(s, now, after->name, after->subscribed);
	}
	for (size_t i = 0; i < now->count; i++) {
		if (!find_known(old, now->mailboxes[i].id))
			tell_name(s, now, now->mailboxes[i].name, now->mailboxes[i].subscribed);
	}
}

/* RFC 5465 section 5.5. Both are in order. */
static void tell_subscriptions(struct imap_session *s, const struct known *old, const struct known *now)
{
	size_t i = 0, j = 0;

	while (i < old->subscription_count || j < now->subscription_count) {
		int order = i == old->subscription_count   ? 1
			    : j == now->subscription_count ? -1
							   : slice_compare(old->subscriptions[i], now->subscriptions[j]);
		struct slice name = order <= 0 ? old->subscriptions[i] : now->subscriptions[j];

		i += order <= 0;
		j += order >= 0;
		/* RFC 5465 section 6.4: who watches what is subscribed hears that it was. */
		if (order != 0 && (events_of(s, name, true) & NOTIFY_SUBSCRIPTION_CHANGE))
			put_list(s, now, name, SLICE_EMPTY);
	}
}

/* ---- what has changed ---- */

static const struct account_change *change_of(const struct account_changes *changes, int64_t mailbox)
{
	size_t low = 0, high = changes->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (changes->changes[middle].mailbox < mailbox)
			low = middle + 1;
		else
			high = middle;
	}
	return low < changes->count && changes->changes[low].mailbox == mailbox ? &changes->changes[low] : NULL;
}

/* Names or subscriptions are other ones, or nobody knows: everything is looked at. */
static enum status tell_all(struct imap_session *s, const struct account_changes *changes)
{
	struct known *old = &s->notify->known, now;
	struct mailbox *mailboxes;
	enum status status = read_all(s, changes->modseq, &now, &mailboxes);

	if (status != STATUS_OK) {
		arena_free(&now.arena);
		return status;
	}
	tell_names(s, old, &now);
	tell_subscriptions(s, old, &now);
	for (size_t i = 0; i < now.count; i++) {
		const struct mailbox *mailbox = &mailboxes[i];
		const struct known_mailbox *before = find_known(old, mailbox->id);
		const struct account_change *change = change_of(changes, mailbox->id);

		if (before && mailbox->selectable && !is_selected(s, mailbox->id) && (change || changes->too_old))
			tell_messages(s, before, mailbox, change, events_of(s, mailbox->name, mailbox->subscribed));
	}
	arena_free(&old->arena);
	*old = now;
	return STATUS_OK;
}

static enum status tell_one(struct imap_session *s, const struct account_change *change)
{
	struct known_mailbox *known = find_known(&s->notify->known, change->mailbox);
	unsigned events = known ? events_of(s, known->name, known->subscribed) & NOTIFY_MESSAGES : 0;
	struct mailbox mailbox;
	enum status status;

	if (events == 0)
		return STATUS_OK;
	status = mailbox_get(imap_store(s), imap_arena(s), s->account, change->mailbox, &mailbox);
	if (status == STATUS_NOT_FOUND)
		return STATUS_OK; /* the log will say it */
	if (status != STATUS_OK)
		return status;
	if (!is_selected(s, change->mailbox))
		tell_messages(s, known, &mailbox, change, events);
	keep(known, &mailbox);
	return STATUS_OK;
}

static enum status tell_changes(struct imap_session *s)
{
	struct account_changes changes;
	enum status status =
		account_changes_since(imap_store(s), imap_arena(s), s->account, s->notify->known.modseq, &changes);
	bool all = changes.too_old || changes.subscriptions;

	if (status != STATUS_OK || changes.modseq == s->notify->known.modseq)
		return status;
	for (size_t i = 0; i < changes.count; i++)
		all |= changes.changes[i].itself;
	if (all)
		return tell_all(s, &changes);
	for (size_t i = 0; i < changes.count && status == STATUS_OK; i++)
		status = tell_one(s, &changes.changes[i]);
	if (status == STATUS_OK)
		s->notify->known.modseq = changes.modseq;
	return status;
}

/* RFC 5465 section 5.8. */
static void overflow(struct imap_session *s)
{
	s->notify->request.count = 0;
	s->notify->request.selected = 0;
	buf_add_literal(imap_output(s), "* OK [NOTIFICATIONOVERFLOW] Too much to tell\r\n");
}

void imap_notify_others(struct imap_session *s)
{
	enum status status;

	if (!s->notify || s->notify->request.count == 0 || !s->notify->begun)
		return;
	status = tell_changes(s);
	if (status == STATUS_LIMIT)
		overflow(s);
	else if (status != STATUS_OK)
		LOG_WARNING(s->context->log, "imap.notify_failed", LOG_INT("session", s->env->id),
			    LOG_STR("status", status_name(status)));
}

bool imap_notify_wants_metadata(const struct imap_session *s, struct slice name, bool is_foreign)
{
	const struct notify_request *request = &s->notify->request;
	bool subscribed = has_name(&s->notify->known, name), wants = false;

	for (size_t i = 0; i < request->count && !wants; i++) {
		const struct notify_group *group = &request->groups[i];
		bool is_own = group->filter.kind == FILTER_PERSONAL || group->filter.kind == FILTER_INBOXES;

		if (name.len == 0)
			wants = group->events & NOTIFY_SERVER_METADATA;
		else if (group->events & NOTIFY_MAILBOX_METADATA && !(is_own && is_foreign))
			wants = imap_filter_matches(&group->filter, name, subscribed);
	}
	return wants;
}

static bool watches_metadata(const struct notify_request *request)
{
	unsigned events = 0;

	for (size_t i = 0; i < request->count; i++)
		events |= request->groups[i].events;
	return events & (NOTIFY_MAILBOX_METADATA | NOTIFY_SERVER_METADATA);
}

void imap_notify_event(struct imap_session *s)
{
	imap_tell_metadata(s, true, 0);
	url_tell_reset(s);
	if (mailbox_viewer_is_open(&s->viewer) && imap_notify_allows_news(s, NULL)) {
		imap_refresh(s);
		imap_tell_news(s, s->idling || !s->notify->request.delayed, NULL);
	}
	imap_notify_others(s);
}

/* ---- the command ---- */

void imap_notify_end(struct imap_session *s)
{
	if (!s->notify)
		return;
	arena_free(&s->notify->known.arena);
	arena_free(&s->notify->arena);
	free(s->notify);
	s->notify = NULL;
}

/* NOTIFY NONE: a session that hears of nothing is one with no groups. */
static struct notify *notify_new(const struct imap_parser *args, bool *parsed, struct slice *fault)
{
	struct notify *notify = calloc(1, sizeof(*notify));
	struct imap_parser p = *args;

	if (!notify)
		return NULL;
	arena_init(&notify->arena, NOTIFY_BYTES_MAX);
	p.arena = &notify->arena;
	p.rest = slice_dup(&notify->arena, args->rest);
	*parsed = imap_parse_notify(&p, &notify->request) && !arena_is_full(&notify->arena);
	*fault = p.fault;
	return notify;
}

static void put_statuses(struct imap_session *s, const struct mailbox *mailboxes, size_t count)
{
	for (size_t i = 0; s->notify->request.status && i < count; i++) {
		if (mailboxes[i].selectable && !is_selected(s, mailboxes[i].id))
			put_first_status(s, &mailboxes[i], events_of(s, mailboxes[i].name, mailboxes[i].subscribed));
	}
}

static enum status begin(struct imap_session *s)
{
	struct account_changes changes;
	struct mailbox *mailboxes;
	enum status status;

	if (s->notify->request.count == 0)
		return STATUS_OK;
	/* First where the log is, then what there is: what comes between is told twice rather than not. */
	status = account_changes_since(imap_store(s), imap_arena(s), s->account, UINT64_MAX >> 1, &changes);
	if (status == STATUS_OK)
		status = read_all(s, changes.modseq, &s->notify->known, &mailboxes);
	s->notify->begun = status == STATUS_OK;
	if (status == STATUS_OK)
		put_statuses(s, mailboxes, s->notify->known.count);
	return status;
}

static enum next answer(struct imap_session *s, struct imap_command *command, enum status status)
{
	if (status == STATUS_LIMIT)
		return imap_no(s, command, SLICE("NOTIFICATIONOVERFLOW"), SLICE("Too many mailboxes to watch"));
	return imap_answer(s, command, status, SLICE("NOTIFY completed"));
}

enum next imap_notify(struct imap_session *s, struct imap_command *command)
{
	struct notify *notify, *old = s->notify;
	bool parsed = false;
	struct slice fault = SLICE_EMPTY;
	enum status status;

	notify = notify_new(&command->args, &parsed, &fault);
	if (!notify)
		return imap_answer(s, command, STATUS_TEMPORARY, SLICE_EMPTY);
	s->notify = notify;
	if (!parsed || notify->request.unknown_event) {
		imap_notify_end(s);
		s->notify = old;
		command->args.fault = slice_dup(imap_arena(s), fault);
		return parsed ? imap_no(s, command, SLICE("BADEVENT (" NOTIFY_EVENTS ")"), SLICE("There is no such event"))
			      : imap_bad_arguments(s, command);
	}
	/* RFC 5465 section 3.1: SET implies NOOP. */
	if (notify->request.none)
		command->news = IMAP_NEWS_NONE;
	imap_tell_before_answer(s, command);
	status = begin(s);
	if (status != STATUS_OK) {
		imap_notify_end(s);
		s->notify = old;
		return answer(s, command, status);
	}
	s->notify = old;
	imap_notify_end(s);
	s->notify = notify;
	if (watches_metadata(&notify->request))
		imap_watch_metadata(s);
	if (notify->request.count || notify->request.selected)
		engine_subscribe(s->env, (uint64_t)s->account);
	return answer(s, command, STATUS_OK);
}
