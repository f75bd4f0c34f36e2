/* LIST (RFC 9051 section 6.3.9) and LSUB (RFC 3501 section 6.3.9). */
#include "imap/metadata.h"
#include "imap/session.h"

#include <stdlib.h>

#include "imap/name.h"

#define PATTERNS_MAX  64
#define WILDCARDS_MAX 32
#define LEVELS_MAX    (IMAP_NAME_MAX / 2 + 1)

struct list_request {
	bool extended;
	bool subscribed, special_use, recursive; /* which to return */
	bool return_subscribed;                  /* what to tell of them */
	bool return_rights;
	struct metadata_request *metadata;       /* NULL: none */
	unsigned status_items; /* 0: none */
	struct slice reference;
	struct slice patterns[PATTERNS_MAX];
	size_t pattern_count;
};

/* ---- parsing ---- */

static bool parse_selection(struct imap_parser *p, struct list_request *request)
{
	struct slice word;

	if (!imap_parse_word(p, &word))
		return false;
	if (slice_eq_nocase(word, SLICE("SUBSCRIBED")))
		request->subscribed = request->return_subscribed = true;
	else if (slice_eq_nocase(word, SLICE("SPECIAL-USE")))
		request->special_use = true;
	else if (slice_eq_nocase(word, SLICE("RECURSIVEMATCH")))
		request->recursive = true;
	else if (!slice_eq_nocase(word, SLICE("REMOTE"))) /* nothing is elsewhere */
		return imap_fault(p, SLICE("there is no such selection option"));
	return true;
}

static bool parse_selections(struct imap_parser *p, struct list_request *request)
{
	if (!imap_accept(p, '('))
		return true;
	request->extended = true;
	if (imap_peek(p) != ')') {
		do {
			if (!parse_selection(p, request))
				return false;
		} while (imap_accept(p, ' '));
	}
	/* RFC 9051 section 6.3.9.1. */
	if (request->recursive && !request->subscribed && !request->special_use)
		return imap_fault(p, SLICE("RECURSIVEMATCH stands with another option"));
	return imap_parse_byte(p, ')') && imap_parse_space(p);
}

static bool parse_pattern(struct imap_parser *p, struct list_request *request)
{
	struct slice pattern;
	size_t wildcards = 0;

	if (request->pattern_count == PATTERNS_MAX)
		return imap_fault(p, SLICE("too many patterns"));
	if (!imap_parse_pattern(p, &pattern))
		return false;
	for (size_t i = 0; i < pattern.len; i++)
		wildcards += pattern.data[i] == '*' || pattern.data[i] == '%';
	request->patterns[request->pattern_count++] = pattern;
	return wildcards <= WILDCARDS_MAX || imap_fault(p, SLICE("too many wildcards"));
}

static bool parse_patterns(struct imap_parser *p, struct list_request *request)
{
	if (!imap_accept(p, '('))
		return parse_pattern(p, request);
	request->extended = true;
	do {
		if (!parse_pattern(p, request))
			return false;
	} while (imap_accept(p, ' '));
	return imap_parse_byte(p, ')');
}

/* RFC 9590 section 3. */
static bool parse_metadata(struct imap_parser *p, struct list_request *request)
{
	request->metadata = ARENA_NEW(p->arena, struct metadata_request);
	request->metadata->max_size = UINT64_MAX;
	if (!imap_parse_space(p))
		return false;
	if (metadata_at_options(p) && (!metadata_parse_options(p, request->metadata) || !imap_parse_space(p)))
		return false;
	return metadata_parse_entries(p, request->metadata);
}

/* CHILDREN and SPECIAL-USE are told always. */
static bool parse_return_option(struct imap_parser *p, struct list_request *request)
{
	struct slice word;

	if (!imap_parse_word(p, &word))
		return false;
	if (slice_eq_nocase(word, SLICE("STATUS")))
		return imap_parse_space(p) && imap_parse_status_items(p, &request->status_items);
	if (slice_eq_nocase(word, SLICE("METADATA")))
		return parse_metadata(p, request);
	if (slice_eq_nocase(word, SLICE("SUBSCRIBED")))
		request->return_subscribed = true;
	else if (slice_eq_nocase(word, SLICE("MYRIGHTS")))
		request->return_rights = true;
	else if (!slice_eq_nocase(word, SLICE("CHILDREN")) && !slice_eq_nocase(word, SLICE("SPECIAL-USE")))
		return imap_fault(p, SLICE("there is no such return option"));
	return true;
}

