#include "imap/search.h"

#include "imap/envelope.h"
#include "imap/fetch.h"
#include "imap/fuzzy.h"
#include "mime/search_text.h"
#include "mime/words.h"

#define DAY_MS INT64_C(86400000)

static int64_t day_of(int64_t wall_ms)
{
	return (wall_ms - (wall_ms % DAY_MS + DAY_MS) % DAY_MS) / DAY_MS;
}

static enum search_answer answer(bool yes)
{
	return yes ? SEARCH_YES : SEARCH_NO;
}

/* ---- without the bytes ---- */

/* AND and OR of three values: one decisive answer (`decisive`) ends it. */
static enum search_answer combine(const struct search_key *key, const struct view_message *message, enum search_answer decisive)
{
	enum search_answer sum = decisive == SEARCH_NO ? SEARCH_YES : SEARCH_NO;

	for (const struct search_key *child = key->children; child; child = child->next) {
		enum search_answer one = search_facts(child, message);

		if (one == decisive)
			return decisive;
		if (one == SEARCH_UNKNOWN)
			sum = SEARCH_UNKNOWN;
	}
	return sum;
}

static enum search_answer opposite(enum search_answer one)
{
	return one == SEARCH_UNKNOWN ? SEARCH_UNKNOWN : answer(one == SEARCH_NO);
}

static bool is_in_thread(const struct search_key *key, int64_t email)
{
	size_t low = 0, high = key->email_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (key->emails[middle] < email)
			low = middle + 1;
		else
			high = middle;
	}
	return low < key->email_count && key->emails[low] == email;
}

enum search_answer search_facts(const struct search_key *key, const struct view_message *message)
{
	unsigned percent;

	switch (key->type) {
	case SEARCH_ALL:
		return SEARCH_YES;
	case SEARCH_NONE:
		return SEARCH_NO;
	case SEARCH_KEYWORD:
		return answer(!key->value);
	case SEARCH_FLAGS:
		return answer((message->flags & key->mask) == key->value);
	case SEARCH_UIDS:
	case SEARCH_SEQUENCES:
		return answer(imap_set_has(&key->set, message->uid));
	case SEARCH_LARGER:
		return answer((int64_t)message->size > key->number);
	case SEARCH_SMALLER:
		return answer((int64_t)message->size < key->number);
	case SEARCH_BEFORE:
		return answer(day_of(message->received_ms) < key->number);
	case SEARCH_ON:
		return answer(day_of(message->received_ms) == key->number);
	case SEARCH_SINCE:
		return answer(day_of(message->received_ms) >= key->number);
	case SEARCH_OLDER:
		return answer(message->received_ms < key->number);
	case SEARCH_YOUNGER:
		return answer(message->received_ms >= key->number);
	case SEARCH_MODSEQ:
		return answer((int64_t)message->modseq >= key->number);
	case SEARCH_EMAIL_ID:
		return answer(message->email == key->number);
	case SEARCH_THREAD_ID:
		return answer(is_in_thread(key, message->email));
	case SEARCH_SAVED_BEFORE:
	case SEARCH_SAVED_ON:
	case SEARCH_SAVED_SINCE:
	case SEARCH_SENT_BEFORE:
	case SEARCH_SENT_ON:
	case SEARCH_SENT_SINCE:
	case SEARCH_ENVELOPE:
	case SEARCH_HEADER:
		return SEARCH_UNKNOWN;
	case SEARCH_BODY:
	case SEARCH_TEXT:
		if (key->fuzzy)
			return search_index_score(key, message->email, &percent) ? answer(percent >= FUZZY_LEAST) : SEARCH_UNKNOWN;
		return key->index && text_hits_exclude(key->index, message->email) ? SEARCH_NO : SEARCH_UNKNOWN;
	case SEARCH_FUZZY:
		return search_facts(key->children, message);
	case SEARCH_NOT:
		return opposite(search_facts(key->children, message));
	case SEARCH_AND:
		return combine(key, message, SEARCH_NO);
	case SEARCH_OR:
		return combine(key, message, SEARCH_YES);
	}
	return SEARCH_NO;
}

bool search_uses_modseq(const struct search_key *key)
{
	for (const struct search_key *child = key->children; child; child = child->next) {
		if (search_uses_modseq(child))
			return true;
	}
	return key->type == SEARCH_MODSEQ;
}

unsigned search_needs(const struct search_key *key)
{
	unsigned needs = 0;

	switch (key->type) {
	case SEARCH_SAVED_BEFORE:
	case SEARCH_SAVED_ON:
	case SEARCH_SAVED_SINCE:
		return EMAIL_SAVED;
	case SEARCH_SENT_BEFORE:
	case SEARCH_SENT_ON:
	case SEARCH_SENT_SINCE:
	case SEARCH_ENVELOPE:
		return EMAIL_ENVELOPE;
	case SEARCH_HEADER:
		return EMAIL_HEADER;
	case SEARCH_BODY:
	case SEARCH_TEXT:
		return EMAIL_BYTES | EMAIL_STRUCTURE;
	default:
		break;
	}
	for (const struct search_key *child = key->children; child; child = child->next)
		needs |= search_needs(child);
	return needs;
}

/* ---- with them ---- */

/* Text without anything above ASCII needs no folding but that of letters. */
static bool contains(struct slice text, struct slice folded, struct arena *arena)
{
	struct buf buf;

	if (slice_is_ascii(text))
		return slice_find_nocase(text, folded) != SLICE_NOT_FOUND;
	buf_init(&buf, arena, 0);
	text_fold(&buf, text);
	return slice_find(buf_slice(&buf), folded) != SLICE_NOT_FOUND;
}

