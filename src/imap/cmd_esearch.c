/* ESEARCH, which searches several mailboxes: RFC 7377. */
#include <stdlib.h>

#include "imap/context.h"
#include "imap/filter.h"
#include "imap/search_run.h"
#include "imap/session.h"
#include "store/directory.h"

#define SOURCES_MAX      100
#define SEARCH_BYTES_MAX ((size_t)64 * 1024 * 1024) /* for one mailbox */

struct multisearch {
	struct mailbox_filter filters[SOURCES_MAX];
	size_t filter_count;
	bool selected, others; /* which there are */
	bool is_cut;           /* a mailbox has more messages than one command works on */
	struct search_request request;
};

/* ---- parsing: RFC 7377 section 4 ---- */

static bool parse_source(struct imap_parser *p, struct multisearch *m)
{
	struct mailbox_filter *filter = &m->filters[m->filter_count];

	if (m->filter_count++ == SOURCES_MAX)
		return imap_fault(p, SLICE("too many sources"));
	if (!imap_parse_filter(p, filter))
		return false;
	m->selected |= filter->kind == FILTER_SELECTED;
	m->others |= filter->kind != FILTER_SELECTED;
	return filter->kind != FILTER_SELECTED_DELAYED || imap_fault(p, SLICE("SELECTED-DELAYED is no source"));
}

static bool parse_sources(struct imap_parser *p, struct multisearch *m)
{
	m->selected = true;
	if (!imap_accept_word(p, SLICE("IN")))
		return true;
	m->selected = false;
	if (!imap_parse_space(p) || !imap_parse_byte(p, '('))
		return false;
	do {
		if (imap_peek(p) == '(')
			return imap_fault(p, SLICE("there are no scope options"));
		if (!parse_source(p, m))
			return false;
	} while (imap_accept(p, ' '));
	return imap_parse_byte(p, ')') && imap_parse_space(p);
}

static bool parse_esearch(struct imap_parser *p, struct multisearch *m)
{
	if (!imap_parse_space(p) || !parse_sources(p, m) || !imap_parse_search_return(p, &m->request))
		return false;
	/* RFC 7377 section 2.2. */
	if (m->others && m->request.returns & SEARCH_RETURN_SAVE)
		return imap_fault(p, SLICE("SAVE is of the selected mailbox"));
	return imap_parse_search_keys(p, &m->request) && (m->request.unknown_charset || imap_parse_end(p));
}

/* ---- searching ---- */

/* A mailbox that could be searched, under the session's name for it. */
struct source {
	int64_t account;
	bool is_foreign;
	struct mailbox mailbox;
};

static int compare_names(const void *a, const void *b)
{
	const struct slice *left = a, *right = b;

	return slice_compare(*left, *right);
}

/* They are in the order of their bytes. */
static bool has_name(const struct slice *names, size_t count, struct slice name)
{
	return count > 0 && bsearch(&name, names, count, sizeof(name), compare_names) != NULL;
}

/* Others' mailboxes, if they may be read. */
static enum status add_foreign(struct imap_session *s, struct source *sources, size_t *count,
			       const struct shared_mailbox *shared, size_t shared_count)
{
	struct slice *names;
	size_t name_count;
	enum status status =
		shared_count ? mailbox_subscriptions(imap_store(s), imap_arena(s), s->account, SLICE_EMPTY, &names, &name_count) : STATUS_OK;

	for (size_t i = 0; i < shared_count && status == STATUS_OK; i++) {
		struct source *source = &sources[*count];

		if (!(shared[i].rights & RIGHT_READ))
			continue;
		*source = (struct source){shared[i].account, true, shared[i].mailbox};
		source->mailbox.name = imap_foreign_name(s, shared[i].address, shared[i].is_shared, shared[i].mailbox.name);
		source->mailbox.subscribed = has_name(names, name_count, source->mailbox.name);
		(*count)++;
	}
	return status;
}

static enum status find_sources(struct imap_session *s, struct source **sources, size_t *count)
{
	struct mailbox *mailboxes;
	struct shared_mailbox *shared = NULL;
	size_t own = 0, shared_count = 0;
	enum status status = mailbox_list(imap_store(s), imap_arena(s), s->account, &mailboxes, &own);

	*count = 0;
	if (status == STATUS_OK)
		status = rights_shared(imap_store(s), imap_arena(s), s->account, &shared, &shared_count);
	if (status != STATUS_OK)
		return status;
	*sources = ARENA_ARRAY(imap_arena(s), struct source, own + shared_count + 1);
	for (size_t i = 0; i < own; i++) {
		if (!imap_name_is_foreign(mailboxes[i].name))
			(*sources)[(*count)++] = (struct source){s->account, false, mailboxes[i]};
	}
	return add_foreign(s, *sources, count, shared, shared_count);
}

static bool is_source(const struct multisearch *m, const struct source *source)
{
	for (size_t i = 0; i < m->filter_count; i++) {
		enum filter_kind kind = m->filters[i].kind;

		if (kind == FILTER_SELECTED || (source->is_foreign && (kind == FILTER_PERSONAL || kind == FILTER_INBOXES)))
			continue;
		if (imap_filter_matches(&m->filters[i], source->mailbox.name, source->mailbox.subscribed))
			return source->mailbox.selectable;
	}
	return false;
}

