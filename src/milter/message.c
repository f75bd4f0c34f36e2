#include "milter/message.h"

#include <errno.h>
#include <unistd.h>

#include "base/write.h"
#include "ipc/ipc.h"
#include "milter/lines.h"

#define CHANGES_MAX      20000
#define CHANGE_BYTES_MAX (2 * 1024 * 1024)

#define GO_ON ((struct milter_answer){.verdict = MILTER_GO_ON, .enhanced = SLICE_EMPTY, .text = SLICE_EMPTY})

void milter_message_init(struct milter_message *message, struct arena *arena)
{
	*message = (struct milter_message){.body = SLICE_EMPTY, .body_fd = -1, .held_why = SLICE_EMPTY};
	message->last_change = &message->changes;
	edit_init(&message->header, arena);
}

static void drop_body(struct milter_message *message)
{
	if (message->body_map)
		ipc_body_unmap(&(struct ipc_body){message->body, message->body_map, message->body_map_len});
	if (message->body_fd >= 0)
		close(message->body_fd);
	message->body_map = NULL;
	message->body_fd = -1;
}

void milter_message_free(struct milter_message *message)
{
	drop_body(message);
}

bool milter_message_is_changed(const struct milter_message *message)
{
	return message->header.is_changed || message->body_fd >= 0;
}

/* ---- what it wants changed ---- */

struct change {
	struct milter_reply reply; /* in the arena */
	struct change *next;
};

/* One milter at one message. */
struct hearing {
	struct milter *milter;
	struct arena *arena;
	struct milter_message *message;
	struct change *changes, **last;
	size_t count, bytes;
	/* a body in place of the other */
	int fd;
	uint64_t size;
	struct lines lines;
};

static bool may(const struct milter *m, const struct milter_reply *reply)
{
	switch (reply->kind) {
	case MILTER_REPLY_ADD_HEADER:
	case MILTER_REPLY_INSERT_HEADER:
		return m->rights & (MILTER_MAY_ADD_HEADERS | MILTER_MAY_CHANGE_HEADERS);
	case MILTER_REPLY_CHANGE_HEADER:
		return m->rights & MILTER_MAY_CHANGE_HEADERS;
	case MILTER_REPLY_BODY:
		return m->rights & MILTER_MAY_CHANGE_BODY;
	case MILTER_REPLY_ADD_RCPT:
		return m->rights & (MILTER_MAY_ADD_RCPT | MILTER_MAY_ADD_RCPT_ARGS);
	case MILTER_REPLY_DELETE_RCPT:
		return m->rights & MILTER_MAY_DELETE_RCPT;
	case MILTER_REPLY_CHANGE_FROM:
		return m->rights & MILTER_MAY_CHANGE_FROM;
	case MILTER_REPLY_QUARANTINE:
		return m->rights & MILTER_MAY_QUARANTINE;
	default:
		return false;
	}
}

static bool is_change(const struct milter_reply *reply)
{
	return reply->kind >= MILTER_REPLY_ADD_HEADER;
}

static bool add_body(struct hearing *h, struct slice piece, bool is_last)
{
	struct buf out SCOPED_BUF;

	buf_init(&out, NULL, 0);
	if (h->fd < 0)
		h->fd = ipc_memfd_open();
	if (is_last)
		lines_end(&h->lines, &out);
	else
		lines_add(&h->lines, piece, &out);
	h->size += out.len;
	return h->fd >= 0 && buf_ok(&out) && h->size <= milter_options_of(h->milter)->max_body_size &&
	       write_all(h->fd, buf_slice(&out));
}