static bool parse_returns(struct imap_parser *p, struct list_request *request)
{
	if (!imap_accept(p, ' '))
		return true;
	request->extended = true;
	if (!imap_accept_word(p, SLICE("RETURN")))
		return imap_fault(p, SLICE("RETURN is missing"));
	if (!imap_parse_space(p) || !imap_parse_byte(p, '('))
		return false;
	if (imap_peek(p) != ')') {
		do {
			if (!parse_return_option(p, request))
				return false;
		} while (imap_accept(p, ' '));
	}
	return imap_parse_byte(p, ')');
}

/* What is matched: the reference and the pattern, with INBOX in capitals. */
static struct slice full_pattern(struct arena *arena, struct slice reference, struct slice pattern)
{
	struct slice full = slice_join(arena, (struct slice[]){reference, pattern}, 2);
	struct slice inbox = SLICE("INBOX");
	char after = full.len > inbox.len ? full.data[inbox.len] : '/';

	if (slice_starts_with_nocase(full, inbox) && (after == '/' || after == '%' || after == '*'))
		full = slice_join(arena, (struct slice[]){inbox, slice_skip(full, inbox.len)}, 2);
	return full;
}

static void complete_patterns(struct arena *arena, struct list_request *request)
{
	for (size_t i = 0; i < request->pattern_count; i++)
		request->patterns[i] = full_pattern(arena, request->reference, request->patterns[i]);
}

/* ---- what there is ---- */

struct list_entry {
	struct slice name;
	const struct mailbox *mailbox;       /* NULL: there is none, only a subscription, here or below */
	const struct shared_mailbox *shared; /* it is somebody else's */
	bool is_level;                       /* above others' mailboxes, and none itself */
	bool subscribed;
	bool has_children;
	bool subscribed_below;
	bool hidden_below; /* one that is subscribed and isn't asked for itself */
};

struct list {
	struct list_entry *entries;
	size_t count;
};

static int compare_entries(const void *a, const void *b)
{
	const struct list_entry *left = a, *right = b;

	return imap_name_compare(left->name, right->name);
}

/* Sorts; entries of one name become one. */
static void merge(struct list *list)
{
	size_t count = 0;

	qsort(list->entries, list->count, sizeof(*list->entries), compare_entries);
	for (size_t i = 0; i < list->count; i++) {
		struct list_entry *last = count ? &list->entries[count - 1] : NULL;

		if (last && slice_eq(last->name, list->entries[i].name)) {
			last->mailbox = last->mailbox ? last->mailbox : list->entries[i].mailbox;
			last->shared = last->shared ? last->shared : list->entries[i].shared;
			last->is_level |= list->entries[i].is_level;
			last->subscribed |= list->entries[i].subscribed;
		} else {
			list->entries[count++] = list->entries[i];
		}
	}
	list->count = count;
}

static bool matches(const struct list_request *request, struct slice name)
{
	for (size_t i = 0; i < request->pattern_count; i++) {
		if (imap_pattern_matches(request->patterns[i], name))
			return true;
	}
	return false;
}

/* Children stand behind their parents: a stack of the levels above is enough. */
static void look_below(struct list *list, const struct list_request *request)
{
	struct list_entry *above[LEVELS_MAX];
	size_t depth = 0;

	for (size_t i = 0; i < list->count; i++) {
		struct list_entry *entry = &list->entries[i];

		while (depth > 0 && !imap_name_is_below(entry->name, above[depth - 1]->name))
			depth--;
		bool hidden = depth > 0 && request->recursive && entry->subscribed && !matches(request, entry->name);

		for (size_t level = 0; level < depth; level++) {
			above[level]->has_children |= entry->mailbox != NULL;
			above[level]->subscribed_below |= entry->subscribed;
			above[level]->hidden_below |= hidden;
		}
		if (depth < LEVELS_MAX)
			above[depth++] = entry;
	}
}

