#include "pop3/text.h"

/* RFC 1939 section 7, TOP: the header, the empty line behind it, and so many lines of the body. */
static void count_line(struct pop3_text *text, bool is_empty)
{
	if (text->lines_left == POP3_ALL_LINES)
		return;
	if (text->in_body)
		text->lines_left--;
	else
		text->in_body = is_empty;
	text->ended = text->in_body && text->lines_left == 0;
}

static void put(struct buf *out, const char *from, const char *to)
{
	buf_add(out, slice_of(from, (size_t)(to - from)));
}

/* Runs are copied as long as nothing has to be put between. A bare LF is a line end to many clients, so it becomes a real one: a dot
 * behind it would end the response for them. */
void pop3_text_add(struct pop3_text *text, struct slice bytes, struct buf *out)
{
	const char *at = bytes.data, *end = bytes.data + bytes.len, *run = at;

	while (at < end && !text->ended) {
		if (*at == '.' && text->length == 0) {
			put(out, run, at);
			buf_add_byte(out, '.');
			run = at;
		}
		const char *lf = memchr(at, '\n', (size_t)(end - at)), *stop = lf ? lf : end;

		if (stop > at)
			text->after_cr = stop[-1] == '\r';
		text->length += (uint64_t)(stop - at);
		at = stop;
		if (!lf)
			break;
		if (!text->after_cr) {
			put(out, run, at);
			buf_add_byte(out, '\r');
			run = at;
		}
		at++;
		count_line(text, text->length == text->after_cr);
		text->length = 0;
		text->after_cr = false;
	}
	put(out, run, at);
}

void pop3_text_end(struct pop3_text *text, struct buf *out)
{
	if (text->length > 0)
		buf_add_literal(out, "\r\n");
	buf_add_literal(out, ".\r\n");
}
