#include "mime/downgrade.h"

#include "mime/address.h"
#include "mime/message.h"
#include "mime/parameters.h"
#include "mime/scan.h"
#include "mime/words.h"
#include "mime/writer.h"

#define ADDRESSES_MAX  10000
#define PARAMETERS_MAX 1000
#define PARAMETER_MAX  900 /* octets; RFC 5322 section 2.1.1 has lines of at most 998 */
#define INVALID        "<invalid@internationalized-address.invalid>"

bool downgrade_is_needed(struct slice header)
{
	return scan_has_8bit(header);
}

static void put_quoted(struct buf *out, struct slice text)
{
	buf_add_byte(out, '"');
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] == '"' || text.data[i] == '\\')
			buf_add_byte(out, '\\');
		buf_add_byte(out, text.data[i]);
	}
	buf_add_byte(out, '"');
}

/* ---- addresses ---- */

static void put_phrase(struct buf *out, struct slice text)
{
	if (slice_is_ascii(text))
		put_quoted(out, text);
	else
		words_encode_phrase(out, text);
}

static bool take_domain(struct arena *arena, struct slice domain, struct slice *ascii)
{
	*ascii = domain;
	return domain.len > 0 && (slice_is_ascii(domain) || domain_parse(arena, domain, ascii));
}

static void put_mailbox(struct buf *out, struct arena *arena, const struct address *mailbox)
{
	struct email_address address = {.local = mailbox->local};
	struct slice name = mailbox->name.data ? words_decode(arena, mailbox->name) : SLICE_EMPTY;
	struct slice whole[] = {mailbox->local, SLICE("@"), mailbox->domain};
	bool is_usable = slice_is_ascii(address.local) && take_domain(arena, mailbox->domain, &address.domain);

	if (!is_usable && name.len == 0)
		name = words_decode(arena, slice_join(arena, whole, 3));
	if (name.len > 0) {
		put_phrase(out, name);
		buf_add_byte(out, ' ');
	}
	if (!is_usable) {
		buf_add_literal(out, INVALID);
		return;
	}
	buf_add_byte(out, '<');
	email_address_format(out, &address);
	buf_add_byte(out, '>');
}

static void put_addresses(struct buf *out, struct arena *arena, struct slice value)
{
	bool is_first = true;

	for (const struct address *at = address_list_parse(arena, value, ADDRESSES_MAX); at; at = at->next) {
		if (!at->domain.data && !at->local.data) {
			buf_add_byte(out, ';');
			is_first = false;
			continue;
		}
		if (!is_first)
			buf_add_literal(out, ", ");
		is_first = !at->domain.data;
		if (at->domain.data) {
			put_mailbox(out, arena, at);
			continue;
		}
		put_phrase(out, words_decode(arena, at->local));
		buf_add_literal(out, ": ");
	}
}

/* ---- parameters ---- */

/* RFC 2231 section 7: attribute-char. */
static void put_extended(struct buf *out, struct slice utf8)
{
	static const char digits[] = "0123456789ABCDEF";

	buf_add_literal(out, "utf-8''");
	for (size_t i = 0; i < utf8.len; i++) {
		unsigned char c = (unsigned char)utf8.data[i];

		if (ascii_is_alnum((char)c) || (c != '\0' && memchr("!#$&+-.^_`{|}~", c, 14))) {
			buf_add_byte(out, (char)c);
		} else {
			buf_add_byte(out, '%');
			buf_add_byte(out, digits[c >> 4]);
			buf_add_byte(out, digits[c & 15]);
		}
	}
}

static void put_parameter(struct buf *out, const struct mime_parameter *parameter)
{
	struct slice name = parameter->wire_name;
	bool is_plain = slice_is_ascii(parameter->wire_value);
	size_t start = out->len;

	if (name.len == 0 || !slice_is_ascii(name))
		return;
	buf_add_literal(out, "; ");
	buf_add(out, is_plain ? name : parameter->name);
	buf_add(out, is_plain ? SLICE("=") : SLICE("*="));
	if (!is_plain)
		put_extended(out, parameter->value);
	else if (name.data[name.len - 1] == '*')
		buf_add(out, parameter->wire_value);
	else
		put_quoted(out, parameter->wire_value);
	if (out->len - start > PARAMETER_MAX)
		out->len = start;
}

