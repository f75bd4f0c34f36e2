#include "pop3/session.h"

#include <stdio.h>

#define BAD_COMMANDS_MAX 20

static void put_line(struct pop3_session *s, struct slice indicator, struct slice code, struct slice text)
{
	struct buf *out = pop3_output(s);

	buf_add(out, indicator);
	if (code.len) {
		buf_add_byte(out, '[');
		buf_add(out, code);
		buf_add_literal(out, "] ");
	}
	buf_add(out, text);
	buf_add_literal(out, "\r\n");
}

/* Before log-in what went well doesn't outweigh what didn't: NOOP between guesses would be free. */
enum next pop3_ok(struct pop3_session *s, struct slice text)
{
	if (s->state != POP3_AUTHORIZATION)
		s->bad_commands = 0;
	put_line(s, SLICE("+OK "), SLICE_EMPTY, text);
	return NEXT_PARK;
}

enum next pop3_okf(struct pop3_session *s, const char *format, ...)
{
	struct buf text;
	va_list args;

	buf_init(&text, pop3_arena(s), 0);
	va_start(args, format);
	buf_vprintf(&text, format, args);
	va_end(args);
	return pop3_ok(s, buf_slice(&text));
}

enum next pop3_err(struct pop3_session *s, struct slice code, struct slice text)
{
	put_line(s, SLICE("-ERR "), code, text);
	return NEXT_PARK;
}

enum next pop3_bad(struct pop3_session *s, struct slice text)
{
	unsigned max = s->context->options.max_bad_commands ? s->context->options.max_bad_commands : BAD_COMMANDS_MAX;

	put_line(s, SLICE("-ERR "), SLICE_EMPTY, text);
	return ++s->bad_commands >= max ? NEXT_CLOSE : NEXT_PARK;
}

/* RFC 3206 section 4: may another try help? */
enum next pop3_fail(struct pop3_session *s, enum status status)
{
	switch (status) {
	case STATUS_NOT_FOUND:
		return pop3_err(s, SLICE_EMPTY, SLICE("That message is no longer there"));
	case STATUS_TEMPORARY:
	case STATUS_LIMIT:
		return pop3_err(s, SLICE("SYS/TEMP"), SLICE("Not possible at the moment, try again later"));
	default:
		return pop3_err(s, SLICE("SYS/PERM"), SLICE("An error in the server; it is in its log"));
	}
}

enum next pop3_end_list(struct pop3_session *s)
{
	buf_add_literal(pop3_output(s), ".\r\n");
	return NEXT_PARK;
}
