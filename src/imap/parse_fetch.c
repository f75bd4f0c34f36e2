#include "imap/fetch.h"

#include "imap/write.h"

/* ---- sections ---- */

/* RFC 5322 section 2.2: printable and without a colon. */
static bool parse_field_name(struct imap_parser *p, struct slice *name)
{
	if (!imap_parse_astring(p, name))
		return false;
	for (size_t i = 0; i < name->len; i++) {
		if (name->data[i] <= ' ' || name->data[i] > '~' || name->data[i] == ':')
			return imap_fault(p, SLICE("that can't be the name of a header field"));
	}
	return name->len > 0 || imap_fault(p, SLICE("the name of a header field is empty"));
}

static bool parse_fields(struct imap_parser *p, struct fetch_section *section)
{
	section->fields = ARENA_ARRAY(p->arena, struct slice, FETCH_FIELDS_MAX);
	if (!imap_parse_space(p) || !imap_parse_byte(p, '('))
		return false;
	do {
		if (section->field_count == FETCH_FIELDS_MAX)
			return imap_fault(p, SLICE("too many header fields"));
		if (!parse_field_name(p, &section->fields[section->field_count++]))
			return false;
	} while (imap_accept(p, ' '));
	return imap_parse_byte(p, ')');
}

static bool parse_section_text(struct imap_parser *p, struct fetch_section *section)
{
	struct slice word;

	if (!imap_parse_word(p, &word))
		return false;
	if (slice_eq_nocase(word, SLICE("HEADER")))
		section->text = FETCH_HEADER;
	else if (slice_eq_nocase(word, SLICE("HEADER.FIELDS")))
		section->text = FETCH_HEADER_FIELDS;
	else if (slice_eq_nocase(word, SLICE("HEADER.FIELDS.NOT")))
		section->text = FETCH_HEADER_FIELDS_NOT;
	else if (slice_eq_nocase(word, SLICE("TEXT")))
		section->text = FETCH_TEXT;
	else if (slice_eq_nocase(word, SLICE("MIME")) && section->number_count > 0)
		section->text = FETCH_MIME;
	else
		return imap_fault(p, SLICE("there is no such section of a message"));
	if (section->text == FETCH_HEADER_FIELDS || section->text == FETCH_HEADER_FIELDS_NOT)
		return parse_fields(p, section);
	return true;
}

/* "1.2.HEADER": numbers and then perhaps a word, each after a dot. */
static bool parse_section_spec(struct imap_parser *p, struct fetch_section *section)
{
	while (ascii_is_digit(imap_peek(p))) {
		uint32_t *number = &section->numbers[section->number_count];

		if (section->number_count == IMAP_PARTS_MAX)
			return imap_fault(p, SLICE("a section is nested too deeply"));
		if (!imap_parse_u32(p, number))
			return false;
		if (*number == 0)
			return imap_fault(p, SLICE("part numbers begin with 1"));
		section->number_count++;
		if (!imap_accept(p, '.'))
			return true;
		if (imap_peek(p) == ']')
			return imap_fault(p, SLICE("a section ends with a dot"));
	}
	if (imap_peek(p) == ']')
		return true;
	if (section->kind != FETCH_RAW)
		return imap_fault(p, SLICE("BINARY takes part numbers only"));
	return parse_section_text(p, section);
}

/* "<0.2048>" */
static bool parse_partial(struct imap_parser *p, struct fetch_section *section)
{
	if (section->kind == FETCH_BINARY_SIZE || !imap_accept(p, '<'))
		return true;
	section->is_partial = true;
	if (!imap_parse_u64(p, &section->offset) || !imap_parse_byte(p, '.') || !imap_parse_u64(p, &section->length) ||
	    !imap_parse_byte(p, '>'))
		return false;
	return section->length > 0 || imap_fault(p, SLICE("a partial has at least one byte"));
}

static void put_field_names(struct buf *label, const struct fetch_section *section)
{
	for (size_t i = 0; i < section->field_count; i++) {
		buf_add_byte(label, i == 0 ? '(' : ' ');
		if (imap_is_atom(section->fields[i]))
			buf_add(label, section->fields[i]);
		else
			imap_put_string(label, section->fields[i], false);
	}
	buf_add_byte(label, ')');
}