static size_t count_levels(struct slice name)
{
	size_t levels = 1;

	for (size_t i = 0; i < name.len; i++)
		levels += name.data[i] == '/';
	return levels;
}

/* The name with all levels above it, so that they can be answered for. */
static void add_subscription(struct list *list, struct slice name)
{
	for (size_t i = 0; i < name.len; i++) {
		if (name.data[i] == '/')
			list->entries[list->count++] = (struct list_entry){.name = slice_sub(name, 0, i)};
	}
	list->entries[list->count++] = (struct list_entry){.name = name, .subscribed = true};
}

/* Somebody else's mailbox in its namespace, with the levels above it, which are told as such unless they are mailboxes that the session
 * may see. */
static void add_shared(struct list *list, const struct shared_mailbox *shared, struct slice name)
{
	for (size_t i = 0; i < name.len; i++) {
		if (name.data[i] == '/')
			list->entries[list->count++] = (struct list_entry){.name = slice_sub(name, 0, i), .is_level = true};
	}
	list->entries[list->count++] = (struct list_entry){.name = name, .mailbox = &shared->mailbox, .shared = shared};
}

/* What there is to list, as the store has it. */
struct sources {
	struct mailbox *mailboxes;
	struct slice *names; /* subscribed to */
	struct shared_mailbox *shared;
	struct slice *shared_names;
	size_t mailbox_count, name_count, shared_count;
};

/* What all names begin with that can match, and so all that is below them: an account may have very many others. */
static struct slice common_prefix(const struct list_request *request)
{
	struct slice common = request->patterns[0];

	for (size_t i = 0; i < request->pattern_count; i++) {
		struct slice pattern = request->patterns[i];
		size_t same = 0;

		while (same < common.len && same < pattern.len && common.data[same] == pattern.data[same] &&
		       pattern.data[same] != '*' && pattern.data[same] != '%')
			same++;
		common = slice_sub(common, 0, same);
	}
	/* Not in the middle of a character. */
	while (common.len > 0 && !slice_is_utf8(common))
		common = slice_sub(common, 0, common.len - 1);
	return common;
}

static enum status load_sources(struct imap_session *s, const struct list_request *request, bool with_subscriptions,
				struct sources *sources)
{
	struct arena *arena = imap_arena(s);
	struct slice prefix = common_prefix(request);
	enum status status =
		mailbox_list_prefix(imap_store(s), arena, s->account, prefix, &sources->mailboxes, &sources->mailbox_count);

	if (status == STATUS_OK && with_subscriptions)
		status = mailbox_subscriptions(imap_store(s), arena, s->account, prefix, &sources->names, &sources->name_count);
	if (status == STATUS_OK)
		status = rights_shared(imap_store(s), arena, s->account, &sources->shared, &sources->shared_count);
	if (status != STATUS_OK)
		return status;
	sources->shared_names = ARENA_ARRAY(arena, struct slice, sources->shared_count + 1);
	for (size_t i = 0; i < sources->shared_count; i++)
		sources->shared_names[i] = imap_foreign_name(s, sources->shared[i].address, sources->shared[i].is_shared,
							     sources->shared[i].mailbox.name);
	return STATUS_OK;
}

static enum status load_list(struct imap_session *s, const struct list_request *request, bool with_subscriptions,
			     struct list *list)
{
	struct sources sources = {0};
	enum status status = load_sources(s, request, with_subscriptions, &sources);
	size_t room = sources.mailbox_count + 1;

	if (status != STATUS_OK)
		return status;
	for (size_t i = 0; i < sources.name_count; i++)
		room += count_levels(sources.names[i]);
	for (size_t i = 0; i < sources.shared_count; i++)
		room += count_levels(sources.shared_names[i]);
	list->entries = ARENA_ARRAY(imap_arena(s), struct list_entry, room);
	list->count = 0;
	for (size_t i = 0; i < sources.mailbox_count; i++) {
		struct mailbox *mailbox = &sources.mailboxes[i];

		if (!imap_name_is_foreign(mailbox->name))
			list->entries[list->count++] = (struct list_entry){.name = mailbox->name, .mailbox = mailbox};
	}
	for (size_t i = 0; i < sources.name_count; i++)
		add_subscription(list, sources.names[i]);
	for (size_t i = 0; i < sources.shared_count; i++)
		add_shared(list, &sources.shared[i], sources.shared_names[i]);
	merge(list);
	look_below(list, request);
	return STATUS_OK;
}

