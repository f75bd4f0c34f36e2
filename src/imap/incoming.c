#include "imap/incoming.h"

#include "base/budget.h"
#include "imap/url.h"
#include "mime/binary.h"

#define UNCOUNTED ((uint64_t)64 * 1024) /* what may be taken without asking */

void incoming_init(struct incoming *in, struct imap_session *s, struct imap_command *command)
{
	*in = (struct incoming){
		.s = s,
		.command = command,
		.p = &command->args,
		.literal = command->literal,
		.has_literal = command->has_literal,
	};
}

/* ---- memory ---- */

static bool take_memory(struct incoming *in, uint64_t bytes)
{
	if (bytes <= UNCOUNTED)
		return true;
	if (!budget_take(in->s->context->options.memory, bytes))
		return incoming_refuse(in, SLICE("UNAVAILABLE"), SLICE("Too many large messages are coming in; try again later"));
	in->taken += bytes;
	return true;
}

void incoming_give_back(struct incoming *in)
{
	budget_give(in->s->context->options.memory, in->taken);
	in->taken = 0;
}

/* ---- failing ---- */

bool incoming_refuse(struct incoming *in, struct slice code, struct slice text)
{
	in->code = code;
	in->text = text;
	return false;
}

bool incoming_refuse_status(struct incoming *in, enum status status)
{
	in->status = status;
	return false;
}

static bool over(struct incoming *in)
{
	in->closed = true;
	return false;
}

/* RFC 7888 section 4: a literal that nobody waits for has to be read, or the connection closed. */
enum next incoming_fail(struct incoming *in)
{
	struct imap_session *s = in->s;

	if (in->closed)
		return NEXT_CLOSE;
	if (in->has_literal && !in->literal.waits && (!imap_skip_literal(s, &in->literal) || !imap_skip_command(s)))
		return imap_bye(s, in->code.len ? in->code : SLICE("TOOBIG"),
				in->text.len ? in->text : SLICE("That is too much"));
	if (in->is_bad)
		return imap_bad_code(s, in->command, in->code, in->text);
	if (in->text.len)
		return imap_no(s, in->command, in->code, in->text);
	if (in->status != STATUS_OK)
		return imap_answer_target(s, in->command, in->status, SLICE_EMPTY);
	return imap_bad_arguments(s, in->command);
}

/* ---- reading ---- */

/* The literal whose head is all that is left of the line, and the line behind it. */
static bool take_literal(struct incoming *in, uint64_t max, struct buf *out)
{
	struct slice line;

	imap_accept(in->p, '~');
	if (!in->has_literal || imap_peek(in->p) != '{' || slice_find_last_byte(in->p->rest, '{') != 0)
		return imap_fault(in->p, SLICE("a literal is missing"));
	if (!imap_literal_is_small(in->s, &in->literal)) {
		in->is_bad = true;
		return incoming_refuse(in, SLICE("TOOBIG"), SLICE("A literal of that size has to be announced"));
	}
	if (in->literal.size > max)
		return incoming_refuse(in, SLICE("TOOBIG"), SLICE("That is larger than APPENDLIMIT"));
	if (!take_memory(in, in->literal.size))
		return false;
	if (in->literal.waits)
		imap_continue(in->s, SLICE("Ready for the message"));
	in->has_literal = false;
	if (!imap_read_literal(in->s, in->literal.size, out) || !imap_read_line(in->s, &line))
		return over(in);
	in->has_literal = imap_line_literal(line, &in->literal);
	in->p->rest = line;
	return true;
}

/* RFC 3502 section 6.3.11: a message without a byte takes the whole command back. */
static bool take_message_literal(struct incoming *in, struct incoming_message *message)
{
	message->binary |= imap_peek(in->p) == '~';
	if (in->has_literal && in->literal.size == 0)
		return incoming_refuse(in, SLICE_EMPTY, SLICE("The message is empty"));
	return take_literal(in, imap_append_limit(in->s) - message->bytes.len, &message->bytes);
}

static bool take_url(struct incoming *in, struct slice *url)
{
	struct buf bytes;

	if (imap_peek(in->p) != '{')
		return imap_parse_astring(in->p, url);
	buf_init(&bytes, imap_arena(in->s), 0);
	if (!take_literal(in, IMAP_URL_MAX, &bytes))
		return false;
	*url = buf_slice(&bytes);
	return true;
}

/* RFC 4469 section 4: the URL that stands for nothing is told. */
static bool refuse_url(struct incoming *in, struct slice url)
{
	struct buf code;

	buf_init(&code, imap_arena(in->s), 0);
	buf_add_literal(&code, "BADURL \"");
	for (size_t i = 0; i < url.len && i < IMAP_URL_MAX; i++) {
		if (url.data[i] > 0x1f && url.data[i] < 0x7f && url.data[i] != '"' && url.data[i] != '\\' && url.data[i] != ']')
			buf_add_byte(&code, url.data[i]);
	}
	buf_add_byte(&code, '"');
	return incoming_refuse(in, buf_slice(&code), SLICE("That URL can't be resolved here"));
}

