#include "imap/fetch.h"

#include "imap/write.h"

#define HEADER_MAX ((uint64_t)2 * 1024 * 1024)

struct slice fetch_source_read(struct fetch_source *source, uint64_t offset, uint64_t end)
{
	struct slice piece;

	if (end > source->size)
		end = source->size;
	if (offset >= end || source->failed)
		return SLICE_EMPTY;
	if (!source->reader)
		return slice_sub(source->bytes, (size_t)offset, (size_t)end);
	if (email_read(source->reader, offset, &piece) != STATUS_OK || piece.len == 0) {
		source->failed = true;
		return SLICE_EMPTY;
	}
	return slice_sub(piece, 0, (size_t)(end - offset));
}

unsigned fetch_section_needs(const struct fetch_section *section)
{
	if (section->number_count > 0)
		return EMAIL_BYTES | EMAIL_STRUCTURE;
	switch (section->text) {
	case FETCH_HEADER_FIELDS:
	case FETCH_HEADER_FIELDS_NOT:
		return EMAIL_HEADER;
	case FETCH_HEADER:
		return EMAIL_HEADER | EMAIL_STRUCTURE;
	case FETCH_TEXT:
	case FETCH_MIME:
		return EMAIL_BYTES | EMAIL_STRUCTURE;
	case FETCH_WHOLE:
		break;
	}
	return EMAIL_BYTES;
}

struct slice fetch_header_of(struct slice bytes)
{
	size_t at = 0;

	while (at < bytes.len) {
		size_t end = slice_find_byte(slice_skip(bytes, at), '\n');
		struct slice line = slice_sub(bytes, at, end == SLICE_NOT_FOUND ? bytes.len : at + end);

		if (end == SLICE_NOT_FOUND)
			break;
		if (line.len == 0 || slice_eq(line, SLICE("\r")))
			return slice_sub(bytes, 0, at);
		at += end + 1;
	}
	return bytes;
}

/* ---- what a section is ---- */

enum form { FORM_NIL, FORM_RANGE, FORM_TEXT, FORM_DECODED, FORM_UNKNOWN_ENCODING };

struct value {
	enum form form;
	uint64_t start, end; /* RANGE, DECODED: bytes of the message */
	struct slice text;
	struct slice encoding;
};

static struct value range_value(uint64_t start, uint64_t end)
{
	return (struct value){.form = FORM_RANGE, .start = start, .end = end < start ? start : end};
}

static bool field_is_named(const struct fetch_section *section, struct slice name)
{
	for (size_t i = 0; i < section->field_count; i++) {
		if (slice_eq_nocase(section->fields[i], name))
			return true;
	}
	return false;
}

/* A header is small: if it isn't in memory it is brought there. */
static struct slice header_bytes(struct fetch_source *source, struct arena *arena, uint64_t start, uint64_t end)
{
	struct buf header;
	struct slice piece;

	if (!source->reader)
		return fetch_source_read(source, start, end);
	if (end - start > HEADER_MAX)
		end = start + HEADER_MAX;
	buf_init(&header, arena, 0);
	while (start < end && (piece = fetch_source_read(source, start, end)).len > 0) {
		buf_add(&header, piece);
		start += piece.len;
	}
	return buf_slice(&header);
}

/* RFC 9051 section 6.4.5.1: the fields as they stand, and the blank line, if there is one. Lines that are no field have none of the
 * names. */
static struct value fields_value(const struct fetch_section *section, struct fetch_source *source, struct arena *arena,
				 uint64_t start, uint64_t end)
{
	struct slice bytes = header_bytes(source, arena, start, end), rest = fetch_header_of(bytes);
	bool has_blank_line = rest.len < bytes.len;
	bool named = section->text == FETCH_HEADER_FIELDS;
	struct header_field field;
	struct buf text;

	buf_init(&text, arena, 0);
	while (header_next_line(&rest, &field)) {
		if (field_is_named(section, field.name) == named)
			buf_add(&text, field.whole);
	}
	if (has_blank_line)
		buf_add_literal(&text, "\r\n");
	return (struct value){.form = FORM_TEXT, .text = buf_slice(&text)};
}

/* RFC 3516 section 4.2. Multiparts and messages have no encoding but the identity. */
static struct value decoded_value(const struct message_part *part)
{
	static const struct slice identities[] = {{"", 0}, {"7bit", 4}, {"8bit", 4}, {"binary", 6}};
	struct value value = range_value(part->body_start, part->body_end);

