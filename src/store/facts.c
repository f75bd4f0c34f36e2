/* The facts of a message, from one parse. */
#include "mime/imap_structure.h"
#include "mime/words.h"
#include "store/store_internal.h"

#define MESSAGE_ID_MAX 998 /* RFC 5322 section 2.1.1: a line */
#define REFERENCES_MAX 8192
#define SUBJECT_MAX    1000

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* RFC 5322 section 4.5.4: white space and comments may stand in an id, but are no part of it. */
static struct slice without_comments(struct arena *arena, struct slice id)
{
	char *start, *to;
	bool is_tidy = true, is_quoted = false;
	size_t depth = 0;

	for (size_t i = 0; i < id.len && is_tidy; i++)
		is_tidy = !is_space(id.data[i]) && id.data[i] != '(';
	if (is_tidy)
		return id;
	start = to = arena_alloc(arena, id.len);
	for (size_t i = 0; i < id.len; i++) {
		char c = id.data[i];

		is_quoted ^= c == '"' && depth == 0;
		depth += c == '(' && !is_quoted;
		if (depth == 0 && !is_space(c))
			*to++ = c;
		depth -= c == ')' && depth > 0;
	}
	return slice_of(start, (size_t)(to - start));
}

/* The next "<...>" of *rest, without its brackets; data NULL: none. */
static struct slice next_id(struct arena *arena, struct slice *rest)
{
	size_t start = slice_find_byte(*rest, '<');

	if (start == SLICE_NOT_FOUND)
		return slice_of(NULL, 0);
	*rest = slice_skip(*rest, start + 1);
	return without_comments(arena, slice_cut(rest, '>'));
}

static struct slice find_message_id(struct arena *arena, struct slice header)
{
	struct slice value = header_find(header, SLICE("Message-ID"));

	if (!value.data)
		return SLICE_EMPTY;
	struct slice rest = value;
	struct slice id = next_id(arena, &rest);

	/* Lenient: ids without brackets are seen in the wild. */
	if (!id.data)
		id = without_comments(arena, value);
	return id.len <= MESSAGE_ID_MAX ? id : SLICE_EMPTY;
}

static void add_ids(struct buf *out, struct arena *arena, struct slice value)
{
	struct slice id;

	while (value.data && (id = next_id(arena, &value)).data) {
		if (id.len == 0 || out->len + id.len + 1 > REFERENCES_MAX)
			continue;
		if (out->len > 0)
			buf_add_byte(out, ' ');
		buf_add(out, id);
	}
}

static struct slice find_references(struct arena *arena, struct slice header)
{
	struct buf out;

	buf_init(&out, arena, 0);
	add_ids(&out, arena, header_find(header, SLICE("References")));
	add_ids(&out, arena, header_find(header, SLICE("In-Reply-To")));
	return buf_slice(&out);
}

/* At most SUBJECT_MAX bytes, not cut inside a character. */
static struct slice find_subject(struct arena *arena, struct slice header)
{
	struct slice value = header_find(header, SLICE("Subject"));

	if (!value.data)
		return SLICE_EMPTY;
	struct slice subject = words_decode(arena, value);

	if (subject.len <= SUBJECT_MAX)
		return subject;
	subject.len = SUBJECT_MAX;
	while (subject.len > 0 && ((unsigned char)subject.data[subject.len] & 0xc0) == 0x80)
		subject.len--;
	return subject;
}

static struct slice pack(struct arena *arena, const struct message *message)
{
	struct buf out;

	buf_init(&out, arena, 0);
	message_pack(&out, message);
	return buf_slice(&out);
}

void facts_of(struct arena *arena, struct message *message, struct email_facts *facts)
{
	struct slice header = message_header(message, message->root);
	struct slice date = header_find(header, SLICE("Date"));
	struct buf envelope, body, body_structure;
	int zone;

	buf_init(&envelope, arena, 0);
	buf_init(&body, arena, 0);
	buf_init(&body_structure, arena, 0);
	imap_envelope(&envelope, arena, header);
	imap_body(&body, arena, message);
	imap_body_structure(&body_structure, arena, message);
	*facts = (struct email_facts){
		.bytes = message->bytes,
		.size = message->bytes.len,
		.message_id = find_message_id(arena, header),
		.subject = find_subject(arena, header),
		.envelope = buf_slice(&envelope),
		.body = buf_slice(&body),
		.body_structure = buf_slice(&body_structure),
		.structure = pack(arena, message),
		.references = find_references(arena, header),
	};
	if (!date.data || !date_parse(date, &facts->sent_ms, &zone))
		facts->sent_ms = 0;
}

void email_facts(struct arena *arena, struct slice bytes, struct email_facts *facts)
{
	facts_of(arena, message_parse(arena, bytes, NULL), facts);
}

/* ---- the same message with more header in front ---- */

static void shift_part(struct message_part *part, uint64_t by)
{
	for (; part; part = part->next) {
		part->header_start += by;
		part->body_start += by;
		part->body_end += by;
		shift_part(part->children, by);
	}
}

void facts_shift(struct arena *arena, struct shifted_message *message, uint64_t shift)
{
	if (message->shift == shift)
		return;
	shift_part(message->message->root, shift - message->shift);
	message->message->root->header_start = 0;
	message->shift = shift;
	message->facts.size = message->message->bytes.len + shift;
	message->facts.structure = pack(arena, message->message);
}
