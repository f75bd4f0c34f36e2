/* Fuzzy keys and relevancy: RFC 6203. A text matches fuzzily where at least half of its byte triples are found, and this share is its
 * score; so who misspells a word or puts words in another order still finds. */
#include "imap/envelope.h"
#include "imap/fetch.h"
#include "imap/fuzzy.h"
#include "imap/search.h"
#include "mime/search_text.h"
#include "mime/words.h"

bool search_index_score(const struct search_key *key, int64_t email, unsigned *percent)
{
	const struct text_hits *hits = key->index;
	size_t low = 0, high;

	if (!hits || email > hits->covered)
		return false;
	high = hits->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (hits->emails[middle] < email)
			low = middle + 1;
		else
			high = middle;
	}
	*percent = low < hits->count && hits->emails[low] == email ? hits->percents[low] : 0;
	return *percent != TEXT_INDEX_UNKNOWN;
}

/* ---- one key ---- */

struct looking {
	const struct search_key *key;
	struct arena *arena;
	struct fuzzy fuzzy;
};

static void look(struct looking *looking, struct slice text)
{
	struct buf folded;

	buf_init(&folded, looking->arena, 0);
	text_fold(&folded, text);
	fuzzy_look(&looking->fuzzy, buf_slice(&folded));
}

static bool look_into_text(void *context, struct slice text, enum message_text_place place)
{
	struct looking *looking = context;

	if (place != MESSAGE_TEXT_HEADER || looking->key->type == SEARCH_TEXT)
		look(looking, text);
	return fuzzy_percent(&looking->fuzzy) == 100;
}

static void look_into_message(struct looking *looking, const struct search_text *text)
{
	const struct email *email = text->email;
	struct slice packed = text->attachments;
	struct attachment_text attachment;
	const struct message *message = message_unpack(looking->arena, email->structure, email->bytes);

	if (!message)
		message = message_parse(looking->arena, email->bytes, NULL);
	if (message_texts(looking->arena, message, look_into_text, looking))
		return;
	while (attachment_texts_next(&packed, &attachment) && !look_into_text(looking, attachment.utf8, MESSAGE_TEXT_BODY))
		;
}

static void look_into_header(struct looking *looking, struct slice header)
{
	struct header_field field;

	while (header_next(&header, &field)) {
		if (slice_eq_nocase(field.name, looking->key->name))
			look(looking, words_decode(looking->arena, field.value));
	}
}

unsigned search_key_score(const struct search_key *key, const struct view_message *message, const struct search_text *text,
			  struct arena *arena)
{
	struct looking *looking;
	unsigned percent;

	if (search_index_score(key, message->email, &percent))
		return percent;
	if (!text)
		return 0;
	looking = ARENA_NEW(arena, struct looking);
	looking->key = key;
	looking->arena = arena;
	fuzzy_begin(&looking->fuzzy, key->text);
	if (key->type == SEARCH_ENVELOPE)
		look(looking, envelope_text(arena, text->email->envelope, (enum envelope_item)key->value));
	else if (key->type == SEARCH_HEADER)
		look_into_header(looking, fetch_header_of(text->email->bytes));
	else
		look_into_message(looking, text);
	return fuzzy_percent(&looking->fuzzy);
}

/* ---- all keys ---- */

struct score {
	unsigned sum, count;
};

/* RFC 6203 section 4: how several keys make one score is ours: the mean of those that matched. */
static void add_scores(struct score *score, const struct search_key *key, const struct view_message *message,
		       const struct search_text *text, struct arena *arena)
{
	unsigned percent = key->fuzzy ? search_key_score(key, message, text, arena) : 0;

	if (percent >= FUZZY_LEAST) {
		score->sum += percent;
		score->count++;
	}
	if (key->type == SEARCH_NOT)
		return;
	for (const struct search_key *child = key->children; child; child = child->next)
		add_scores(score, child, message, text, arena);
}

/* From the least share that matches to all of it, spread over 1 to 100. */
unsigned search_score(const struct search_key *key, const struct view_message *message, const struct search_text *text,
		      struct arena *arena)
{
	struct score score = {0};
	unsigned mean;

	add_scores(&score, key, message, text, arena);
	if (score.count == 0)
		return 100;
	mean = score.sum / score.count;
	return mean <= FUZZY_LEAST ? 1 : (mean - FUZZY_LEAST) * 100 / (100 - FUZZY_LEAST);
}
