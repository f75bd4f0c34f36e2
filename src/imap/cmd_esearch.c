/* ESEARCH, which searches several mailboxes: RFC 7377. */
#include "imap/context.h"
#include "imap/filter.h"
#include "imap/search_run.h"
#include "imap/session.h"

#define SOURCES_MAX      100
#define SEARCH_BYTES_MAX ((size_t)64 * 1024 * 1024) /* for one mailbox */

struct multisearch {
	struct mailbox_filter filters[SOURCES_MAX];
	size_t filter_count;
	bool selected, others; /* which there are */
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
	if (m->others && m->request.returns & SEARCH_RETURN_UPDATE)
		return imap_fault(p, SLICE("UPDATE is of the selected mailbox"));
	return imap_parse_search_keys(p, &m->request) && (m->request.unknown_charset || imap_parse_end(p));
}

/* ---- searching ---- */

static bool is_source(const struct multisearch *m, const struct mailbox *mailbox)
{
	for (size_t i = 0; i < m->filter_count; i++) {
		if (m->filters[i].kind != FILTER_SELECTED &&
		    imap_filter_matches(&m->filters[i], mailbox->name, mailbox->subscribed))
			return mailbox->selectable;
	}
	return false;
}

/* Each mailbox has its own numbers, so the keys are read anew. */
static enum status search_here(struct imap_session *s, const struct imap_command *command, const struct multisearch *m,
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
	if (!s->searched)
		imap_search_saved(s, &request, status, &hits);
	if (status == STATUS_OK && hits.count > 0)
		imap_put_mailbox_hits(s, command, &request, &hits, mailbox);
	if (status == STATUS_OK && request.returns & SEARCH_RETURN_UPDATE)
		imap_context_begin(s, command, &request, NULL, &hits);
	conn_flush_if_high(imap_conn(s));
	return status;
}

/* One that went away meanwhile has nothing to be found. */
static enum status search_other(struct imap_session *s, const struct imap_command *command, const struct multisearch *m,
				const struct mailbox *mailbox)
{
	struct arena *kept = imap_arena(s), arena SCOPED_ARENA;
	struct mailbox_viewer viewer;
	enum status status = mailbox_viewer_open(s->context->views, imap_arena(s), s->account, mailbox, &viewer);

	if (status != STATUS_OK)
		return status == STATUS_NOT_FOUND ? STATUS_OK : status;
	/* What the search of one mailbox takes is free again for the next. */
	arena_init(&arena, SEARCH_BYTES_MAX);
	s->env->command_arena = &arena;
	s->searched = &viewer;
	status = search_here(s, command, m, mailbox);
	s->searched = NULL;
	s->env->command_arena = kept;
	mailbox_viewer_close(&viewer);
	return status;
}

static enum status search_all(struct imap_session *s, const struct imap_command *command, const struct multisearch *m)
{
	int64_t selected = m->selected ? mailbox_viewer_state(&s->viewer).mailbox : 0;
	struct mailbox *mailboxes;
	size_t count;
	enum status status = mailbox_list(imap_store(s), imap_arena(s), s->account, &mailboxes, &count);

	for (size_t i = 0; status == STATUS_OK && i < count && !conn_failed(imap_conn(s)); i++) {
		imap_progress(s, i, count);
		if (mailboxes[i].id == selected)
			status = search_here(s, command, m, &mailboxes[i]);
		else if (is_source(m, &mailboxes[i]))
			status = search_other(s, command, m, &mailboxes[i]);
	}
	return status;
}

enum next imap_esearch(struct imap_session *s, struct imap_command *command)
{
	struct multisearch *m = ARENA_NEW(imap_arena(s), struct multisearch);

	command->uid = true; /* RFC 7377 section 2.1: message numbers say nothing of other mailboxes */
	if (!parse_esearch(&command->args, m))
		return imap_bad_arguments(s, command);
	if (m->selected && s->state != IMAP_SELECTED)
		return imap_bad(s, command, SLICE("Select a mailbox first"));
	if (m->request.unknown_charset)
		return imap_no_charset(s, command, &m->request);
	if (m->request.returns & SEARCH_RETURN_UPDATE && imap_context_is_used(s, command->tag))
		return imap_bad(s, command, SLICE("That tag is in use"));
	m->request.extended = true;
	return imap_answer(s, command, search_all(s, command, m), SLICE("ESEARCH completed"));
}