/* ---- answers ---- */

/* RFC 6154 section 2. */
static const struct {
	struct slice role, attribute;
} uses[] = {
	{{"drafts", 6}, {"\\Drafts", 7}}, {{"sent", 4}, {"\\Sent", 5}},       {{"junk", 4}, {"\\Junk", 5}},
	{{"trash", 5}, {"\\Trash", 6}},   {{"archive", 7}, {"\\Archive", 8}},
};
#define USES (sizeof(uses) / sizeof(uses[0]))

static struct slice special_use(const struct list_entry *entry)
{
	for (size_t i = 0; entry->mailbox && !entry->shared && i < USES; i++) {
		if (slice_eq(entry->mailbox->role, uses[i].role))
			return uses[i].attribute;
	}
	return SLICE_EMPTY;
}

struct slice imap_role_of_use(struct slice use)
{
	for (size_t i = 0; i < USES; i++) {
		if (slice_eq_nocase(use, slice_skip(uses[i].attribute, 1)))
			return uses[i].role;
	}
	return SLICE_EMPTY;
}

static void put_attribute(struct buf *out, bool *first, struct slice attribute)
{
	if (attribute.len == 0)
		return;
	if (!*first)
		buf_add_byte(out, ' ');
	*first = false;
	buf_add(out, attribute);
}

static void put_entry(struct imap_session *s, struct slice kind, const struct list_entry *entry, bool tell_subscribed)
{
	struct buf *out = imap_output(s);
	bool first = true;

	buf_add(out, kind);
	if (!entry->mailbox)
		put_attribute(out, &first, entry->is_level ? SLICE("\\NonExistent \\Noselect") : SLICE("\\NonExistent"));
	else if (!entry->mailbox->selectable)
		put_attribute(out, &first, SLICE("\\Noselect"));
	put_attribute(out, &first, entry->has_children ? SLICE("\\HasChildren") : SLICE("\\HasNoChildren"));
	if (tell_subscribed && entry->subscribed)
		put_attribute(out, &first, SLICE("\\Subscribed"));
	put_attribute(out, &first, special_use(entry));
	buf_add_literal(out, ") \"/\" ");
	imap_put_mailbox(out, entry->name, imap_utf8_names(s));
}

/* RFC 3501 section 6.3.8: levels that are no mailboxes are told to those who look for levels. */
static bool matches_as_level(const struct list_request *request, struct slice name)
{
	for (size_t i = 0; i < request->pattern_count; i++) {
		if (slice_ends_with(request->patterns[i], SLICE("%")) && imap_pattern_matches(request->patterns[i], name))
			return true;
	}
	return false;
}

static struct imap_place place_of(const struct imap_session *s, const struct list_entry *entry)
{
	return (struct imap_place){
		.account = entry->shared ? entry->shared->account : s->account,
		.mailbox = *entry->mailbox,
		.name = entry->name,
		.rights = entry->shared ? entry->shared->rights : RIGHTS_ALL,
	};
}

/* RFC 5819 section 2, RFC 8440 section 3: what one may not know isn't told. */
static void put_more(struct imap_session *s, const struct list_request *request, const struct list_entry *entry)
{
	struct imap_place place = place_of(s, entry);
	bool told = request->status_items && place.mailbox.selectable && place.rights & RIGHT_READ;

	if (told && entry->shared)
		told = mailbox_unseen_by(imap_store(s), place.account, &place.mailbox, s->account) == STATUS_OK;
	if (told)
		imap_put_status(s, &place, request->status_items);
	if (request->return_rights)
		imap_put_my_rights(s, &place);
	/* RFC 9590 section 3: a mailbox whose annotations can't be had is told without. */
	if (request->metadata && metadata_may_see(place.rights) &&
	    metadata_put(s, place.account, place.mailbox.id, place.name, request->metadata) != STATUS_OK)
		LOG_WARNING(s->context->log, "imap.metadata_failed", LOG_INT("session", s->env->id));
}