/* Kept until the milter's last word. */
static bool note_change(struct hearing *h, const struct milter_reply *reply)
{
	struct change *change;

	if (reply->kind == MILTER_REPLY_BODY)
		return add_body(h, reply->text, false);
	h->bytes += reply->name.len + reply->value.len + reply->text.len;
	if (++h->count > CHANGES_MAX || h->bytes > CHANGE_BYTES_MAX)
		return false;
	change = ARENA_NEW(h->arena, struct change);
	change->reply = *reply;
	change->reply.name = slice_dup(h->arena, reply->name);
	change->reply.value = slice_dup(h->arena, reply->value);
	change->reply.text = slice_dup(h->arena, reply->text);
	*h->last = change;
	h->last = &change->next;
	return true;
}

static void change_envelope(struct hearing *h, enum envelope_change_kind kind, const struct milter_reply *reply)
{
	struct envelope_change *change = ARENA_NEW(h->arena, struct envelope_change);

	*change = (struct envelope_change){kind, reply->name, reply->value, NULL};
	*h->message->last_change = change;
	h->message->last_change = &change->next;
}

static bool apply(struct hearing *h, const struct milter_reply *reply)
{
	struct edit *header = &h->message->header;
	bool with_space = h->milter->steps & MILTER_LEADING_SPACE;

	switch (reply->kind) {
	case MILTER_REPLY_ADD_HEADER:
		return edit_add(header, reply->name, reply->value, with_space);
	case MILTER_REPLY_INSERT_HEADER:
		return edit_insert(header, reply->index, reply->name, reply->value, with_space);
	case MILTER_REPLY_CHANGE_HEADER:
		return edit_change(header, reply->index, reply->name, reply->value, with_space);
	case MILTER_REPLY_ADD_RCPT:
		change_envelope(h, ENVELOPE_ADD_RCPT, reply);
		return true;
	case MILTER_REPLY_DELETE_RCPT:
		change_envelope(h, ENVELOPE_DELETE_RCPT, reply);
		return true;
	case MILTER_REPLY_CHANGE_FROM:
		change_envelope(h, ENVELOPE_CHANGE_FROM, reply);
		return true;
	default: /* quarantine: may() has let nothing else through */
		h->message->is_held = true;
		h->message->held_why = reply->text;
		return true;
	}
}

static bool take_new_body(struct hearing *h)
{
	struct ipc_body body = {.bytes = SLICE_EMPTY};

	if (h->fd < 0)
		return true;
	if (!add_body(h, SLICE_EMPTY, true) || !ipc_memfd_seal(h->fd))
		return false;
	if (h->size > 0 && !ipc_body_map(h->fd, (size_t)h->size, &body))
		return false;
	drop_body(h->message);
	h->message->body = body.bytes;
	h->message->body_map = body.map;
	h->message->body_map_len = body.map_len;
	h->message->body_fd = h->fd;
	h->fd = -1;
	return true;
}

static bool apply_all(struct hearing *h)
{
	for (const struct change *change = h->changes; change; change = change->next)
		if (!apply(h, &change->reply))
			return false;
	return take_new_body(h);
}

/* ---- the steps ---- */

static struct milter_answer say_field(struct hearing *h, const struct edit_field *field, const struct milter_macros *macros)
{
	struct milter *m = h->milter;
	size_t begun = milter_begin(m, MILTER_HEADER, macros);
	struct buf *out = conn_output(m->conn);
	struct arena arena SCOPED_ARENA;

	milter_put_text(out, field->name);
	milter_put_text(out, edit_value(&arena, field, m->steps & MILTER_LEADING_SPACE));
	if (!(m->steps & MILTER_QUIET_HEADER))
		return milter_ask(m, h->arena, MILTER_HEADER, begun, 0, milter_options_of(m)->command_timeout_ms);
	/* Many of them go in one piece. */
	milter_packet_end(out, begun);
	conn_flush_if_high(m->conn);
	return conn_failed(m->conn) ? milter_fail(m, "the connection is lost") : GO_ON;
}

static struct milter_answer say_header(struct hearing *h, const struct milter_macros *macros)
{
	struct milter *m = h->milter;
	struct milter_answer answer = GO_ON;
	const struct edit_field *field = h->message->header.first;

