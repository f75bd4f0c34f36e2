#include "cli/sendmail.h"

#include "mime/address.h"

#define ADDRESSES_MAX 10000

/* ---- lines ---- */

/* Takes a line off *input, whatever ends it. False: there is none. */
static bool cut_line(struct slice *input, struct slice *line)
{
	size_t end = 0;

	if (input->len == 0)
		return false;
	while (end < input->len && input->data[end] != '\n' && input->data[end] != '\r')
		end++;
	*line = slice_sub(*input, 0, end);
	if (end + 1 < input->len && input->data[end] == '\r' && input->data[end + 1] == '\n')
		end++;
	*input = slice_skip(*input, end + 1 < input->len ? end + 1 : input->len);
	return true;
}

/* RFC 5322 section 2.2: a name and a colon. */
static bool is_field(struct slice line)
{
	size_t colon = slice_find_byte(line, ':');

	if (colon == SLICE_NOT_FOUND || colon == 0)
		return false;
	for (size_t i = 0; i < colon; i++)
		if (line.data[i] <= ' ' || line.data[i] > '~')
			return false;
	return true;
}

static bool is_continuation(struct slice line)
{
	return line.len > 0 && (line.data[0] == ' ' || line.data[0] == '\t');
}

/* ---- the header ---- */

struct reading {
	struct arena *arena;
	struct buf header, plain, resent; /* plain, resent: addresses of either kind of field */
	struct slice field;               /* its name; data NULL: none yet */
	bool has_from, has_resent;
};

static bool field_is(const struct reading *r, const char *name)
{
	return r->field.data && slice_eq_nocase(r->field, slice_from_cstr(name));
}

/* Addresses in the field that the line belongs to are gathered. */
static void gather(struct reading *r, struct slice text, bool begins)
{
	bool is_resent = field_is(r, "Resent-To") || field_is(r, "Resent-Cc") || field_is(r, "Resent-Bcc");
	struct buf *to = is_resent ? &r->resent : &r->plain;

	if (!is_resent && !field_is(r, "To") && !field_is(r, "Cc") && !field_is(r, "Bcc"))
		return;
	r->has_resent = r->has_resent || is_resent;
	if (begins && to->len > 0)
		buf_add_literal(to, ", ");
	buf_add(to, text);
	buf_add_byte(to, ' ');
}

static void take_header_line(struct reading *r, struct slice line)
{
	bool begins = !is_continuation(line);
	size_t colon = slice_find_byte(line, ':');

	if (begins)
		r->field = slice_sub(line, 0, colon);
	gather(r, begins ? slice_skip(line, colon + 1) : line, begins);
	r->has_from = r->has_from || field_is(r, "From");
	if (field_is(r, "Bcc") || field_is(r, "Resent-Bcc"))
		return;
	buf_add(&r->header, line);
	buf_add_literal(&r->header, "\r\n");
}

static bool is_end(struct slice line, bool ignore_dots)
{
	return !ignore_dots && slice_eq(line, SLICE("."));
}

/* *ended: a dot ended all of it. What is no header begins the body; a blank line between them goes. */
static void read_header(struct reading *r, struct slice *input, bool ignore_dots, bool *ended)
{
	struct slice before = *input, line;
	bool first = true;

	while (cut_line(input, &line)) {
		*ended = is_end(line, ignore_dots);
		if (*ended || line.len == 0)
			return;
		if (!(first && slice_starts_with(line, SLICE("From "))) && !is_field(line) &&
		    !(is_continuation(line) && r->field.data)) {
			*input = before;
			return;
		}
		if (is_field(line) || is_continuation(line))
			take_header_line(r, line);
		first = false;
		before = *input;
	}
}

void sendmail_parse(struct arena *arena, struct slice input, bool ignore_dots, struct sendmail_message *message,
		    struct buf *recipients)
{
	struct reading r = {.arena = arena};
	struct slice line;
	struct buf body;
	bool ended = false;

	buf_init(&r.header, arena, 0);
	buf_init(&r.plain, arena, 0);
	buf_init(&r.resent, arena, 0);
	buf_init(&body, arena, 0);
	read_header(&r, &input, ignore_dots, &ended);
	while (!ended && cut_line(&input, &line) && !is_end(line, ignore_dots)) {
		buf_add(&body, line);
		buf_add_literal(&body, "\r\n");
	}
	if (recipients)
		buf_add(recipients, buf_slice(r.has_resent ? &r.resent : &r.plain));
	*message = (struct sendmail_message){buf_slice(&r.header), buf_slice(&body), r.has_from};
}

/* ---- addresses ---- */

static bool add_address(struct arena *arena, const struct address *entry, struct slice origin, struct buf *out)
{
	struct slice domain = entry->domain.len > 0 ? entry->domain : origin;
	struct email_address parsed;
	struct buf whole;

	/* What an address list has taken quotes off gets them back. */
	buf_init(&whole, arena, 0);
	email_address_format(&whole, &(struct email_address){.local = entry->local, .domain = domain});
	if (!buf_ok(&whole) || !email_address_parse(arena, buf_slice(&whole), &parsed))
		return false;
	email_address_format(out, &parsed);
	buf_add_byte(out, '\0');
	return buf_ok(out);
}

bool sendmail_addresses(struct arena *arena, struct slice list, struct slice origin, struct buf *out)
{
	const struct address *entry = address_list_parse(arena, list, ADDRESSES_MAX);
	bool ok = entry || slice_trim(list).len == 0;

	for (; entry; entry = entry->next)
		/* The ends of a group have no domain, not even an empty one. */
		if (entry->domain.data && entry->local.data)
			ok = add_address(arena, entry, origin, out) && ok;
	return ok;
}

/* ---- over the wire ---- */

/* RFC 5321 section 4.5.2 */
static void write_dotted(struct buf *out, struct slice text)
{
	while (text.len > 0) {
		size_t end = slice_find_byte(text, '\n');
		size_t length = end == SLICE_NOT_FOUND ? text.len : end + 1;

		if (text.data[0] == '.')
			buf_add_byte(out, '.');
		buf_add(out, slice_sub(text, 0, length));
		text = slice_skip(text, length);
	}
}

void sendmail_write_data(struct buf *out, const struct sendmail_message *message, struct slice from_field)
{
	if (!message->has_from)
		buf_add(out, from_field);
	write_dotted(out, message->header);
	buf_add_literal(out, "\r\n");
	write_dotted(out, message->body);
	buf_add_literal(out, ".\r\n");
}
