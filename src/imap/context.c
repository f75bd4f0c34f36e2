#include "imap/context.h"

#include <stdlib.h>

#include "imap/fetch.h"
#include "imap/gather.h"
#include "imap/name.h"
#include "imap/ranges.h"
#include "imap/session.h"
#include "imap/write.h"

#define CONTEXTS_MAX       16
#define RANGES_BYTES_MAX   ((size_t)1024 * 1024) /* of a context's results */
#define SORTED_MAX         10000                 /* results of a SORT */
#define CONTEXT_BYTES_MAX  ((size_t)4 * 1024 * 1024)
#define EVALUATE_BYTES_MAX ((size_t)64 * 1024 * 1024)

struct sorted_result {
	uint32_t uid;
	struct slice key;
};

struct search_context {
	struct search_context *next;
	struct arena arena; /* of what follows */
	struct slice tag;
	struct slice mailbox; /* its name, as in responses to ESEARCH; or empty */
	bool uid, has_items;
	struct search_request request;
	struct sort_request *sort; /* NULL: SEARCH, in mailbox order */
	struct fetch_request items;
	uint64_t modseq; /* changes up to here have been looked at */
	struct buf results;
	struct buf order; /* struct sorted_result, of a SORT */
};

static void context_free(struct search_context *context)
{
	buf_free(&context->results);
	buf_free(&context->order);
	arena_free(&context->arena);
	free(context);
}

void imap_contexts_end(struct imap_session *s)
{
	while (s->contexts) {
		struct search_context *context = s->contexts;

		s->contexts = context->next;
		context_free(context);
	}
	s->context_count = 0;
}

bool imap_context_is_used(struct imap_session *s, struct slice tag)
{
	for (const struct search_context *context = s->contexts; context; context = context->next) {
		if (slice_eq(context->tag, tag))
			return true;
	}
	return false;
}

/* False: there is none. */
static bool cancel(struct imap_session *s, struct slice tag)
{
	for (struct search_context **at = &s->contexts; *at; at = &(*at)->next) {
		struct search_context *context = *at;

		if (!slice_eq(context->tag, tag))
			continue;
		*at = context->next;
		context_free(context);
		s->context_count--;
		return true;
	}
	return false;
}

/* RFC 5267 section 4.3.1. */
static void refuse(struct imap_session *s, struct slice tag)
{
	struct buf *out = imap_output(s);

	buf_add_literal(out, "* NO [NOUPDATE \"");
	buf_add(out, tag);
	buf_add_literal(out, "\"] That search is not kept up to date\r\n");
}

/* ---- beginning ---- */

static struct imap_parser parser_on(struct search_context *context, const struct imap_parser *from)
{
	struct imap_parser p = *from;

	p.arena = &context->arena;
	p.rest = slice_dup(&context->arena, from->rest);
	return p;
}

/* Once more, into memory that stays. */
static bool parse_again(struct search_context *context, const struct search_request *request)
{
	struct imap_parser p = parser_on(context, &request->program), items;
	bool parsed = context->sort ? imap_parse_search_program(&p, &context->request)
				    : imap_parse_search_keys(&p, &context->request);

	if (!parsed || !request->has_items)
		return parsed;
	items = parser_on(context, &request->update);
	context->has_items = true;
	return imap_parse_fetch(&items, &context->items);
}

static int compare_uids(const void *a, const void *b)
{
	uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

	return (left > right) - (left < right);
}

static void keep_results(struct search_context *context, struct arena *arena, const struct search_hits *hits)
{
	uint32_t *uids = ARENA_ARRAY(arena, uint32_t, hits->count + 1);

	if (hits->count == 0)
		return;
	memcpy(uids, hits->uids, hits->count * sizeof(*uids));
	if (context->sort)
		qsort(uids, hits->count, sizeof(*uids), compare_uids);
	ranges_add(&context->results, uids, hits->count);
}

/* ---- in order: a SORT's results ---- */

static struct sorted_result *results_of(const struct search_context *context, size_t *count)
{
	*count = context->order.len / sizeof(struct sorted_result);
	return (struct sorted_result *)context->order.data;
}

