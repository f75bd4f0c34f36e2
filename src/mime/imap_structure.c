/* Written to be the same, byte for byte, as what Dovecot sends, which clients are used to. */
#include "mime/imap_structure.h"

#include "mime/address.h"
#include "mime/lexer.h"
#include "mime/words.h"

#define ESCAPES_MAX   4     /* in a quoted string: with more a literal is shorter to read */
#define ENVELOPE_SIZE 500   /* of most */
#define ADDRESSES_MAX 20000 /* in all of an answer: "a," becomes forty bytes here, three times where it is a From field */

/* ---- strings ---- */

enum { ESCAPED = 1, UNQUOTABLE = 2 };

static const unsigned char quoting[256] = {
	['\0'] = UNQUOTABLE,          ['\r'] = UNQUOTABLE, ['\n'] = UNQUOTABLE,
	[0x80 ... 0xff] = UNQUOTABLE, ['"'] = ESCAPED,     ['\\'] = ESCAPED,
};

/* Whether a quoted string holds it as it stands, or with a few escapes (RFC 9051 section 9). */
static bool fits_quotes(struct slice value, unsigned *escapes)
{
	unsigned seen = 0, escaped = 0;

	for (size_t i = 0; i < value.len; i++) {
		unsigned what = quoting[(unsigned char)value.data[i]];

		seen |= what;
		escaped += what & ESCAPED;
	}
	*escapes = escaped;
	return !(seen & UNQUOTABLE) && escaped <= ESCAPES_MAX;
}

static void put_quoted(struct buf *out, struct slice value, unsigned escapes)
{
	size_t len = value.len + escapes + 2;
	char *to = buf_reserve(out, len);

	if (!to)
		return;
	*to++ = '"';
	if (escapes == 0) {
		memcpy(to, value.data, value.len);
		to += value.len;
	}
	for (size_t i = 0; escapes > 0 && i < value.len; i++) {
		if (value.data[i] == '"' || value.data[i] == '\\')
			*to++ = '\\';
		*to++ = value.data[i];
	}
	*to = '"';
	buf_advance(out, len);
}

static bool is_kept(char c)
{
	return c != '\0';
}

/* A literal can't hold NUL (RFC 9051 section 9, CHAR8): those are left out. */
static void put_literal(struct buf *out, struct slice value)
{
	size_t len = 0;

	for (size_t i = 0; i < value.len; i++)
		len += is_kept(value.data[i]);
	buf_add_byte(out, '{');
	buf_add_u64(out, len);
	buf_add_literal(out, "}\r\n");
	for (size_t i = 0; i < value.len; i++) {
		if (is_kept(value.data[i]))
			buf_add_byte(out, value.data[i]);
	}
}

static void put_string(struct buf *out, struct slice value)
{
	unsigned escapes;

	if (fits_quotes(value, &escapes))
		put_quoted(out, value, escapes);
	else
		put_literal(out, value);
}

void imap_put_nstring(struct buf *out, struct slice value)
{
	if (value.data)
		put_string(out, value);
	else
		buf_add_literal(out, "NIL");
}

/* A header value: its line ends go, the white space of folding stays. */
static void put_unfolded(struct buf *out, struct arena *arena, struct slice value)
{
	imap_put_nstring(out, value.data ? header_unfold(arena, value) : value);
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\0';
}

/* One space for a run of white space. */
static struct slice collapse(struct arena *arena, struct slice value)
{
	char *start = arena_alloc(arena, value.len + 1), *to = start;

	for (size_t i = 0; i < value.len; i++) {
		if (!is_space(value.data[i]))
			*to++ = value.data[i];
		else if (to > start && to[-1] != ' ')
			*to++ = ' ';
	}
	if (to > start && to[-1] == ' ')
		to--;
	return slice_of(start, (size_t)(to - start));
}

/* A subject or a display name: white space collapsed; quoted only if nothing in it needs care. */
static void put_for_people(struct buf *out, struct arena *arena, struct slice value)
{
	bool is_simple = true;

	if (!value.data) {
		buf_add_literal(out, "NIL");
		return;
	}
	value = slice_trim(value);
	for (size_t i = 0; i < value.len && is_simple; i++) {
		char c = value.data[i];

		is_simple = (unsigned char)c > ' ' || (c == ' ' && i > 0 && i + 1 < value.len && value.data[i - 1] != ' ');
		is_simple &= !(c & 0x80) && c != '"' && c != '\\';
	}
	if (is_simple) {
		put_quoted(out, value, 0);
		return;
	}
	value = collapse(arena, value);
	if (value.len == 0)
		buf_add_literal(out, "\"\"");
	else
		put_literal(out, value);
}

