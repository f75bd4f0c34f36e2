#include "imap/session.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

#include "base/clock.h"

#define LINE_MAX_LOGGED      (64 * 1024)
#define LINE_MAX_BEFORE      (40 * 1024) /* RFC 2971 section 3.1: ID may be as long as that */
#define LITERAL_MAX_LOGGED   ((uint64_t)1024 * 1024)
#define LITERAL_MAX_BEFORE   ((uint64_t)4096)
#define TEXT_MAX_LOGGED      ((size_t)4 * 1024 * 1024)
#define TEXT_MAX_BEFORE      ((size_t)48 * 1024)
#define LINE_DEADLINE_MS     120000
#define SMALL_LITERAL_MAX    ((uint64_t)4096)
#define LITERAL_BYTES_PER_MS 2 /* slower than this over a whole literal is too slow */
#define SKIP_LINES_MAX       1000
#define START_MAX            64 /* of a command, that its tag is known when the line is too long */

static bool is_before(const struct imap_session *s)
{
	return s->state == IMAP_NOT_AUTHENTICATED;
}

static size_t line_max(const struct imap_session *s)
{
	return is_before(s) ? LINE_MAX_BEFORE : LINE_MAX_LOGGED;
}

static uint64_t literal_max(const struct imap_session *s)
{
	return is_before(s) ? LITERAL_MAX_BEFORE : LITERAL_MAX_LOGGED;
}

/* RFC 7888 section 5. */
bool imap_literal_is_small(const struct imap_session *s, const struct imap_literal *literal)
{
	return literal->waits || !s->context->options.small_literals || literal->size <= SMALL_LITERAL_MAX;
}

static void set_deadline(struct imap_session *s, uint64_t bytes)
{
	conn_set_deadline(imap_conn(s), clock_monotonic_ms() + LINE_DEADLINE_MS + (int64_t)(bytes / LITERAL_BYTES_PER_MS));
}

/* Lenient: a bare LF ends a line too; people type into IMAP by hand, and a literal's length doesn't depend on it. */
static enum conn_line read_raw_line(struct imap_session *s, struct slice *line)
{
	enum conn_line result = conn_read_line(imap_conn(s), line_max(s), line);

	return result == CONN_LINE_BARE ? CONN_LINE_OK : result;
}

bool imap_read_line(struct imap_session *s, struct slice *line)
{
	struct slice raw;

	set_deadline(s, 0);
	if (read_raw_line(s, &raw) != CONN_LINE_OK)
		return false;
	conn_set_deadline(imap_conn(s), 0);
	*line = slice_dup(imap_arena(s), raw);
	return true;
}

/* Many clients (imaplib) send a literal and the rest of its line apart, and the rest only when the literal is acknowledged (Nagle's
 * algorithm): an acknowledgement that is delayed would cost each message 40 ms. */
static void acknowledge_at_once(struct imap_session *s)
{
	int on = 1;

	if (!conn_has_input(imap_conn(s)))
		(void)setsockopt(conn_fd(imap_conn(s)), IPPROTO_TCP, TCP_QUICKACK, &on, sizeof(on));
}

/* Memory grows with what has come, not with what was promised. */
bool imap_read_literal(struct imap_session *s, uint64_t size, struct buf *out)
{
	set_deadline(s, size);
	while (size > 0) {
		struct slice piece;

		if (!conn_read_some(imap_conn(s), &piece))
			return false;
		piece = slice_sub(piece, 0, size < piece.len ? (size_t)size : piece.len);
		buf_add(out, piece);
		conn_consume(imap_conn(s), piece.len);
		size -= piece.len;
	}
	acknowledge_at_once(s);
	return true;
}

/* RFC 7888 section 4: a literal that nobody waits for has to be read, or the connection closed. */
bool imap_skip_literal(struct imap_session *s, const struct imap_literal *literal)
{
	uint64_t left = literal->size;

	if (left > 4 * imap_append_limit(s))
		return false;
	set_deadline(s, left);
	while (left > 0) {
		struct slice piece;
		size_t count;

		if (!conn_read_some(imap_conn(s), &piece))
			return false;
		count = left < piece.len ? (size_t)left : piece.len;
		conn_consume(imap_conn(s), count);
		left -= count;
	}
	return true;
}

/* A client that waits is not asked for more: its command ends where it is. */
bool imap_skip_command(struct imap_session *s)
{
	for (int lines = 0; lines < SKIP_LINES_MAX; lines++) {
		struct imap_literal literal;
		struct slice line;
		enum conn_line result = read_raw_line(s, &line);

		if (result != CONN_LINE_OK && result != CONN_LINE_TOO_LONG)
			return false;
		if (!imap_line_literal(line, &literal) || literal.waits)
			return true;
		if (literal.size > literal_max(s) || !imap_skip_literal(s, &literal))
			return false;
	}
	return false;
}

static enum imap_read answered(enum next next)
{
	return next == NEXT_CLOSE ? IMAP_READ_CLOSE : IMAP_READ_ANSWERED;
}

static void find_tag(struct imap_session *s, struct slice text, struct imap_command *command)
{
	imap_parser_init(&command->args, imap_arena(s), text, imap_utf8_names(s));
	command->args.uid_only = s->uid_only;
	if (!imap_parse_tag(&command->args, &command->tag))
		command->tag = SLICE_EMPTY;
}