	if (part->kind != MESSAGE_PART_LEAF)
		return value;
	for (size_t i = 0; i < sizeof(identities) / sizeof(identities[0]); i++) {
		if (slice_eq_nocase(part->encoding, identities[i]))
			return value;
	}
	value.encoding = part->encoding;
	value.form =
		slice_eq_nocase(part->encoding, SLICE("base64")) || slice_eq_nocase(part->encoding, SLICE("quoted-printable"))
			? FORM_DECODED
			: FORM_UNKNOWN_ENCODING;
	return value;
}

static enum message_section section_of(enum fetch_text text)
{
	switch (text) {
	case FETCH_HEADER:
	case FETCH_HEADER_FIELDS:
	case FETCH_HEADER_FIELDS_NOT:
		return MESSAGE_SECTION_HEADER;
	case FETCH_TEXT:
		return MESSAGE_SECTION_TEXT;
	case FETCH_MIME:
		return MESSAGE_SECTION_MIME;
	case FETCH_WHOLE:
		break;
	}
	return MESSAGE_SECTION_BODY;
}

static struct value find_value(const struct fetch_section *section, const struct message *message, struct fetch_source *source,
			       struct arena *arena)
{
	bool fields = section->text == FETCH_HEADER_FIELDS || section->text == FETCH_HEADER_FIELDS_NOT;
	uint64_t start = 0, end = source->size;
	const struct message_part *part;

	/* The two most frequent sections of all need no structure. */
	if (section->number_count == 0 && fields)
		return fields_value(section, source, arena, start, end);
	if (section->number_count == 0 && section->text == FETCH_WHOLE)
		return range_value(start, end);
	if (!message)
		return (struct value){.form = FORM_NIL};
	if (section->kind != FETCH_RAW) {
		part = message_find_part(message, section->numbers, section->number_count);
		return part ? decoded_value(part) : (struct value){.form = FORM_NIL};
	}
	if (!message_section_range(message, section->numbers, section->number_count, section_of(section->text), &start, &end))
		return (struct value){.form = FORM_NIL};
	return fields ? fields_value(section, source, arena, start, end) : range_value(start, end);
}

/* ---- decoding piece by piece ---- */

/* How much of a piece can be decoded alone: whole lines of quoted-printable, whole groups of four of base64. */
static size_t decodable(struct slice piece, bool is_base64)
{
	size_t letters = 0, end = 0;

	if (!is_base64) {
		end = slice_find_last_byte(piece, '\n');
		return end == SLICE_NOT_FOUND ? 0 : end + 1;
	}
	for (size_t i = 0; i < piece.len; i++) {
		char c = piece.data[i];

		letters += ascii_is_alnum(c) || c == '+' || c == '/' || c == '=';
		if (letters % 4 == 0)
			end = i + 1;
	}
	return end;
}

/* Calls `each` with the decoded pieces of [start, end). */
static void decode_range(struct fetch_source *source, const struct value *value,
			 void (*each)(void *context, struct slice decoded), void *context)
{
	bool is_base64 = slice_eq_nocase(value->encoding, SLICE("base64"));
	struct buf encoded SCOPED_BUF, decoded SCOPED_BUF;
	uint64_t at = value->start;

	buf_init(&encoded, NULL, 0);
	buf_init(&decoded, NULL, 0);
	for (;;) {
		struct slice piece = fetch_source_read(source, at, value->end);
		size_t ready;

		at += piece.len;
		buf_add(&encoded, piece);
		ready = piece.len == 0 || at == value->end ? encoded.len : decodable(buf_slice(&encoded), is_base64);
		buf_clear(&decoded);
		message_decode_body(&decoded, slice_sub(buf_slice(&encoded), 0, ready), value->encoding);
		each(context, buf_slice(&decoded));
		if (ready < encoded.len)
			memmove(encoded.data, encoded.data + ready, encoded.len - ready);
		encoded.len -= ready;
		if (piece.len == 0 || at == value->end)
			return;
	}
}

struct measure {
	uint64_t size;
	bool has_nul;
};

static void measure_piece(void *context, struct slice decoded)
{
	struct measure *measure = context;

	measure->size += decoded.len;
	measure->has_nul |= slice_find_byte(decoded, '\0') != SLICE_NOT_FOUND;
}