/* ---- envelope ---- */

enum { TEXT_DATE, TEXT_SUBJECT, TEXT_IN_REPLY_TO, TEXT_MESSAGE_ID, TEXT_COUNT };
enum { LIST_FROM, LIST_SENDER, LIST_REPLY_TO, LIST_TO, LIST_CC, LIST_BCC, LIST_COUNT };

struct envelope {
	struct arena *arena;
	unsigned *addresses_left;
	struct slice texts[TEXT_COUNT];
	struct address *lists[LIST_COUNT];
	struct address **ends[LIST_COUNT];
};

struct envelope_field {
	struct slice name;
	unsigned index;
	bool is_list;
};

static const struct envelope_field envelope_fields[] = {
	{{"Date", 4}, TEXT_DATE, false},
	{{"Subject", 7}, TEXT_SUBJECT, false},
	{{"In-Reply-To", 11}, TEXT_IN_REPLY_TO, false},
	{{"Message-ID", 10}, TEXT_MESSAGE_ID, false},
	{{"From", 4}, LIST_FROM, true},
	{{"Sender", 6}, LIST_SENDER, true},
	{{"Reply-To", 8}, LIST_REPLY_TO, true},
	{{"To", 2}, LIST_TO, true},
	{{"Cc", 2}, LIST_CC, true},
	{{"Bcc", 3}, LIST_BCC, true},
};

/* A second field of the same name goes on with the list: what one client shows must not be hidden from another. */
static void add_list(struct envelope *envelope, unsigned index, struct slice value)
{
	struct address **link = envelope->ends[index] ? envelope->ends[index] : &envelope->lists[index];

	*link = address_list_parse(envelope->arena, value, *envelope->addresses_left);
	for (; *link; link = &(*link)->next)
		--*envelope->addresses_left;
	envelope->ends[index] = link;
}

static void take_envelope_field(struct envelope *envelope, const struct header_field *field)
{
	for (size_t i = 0; i < sizeof(envelope_fields) / sizeof(envelope_fields[0]); i++) {
		const struct envelope_field *known = &envelope_fields[i];

		if (field->name.len != known->name.len || ascii_upper(*field->name.data) != *known->name.data ||
		    !slice_eq_nocase(field->name, known->name))
			continue;
		if (known->is_list)
			add_list(envelope, known->index, field->value);
		else
			envelope->texts[known->index] = field->value;
		return;
	}
}

/* An address without a local part or a domain gets a name that says so: NIL would mean a group (RFC 9051 section 7.5.2). */
static void put_address(struct buf *out, struct arena *arena, const struct address *address)
{
	bool is_group = !address->domain.data;

	buf_add_byte(out, '(');
	put_for_people(out, arena, address->name);
	if (address->route.data) {
		buf_add_byte(out, ' ');
		put_string(out, address->route);
		buf_add_byte(out, ' ');
	} else {
		buf_add_literal(out, " NIL ");
	}
	imap_put_nstring(out, is_group || address->local.len > 0 ? address->local : SLICE("MISSING_MAILBOX"));
	buf_add_byte(out, ' ');
	imap_put_nstring(out, is_group || address->domain.len > 0 ? address->domain : SLICE("MISSING_DOMAIN"));
	buf_add_byte(out, ')');
}

static void put_list(struct buf *out, struct arena *arena, const struct address *list)
{
	buf_add_byte(out, ' ');
	if (!list) {
		buf_add_literal(out, "NIL");
		return;
	}
	buf_add_byte(out, '(');
	for (; list; list = list->next)
		put_address(out, arena, list);
	buf_add_byte(out, ')');
}

