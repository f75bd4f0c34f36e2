/* BINARYMIME (RFC 3030 section 3): a message that may hold any bytes comes by BDAT only, and is made one of lines when it is all there, so
 * that nothing behind this door ever sees another. A relay that hands it on does the same by that (RFC 2045 section 6). */
#include "ipc/ipc.h"
#include "mime/binary.h"
#include "smtp/session.h"

/* Base64 makes 78 bytes of 57; the deliver role takes no more than this. */
#define GROWN(limit) ((limit) + (limit) / 2)

struct lines {
	struct incoming *incoming;
	struct dots check;
	bool has_8bit;
};

static void take_line(void *context, struct slice bytes)
{
	struct lines *lines = context;

	lines->has_8bit |= !slice_is_ascii(bytes);
	dots_check(&lines->check, bytes);
	incoming_add(lines->incoming, bytes);
}

static bool convert(struct incoming *raw, struct lines *lines)
{
	struct ipc_body body = {.bytes = buf_slice(&raw->head)};

	incoming_end(raw);
	if (raw->fault != INCOMING_OK || (raw->fd >= 0 && !ipc_body_map(raw->fd, (size_t)raw->limit, &body)))
		return false;
	binary_to_lines(body.bytes, take_line, lines);
	if (body.map)
		ipc_body_unmap(&body);
	return true;
}

bool smtp_binary_finish(struct smtp_session *s, struct incoming *incoming)
{
	struct incoming raw = *incoming;
	struct lines lines = {.incoming = incoming, .check = {.state = DOTS_START}};

	s->transaction.is_binary = false; /* from here on it is like any other */
	smtp_message_begin(s, s->env->command_arena, incoming);
	incoming->limit = GROWN(raw.limit);
	if (!convert(&raw, &lines))
		incoming->fault = raw.fault != INCOMING_OK ? raw.fault : INCOMING_STORAGE;
	s->transaction.envelope.body_8bit = lines.has_8bit;
	incoming_close(&raw);
	return dots_has_bare(&lines.check);
}