static bool value_contains(struct slice value, struct slice folded, struct arena *arena)
{
	return folded.len == 0 || contains(words_decode(arena, value), folded, arena);
}

/* RFC 9051 section 6.4.4: BCC, CC, FROM, SUBJECT and TO look into the envelope, which is much smaller than the message. */
static bool envelope_matches(const struct search_key *key, struct slice envelope, struct arena *arena)
{
	struct slice text = envelope_text(arena, envelope, (enum envelope_item)key->value);

	return text.data && contains(text, key->text, arena);
}

/* RFC 9051 section 6.4.4: an empty text matches every message that has the field. */
static bool header_matches(const struct search_key *key, struct slice header, struct arena *arena)
{
	struct header_field field;

	while (header_next(&header, &field)) {
		if (slice_eq_nocase(field.name, key->name) && value_contains(field.value, key->text, arena))
			return true;
	}
	return false;
}

struct finding {
	const struct search_key *key;
	struct arena *arena;
};

static bool text_contains(void *context, struct slice text, enum message_text_place place)
{
	struct finding *finding = context;

	if (place == MESSAGE_TEXT_HEADER && finding->key->type != SEARCH_TEXT)
		return false;
	return contains(text, finding->key->text, finding->arena);
}

static bool attachments_contain(struct finding *finding, struct slice packed)
{
	struct attachment_text text;

	while (attachment_texts_next(&packed, &text)) {
		if (text_contains(finding, text.utf8, MESSAGE_TEXT_BODY))
			return true;
	}
	return false;
}

static enum search_answer body_matches(const struct search_key *key, const struct search_text *text, struct arena *arena)
{
	const struct email *email = text->email;
	const struct message *message = message_unpack(arena, email->structure, email->bytes);
	struct finding finding = {key, arena};

	if (!message)
		message = message_parse(arena, email->bytes, NULL);
	if (message_texts(arena, message, text_contains, &finding) || attachments_contain(&finding, text->attachments))
		return SEARCH_YES;
	return text->attachments_unread ? SEARCH_UNKNOWN : SEARCH_NO;
}

/* The day that the Date field names, in its own zone (RFC 9051 section 6.4.4: "disregarding time and timezone"). */
static bool sent_matches(const struct search_key *key, struct slice envelope, struct arena *arena)
{
	struct slice date = envelope_text(arena, envelope, ENVELOPE_DATE);
	int64_t sent_ms, day;
	int zone;

	if (!date.data || !date_parse(date, &sent_ms, &zone))
		return false;
	day = day_of(sent_ms + (int64_t)zone * 60000);
	if (key->type == SEARCH_SENT_ON)
		return day == key->number;
	return key->type == SEARCH_SENT_BEFORE ? day < key->number : day >= key->number;
}

/* RFC 8514 section 4.3: where no save date is known, INTERNALDATE stands for it. */
static bool saved_matches(const struct search_key *key, int64_t received_ms, int64_t saved_ms)
{
	int64_t day = day_of(saved_ms > 0 ? saved_ms : received_ms);

	if (key->type == SEARCH_SAVED_ON)
		return day == key->number;
	return key->type == SEARCH_SAVED_BEFORE ? day < key->number : day >= key->number;
}

/* What attachments hold can only add to it. */
static enum search_answer fuzzy_matches(const struct search_key *key, const struct view_message *message, const struct search_text *text,
					struct arena *arena)
{
	if (search_key_score(key, message, text, arena) >= FUZZY_LEAST)
		return SEARCH_YES;
	return text->attachments_unread && (key->type == SEARCH_BODY || key->type == SEARCH_TEXT) ? SEARCH_UNKNOWN : SEARCH_NO;
}

static enum search_answer judge_children(const struct search_key *key, const struct view_message *message,
					 const struct search_text *text, struct arena *arena)
{
	enum search_answer decisive = key->type == SEARCH_OR ? SEARCH_YES : SEARCH_NO;
	enum search_answer sum = decisive == SEARCH_NO ? SEARCH_YES : SEARCH_NO;

	for (const struct search_key *child = key->children; child; child = child->next) {
		enum search_answer one = search_judge(child, message, text, arena);

		if (one == decisive)
			return decisive;
		if (one == SEARCH_UNKNOWN)
			sum = SEARCH_UNKNOWN;
	}
	return sum;
}

enum search_answer search_judge(const struct search_key *key, const struct view_message *message, const struct search_text *text,
				struct arena *arena)
{
	const struct email *email = text->email;
	enum search_answer known = search_facts(key, message);

	if (known != SEARCH_UNKNOWN)
		return known;
	if (key->fuzzy)
		return fuzzy_matches(key, message, text, arena);
	switch (key->type) {
	case SEARCH_SAVED_BEFORE:
	case SEARCH_SAVED_ON:
	case SEARCH_SAVED_SINCE:
		return answer(saved_matches(key, message->received_ms, email->saved_ms));
	case SEARCH_SENT_BEFORE:
	case SEARCH_SENT_ON:
	case SEARCH_SENT_SINCE:
		return answer(sent_matches(key, email->envelope, arena));
	case SEARCH_ENVELOPE:
		return answer(envelope_matches(key, email->envelope, arena));
	case SEARCH_HEADER:
		return answer(header_matches(key, fetch_header_of(email->bytes), arena));
	case SEARCH_BODY:
	case SEARCH_TEXT:
		return body_matches(key, text, arena);
	case SEARCH_FUZZY:
		return search_judge(key->children, message, text, arena);
	case SEARCH_NOT:
		return opposite(search_judge(key->children, message, text, arena));
	default:
		return judge_children(key, message, text, arena);
	}
}
