/* RETR and TOP: RFC 1939 section 5, 7. A message goes from the store's chunk to the connection piece by piece. */
#include "pop3/session.h"

#include "pop3/surrogate.h"
#include "pop3/text.h"
#include "store/email.h"

#define PIECE_MAX ((size_t)32 * 1024)

static void send_chunk(struct pop3_session *s, struct pop3_text *text, struct slice chunk)
{
	while (chunk.len > 0 && !text->ended && !conn_failed(pop3_conn(s))) {
		struct slice piece = slice_sub(chunk, 0, PIECE_MAX);

		chunk = slice_skip(chunk, piece.len);
		pop3_text_add(text, piece, pop3_output(s));
		conn_flush_if_high(pop3_conn(s));
	}
}

static enum status send_original(struct pop3_session *s, struct email_reader *reader, struct slice first,
				 struct pop3_text *text)
{
	struct slice chunk = first;
	enum status status = STATUS_OK;

	for (uint64_t at = 0; status == STATUS_OK && chunk.len > 0 && !text->ended && !conn_failed(pop3_conn(s));) {
		send_chunk(s, text, chunk);
		at += chunk.len;
		status = email_read(reader, at, &chunk);
	}
	return status;
}

struct sending {
	struct pop3_session *s;
	struct pop3_text *text;
};

static bool send_piece(void *context, struct slice piece)
{
	struct sending *sending = context;

	send_chunk(sending->s, sending->text, piece);
	return !sending->text->ended && !conn_failed(pop3_conn(sending->s));
}

/* What is wrong once the answer has begun can only be told by its end missing. */
static enum next send_message(struct pop3_session *s, const struct view_message *message, struct email_reader *reader,
			      struct slice first, uint32_t lines)
{
	struct pop3_text text = pop3_text_begin(lines);
	struct sending sending = {s, &text};
	uint64_t size;
	enum status status = pop3_has_surrogate(s, message->uid, &size)
				     ? pop3_give_surrogate(s, message, reader, send_piece, &sending)
				     : send_original(s, reader, first, &text);

	if (status != STATUS_OK) {
		LOG_WARNING(s->context->log, "pop3.message_cut", LOG_INT("session", s->env->id), LOG_STR("user", s->address),
			    LOG_STR("status", status_name(status)));
		return NEXT_CLOSE;
	}
	pop3_text_end(&text, pop3_output(s));
	s->retrieved += lines == POP3_ALL_LINES;
	return NEXT_PARK;
}

static void say_size(struct pop3_session *s, const struct view_message *message, uint32_t lines)
{
	(void)(lines == POP3_ALL_LINES ? pop3_okf(s, "%llu octets", (unsigned long long)pop3_size(s, message))
				       : pop3_ok(s, SLICE("The top follows")));
}

/* A message that is here already. False: it is to be read. */
static bool send_from_ahead(struct pop3_session *s, const struct view_message *message)
{
	struct pop3_text text = pop3_text_begin(POP3_ALL_LINES);
	struct slice bytes;
	uint64_t size;

	if (pop3_has_surrogate(s, message->uid, &size) || !pop3_ahead_take(s, message, &bytes))
		return false;
	say_size(s, message, POP3_ALL_LINES);
	send_chunk(s, &text, bytes);
	pop3_text_end(&text, pop3_output(s));
	s->retrieved++;
	return true;
}

static enum next retrieve(struct pop3_session *s, uint32_t number, uint32_t lines)
{
	struct email_reader *reader;
	struct slice first = SLICE_EMPTY;
	enum next next;
	const struct view_message *message = pop3_present_message(s, number, &next);

	if (!message)
		return next;
	if (lines == POP3_ALL_LINES && send_from_ahead(s, message))
		return NEXT_PARK;
	enum status status =
		email_open_sized(s->context->store, pop3_arena(s), s->account, message->email, message->size, &reader);

	if (status != STATUS_OK)
		return pop3_fail(s, status);
	status = email_read(reader, 0, &first);
	if (status == STATUS_OK) {
		say_size(s, message, lines);
		next = send_message(s, message, reader, first, lines);
	} else
		next = pop3_fail(s, status);
	email_close(reader);
	return next;
}

enum next pop3_retr(struct pop3_session *s, const struct pop3_arguments *arguments)
{
	return retrieve(s, arguments->message, POP3_ALL_LINES);
}

enum next pop3_top(struct pop3_session *s, const struct pop3_arguments *arguments)
{
	return retrieve(s, arguments->message, arguments->lines);
}