static bool is_selected(const struct list_request *request, const struct list_entry *entry)
{
	if (request->subscribed && !entry->subscribed)
		return false;
	if (request->special_use && special_use(entry).len == 0)
		return false;
	return request->subscribed || entry->mailbox || (entry->is_level && matches_as_level(request, entry->name));
}

/* RFC 9051 section 6.3.9.6: CHILDINFO tells that something below is subscribed. A mailbox that isn't itself is only told for the sake of
 * that if what is below isn't told (RFC 5258 section 3.5). */
static void list_entry(struct imap_session *s, const struct list_request *request, const struct list_entry *entry)
{
	struct buf *out = imap_output(s);
	bool below = request->recursive && request->subscribed && entry->subscribed_below;

	if (!matches(request, entry->name) || (!is_selected(request, entry) && !(below && entry->hidden_below)))
		return;
	put_entry(s, SLICE("* LIST ("), entry, request->return_subscribed);
	if (below)
		buf_add_literal(out, " (\"CHILDINFO\" (\"SUBSCRIBED\"))");
	buf_add_literal(out, "\r\n");
	if (entry->mailbox)
		put_more(s, request, entry);
	conn_flush_if_high(imap_conn(s));
}

enum next imap_list(struct imap_session *s, struct imap_command *command)
{
	struct imap_parser *p = &command->args;
	struct list_request *request = ARENA_NEW(imap_arena(s), struct list_request);
	struct list list = {0};
	enum status status;

	if (!imap_parse_space(p) || !parse_selections(p, request) || !imap_parse_pattern(p, &request->reference) ||
	    !imap_parse_space(p) || !parse_patterns(p, request) || !parse_returns(p, request) || !imap_parse_end(p))
		return imap_bad_arguments(s, command);
	/* RFC 9051 section 6.3.9: the empty pattern asks for the separator. */
	if (!request->extended && request->patterns[0].len == 0) {
		buf_add_literal(imap_output(s), "* LIST (\\Noselect) \"/\" \"\"\r\n");
		return imap_ok(s, command, SLICE("LIST completed"));
	}
	complete_patterns(imap_arena(s), request);
	status = load_list(s, request, request->return_subscribed, &list);
	for (size_t i = 0; status == STATUS_OK && i < list.count; i++)
		list_entry(s, request, &list.entries[i]);
	if (status == STATUS_OK && request->metadata && request->metadata->longest > 0)
		return imap_ok_code(s, command, metadata_long_entries(s, request->metadata), SLICE("LIST completed"));
	return imap_answer(s, command, status, SLICE("LIST completed"));
}

/* RFC 3501 section 6.3.9: with "%", a level above a subscribed name is told as \Noselect. */
static void lsub_entry(struct imap_session *s, const struct list_request *request, const struct list_entry *entry)
{
	struct buf *out = imap_output(s);
	bool implied = !entry->subscribed && entry->subscribed_below && slice_ends_with(request->patterns[0], SLICE("%"));

	if (!matches(request, entry->name) || (!entry->subscribed && !implied))
		return;
	if (implied || !entry->mailbox) {
		buf_add_literal(out, "* LSUB (\\Noselect) \"/\" ");
		imap_put_mailbox(out, entry->name, imap_utf8_names(s));
	} else {
		put_entry(s, SLICE("* LSUB ("), entry, false);
	}
	buf_add_literal(out, "\r\n");
	conn_flush_if_high(imap_conn(s));
}

enum next imap_lsub(struct imap_session *s, struct imap_command *command)
{
	struct imap_parser *p = &command->args;
	struct list_request *request = ARENA_NEW(imap_arena(s), struct list_request);
	struct list list = {0};
	enum status status;

	if (!imap_parse_space(p) || !imap_parse_pattern(p, &request->reference) || !imap_parse_space(p) ||
	    !parse_pattern(p, request) || !imap_parse_end(p))
		return imap_bad_arguments(s, command);
	complete_patterns(imap_arena(s), request);
	status = load_list(s, request, true, &list);
	for (size_t i = 0; status == STATUS_OK && i < list.count; i++)
		lsub_entry(s, request, &list.entries[i]);
	return imap_answer(s, command, status, SLICE("LSUB completed"));
}