/* Each mailbox has its own numbers, so the keys are read anew. */
static enum status search_here(struct imap_session *s, const struct imap_command *command, struct multisearch *m,
			       const struct mailbox *mailbox)
{
	struct search_request request = m->request;
	struct imap_parser program = m->request.program;
	struct search_hits hits;
	enum status status;

	program.arena = imap_arena(s);
	if (!imap_parse_search_keys(&program, &request))
		return STATUS_BUG;
	status = imap_search_run(s, &request, &hits);
	/* One answer is of many mailboxes: what is left out of one can't be told. */
	m->is_cut = hits.limit.is_passed;
	if (m->is_cut)
		status = STATUS_LIMIT;
	if (!s->searched)
		imap_search_saved(s, &request, status, &hits);
	if (status == STATUS_OK && hits.count > 0)
		imap_put_mailbox_hits(s, command, &request, &hits, mailbox);
	/* RFC 7377 section 2.2: UPDATE is of the selected mailbox, if it is among those that are searched. */
	if (status == STATUS_OK && request.returns & SEARCH_RETURN_UPDATE && !s->searched)
		imap_context_begin(s, command, &request, NULL, &hits, mailbox);
	conn_flush_if_high(imap_conn(s));
	return status;
}

/* One that went away meanwhile has nothing to be found. */
static enum status search_other(struct imap_session *s, const struct imap_command *command, struct multisearch *m,
				const struct source *source)
{
	struct arena *kept = imap_arena(s), arena SCOPED_ARENA;
	struct mailbox_viewer viewer;
	enum status status = mailbox_viewer_open_as(s->context->views, source->account, &source->mailbox,
						    imap_seen_by(s, source->account), &viewer);

	if (status != STATUS_OK)
		return status == STATUS_NOT_FOUND ? STATUS_OK : status;
	/* What the search of one mailbox takes is free again for the next. */
	arena_init(&arena, SEARCH_BYTES_MAX);
	s->env->command_arena = &arena;
	s->searched = &viewer;
	status = search_here(s, command, m, &source->mailbox);
	s->searched = NULL;
	s->env->command_arena = kept;
	mailbox_viewer_close(&viewer);
	return status;
}

/* Somebody else's may be one that isn't in lists. */
static enum status search_selected(struct imap_session *s, const struct imap_command *command, struct multisearch *m)
{
	struct mailbox mailbox;
	struct account owner;
	enum status status = mailbox_get(imap_store(s), imap_arena(s), s->selected_account,
					 mailbox_viewer_state(&s->viewer).mailbox, &mailbox);

	if (status == STATUS_OK)
		status = directory_get_account(imap_store(s), imap_arena(s), s->selected_account, &owner);
	if (status == STATUS_OK && s->selected_account != s->account)
		mailbox.name = imap_foreign_name(s, owner.address, owner.is_shared, mailbox.name);
	return status == STATUS_OK ? search_here(s, command, m, &mailbox) : status;
}

static enum status search_all(struct imap_session *s, const struct imap_command *command, struct multisearch *m)
{
	int64_t selected = s->state == IMAP_SELECTED ? mailbox_viewer_state(&s->viewer).mailbox : 0;
	struct source *sources;
	size_t count;
	enum status status = find_sources(s, &sources, &count);

	if (status == STATUS_OK && m->selected)
		status = search_selected(s, command, m);
	for (size_t i = 0; status == STATUS_OK && i < count && !conn_failed(imap_conn(s)); i++) {
		imap_progress(s, i, count);
		bool is_selected = selected && sources[i].mailbox.id == selected && sources[i].account == s->selected_account;

		if ((is_selected && m->selected) || !is_source(m, &sources[i]))
			continue;
		status = is_selected ? search_selected(s, command, m) : search_other(s, command, m, &sources[i]);
	}
	return status;
}

enum next imap_esearch(struct imap_session *s, struct imap_command *command)
{
	struct multisearch *m = ARENA_NEW(imap_arena(s), struct multisearch);
	enum status status;

	command->uid = true; /* RFC 7377 section 2.1: message numbers say nothing of other mailboxes */
	if (!parse_esearch(&command->args, m))
		return imap_bad_arguments(s, command);
	if ((m->selected || m->request.returns & SEARCH_RETURN_UPDATE) && s->state != IMAP_SELECTED)
		return imap_bad(s, command, SLICE("Select a mailbox first"));
	if (m->request.unknown_charset)
		return imap_no_charset(s, command, &m->request);
	if (m->request.returns & SEARCH_RETURN_UPDATE && imap_context_is_used(s, command->tag))
		return imap_bad(s, command, SLICE("That tag is in use"));
	m->request.extended = true;
	status = search_all(s, command, m);
	if (status == STATUS_LIMIT && m->is_cut)
		return limit_no(s, command, limit_of_messages(s), NULL);
	return imap_answer(s, command, status, SLICE("ESEARCH completed"));
}