static void put_envelope(struct buf *out, struct arena *arena, struct slice header, unsigned *addresses_left)
{
	struct envelope envelope = {.arena = arena, .addresses_left = addresses_left};
	struct address **lists = envelope.lists;
	struct header_field field;

	while (header_next(&header, &field))
		take_envelope_field(&envelope, &field);
	buf_reserve(out, ENVELOPE_SIZE);
	buf_add_byte(out, '(');
	put_unfolded(out, arena, envelope.texts[TEXT_DATE]);
	buf_add_byte(out, ' ');
	put_for_people(out, arena, envelope.texts[TEXT_SUBJECT]);
	put_list(out, arena, lists[LIST_FROM]);
	put_list(out, arena, lists[LIST_SENDER] ? lists[LIST_SENDER] : lists[LIST_FROM]);
	put_list(out, arena, lists[LIST_REPLY_TO] ? lists[LIST_REPLY_TO] : lists[LIST_FROM]);
	put_list(out, arena, lists[LIST_TO]);
	put_list(out, arena, lists[LIST_CC]);
	put_list(out, arena, lists[LIST_BCC]);
	buf_add_byte(out, ' ');
	put_unfolded(out, arena, envelope.texts[TEXT_IN_REPLY_TO]);
	buf_add_byte(out, ' ');
	put_unfolded(out, arena, envelope.texts[TEXT_MESSAGE_ID]);
	buf_add_byte(out, ')');
}

void imap_envelope(struct buf *out, struct arena *arena, struct slice header)
{
	unsigned addresses_left = ADDRESSES_MAX;

	put_envelope(out, arena, header, &addresses_left);
}

/* ---- structure ---- */

struct writing {
	struct buf *out;
	struct arena *arena;
	const struct message *message;
	bool is_extended; /* BODYSTRUCTURE */
	unsigned *addresses_left;
	const struct imap_decoded *decoded; /* of the part at hand; NULL: as it stands */
};

static void put_part(const struct writing *w, const struct message_part *part);

static void put_parameters(const struct writing *w, const struct mime_parameter *parameters, unsigned count, bool is_text)
{
	bool has_charset = !is_text;

	if (count == 0 && !is_text) {
		buf_add_literal(w->out, " NIL");
		return;
	}
	buf_add_literal(w->out, " (");
	for (unsigned i = 0; i < count; i++) {
		if (i > 0)
			buf_add_byte(w->out, ' ');
		put_string(w->out, parameters[i].wire_name);
		buf_add_byte(w->out, ' ');
		put_string(w->out, parameters[i].wire_value);
		has_charset |= slice_eq(parameters[i].name, SLICE("charset"));
	}
	if (!has_charset) /* RFC 2045 section 5.2 */
		buf_add(w->out, count > 0 ? SLICE(" \"charset\" \"us-ascii\"") : SLICE("\"charset\" \"us-ascii\""));
	buf_add_byte(w->out, ')');
}

static void put_disposition(const struct writing *w, const struct message_part *part)
{
	if (!part->disposition.data) {
		buf_add_literal(w->out, " NIL");
		return;
	}
	buf_add_literal(w->out, " (");
	put_string(w->out, part->disposition);
	put_parameters(w, part->disposition_parameters, part->disposition_parameter_count, false);
	buf_add_byte(w->out, ')');
}

/* RFC 3282 section 2: tags parted by commas. */
static void put_language(const struct writing *w, struct slice language)
{
	struct lexer lexer = lexer_of(w->arena, language);
	bool any = false;

	while (lexer.at < lexer.end) {
		struct slice tag;

		lexer_skip_space(&lexer);
		tag = lexer_token(&lexer);
		if (tag.len > 0) {
			buf_add(w->out, any ? SLICE(" ") : SLICE(" ("));
			put_string(w->out, tag);
			any = true;
		}
		while (lexer.at < lexer.end && *lexer.at++ != ',') {
		}
	}
	buf_add(w->out, any ? SLICE(")") : SLICE(" NIL"));
}

static void put_extension(const struct writing *w, const struct message_part *part)
{
	put_disposition(w, part);
	put_language(w, part->language.data ? part->language : SLICE_EMPTY);
	buf_add_byte(w->out, ' ');
	put_unfolded(w->out, w->arena, part->location);
}

static void put_multipart(const struct writing *w, const struct message_part *part)
{
	for (const struct message_part *child = part->children; child; child = child->next)
		put_part(w, child);
	buf_add_byte(w->out, ' ');
	put_string(w->out, part->subtype);
	if (!w->is_extended)
		return;
	put_parameters(w, part->parameters, part->parameter_count, false);
	put_extension(w, part);
}

/* Whether its inside isn't known because a limit was passed (or it is encoded). It can't be called a message or a multipart then: the
 * grammar wants an envelope, and parts. */