/* Where an entry stands, or would stand. */
static size_t place_of(const struct search_context *context, const struct sort_entry *entry)
{
	size_t low = 0, high;
	const struct sorted_result *results = results_of(context, &high);

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = slice_compare(results[middle].key, entry->key);

		if (order < 0 || (order == 0 && results[middle].uid < entry->uid))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void insert_at(struct search_context *context, size_t at, const struct sort_entry *entry)
{
	struct sorted_result result = {entry->uid, slice_dup(&context->arena, entry->key)}, *results;
	size_t count;

	buf_add(&context->order, slice_of((const char *)&result, sizeof(result)));
	if (!buf_ok(&context->order))
		return;
	results = results_of(context, &count);
	memmove(results + at + 1, results + at, (count - 1 - at) * sizeof(*results));
	results[at] = result;
}

/* The place from which it was taken, from 1; 0: it wasn't there. */
static size_t take_out(struct search_context *context, uint32_t uid)
{
	size_t count;
	struct sorted_result *results = results_of(context, &count);

	for (size_t i = 0; i < count; i++) {
		if (results[i].uid != uid)
			continue;
		memmove(results + i, results + i + 1, (count - 1 - i) * sizeof(*results));
		context->order.len -= sizeof(*results);
		return i + 1;
	}
	return 0;
}

/* By uid, as imap_sort_hits wants them. */
static enum status keep_order(struct imap_session *s, struct search_context *context)
{
	struct imap_set set = ranges_set(&context->results);
	struct arena keys SCOPED_ARENA;
	struct search_hits hits = {0};
	struct sort_entry *entries;
	size_t count = 0;
	enum status status;

	hits.uids = imap_uids(s, &set, &hits.count);
	arena_init(&keys, EVALUATE_BYTES_MAX);
	status = hits.uids ? imap_sort_hits(s, context->sort, &hits, &keys, &entries, &count) : STATUS_LIMIT;
	for (size_t i = 0; status == STATUS_OK && i < count; i++)
		insert_at(context, i, &entries[i]);
	return status;
}

static bool is_whole(const struct search_context *context)
{
	return buf_ok(&context->results) && buf_ok(&context->order) && !arena_is_full(&context->arena);
}

/* Sequence numbers among the keys are those of now (RFC 5267 section 4.3); a search among no messages finds them out. */
static enum status fix_numbers(struct imap_session *s, struct search_context *context)
{
	struct imap_set nothing = {0};
	struct search_hits hits;

	return imap_search_among(s, &context->request, &nothing, &context->arena, &hits);
}

static bool fill(struct imap_session *s, struct search_context *context, const struct imap_command *command,
		 const struct search_request *request, const struct sort_request *sort, const struct search_hits *hits)
{
	context->tag = slice_dup(&context->arena, command->tag);
	context->uid = command->uid;
	context->modseq = mailbox_viewer_state(&s->viewer).told_modseq;
	if (sort) {
		context->sort = ARENA_NEW(&context->arena, struct sort_request);
		*context->sort = *sort;
	}
	/* RFC 6203 section 4: scores are no part of what is kept. */
	if (request->wants_scores || !parse_again(context, request) || fix_numbers(s, context) != STATUS_OK)
		return false;
	keep_results(context, imap_arena(s), hits);
	if (sort && (hits->count > SORTED_MAX || keep_order(s, context) != STATUS_OK))
		return false;
	return is_whole(context);
}

static void keep_name(struct imap_session *s, struct search_context *context, const struct mailbox *mailbox)
{
	struct buf text;

	buf_init(&text, &context->arena, 0);
	buf_add_literal(&text, " MAILBOX ");
	imap_put_mailbox(&text, mailbox->name, imap_utf8_names(s));
	buf_add_literal(&text, " UIDVALIDITY ");
	buf_add_u64(&text, mailbox->uid_validity);
	context->mailbox = buf_slice(&text);
}

void imap_context_begin(struct imap_session *s, const struct imap_command *command, const struct search_request *request,
			const struct sort_request *sort, const struct search_hits *hits, const struct mailbox *mailbox)
{
	bool is_kept = s->context_count < CONTEXTS_MAX && !hits->limit.is_passed;
	struct search_context *context = is_kept ? calloc(1, sizeof(*context)) : NULL;

	if (!context) {
		refuse(s, command->tag);
		return;
	}
	arena_init(&context->arena, CONTEXT_BYTES_MAX);
	buf_init(&context->results, NULL, RANGES_BYTES_MAX);
	buf_init(&context->order, NULL, (SORTED_MAX + 1000) * sizeof(struct sorted_result));
	if (!fill(s, context, command, request, sort, hits)) {
		context_free(context);
		refuse(s, command->tag);
		return;
	}
	if (mailbox)
		keep_name(s, context, mailbox);
	context->next = s->contexts;
	s->contexts = context;
	s->context_count++;
}

/* ---- what is told ---- */

static void begin_response(struct imap_session *s, const struct search_context *context)
{
	struct buf *out = imap_output(s);

	buf_add_literal(out, "* ESEARCH (TAG \"");
	buf_add(out, context->tag);
	buf_add_byte(out, '"');
	buf_add(out, context->mailbox);
	buf_add_byte(out, ')');
	if (context->uid)
		buf_add_literal(out, " UID");
}

/* Without an order position 0 stands for all (RFC 5267 section 4.3.3). */
static void put_all(struct buf *out, struct slice name, const uint32_t *numbers, size_t count)
{
	if (count == 0)
		return;
	buf_add(out, name);
	buf_add_literal(out, "(0 ");
	imap_put_numbers_as_set(out, numbers, count);
	buf_add_byte(out, ')');
}

struct pairs {
	struct buf *out;
	struct slice name;
	bool begun;
};

static void put_pair(struct pairs *pairs, size_t position, uint32_t number)
{
	if (!pairs->begun)
		buf_add(pairs->out, pairs->name);
	buf_add_byte(pairs->out, pairs->begun ? ' ' : '(');
	pairs->begun = true;
	buf_add_u64(pairs->out, position);
	buf_add_byte(pairs->out, ' ');
	buf_add_u64(pairs->out, number);
}

static void end_pairs(struct pairs *pairs)
{
	if (pairs->begun)
		buf_add_byte(pairs->out, ')');
}

/* ---- what has changed ---- */

struct difference {
	uint32_t *added, *added_numbers, *removed, *removed_numbers; /* uids, and as the client calls them */
	size_t added_count, removed_count;
};

static void difference_init(struct difference *d, struct arena *arena, size_t most)
{
	*d = (struct difference){
		.added = ARENA_ARRAY(arena, uint32_t, most + 1),
		.added_numbers = ARENA_ARRAY(arena, uint32_t, most + 1),
		.removed = ARENA_ARRAY(arena, uint32_t, most + 1),
		.removed_numbers = ARENA_ARRAY(arena, uint32_t, most + 1),
	};
}

static void put_removed(struct imap_session *s, struct search_context *context, const struct difference *d)
{
	struct pairs pairs = {.out = imap_output(s), .name = SLICE(" REMOVEFROM ")};

	ranges_remove(&context->results, d->removed, d->removed_count);
	if (!context->sort) {
		put_all(pairs.out, pairs.name, d->removed_numbers, d->removed_count);
		return;
	}
	for (size_t i = 0; i < d->removed_count; i++) {
		size_t position = take_out(context, d->removed[i]);

		if (position > 0)
			put_pair(&pairs, position, d->removed_numbers[i]);
	}
	end_pairs(&pairs);
}

static uint32_t number_of(const struct difference *d, uint32_t uid)
{
	size_t at = 0;

	while (at < d->added_count && d->added[at] != uid)
		at++;
	return at < d->added_count ? d->added_numbers[at] : uid;
}

static enum status put_added(struct imap_session *s, struct search_context *context, const struct difference *d)
{
	struct pairs pairs = {.out = imap_output(s), .name = SLICE(" ADDTO ")};
	struct search_hits hits = {.uids = d->added, .count = d->added_count};
	struct arena keys SCOPED_ARENA;
	struct sort_entry *entries;
	enum status status = STATUS_OK;
	size_t count = 0;

	ranges_add(&context->results, d->added, d->added_count);
	if (!context->sort || d->added_count == 0) {
		put_all(pairs.out, pairs.name, d->added_numbers, d->added_count);
		return STATUS_OK;
	}
	arena_init(&keys, EVALUATE_BYTES_MAX);
	status = imap_sort_hits(s, context->sort, &hits, &keys, &entries, &count);
	for (size_t i = 0; status == STATUS_OK && i < count; i++) {
		size_t at = place_of(context, &entries[i]);

		insert_at(context, at, &entries[i]);
		put_pair(&pairs, at + 1, number_of(d, entries[i].uid));
	}
	end_pairs(&pairs);
	return status;
}

void imap_contexts_expunged(struct imap_session *s, const struct view_news *news)
{
	for (struct search_context *context = news->expunged_count ? s->contexts : NULL; context; context = context->next) {
		struct imap_set results = ranges_set(&context->results);
		struct arena arena SCOPED_ARENA;
		struct difference d;

		difference_init(&d, &arena, news->expunged_count);
		for (size_t i = 0; i < news->expunged_count; i++) {
			uint32_t uid = news->vanished[i];

			if (!imap_set_has(&results, uid))
				continue;
			d.removed[d.removed_count] = uid;
			/* Numbers go down in the one array as uids go up in the other. */
			d.removed_numbers[d.removed_count++] =
				context->uid ? uid : news->expunged[news->expunged_count - 1 - i];
		}
		if (d.removed_count == 0)
			continue;
		begin_response(s, context);
		put_removed(s, context, &d);
		buf_add_literal(imap_output(s), "\r\n");
	}
}

/* Those that are new or have changed since, whether they match or not. */
static uint32_t *candidates(struct imap_session *s, uint64_t since, size_t *count)
{
	struct imap_range all = {1, UINT32_MAX};
	struct imap_set set = {.ranges = &all, .count = 1};
	size_t most = mailbox_viewer_state(&s->viewer).messages;
	uint32_t *uids = ARENA_ARRAY(imap_arena(s), uint32_t, most + 1);
	struct imap_walk walk;

	*count = 0;
	imap_walk_begin(&walk, s, &set);
	while (imap_walk_next(&walk)) {
		for (size_t i = 0; i < walk.count && *count < most; i++) {
			if (walk.messages[i].modseq > since && !walk.messages[i].expunged)
				uids[(*count)++] = walk.messages[i].uid;
		}
	}
	return uids;
}

static void compare(struct imap_session *s, const struct search_context *context, const struct imap_set *among,
		    const struct search_hits *hits, struct difference *d)
{
	struct imap_set results = ranges_set(&context->results);
	struct imap_walk walk;
	size_t at = 0;

	imap_walk_begin(&walk, s, among);
	while (imap_walk_next(&walk)) {
		for (size_t i = 0; i < walk.count; i++) {
			const struct view_message *message = &walk.messages[i];
			uint32_t number = context->uid ? message->uid : message->sequence;

			while (at < hits->count && hits->uids[at] < message->uid)
				at++;
			bool matches = at < hits->count && hits->uids[at] == message->uid;

			if (matches == imap_set_has(&results, message->uid) || message->expunged)
				continue;
			if (matches) {
				d->added_numbers[d->added_count] = number;
				d->added[d->added_count++] = message->uid;
			} else {
				d->removed_numbers[d->removed_count] = number;
				d->removed[d->removed_count++] = message->uid;
			}
		}
	}
}

/* RFC 5465 section 7: of those that are new, before it is told that they match. */
static enum status put_items(struct imap_session *s, const struct search_context *context, const struct difference *d,
			     uint32_t uid_next)
{
	struct imap_set set;
	size_t first = 0;

	while (first < d->added_count && d->added[first] < uid_next)
		first++;
	if (!context->has_items || first == d->added_count)
		return STATUS_OK;
	set = imap_set_of(imap_arena(s), d->added + first, d->added_count - first);
	return imap_put_messages(s, &context->items, &set);
}

static enum status update(struct imap_session *s, struct search_context *context, uint32_t uid_next)
{
	uint64_t modseq = mailbox_viewer_state(&s->viewer).highest_modseq;
	struct search_hits hits;
	struct difference d;
	struct imap_set among;
	enum status status;
	uint32_t *uids;
	size_t count;

	if (modseq == context->modseq)
		return STATUS_OK;
	uids = candidates(s, context->modseq, &count);
	among = imap_set_of(imap_arena(s), uids, count);
	status = imap_search_among(s, &context->request, &among, &context->arena, &hits);
	if (status != STATUS_OK)
		return status;
	difference_init(&d, imap_arena(s), count);
	compare(s, context, &among, &hits, &d);
	context->modseq = modseq;
	status = put_items(s, context, &d, uid_next);
	if (status != STATUS_OK || d.added_count + d.removed_count == 0)
		return status;
	begin_response(s, context);
	put_removed(s, context, &d);
	status = put_added(s, context, &d);
	buf_add_literal(imap_output(s), "\r\n");
	return is_whole(context) ? status : STATUS_LIMIT;
}

/* A context that can't be kept up to date any more is given up, and the client told. Trouble of the store is for the next time. */
void imap_contexts_changed(struct imap_session *s, uint32_t uid_next)
{
	struct arena *kept = imap_arena(s), arena SCOPED_ARENA;

	arena_init(&arena, EVALUATE_BYTES_MAX);
	s->env->command_arena = &arena;
	for (struct search_context *context = s->contexts, *next; context; context = next) {
		enum status status = update(s, context, uid_next);

		next = context->next;
		arena_reset(&arena);
		if (status == STATUS_LIMIT) {
			refuse(s, context->tag);
			(void)cancel(s, context->tag);
		}
	}
	s->env->command_arena = kept;
}

enum next imap_cancel_update(struct imap_session *s, struct imap_command *command)
{
	struct imap_parser *p = &command->args;
	bool known = true;

	do {
		struct slice tag;

		if (!imap_parse_space(p) || !imap_parse_string(p, &tag))
			return imap_bad_arguments(s, command);
		known &= cancel(s, tag);
	} while (imap_peek(p) == ' ');
	if (!imap_parse_end(p))
		return imap_bad_arguments(s, command);
	return known ? imap_ok(s, command, SLICE("No further updates"))
		     : imap_bad(s, command, SLICE("CANCELUPDATE: there is no such search"));
}