/* "type/subtype" or "disposition", and parameters. Nothing where even the beginning isn't ASCII. */
static void put_parameters(struct buf *out, struct arena *arena, struct slice value)
{
	struct lexer lexer = lexer_of(arena, value);
	struct slice head = slice_trim(slice_sub(value, 0, slice_find_byte(value, ';')));
	struct mime_parameter *parameters;
	unsigned count = PARAMETERS_MAX;

	if (!slice_is_ascii(head))
		return;
	buf_add(out, head);
	lexer.at += slice_sub(value, 0, slice_find_byte(value, ';')).len;
	parameters_parse(&lexer, &parameters, &count);
	for (unsigned i = 0; i < count; i++)
		put_parameter(out, &parameters[i]);
}

/* ---- fields ---- */

enum form { FORM_NONE, FORM_ADDRESSES, FORM_PARAMETERS, FORM_TEXT };

/* RFC 6858 section 2.1 to 2.4 */
static enum form form_of(struct slice name)
{
	/* clang-format off */
	static const struct {
		struct slice name;
		enum form form;
	} table[] = {
		{{"From", 4}, FORM_ADDRESSES}, {{"Sender", 6}, FORM_ADDRESSES}, {{"Reply-To", 8}, FORM_ADDRESSES},
		{{"To", 2}, FORM_ADDRESSES}, {{"Cc", 2}, FORM_ADDRESSES}, {{"Bcc", 3}, FORM_ADDRESSES},
		{{"Resent-From", 11}, FORM_ADDRESSES}, {{"Resent-Sender", 13}, FORM_ADDRESSES},
		{{"Resent-Reply-To", 15}, FORM_ADDRESSES}, {{"Resent-To", 9}, FORM_ADDRESSES},
		{{"Resent-Cc", 9}, FORM_ADDRESSES}, {{"Resent-Bcc", 10}, FORM_ADDRESSES},
		{{"Return-Path", 11}, FORM_ADDRESSES}, {{"Disposition-Notification-To", 27}, FORM_ADDRESSES},
		{{"Content-Type", 12}, FORM_PARAMETERS}, {{"Content-Disposition", 19}, FORM_PARAMETERS},
		{{"Subject", 7}, FORM_TEXT}, {{"Comments", 8}, FORM_TEXT}, {{"Content-Description", 19}, FORM_TEXT},
	};
	/* clang-format on */

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (slice_eq_nocase(name, table[i].name))
			return table[i].form;
	}
	return FORM_NONE;
}

static void put_field(struct buf *out, struct arena *arena, const struct header_field *field)
{
	struct buf value;

	buf_init(&value, arena, 0);
	switch (form_of(field->name)) {
	case FORM_TEXT:
		header_write_text(out, field->name, words_decode(arena, field->value));
		return;
	case FORM_ADDRESSES:
		put_addresses(&value, arena, field->value);
		break;
	case FORM_PARAMETERS:
		put_parameters(&value, arena, field->value);
		break;
	case FORM_NONE:
		break;
	}
	if (value.len > 0)
		header_write(out, field->name, buf_slice(&value));
}

static void strip_line_end(struct buf *out)
{
	if (out->len == 0 || out->data[out->len - 1] != '\n')
		return;
	out->len--;
	out->len -= out->len > 0 && out->data[out->len - 1] == '\r';
}

void downgrade_header(struct buf *out, struct arena *arena, struct slice header)
{
	struct slice rest = header;
	struct header_field field;

	while (header_next(&rest, &field)) {
		if (scan_has_8bit(field.whole))
			put_field(out, arena, &field);
		else
			buf_add(out, field.whole);
	}
	buf_add(out, rest);
	/* The line end of a boundary behind it is none of ours. */
	if (header.len > 0 && header.data[header.len - 1] != '\n')
		strip_line_end(out);
}
