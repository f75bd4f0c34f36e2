/* SEARCH: RFC 9051 section 6.4.4, with the answers of RFC 3501 for clients that haven't enabled IMAP4rev2. */
#include "imap/search_run.h"
#include "imap/session.h"

void imap_search_save(struct imap_session *s, const uint32_t *uids, size_t count)
{
	struct imap_set set = imap_set_of(imap_arena(s), uids, count);

	buf_clear(&s->saved);
	buf_add(&s->saved, slice_of((const char *)set.ranges, set.count * sizeof(*set.ranges)));
}

/* RFC 5182 section 2.1 and RFC 9394 section 3.2: without ALL and COUNT only what was shown is saved. */
static void save(struct imap_session *s, const struct search_hits *hits, const struct search_request *request)
{
	unsigned returns = request->returns;
	size_t first = 0, length = hits->count, count = 0;
	uint32_t *uids;

	if (returns & (SEARCH_RETURN_ALL | SEARCH_RETURN_COUNT) || hits->count == 0 ||
	    !(returns & (SEARCH_RETURN_MIN | SEARCH_RETURN_MAX | SEARCH_RETURN_PARTIAL))) {
		imap_search_save(s, hits->uids, hits->count);
		return;
	}
	if (returns & SEARCH_RETURN_PARTIAL)
		search_window_clip(request->window, hits->count, &first, &length);
	else
		length = 0;
	uids = ARENA_ARRAY(imap_arena(s), uint32_t, length + 2);
	if (returns & SEARCH_RETURN_MIN && (length == 0 || first > 0))
		uids[count++] = hits->uids[0];
	memcpy(uids + count, hits->uids + first, length * sizeof(*uids));
	count += length;
	if (returns & SEARCH_RETURN_MAX && (count == 0 || uids[count - 1] < hits->uids[hits->count - 1]))
		uids[count++] = hits->uids[hits->count - 1];
	imap_search_save(s, uids, count);
}

static void answer(struct imap_session *s, const struct imap_command *command, const struct search_request *request,
		   const struct search_hits *hits)
{
	struct esearch esearch = {
		.tag = command->tag,
		.uid = command->uid,
		.returns = request->extended ? request->returns : SEARCH_RETURN_ALL,
		.window = request->window,
		.numbers = command->uid ? hits->uids : hits->sequences,
		.count = hits->count,
	};

	esearch.modseq = search_hits_modseq(hits, esearch.returns, esearch.window);

	if (esearch.returns & SEARCH_RETURN_SAVE)
		save(s, hits, request);
	if (!request->extended && !s->rev2)
		imap_put_numbers_modseq(s, SLICE("SEARCH"), esearch.numbers, esearch.count, esearch.modseq);
	else if (esearch.returns & ~SEARCH_RETURN_SAVE)
		imap_put_esearch(s, &esearch);
}

enum next imap_search(struct imap_session *s, struct imap_command *command)
{
	struct search_request request;
	struct search_hits hits;
	enum status status;

	if (!imap_parse_space(&command->args) || !imap_parse_search(&command->args, &request))
		return imap_bad_arguments(s, command);
	/* RFC 5182 section 2.1: a search that is answered by NO saves nothing. */
	if (request.unknown_charset && request.returns & SEARCH_RETURN_SAVE)
		buf_clear(&s->saved);
	if (request.unknown_charset)
		return imap_no(s, command, SLICE("BADCHARSET (US-ASCII UTF-8)"), SLICE("That charset isn't known"));
	if (!imap_parse_end(&command->args))
		return imap_bad_arguments(s, command);
	status = imap_search_run(s, request.key, &hits);
	if (status == STATUS_OK)
		answer(s, command, &request, &hits);
	else if (request.returns & SEARCH_RETURN_SAVE)
		buf_clear(&s->saved);
	return imap_answer(s, command, status, SLICE("SEARCH completed"));
}