static bool take_part(struct incoming *in, struct incoming_message *message)
{
	struct slice url;
	enum status status;
	size_t before;

	if (imap_accept_word(in->p, SLICE("TEXT")))
		return imap_parse_space(in->p) &&
		       take_literal(in, imap_append_limit(in->s) - message->bytes.len, &message->bytes);
	if (!imap_accept_word(in->p, SLICE("URL")))
		return imap_fault(in->p, SLICE("a part is TEXT or URL"));
	if (!imap_parse_space(in->p) || !take_url(in, &url))
		return false;
	before = message->bytes.len;
	status = imap_catenate_url(in->s, url, imap_append_limit(in->s) - before, &message->bytes);
	if (status == STATUS_NOT_FOUND || status == STATUS_REFUSED)
		return refuse_url(in, url);
	if (status != STATUS_OK)
		return incoming_refuse_status(in, status);
	return take_memory(in, message->bytes.len - before);
}

static bool take_parts(struct incoming *in, struct incoming_message *message)
{
	if (!imap_parse_space(in->p) || !imap_parse_byte(in->p, '('))
		return false;
	do {
		if (!take_part(in, message))
			return false;
	} while (imap_accept(in->p, ' '));
	if (!imap_parse_byte(in->p, ')'))
		return false;
	return message->bytes.len > 0 || incoming_refuse(in, SLICE_EMPTY, SLICE("The message is empty"));
}

/* RFC 6855 section 4. */
static bool take_utf8(struct incoming *in, struct incoming_message *message)
{
	return imap_parse_space(in->p) && imap_parse_byte(in->p, '(') && take_message_literal(in, message) &&
	       imap_parse_byte(in->p, ')');
}

static bool take_data(struct incoming *in, struct incoming_message *message)
{
	if (imap_accept_word(in->p, SLICE("CATENATE")))
		return take_parts(in, message);
	if (imap_accept_word(in->p, SLICE("UTF8")))
		return take_utf8(in, message);
	return take_message_literal(in, message);
}

/* ---- lines ---- */

static size_t next_bare_lf(struct slice bytes, size_t at)
{
	for (; at < bytes.len; at++) {
		size_t end = slice_find_byte(slice_skip(bytes, at), '\n');

		if (end == SLICE_NOT_FOUND)
			return SLICE_NOT_FOUND;
		at += end;
		if (at == 0 || bytes.data[at - 1] != '\r')
			return at;
	}
	return SLICE_NOT_FOUND;
}

/* Messages are kept with CRLF. Lenient: some clients send bare LF. */
static void make_crlf(struct buf *bytes)
{
	struct slice whole = buf_slice(bytes);
	size_t from = 0, at = next_bare_lf(whole, 0);
	struct buf fixed;

	if (at == SLICE_NOT_FOUND)
		return;
	buf_init(&fixed, NULL, 0);
	for (; at != SLICE_NOT_FOUND; at = next_bare_lf(whole, at + 1)) {
		buf_add(&fixed, slice_sub(whole, from, at));
		buf_add_literal(&fixed, "\r\n");
		from = at + 1;
	}
	buf_add(&fixed, slice_skip(whole, from));
	buf_free(bytes);
	*bytes = fixed;
}

static void add_to(void *out, struct slice bytes)
{
	buf_add(out, bytes);
}

/* RFC 3516 section 4.4 */
static void make_text(struct buf *bytes)
{
	struct buf text;

	buf_init(&text, NULL, 0);
	binary_to_lines(buf_slice(bytes), add_to, &text);
	buf_free(bytes);
	*bytes = text;
}

/* What is binary without saying so isn't kept. */
static bool make_lines(struct incoming *in, struct incoming_message *message)
{
	if (message->binary)
		make_text(&message->bytes);
	if (slice_find_byte(buf_slice(&message->bytes), '\0') != SLICE_NOT_FOUND)
		return incoming_refuse(in, SLICE("UNKNOWN-CTE"), SLICE("A part with binary content doesn't say so"));
	make_crlf(&message->bytes);
	return true;
}

/* ---- a message ---- */

static bool parse_head(struct imap_parser *p, struct incoming_message *message)
{
	if (imap_peek(p) == '(' && (!imap_parse_flags(p, false, &message->flags) || !imap_parse_space(p)))
		return false;
	message->has_date = imap_peek(p) == '"';
	return !message->has_date || (imap_parse_date_time(p, &message->received_ms) && imap_parse_space(p));
}

bool incoming_read_message(struct incoming *in, struct incoming_message *message)
{
	*message = (struct incoming_message){0};
	buf_init(&message->bytes, NULL, 0);
	if (parse_head(in->p, message) && take_data(in, message) && make_lines(in, message)) {
		in->bytes += message->bytes.len;
		return true;
	}
	buf_free(&message->bytes);
	return false;
}

bool incoming_parse_target(struct incoming *in, struct imap_place *place)
{
	struct slice name;
	enum status status;

	if (!imap_parse_space(in->p))
		return false;
	if (!imap_parse_mailbox(in->p, &name))
		return in->p->is_impossible &&
		       incoming_refuse(in, SLICE("CANNOT"), SLICE("That can't be the name of a mailbox"));
	if (!imap_parse_space(in->p))
		return false;
	status = imap_find_place(in->s, name, RIGHT_INSERT, place);
	if (status == STATUS_REFUSED)
		return incoming_refuse(in, SLICE("NOPERM"), SLICE("You may not put messages into this mailbox"));
	if (status == STATUS_OK && !place->mailbox.selectable)
		status = STATUS_NOT_FOUND;
	return status == STATUS_OK || incoming_refuse_status(in, status);
}
