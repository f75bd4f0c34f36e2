#include "imap/search_run.h"

#include "imap/name.h"
#include "imap/session.h"
#include "imap/write.h"

#define NUMBERS_LINE 4096

struct esearch {
	struct slice tag;
	const struct mailbox *mailbox; /* NULL: not named */
	bool uid;
	unsigned returns;
	struct search_window window;
	const uint32_t *numbers;
	size_t count;
	uint64_t modseq; /* 0: not told */
	const uint8_t *scores;
};

static void put_numbers(struct imap_session *s, struct slice name, const uint32_t *numbers, size_t count, uint64_t modseq)
{
	struct buf *out = imap_output(s);

	buf_add_literal(out, "* ");
	buf_add(out, name);
	for (size_t i = 0; i < count; i++) {
		buf_add_byte(out, ' ');
		buf_add_u64(out, numbers[i]);
		if (i % NUMBERS_LINE == 0)
			conn_flush_if_high(imap_conn(s));
	}
	if (modseq > 0) {
		buf_add_literal(out, " (MODSEQ ");
		buf_add_u64(out, modseq);
		buf_add_byte(out, ')');
	}
	buf_add_literal(out, "\r\n");
}

static uint64_t highest(const uint64_t *modseqs, size_t count)
{
	uint64_t most = 0;

	for (size_t i = 0; i < count; i++)
		most = modseqs[i] > most ? modseqs[i] : most;
	return most;
}

/* RFC 7162 section 3.1.5, 3.1.10: the highest mod-sequence of the results that are shown; 0: none are, or nobody asks. */
static uint64_t modseq_of(const struct search_hits *hits, unsigned returns, struct search_window window)
{
	uint64_t most = 0, last;
	size_t first, length;

	if (!hits->modseqs || hits->count == 0)
		return 0;
	if (returns & (SEARCH_RETURN_ALL | SEARCH_RETURN_COUNT))
		return highest(hits->modseqs, hits->count);
	if (returns & SEARCH_RETURN_PARTIAL) {
		search_window_clip(window, hits->count, &first, &length);
		most = highest(hits->modseqs + first, length);
	}
	if (returns & SEARCH_RETURN_MIN && hits->modseqs[0] > most)
		most = hits->modseqs[0];
	last = returns & SEARCH_RETURN_MAX ? hits->modseqs[hits->count - 1] : 0;
	return last > most ? last : most;
}

void search_window_clip(struct search_window window, size_t count, size_t *first, size_t *length)
{
	uint64_t from = window.first, to = window.last < count ? window.last : count;

	*first = *length = 0;
	if (from > to)
		return;
	*length = (size_t)(to - from + 1);
	*first = window.from_end ? count - (size_t)to : (size_t)from - 1;
}

static void put_window(struct buf *out, const struct esearch *esearch)
{
	const char *sign = esearch->window.from_end ? "-" : "";
	size_t first, length;

	search_window_clip(esearch->window, esearch->count, &first, &length);
	buf_printf(out, " PARTIAL (%s%u:%s%u ", sign, esearch->window.first, sign, esearch->window.last);
	if (length)
		imap_put_numbers_as_set(out, esearch->numbers + first, length);
	else
		buf_add_literal(out, "NIL");
	buf_add_byte(out, ')');
}

static void put_one(struct buf *out, struct slice name, uint64_t number)
{
	buf_add(out, name);
	buf_add_u64(out, number);
}

/* RFC 6203 section 4: of the results that are shown. */
static void put_scores(struct buf *out, const struct esearch *esearch)
{
	size_t first = 0, length = esearch->count;

	if (esearch->returns & SEARCH_RETURN_PARTIAL)
		search_window_clip(esearch->window, esearch->count, &first, &length);
	buf_add_literal(out, " RELEVANCY (");
	for (size_t i = first; i < first + length; i++) {
		if (i > first)
			buf_add_byte(out, ' ');
		buf_add_u64(out, esearch->scores[i]);
	}
	buf_add_byte(out, ')');
}

static void put_esearch(struct imap_session *s, const struct esearch *esearch)
{
	struct buf *out = imap_output(s);

	buf_add_literal(out, "* ESEARCH (TAG \"");
	buf_add(out, esearch->tag);
	buf_add_byte(out, '"');
	if (esearch->mailbox) {
		buf_add_literal(out, " MAILBOX ");
		imap_put_mailbox(out, esearch->mailbox->name, imap_utf8_names(s));
		put_one(out, SLICE(" UIDVALIDITY "), esearch->mailbox->uid_validity);
	}
	buf_add_byte(out, ')');
	if (esearch->uid)
		buf_add_literal(out, " UID");
	if (esearch->returns & SEARCH_RETURN_MIN && esearch->count)
		put_one(out, SLICE(" MIN "), esearch->numbers[0]);
	if (esearch->returns & SEARCH_RETURN_MAX && esearch->count)
		put_one(out, SLICE(" MAX "), esearch->numbers[esearch->count - 1]);
	if (esearch->returns & SEARCH_RETURN_COUNT)
		put_one(out, SLICE(" COUNT "), esearch->count);
	if (esearch->returns & SEARCH_RETURN_PARTIAL)
		put_window(out, esearch);
	if (esearch->returns & SEARCH_RETURN_ALL && esearch->count) {
		buf_add_literal(out, " ALL ");
		imap_put_numbers_as_set(out, esearch->numbers, esearch->count);
	}
	if (esearch->returns & SEARCH_RETURN_RELEVANCY && esearch->scores)
		put_scores(out, esearch);
	if (esearch->modseq > 0)
		put_one(out, SLICE(" MODSEQ "), esearch->modseq);
	buf_add_literal(out, "\r\n");
}

static struct esearch esearch_of(const struct imap_command *command, const struct search_request *request,
				 const struct search_hits *hits)
{
	struct esearch esearch = {
		.tag = command->tag,
		.uid = command->uid,
		.returns = request->returns ? request->returns : SEARCH_RETURN_ALL,
		.window = request->window,
		.numbers = command->uid ? hits->uids : hits->sequences,
		.count = hits->count,
		.scores = hits->scores,
	};

	esearch.modseq = modseq_of(hits, esearch.returns, esearch.window);
	return esearch;
}

void imap_put_mailbox_hits(struct imap_session *s, const struct imap_command *command, const struct search_request *request,
			   const struct search_hits *hits, const struct mailbox *mailbox)
{
	struct esearch esearch = esearch_of(command, request, hits);

	esearch.mailbox = mailbox;
	if (esearch.returns & ~SEARCH_RETURN_SAVE)
		put_esearch(s, &esearch);
}

void imap_put_hits(struct imap_session *s, const struct imap_command *command, const struct search_request *request,
		   const struct search_hits *hits, struct slice name)
{
	struct esearch esearch = esearch_of(command, request, hits);

	if (!request->extended)
		put_numbers(s, name, esearch.numbers, esearch.count, esearch.modseq);
	else if (esearch.returns & ~SEARCH_RETURN_SAVE)
		put_esearch(s, &esearch);
}
