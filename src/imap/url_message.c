#include "imap/url_message.h"

#include "mime/imap_structure.h"

bool url_section_parse(struct arena *arena, const struct imap_url *url, struct fetch_section *section)
{
	struct fetch_request request;
	struct imap_parser p;
	struct buf words;

	buf_init(&words, arena, 0);
	buf_add_literal(&words, "BODY.PEEK[");
	buf_add(&words, url->section);
	buf_add_byte(&words, ']');
	if (url->partial.len) {
		buf_add_byte(&words, '<');
		buf_add(&words, url->partial);
		if (slice_find_byte(url->partial, '.') == SLICE_NOT_FOUND)
			buf_add_literal(&words, ".9223372036854775807");
		buf_add_byte(&words, '>');
	}
	imap_parser_init(&p, arena, buf_slice(&words), true);
	if (!imap_parse_fetch(&p, &request) || !imap_parse_end(&p) || request.section_count != 1 || request.items != 0)
		return false;
	*section = *request.sections;
	return true;
}

/* ---- the message ---- */

struct wanted {
	struct arena *arena;
	int64_t email;
	uint64_t size;
	struct slice structure;
	bool found;
};

static bool each_email(void *context, const struct email *email)
{
	struct wanted *wanted = context;

	wanted->found = true;
	wanted->email = email->id;
	wanted->size = email->size;
	wanted->structure = slice_dup(wanted->arena, email->structure);
	return false;
}

enum status url_message_open(struct imap_session *s, struct arena *arena, int64_t account, int64_t mailbox,
			     const struct imap_url *url, struct url_message *m)
{
	struct wanted wanted = {.arena = arena};
	enum status status;

	*m = (struct url_message){0};
	if (!url_section_parse(arena, url, &m->section))
		return STATUS_NOT_FOUND;
	status = email_scan(imap_store(s), account, mailbox, &url->uid, 1, EMAIL_STRUCTURE, each_email, &wanted);
	if (status == STATUS_OK && !wanted.found)
		status = STATUS_NOT_FOUND;
	if (status == STATUS_OK)
		status = email_open(imap_store(s), arena, account, wanted.email, &m->source.reader);
	if (status != STATUS_OK)
		return status;
	m->source.size = wanted.size;
	m->message = message_unpack(arena, wanted.structure, SLICE_EMPTY);
	return STATUS_OK;
}

void url_message_close(struct url_message *m)
{
	if (m->source.reader)
		email_close(m->source.reader);
	m->source.reader = NULL;
}

/* ---- without the encoding ---- */

static const struct message_part *part_of(const struct url_message *m, const struct message *message)
{
	return message ? message_find_part(message, m->section.numbers, m->section.number_count) : NULL;
}

static const struct message_part *message_inside(const struct message_part *part)
{
	return part->kind == MESSAGE_PART_MESSAGE ? part->children : NULL;
}

/* The one part of a message that isn't a multipart has a number, which TEXT hasn't. */
static void name_single_part(struct url_message *m)
{
	const struct message_part *part = part_of(m, m->message);

	if (part && m->section.number_count > 0)
		part = message_inside(part);
	if (!part || part->kind != MESSAGE_PART_LEAF || m->section.number_count == IMAP_PARTS_MAX)
		return;
	m->section.numbers[m->section.number_count++] = 1;
	m->section.text = FETCH_WHOLE;
}

void url_message_decode(struct url_message *m)
{
	if (m->section.text == FETCH_TEXT)
		name_single_part(m);
	if (m->section.text == FETCH_WHOLE && m->section.number_count > 0)
		m->section.kind = FETCH_BINARY;
}

static bool read_whole(struct url_message *m, struct buf *bytes)
{
	struct slice piece;

	for (uint64_t at = 0; at < m->source.size; at += piece.len) {
		piece = fetch_source_read(&m->source, at, m->source.size);
		if (piece.len == 0)
			return false;
		buf_add(bytes, piece);
	}
	return buf_ok(bytes);
}

static bool can_decode(const struct message_part *part)
{
	static const struct slice known[] = {{"", 0},       {"7bit", 4},   {"8bit", 4},
					     {"binary", 6}, {"base64", 6}, {"quoted-printable", 16}};

	for (size_t i = 0; part->kind == MESSAGE_PART_LEAF && i < sizeof(known) / sizeof(known[0]); i++) {
		if (slice_eq_nocase(part->encoding, known[i]))
			return true;
	}
	return false;
}

/* How the part looks when its encoding has been taken off. */
static void measure(const struct message *message, const struct message_part *part, struct imap_decoded *decoded)
{
	struct buf body SCOPED_BUF;

	buf_init(&body, NULL, 0);
	message_decode_body(&body, message_body(message, part), part->encoding);
	decoded->size = body.len;
	for (size_t i = 0; i < body.len; i++)
		decoded->lines += body.data[i] == '\n';
	decoded->encoding = slice_is_ascii(buf_slice(&body)) ? SLICE("7bit") : SLICE("8bit");
	if (slice_find_byte(buf_slice(&body), '\0') != SLICE_NOT_FOUND)
		decoded->encoding = SLICE("binary");
}

bool url_message_has_part(const struct url_message *m)
{
	const struct message_part *part = part_of(m, m->message);
	bool is_of_message = m->section.text != FETCH_WHOLE && m->section.text != FETCH_MIME;

	return part && (!is_of_message || m->section.number_count == 0 || message_inside(part));
}

enum status url_message_structure(struct url_message *m, struct arena *arena, struct buf *out)
{
	struct buf bytes SCOPED_BUF;
	struct imap_decoded decoded = {0};
	const struct message *message;
	const struct message_part *part;
	bool decodes;

	buf_init(&bytes, NULL, 0);
	if (!read_whole(m, &bytes))
		return STATUS_TEMPORARY;
	message = message_parse(arena, buf_slice(&bytes), NULL);
	part = part_of(m, message);
	if (!part)
		return STATUS_NOT_FOUND;
	decodes = m->section.kind == FETCH_BINARY && can_decode(part);
	if (decodes)
		measure(message, part, &decoded);
	imap_part_structure(out, arena, message, part, decodes ? &decoded : NULL);
	return STATUS_OK;
}