	for (; field && answer.verdict == MILTER_GO_ON && milter_hears(m, MILTER_HEADER, MILTER_NO_HEADERS);
	     field = field->next)
		if (!field->is_ours)
			answer = say_field(h, field, macros);
	return answer;
}

static struct milter_answer say_header_end(struct hearing *h, const struct milter_macros *macros)
{
	struct milter *m = h->milter;

	if (!milter_hears(m, MILTER_HEADER_END, MILTER_NO_HEADER_END))
		return GO_ON;
	return milter_ask(m, h->arena, MILTER_HEADER_END, milter_begin(m, MILTER_HEADER_END, macros), MILTER_QUIET_HEADER_END,
			  milter_options_of(m)->command_timeout_ms);
}

static size_t piece_size(const struct milter *m)
{
	if (m->steps & MILTER_PIECE_1M)
		return 1024 * 1024 - 1;
	return m->steps & MILTER_PIECE_256K ? 256 * 1024 - 1 : MILTER_PIECE_USUAL;
}

static struct milter_answer say_body(struct hearing *h, const struct milter_macros *macros)
{
	struct milter *m = h->milter;
	struct milter_answer answer = GO_ON;
	struct slice rest = h->message->body;

	while (rest.len > 0 && answer.verdict == MILTER_GO_ON && milter_hears(m, MILTER_BODY, MILTER_NO_BODY)) {
		struct slice piece = slice_sub(rest, 0, piece_size(m));
		size_t begun = milter_begin(m, MILTER_BODY, macros);

		buf_add(conn_output(m->conn), piece);
		answer = milter_ask(m, h->arena, MILTER_BODY, begun, MILTER_QUIET_BODY,
				    milter_options_of(m)->command_timeout_ms);
		rest = slice_skip(rest, piece.len);
	}
	return answer;
}

/* Its wishes, then its word. */
static struct milter_answer hear_end(struct hearing *h)
{
	struct milter *m = h->milter;
	struct buf packet SCOPED_BUF;
	struct milter_reply reply;

	buf_init(&packet, NULL, 0);
	do {
		if (!milter_read(m, h->arena, milter_options_of(m)->content_timeout_ms, &packet, &reply))
			return milter_fail(m, "it gives no answer");
		if (!is_change(&reply))
			break;
		if (!may(m, &reply))
			return milter_fail(m, "it wants what it hasn't asked leave for");
		if (!note_change(h, &reply))
			return milter_fail(m, "it wants too much");
	} while (true);
	m->in_message = false;
	return milter_judge(m, h->arena, MILTER_BODY_END, &reply);
}

static struct milter_answer say_end(struct hearing *h, const struct milter_macros *macros)
{
	struct milter *m = h->milter;
	struct milter_answer answer;

	if (m->state != MILTER_READY)
		return GO_ON;
	milter_packet_end(conn_output(m->conn), milter_begin(m, MILTER_BODY_END, macros));
	if (!conn_flush(m->conn))
		return milter_fail(m, "the connection is lost");
	answer = hear_end(h);
	if (answer.verdict == MILTER_GO_ON && m->state != MILTER_FAILED && !apply_all(h))
		return milter_fail(m, "its changes can't be made");
	if (m->conn)
		conn_release_buffers(m->conn);
	return answer;
}

struct milter_answer milter_message(struct milter *m, struct arena *arena, struct milter_message *message,
				    const struct milter_macros *macros)
{
	struct hearing h = {.milter = m, .arena = arena, .message = message, .fd = -1};
	struct milter_answer (*const steps[])(struct hearing *, const struct milter_macros *) = {say_header, say_header_end,
												 say_body, say_end};
	struct milter_answer answer = GO_ON;

	h.last = &h.changes;
	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps) && answer.verdict == MILTER_GO_ON && m->state == MILTER_READY;
	     i++)
		answer = steps[i](&h, macros);
	if (h.fd >= 0)
		close(h.fd);
	return answer;
}