static bool is_closed(const struct message_part *part)
{
	if (part->kind != MESSAGE_PART_LEAF)
		return false;
	if (slice_eq_nocase(part->type, SLICE("multipart")))
		return true;
	return slice_eq_nocase(part->type, SLICE("message")) &&
	       (slice_eq_nocase(part->subtype, SLICE("rfc822")) || slice_eq_nocase(part->subtype, SLICE("global")));
}

static void put_type(const struct writing *w, const struct message_part *part)
{
	if (is_closed(part)) {
		buf_add_literal(w->out, "\"application\" \"octet-stream\"");
	} else if (part->kind == MESSAGE_PART_MESSAGE && slice_eq_nocase(part->subtype, SLICE("rfc822"))) {
		buf_add_literal(w->out, "\"message\" \"rfc822\"");
	} else {
		put_string(w->out, part->type);
		buf_add_byte(w->out, ' ');
		put_string(w->out, part->subtype);
	}
}

static void put_single(const struct writing *w, const struct message_part *part)
{
	bool is_text = slice_eq_nocase(part->type, SLICE("text"));

	put_type(w, part);
	put_parameters(w, part->parameters, part->parameter_count, is_text);
	buf_add_byte(w->out, ' ');
	put_unfolded(w->out, w->arena, part->content_id);
	buf_add_byte(w->out, ' ');
	put_unfolded(w->out, w->arena, part->description);
	buf_add_byte(w->out, ' ');
	put_string(w->out, w->decoded ? w->decoded->encoding : part->encoding.len > 0 ? part->encoding : SLICE("7bit"));
	buf_add_byte(w->out, ' ');
	buf_add_u64(w->out, w->decoded ? w->decoded->size : part->body_end - part->body_start);
	if (part->kind == MESSAGE_PART_MESSAGE) {
		buf_add_byte(w->out, ' ');
		put_envelope(w->out, w->arena, message_header(w->message, part->children), w->addresses_left);
		buf_add_byte(w->out, ' ');
		put_part(w, part->children);
	}
	if (is_text || part->kind == MESSAGE_PART_MESSAGE) {
		buf_add_byte(w->out, ' ');
		buf_add_u64(w->out, w->decoded ? w->decoded->lines : part->body_lines);
	}
	if (!w->is_extended)
		return;
	buf_add_byte(w->out, ' ');
	put_unfolded(w->out, w->arena, part->md5);
	put_extension(w, part);
}

static void put_part(const struct writing *w, const struct message_part *part)
{
	buf_add_byte(w->out, '(');
	if (part->kind == MESSAGE_PART_MULTIPART)
		put_multipart(w, part);
	else
		put_single(w, part);
	buf_add_byte(w->out, ')');
}

/* Whether it says nothing but what holds without saying (RFC 2045 section 5.2), in whatever letters. */
static bool is_plain_ascii(const struct message_part *part)
{
	const struct mime_parameter *charset = part->parameters;

	return slice_eq_nocase(part->type, SLICE("text")) && slice_eq_nocase(part->subtype, SLICE("plain")) &&
	       (part->parameter_count == 0 || (part->parameter_count == 1 && slice_eq(charset->name, SLICE("charset")) &&
					       slice_eq_nocase(charset->wire_value, SLICE("us-ascii")))) &&
	       (part->encoding.len == 0 || slice_eq_nocase(part->encoding, SLICE("7bit"))) && !part->content_id.data &&
	       !part->description.data && !part->md5.data && !part->disposition.data && !part->language.data &&
	       !part->location.data;
}

static void put_root(const struct writing *w)
{
	struct message_part root = *w->message->root;

	if (is_plain_ascii(&root)) {
		root.type = SLICE("text");
		root.subtype = SLICE("plain");
		root.encoding = SLICE_EMPTY;
		root.parameter_count = 0;
	}
	put_part(w, &root);
}

void imap_body(struct buf *out, struct arena *arena, const struct message *message)
{
	unsigned addresses_left = ADDRESSES_MAX;

	put_root(&(struct writing){out, arena, message, false, &addresses_left, NULL});
}

void imap_body_structure(struct buf *out, struct arena *arena, const struct message *message)
{
	unsigned addresses_left = ADDRESSES_MAX;

	put_root(&(struct writing){out, arena, message, true, &addresses_left, NULL});
}

void imap_part_structure(struct buf *out, struct arena *arena, const struct message *message, const struct message_part *part,
			 const struct imap_decoded *decoded)
{
	unsigned addresses_left = ADDRESSES_MAX;

	put_part(&(struct writing){out, arena, message, true, &addresses_left, decoded}, part);
}