/* The response names the section in one form, however it was asked for. */
static struct slice make_label(struct arena *arena, const struct fetch_section *section)
{
	static const struct slice kinds[] = {{"BODY[", 5}, {"BINARY[", 7}, {"BINARY.SIZE[", 12}};
	static const struct slice texts[] = {{"", 0},     {"HEADER", 6}, {"HEADER.FIELDS ", 14}, {"HEADER.FIELDS.NOT ", 18},
					     {"TEXT", 4}, {"MIME", 4}};
	struct buf label;

	buf_init(&label, arena, 0);
	buf_add(&label, kinds[section->kind]);
	for (unsigned i = 0; i < section->number_count; i++) {
		if (i > 0)
			buf_add_byte(&label, '.');
		buf_add_u64(&label, section->numbers[i]);
	}
	if (section->text != FETCH_WHOLE && section->number_count > 0)
		buf_add_byte(&label, '.');
	buf_add(&label, texts[section->text]);
	if (section->field_count > 0)
		put_field_names(&label, section);
	buf_add_byte(&label, ']');
	if (section->is_partial) {
		buf_add_byte(&label, '<');
		buf_add_u64(&label, section->offset);
		buf_add_byte(&label, '>');
	}
	return buf_slice(&label);
}

static bool add_section(struct imap_parser *p, struct fetch_request *request, const struct fetch_section *section)
{
	struct fetch_section **end = &request->sections;

	if (request->section_count++ == FETCH_SECTIONS_MAX)
		return imap_fault(p, SLICE("too many sections"));
	while (*end)
		end = &(*end)->next;
	*end = ARENA_NEW(p->arena, struct fetch_section);
	**end = *section;
	request->wanted |= fetch_section_needs(section);
	return true;
}

static bool parse_section(struct imap_parser *p, struct fetch_request *request, enum fetch_kind kind, bool peek)
{
	struct fetch_section section = {.kind = kind};

	if (!imap_parse_byte(p, '[') || !parse_section_spec(p, &section) || !imap_parse_byte(p, ']') ||
	    !parse_partial(p, &section))
		return false;
	section.label = make_label(p->arena, &section);
	request->sets_seen |= !peek;
	return add_section(p, request, &section);
}

/* RFC822, RFC822.HEADER and RFC822.TEXT (RFC 3501 section 6.4.5) are sections under an older name. */
static bool add_old_section(struct imap_parser *p, struct fetch_request *request, enum fetch_text text, struct slice label)
{
	struct fetch_section section = {.text = text, .label = label};

	request->sets_seen |= text != FETCH_HEADER;
	return add_section(p, request, &section);
}

/* ---- items ---- */

static const struct {
	struct slice name;
	unsigned items, wanted;
} plain_items[] = {
	{{"UID", 3}, FETCH_UID, 0},
	{{"FLAGS", 5}, FETCH_FLAGS, 0},
	{{"INTERNALDATE", 12}, FETCH_INTERNALDATE, 0},
	{{"RFC822.SIZE", 11}, FETCH_SIZE, 0},
	{{"MODSEQ", 6}, FETCH_MODSEQ, 0},
	{{"EMAILID", 7}, FETCH_EMAIL_ID, 0},
	{{"THREADID", 8}, FETCH_THREAD_ID, 0},
	{{"SAVEDATE", 8}, FETCH_SAVE_DATE, EMAIL_SAVED},
	{{"ENVELOPE", 8}, FETCH_ENVELOPE, EMAIL_ENVELOPE},
	{{"BODYSTRUCTURE", 13}, FETCH_BODYSTRUCTURE, EMAIL_BODY_STRUCTURE},
	{{"BODY", 4}, FETCH_BODY, EMAIL_BODY},
};

static const struct {
	struct slice name;
	unsigned items, wanted;
} macros[] = {
	{{"FAST", 4}, FETCH_FLAGS | FETCH_INTERNALDATE | FETCH_SIZE, 0},
	{{"ALL", 3}, FETCH_FLAGS | FETCH_INTERNALDATE | FETCH_SIZE | FETCH_ENVELOPE, EMAIL_ENVELOPE},
	{{"FULL", 4}, FETCH_FLAGS | FETCH_INTERNALDATE | FETCH_SIZE | FETCH_ENVELOPE | FETCH_BODY, EMAIL_ENVELOPE | EMAIL_BODY},
};