/* Sends bytes [from, to) of what comes along. */
struct window {
	const struct fetch_sink *sink;
	uint64_t at, from, to;
};

static void put(const struct fetch_sink *sink, struct slice bytes)
{
	buf_add(sink->out, bytes);
	if (sink->flush)
		sink->flush(sink->context);
}

static void put_window(void *context, struct slice piece)
{
	struct window *window = context;
	uint64_t skip = window->from > window->at ? window->from - window->at : 0;
	uint64_t stop = window->to > window->at ? window->to - window->at : 0;

	if (skip < piece.len && stop > skip)
		put(window->sink, slice_sub(piece, (size_t)skip, (size_t)(stop < piece.len ? stop : piece.len)));
	window->at += piece.len;
}

/* ---- sending ---- */

static void put_literal_head(struct buf *out, uint64_t size, bool binary)
{
	if (binary)
		buf_add_byte(out, '~');
	buf_add_byte(out, '{');
	buf_add_u64(out, size);
	buf_add_literal(out, "}\r\n");
}

/* The part of a value of `size` bytes that was asked for. */
static void clip(const struct fetch_section *section, uint64_t size, uint64_t *from, uint64_t *to)
{
	*from = 0;
	*to = size;
	if (!section->is_partial)
		return;
	*from = section->offset < size ? section->offset : size;
	if (section->length < size - *from)
		*to = *from + section->length;
}

static enum fetch_outcome put_range(const struct fetch_section *section, const struct value *value, struct fetch_source *source,
				    const struct fetch_sink *sink)
{
	uint64_t from, to;
	struct slice piece;

	clip(section, value->end - value->start, &from, &to);
	put_literal_head(sink->out, to - from, false);
	for (uint64_t at = value->start + from, end = value->start + to; at < end; at += piece.len) {
		piece = fetch_source_read(source, at, end);
		if (piece.len == 0)
			return FETCH_BROKEN;
		put(sink, piece);
	}
	return FETCH_SENT;
}

static enum fetch_outcome put_decoded(const struct fetch_section *section, const struct value *value,
				      struct fetch_source *source, const struct fetch_sink *sink)
{
	struct window window = {.sink = sink};
	struct measure measure = {0};

	decode_range(source, value, measure_piece, &measure);
	if (section->kind == FETCH_BINARY_SIZE) {
		buf_add_u64(sink->out, measure.size);
		return FETCH_SENT;
	}
	clip(section, measure.size, &window.from, &window.to);
	put_literal_head(sink->out, window.to - window.from, measure.has_nul);
	decode_range(source, value, put_window, &window);
	return source->failed || window.at != measure.size ? FETCH_BROKEN : FETCH_SENT;
}

static enum fetch_outcome put_text(const struct fetch_section *section, struct slice text, const struct fetch_sink *sink)
{
	uint64_t from, to;

	clip(section, text.len, &from, &to);
	put_literal_head(sink->out, to - from, false);
	put(sink, slice_sub(text, (size_t)from, (size_t)to));
	return FETCH_SENT;
}

enum fetch_outcome fetch_put_section(const struct fetch_section *section, const struct message *message,
				     struct fetch_source *source, struct arena *arena, const struct fetch_sink *sink)
{
	struct value value = find_value(section, message, source, arena);

	buf_add(sink->out, section->label);
	buf_add_byte(sink->out, ' ');
	if (section->kind == FETCH_BINARY_SIZE && value.form == FORM_RANGE) {
		buf_add_u64(sink->out, value.end - value.start);
		return FETCH_SENT;
	}
	switch (value.form) {
	case FORM_RANGE:
		return put_range(section, &value, source, sink);
	case FORM_TEXT:
		return put_text(section, value.text, sink);
	case FORM_DECODED:
		return put_decoded(section, &value, source, sink);
	case FORM_NIL:
	case FORM_UNKNOWN_ENCODING:
		break;
	}
	/* RFC 9051 section 9: a BINARY.SIZE is a number. */
	if (section->kind == FETCH_BINARY_SIZE)
		buf_add_byte(sink->out, '0');
	else
		buf_add_literal(sink->out, "NIL");
	return value.form == FORM_NIL ? FETCH_ABSENT : FETCH_UNKNOWN_ENCODING;
}
