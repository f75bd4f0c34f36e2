/* SORT: RFC 5256 section 3, extended by RFC 5957 and RFC 5267. */
#include "imap/gather.h"
#include "imap/search_run.h"
#include "imap/session.h"
#include "imap/sort.h"

struct sorting {
	const struct sort_request *request;
	const struct search_hits *hits;
	size_t at; /* in the hits */
	struct arena keys, scratch;
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
		.key = slice_dup(&sorting->keys, buf_slice(&key)),
	};
	arena_reset(&sorting->scratch);
	return !arena_is_full(&sorting->keys);
}

/* Into *hits, in order. */
static enum status sort_hits(struct imap_session *s, const struct sort_request *request, struct search_hits *hits)
{
	struct sorting sorting = {.request = request, .hits = hits};
	enum status status = STATUS_LIMIT;

	arena_init(&sorting.keys, GATHER_BYTES_MAX);
	sorting.entries = arena_try_alloc(&sorting.keys, (hits->count + 1) * sizeof(*sorting.entries));
	if (sorting.entries)
		status = imap_gather(s, hits, sort_needs(request), add_entry, &sorting);
	if (status == STATUS_OK)
		sort_entries(sorting.entries, sorting.count);
	for (size_t i = 0; status == STATUS_OK && i < sorting.count; i++) {
		hits->sequences[i] = sorting.entries[i].sequence;
		hits->uids[i] = sorting.entries[i].uid;
		if (hits->modseqs)
			hits->modseqs[i] = sorting.entries[i].modseq;
		if (hits->scores)
			hits->scores[i] = (uint8_t)sorting.entries[i].score;
	}
	hits->count = sorting.count;
	arena_free(&sorting.keys);
	arena_free(&sorting.scratch);
	return status;
}

enum next imap_sort(struct imap_session *s, struct imap_command *command)
{
	struct sort_request *request = ARENA_NEW(imap_arena(s), struct sort_request);
	struct search_hits hits;
	enum status status;

	if (!imap_parse_space(&command->args) || !imap_parse_sort(&command->args, request))
		return imap_bad_arguments(s, command);
	if (request->search.unknown_charset)
		return imap_no_charset(s, command, &request->search);
	if (!imap_parse_end(&command->args))
		return imap_bad_arguments(s, command);
	status = imap_search_run(s, &request->search, &hits);
	if (status == STATUS_OK)
		status = sort_hits(s, request, &hits);
	imap_search_saved(s, &request->search, status, &hits);
	if (status == STATUS_OK)
		imap_put_hits(s, command, &request->search, &hits, SLICE("SORT"));
	return imap_answer(s, command, status, SLICE("SORT completed"));
}