static bool parse_bracket_item(struct imap_parser *p, struct fetch_request *request, struct slice word)
{
	if (slice_eq_nocase(word, SLICE("BODY")))
		return parse_section(p, request, FETCH_RAW, false);
	if (slice_eq_nocase(word, SLICE("BODY.PEEK")))
		return parse_section(p, request, FETCH_RAW, true);
	if (slice_eq_nocase(word, SLICE("BINARY")))
		return parse_section(p, request, FETCH_BINARY, false);
	if (slice_eq_nocase(word, SLICE("BINARY.PEEK")))
		return parse_section(p, request, FETCH_BINARY, true);
	if (slice_eq_nocase(word, SLICE("BINARY.SIZE")))
		return parse_section(p, request, FETCH_BINARY_SIZE, true);
	return imap_fault(p, SLICE("there is no such item to fetch"));
}

/* RFC 8970 section 3.1: it is made on the spot, so LAZY makes no difference. */
static bool parse_preview(struct imap_parser *p, struct fetch_request *request)
{
	request->items |= FETCH_PREVIEW;
	request->wanted |= EMAIL_STRUCTURE | EMAIL_HEADER;
	if (slice_starts_with_nocase(p->rest, SLICE(" (LAZY)")))
		p->rest = slice_skip(p->rest, 7);
	return true;
}

static bool parse_item(struct imap_parser *p, struct fetch_request *request)
{
	struct slice word;

	if (!imap_parse_word(p, &word))
		return false;
	if (imap_peek(p) == '[')
		return parse_bracket_item(p, request, word);
	for (size_t i = 0; i < sizeof(plain_items) / sizeof(plain_items[0]); i++) {
		if (slice_eq_nocase(word, plain_items[i].name)) {
			request->items |= plain_items[i].items;
			request->wanted |= plain_items[i].wanted;
			return true;
		}
	}
	if (slice_eq_nocase(word, SLICE("PREVIEW")))
		return parse_preview(p, request);
	if (slice_eq_nocase(word, SLICE("RFC822")))
		return add_old_section(p, request, FETCH_WHOLE, SLICE("RFC822"));
	if (slice_eq_nocase(word, SLICE("RFC822.HEADER")))
		return add_old_section(p, request, FETCH_HEADER, SLICE("RFC822.HEADER"));
	if (slice_eq_nocase(word, SLICE("RFC822.TEXT")))
		return add_old_section(p, request, FETCH_TEXT, SLICE("RFC822.TEXT"));
	return imap_fault(p, SLICE("there is no such item to fetch"));
}

bool imap_parse_fetch(struct imap_parser *p, struct fetch_request *request)
{
	*request = (struct fetch_request){0};
	for (size_t i = 0; i < sizeof(macros) / sizeof(macros[0]); i++) {
		if (imap_accept_word(p, macros[i].name)) {
			request->items = macros[i].items;
			request->wanted = macros[i].wanted;
			return true;
		}
	}
	if (!imap_accept(p, '('))
		return parse_item(p, request);
	do {
		if (!parse_item(p, request))
			return false;
	} while (imap_accept(p, ' '));
	return imap_parse_byte(p, ')');
}

static bool parse_modifier(struct imap_parser *p, struct fetch_request *request)
{
	if (imap_accept_word(p, SLICE("VANISHED"))) {
		request->vanished = true;
		return true;
	}
	if (imap_accept_word(p, SLICE("PARTIAL"))) {
		if (request->is_windowed)
			return imap_fault(p, SLICE("PARTIAL is given once"));
		request->is_windowed = true;
		return imap_parse_space(p) && imap_parse_window(p, &request->window);
	}
	if (!imap_accept_word(p, SLICE("CHANGEDSINCE")))
		return imap_fault(p, SLICE("there is no such modifier"));
	if (request->is_conditional)
		return imap_fault(p, SLICE("CHANGEDSINCE is given once"));
	request->items |= FETCH_MODSEQ;
	request->is_conditional = true;
	/* Lenient: 0 too, which Thunderbird says of a mailbox that it doesn't know yet. */
	return imap_parse_space(p) && imap_parse_u64(p, &request->changed_since);
}

bool imap_parse_fetch_modifiers(struct imap_parser *p, struct fetch_request *request)
{
	if (imap_peek(p) != ' ')
		return true;
	if (!imap_parse_space(p) || !imap_parse_byte(p, '('))
		return false;
	do {
		if (!parse_modifier(p, request))
			return false;
	} while (imap_accept(p, ' '));
	if (request->vanished && !request->is_conditional)
		return imap_fault(p, SLICE("VANISHED stands with CHANGEDSINCE"));
	return imap_parse_byte(p, ')');
}
