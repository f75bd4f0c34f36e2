#include "imap/sort.h"

#include <stdlib.h>

#include "imap/envelope.h"
#include "mime/subject.h"
#include "mime/words.h"

#define TEXT_MAX 1000 /* of an address: nobody sees more */

unsigned sort_needs(const struct sort_request *request)
{
	unsigned needs = 0;

	for (unsigned i = 0; i < request->count; i++) {
		switch (request->criteria[i].by) {
		case SORT_ARRIVAL:
		case SORT_RELEVANCY:
		case SORT_SIZE:
			break;
		case SORT_DATE:
			needs |= EMAIL_SENT;
			break;
		case SORT_CC:
		case SORT_DISPLAYFROM:
		case SORT_DISPLAYTO:
		case SORT_FROM:
		case SORT_SUBJECT:
		case SORT_TO:
			needs |= EMAIL_ENVELOPE;
			break;
		}
	}
	return needs;
}

int64_t sort_sent_ms(int64_t sent_ms, int64_t received_ms)
{
	return sent_ms ? sent_ms : received_ms;
}

/* Most significant byte first, and negative ones before the others. */
static void add_number(struct buf *key, int64_t number)
{
	uint64_t bits = (uint64_t)number ^ UINT64_C(1) << 63;

	for (int shift = 56; shift >= 0; shift -= 8)
		buf_add_byte(key, (char)(bits >> shift));
}

/* Ended by two zeros; a zero inside is followed by a one, so that a text that begins another sorts before it. */
static void add_text(struct buf *key, struct arena *arena, struct slice text)
{
	struct buf collated;

	buf_init(&collated, arena, 0);
	text_collation_key(&collated, slice_sub(text, 0, TEXT_MAX));
	for (size_t i = 0; i < collated.len; i++) {
		buf_add_byte(key, collated.data[i]);
		if (collated.data[i] == '\0')
			buf_add_byte(key, 1);
	}
	buf_add(key, slice_of("\0", 2));
}

static struct slice text_of(struct arena *arena, enum sort_by by, struct slice envelope)
{
	struct slice subject;

	switch (by) {
	case SORT_CC:
		return envelope_first_address(arena, envelope, ENVELOPE_CC).mailbox;
	case SORT_DISPLAYFROM:
		return envelope_first_address(arena, envelope, ENVELOPE_FROM).display;
	case SORT_DISPLAYTO:
		return envelope_first_address(arena, envelope, ENVELOPE_TO).display;
	case SORT_FROM:
		return envelope_first_address(arena, envelope, ENVELOPE_FROM).mailbox;
	case SORT_TO:
		return envelope_first_address(arena, envelope, ENVELOPE_TO).mailbox;
	default:
		subject = envelope_text(arena, envelope, ENVELOPE_SUBJECT);
		return subject.data ? subject_base(arena, subject, NULL) : SLICE_EMPTY;
	}
}

void sort_key(struct buf *key, struct arena *arena, const struct sort_request *request, const struct view_message *message,
	      const struct email *email, unsigned score)
{
	for (unsigned i = 0; i < request->count; i++) {
		const struct sort_criterion *criterion = &request->criteria[i];
		size_t start = key->len;

		if (criterion->by == SORT_ARRIVAL)
			add_number(key, message->received_ms);
		else if (criterion->by == SORT_DATE)
			add_number(key, sort_sent_ms(email->sent_ms, message->received_ms));
		else if (criterion->by == SORT_SIZE)
			add_number(key, message->size);
		else if (criterion->by == SORT_RELEVANCY)
			add_number(key, -(int64_t)score); /* RFC 6203 section 6: the most relevant first */
		else
			add_text(key, arena, text_of(arena, criterion->by, email->envelope));
		for (size_t at = start; criterion->reverse && at < key->len; at++)
			key->data[at] = (char)~key->data[at];
	}
}

static int compare(const void *a, const void *b)
{
	const struct sort_entry *left = a, *right = b;
	int order = slice_compare(left->key, right->key);

	return order ? order : (left->sequence > right->sequence) - (left->sequence < right->sequence);
}

void sort_entries(struct sort_entry *entries, size_t count)
{
	if (count > 1)
		qsort(entries, count, sizeof(*entries), compare);
}
