/* SORT: RFC 5256 section 3, extended by RFC 5957 and RFC 5267. */
#include "imap/context.h"
#include "imap/gather.h"
#include "imap/search_run.h"
#include "imap/session.h"
#include "imap/sort.h"

struct sorting {
	const struct sort_request *request;
	const struct search_hits *hits;
	size_t at; /* in the hits */
	struct arena *keys, scratch;
	struct sort_entry *entries;
	size_t count;
};

/* Messages come in the order of the hits; some may lack. */
static unsigned score_of(struct sorting *sorting, uint32_t uid)
{
	const struct search_hits *hits = sorting->hits;

	if (!hits->scores)
		return 0;
	while (sorting->at < hits->count && hits->uids[sorting->at] < uid)
		sorting->at++;
	return sorting->at < hits->count ? hits->scores[sorting->at] : 0;
}

static bool add_entry(void *context, const struct view_message *message, const struct email *email)
{
	struct sorting *sorting = context;
	unsigned score = score_of(sorting, message->uid);
	struct buf key;

	buf_init(&key, &sorting->scratch, 0);
	sort_key(&key, &sorting->scratch, sorting->request, message, email, score);
	sorting->entries[sorting->count++] = (struct sort_entry){
		.sequence = message->sequence,
		.uid = message->uid,
		.score = score,
		.modseq = message->modseq,
		.key = slice_dup(sorting->keys, buf_slice(&key)),
	};
	arena_reset(&sorting->scratch);
	return !arena_is_full(sorting->keys);
}

enum status imap_sort_hits(struct imap_session *s, const struct sort_request *request, const struct search_hits *hits,
			   struct arena *keys, struct sort_entry **entries, size_t *count)
{
	struct sorting sorting = {.request = request, .hits = hits, .keys = keys};
	enum status status = STATUS_LIMIT;

	sorting.entries = arena_try_alloc(keys, (hits->count + 1) * sizeof(*sorting.entries));
	if (sorting.entries)
		status = imap_gather(s, hits, sort_needs(request), add_entry, &sorting);
	if (status == STATUS_OK)
		sort_entries(sorting.entries, sorting.count);
	arena_free(&sorting.scratch);
	*entries = sorting.entries;
	*count = sorting.count;
	return status;
}

/* Puts the hits into the order of the entries. */
static void take_order(struct search_hits *hits, const struct sort_entry *entries, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		hits->sequences[i] = entries[i].sequence;
		hits->uids[i] = entries[i].uid;
		if (hits->modseqs)
			hits->modseqs[i] = entries[i].modseq;
		if (hits->scores)
			hits->scores[i] = (uint8_t)entries[i].score;
	}
	hits->count = count;
}

enum next imap_sort(struct imap_session *s, struct imap_command *command)
{
	struct sort_request *request = ARENA_NEW(imap_arena(s), struct sort_request);
	struct arena keys SCOPED_ARENA;
	struct sort_entry *entries;
	struct search_hits hits;
	enum status status;
	size_t count;

	if (!imap_parse_space(&command->args) || !imap_parse_sort(&command->args, request))
		return imap_bad_arguments(s, command);
	if (request->search.unknown_charset)
		return imap_no_charset(s, command, &request->search);
	if (!imap_parse_end(&command->args))
		return imap_bad_arguments(s, command);
	if (request->search.returns & SEARCH_RETURN_UPDATE && imap_context_is_used(s, command->tag))
		return imap_bad(s, command, SLICE("That tag is in use"));
	arena_init(&keys, GATHER_BYTES_MAX);
	status = imap_search_run(s, &request->search, &hits);
	if (hits.limit.is_passed) {
		imap_search_saved(s, &request->search, STATUS_LIMIT, &hits);
		return limit_no(s, command, limit_of_messages(s), NULL);
	}
	if (status == STATUS_OK)
		status = imap_sort_hits(s, request, &hits, &keys, &entries, &count);
	if (status == STATUS_OK)
		take_order(&hits, entries, count);
	imap_search_saved(s, &request->search, status, &hits);
	if (status == STATUS_OK)
		imap_put_hits(s, command, &request->search, &hits, SLICE("SORT"));
	if (status == STATUS_OK && request->search.returns & SEARCH_RETURN_UPDATE)
		imap_context_begin(s, command, &request->search, request, &hits, NULL);
	return imap_answer_hits(s, command, status, &hits, SLICE("SORT completed"));
}