static enum imap_read refuse_literal(struct imap_session *s, struct imap_command *command, struct slice text,
				     const struct imap_literal *literal)
{
	find_tag(s, text, command);
	if (!literal->waits &&
	    (literal->size > LITERAL_MAX_LOGGED || !imap_skip_literal(s, literal) || !imap_skip_command(s))) {
		imap_bye(s, SLICE("TOOBIG"), SLICE("That literal is too large"));
		return IMAP_READ_CLOSE;
	}
	return answered(imap_bad_code(s, command, SLICE("TOOBIG"), SLICE("That literal is too large")));
}

/* What follows it unasked isn't taken for commands. */
static enum imap_read refuse_line(struct imap_session *s, struct imap_command *command, struct slice text, struct slice end)
{
	struct imap_literal literal;

	find_tag(s, text, command);
	if (imap_line_literal(end, &literal) && !literal.waits &&
	    (literal.size > literal_max(s) || !imap_skip_literal(s, &literal) || !imap_skip_command(s))) {
		imap_bye(s, SLICE("TOOBIG"), SLICE("That command is too long"));
		return IMAP_READ_CLOSE;
	}
	return answered(imap_bad(s, command, SLICE("That line is too long")));
}

/* As much as has come of it. Empty: the tag isn't whole. */
static bool read_start(struct imap_session *s, char start[START_MAX], struct slice *read)
{
	struct slice come;

	if (!conn_read_some(imap_conn(s), &come))
		return false;
	*read = slice_of(start, come.len < START_MAX ? come.len : START_MAX);
	memcpy(start, come.data, read->len);
	if (slice_find_byte(*read, ' ') == SLICE_NOT_FOUND)
		*read = SLICE_EMPTY;
	return true;
}

/* Commands that bring messages read them themselves. */
static bool brings_message(struct imap_session *s, struct slice text)
{
	struct imap_parser p;
	struct slice tag;

	imap_parser_init(&p, imap_arena(s), text, imap_utf8_names(s));
	return s->state != IMAP_NOT_AUTHENTICATED && imap_parse_tag(&p, &tag) && imap_brings_message(&p);
}

/* The command's lines and literals, one after the other, as parse.h wants them. */
static enum imap_read read_text(struct imap_session *s, struct imap_command *command, struct buf *text)
{
	char bytes[START_MAX];
	struct slice start;

	set_deadline(s, 0);
	if (!read_start(s, bytes, &start))
		return IMAP_READ_CLOSE;
	for (;;) {
		struct slice line;
		struct imap_literal literal;
		enum conn_line result;

		set_deadline(s, 0);
		result = read_raw_line(s, &line);
		if (result == CONN_LINE_TOO_LONG)
			return refuse_line(s, command, start, line);
		if (result != CONN_LINE_OK)
			return IMAP_READ_CLOSE;
		buf_add(text, line);
		if (!buf_ok(text))
			return IMAP_READ_CLOSE;
		if (!imap_line_literal(line, &literal))
			return IMAP_READ_OK;
		if (brings_message(s, buf_slice(text))) {
			command->literal = literal;
			command->has_literal = true;
			return IMAP_READ_OK;
		}
		if (literal.size > literal_max(s) || !imap_literal_is_small(s, &literal))
			return refuse_literal(s, command, buf_slice(text), &literal);
		if (literal.waits)
			imap_continue(s, SLICE("Ready for the literal"));
		buf_add_literal(text, "\r\n");
		if (!imap_read_literal(s, literal.size, text) || !buf_ok(text))
			return IMAP_READ_CLOSE;
	}
}

static bool find_command(struct imap_command *command)
{
	struct slice name;

	if (!imap_parse_space(&command->args) || !imap_parse_word(&command->args, &name))
		return imap_fault(&command->args, SLICE("a command is missing"));
	if (slice_eq_nocase(name, SLICE("UID"))) {
		command->uid = true;
		if (!imap_parse_space(&command->args) || !imap_parse_word(&command->args, &name))
			return false;
	}
	command->spec = imap_command_find(name);
	if (!command->spec || (command->uid && !command->spec->has_uid)) {
		command->spec = NULL;
		command->args.fault = SLICE("Unknown command");
		return false;
	}
	command->news = command->spec->news;
	/* RFC 9051 section 7.5.1: only the forms that count by sequence numbers forbid EXPUNGE. */
	if (command->uid && command->news == IMAP_NEWS_FLAGS)
		command->news = IMAP_NEWS_ALL;
	return true;
}

enum imap_read imap_read_command(struct imap_session *s, struct imap_command *command)
{
	enum imap_read result;
	struct buf text;

	*command = (struct imap_command){0};
	buf_init(&text, imap_arena(s), is_before(s) ? TEXT_MAX_BEFORE : TEXT_MAX_LOGGED);
	result = read_text(s, command, &text);
	if (result != IMAP_READ_OK)
		return result;
	find_tag(s, buf_slice(&text), command);
	if (command->tag.len == 0 || !find_command(command))
		return answered(imap_bad_arguments(s, command));
	return IMAP_READ_OK;
}
