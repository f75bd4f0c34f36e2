/* The saved search result (RFC 5182). */
#include <stdlib.h>

#include "imap/search_run.h"
#include "imap/session.h"

static int compare_uids(const void *a, const void *b)
{
	uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

	return (left > right) - (left < right);
}

/* Uids, each once, ascending. */
static size_t put_in_order(uint32_t *uids, size_t count)
{
	size_t kept = 0;

	if (count > 1)
		qsort(uids, count, sizeof(*uids), compare_uids);
	for (size_t i = 0; i < count; i++) {
		if (i == 0 || uids[i] != uids[i - 1])
			uids[kept++] = uids[i];
	}
	return kept;
}

/* RFC 5182 section 2.1 and RFC 9394 section 3.2: without ALL and COUNT only what was told is saved. */
static size_t choose(uint32_t *chosen, const struct search_request *request, const struct search_hits *hits)
{
	unsigned returns = request->returns;
	size_t first = 0, length = hits->count, count;

	if (!(returns & (SEARCH_RETURN_ALL | SEARCH_RETURN_COUNT)) &&
	    returns & (SEARCH_RETURN_MIN | SEARCH_RETURN_MAX | SEARCH_RETURN_PARTIAL)) {
		length = 0;
		if (returns & SEARCH_RETURN_PARTIAL)
			search_window_clip(request->window, hits->count, &first, &length);
	} else {
		returns = 0;
	}
	count = length;
	if (count)
		memcpy(chosen, hits->uids + first, count * sizeof(*chosen));
	if (returns & SEARCH_RETURN_MIN && hits->count)
		chosen[count++] = hits->uids[0];
	if (returns & SEARCH_RETURN_MAX && hits->count)
		chosen[count++] = hits->uids[hits->count - 1];
	return put_in_order(chosen, count);
}

void imap_search_saved(struct imap_session *s, const struct search_request *request, enum status status,
		       const struct search_hits *hits)
{
	uint32_t *chosen;
	struct imap_set set;

	if (!(request->returns & SEARCH_RETURN_SAVE))
		return;
	/* RFC 5182 section 2.1: a search that is answered by NO saves nothing. */
	buf_clear(&s->saved);
	if (status != STATUS_OK)
		return;
	chosen = ARENA_ARRAY(imap_arena(s), uint32_t, hits->count + 2);
	set = imap_set_of(imap_arena(s), chosen, choose(chosen, request, hits));
	buf_add(&s->saved, slice_of((const char *)set.ranges, set.count * sizeof(*set.ranges)));
}

enum next imap_no_charset(struct imap_session *s, struct imap_command *command, const struct search_request *request)
{
	imap_search_saved(s, request, STATUS_REFUSED, NULL);
	return imap_no(s, command, SLICE("BADCHARSET (US-ASCII UTF-8)"), SLICE("That charset isn't known"));
}
