#include "smtp/incoming.h"

#include <errno.h>
#include <unistd.h>

#include "ipc/ipc.h"

#define FIRST_ROOM       8192
#define LOOK_AGAIN_AFTER (16 * 1024)

void incoming_begin(struct incoming *in, struct arena *arena, const struct incoming *plan, struct slice trace)
{
	*in = *plan;
	in->arena = arena;
	in->fd = -1;
	buf_init(&in->head, arena, 0);
	buf_reserve(&in->head, FIRST_ROOM);
	buf_add(&in->head, trace);
	in->prefix = trace.len;
	in->facts.message_id = SLICE_EMPTY;
}

static void fail(struct incoming *in, enum incoming_fault fault)
{
	if (in->fault == INCOMING_OK)
		in->fault = fault;
}

static void write_fd(struct incoming *in, struct slice bytes)
{
	if (!budget_take(in->memory, bytes.len)) {
		fail(in, INCOMING_STORAGE);
		return;
	}
	in->taken += bytes.len;
	while (bytes.len > 0) {
		ssize_t written = write(in->fd, bytes.data, bytes.len);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0) {
			fail(in, INCOMING_STORAGE);
			return;
		}
		bytes = slice_skip(bytes, (size_t)written);
	}
}

static struct slice message_so_far(const struct incoming *in)
{
	return slice_skip(buf_slice(&in->head), in->prefix);
}

static void insert(struct incoming *in, size_t at, struct slice text)
{
	char *end = buf_reserve(&in->head, text.len);

	if (text.len == 0 || !end)
		return;
	memmove(in->head.data + at + text.len, in->head.data + at, in->head.len - at);
	memcpy(in->head.data + at, text.data, text.len);
	buf_advance(&in->head, text.len);
}

/* The header is whole, or as whole as it will get. What is missing is put at its end: nothing before it moves, and signatures over
 * the header (which cover fields by name) stay true. A body that begins without a blank line gets one: it would be taken for more
 * of the header, or of our own trace field. */
static void complete_header(struct incoming *in)
{
	struct buf added;

	in->facts = header_look(message_so_far(in));
	in->facts.message_id = slice_dup(in->arena, in->facts.message_id);
	in->header_done = true;
	if (in->facts.received > in->max_received)
		fail(in, INCOMING_LOOP);
	buf_init(&added, in->arena, 0);
	if (in->add_missing && (in->facts.is_whole || in->size < INCOMING_HEADER_MAX))
		header_write_missing(&added, &in->facts, &in->origin);
	if (in->facts.is_whole && !in->facts.has_blank)
		buf_add_literal(&added, "\r\n");
	insert(in, in->prefix + in->facts.end, buf_slice(&added));
	if (!buf_ok(&added) || !buf_ok(&in->head))
		fail(in, INCOMING_STORAGE);
}

/* Hands what is in memory over to a memfd, once the header is in it. A header that won't end is looked at again only now and then:
 * it may come in very small pieces. */
static void spill(struct incoming *in)
{
	if (in->head.len < in->next_look)
		return;
	in->next_look = in->head.len + LOOK_AGAIN_AFTER;
	if (!in->is_raw && in->head.len < INCOMING_HEADER_MAX && !header_look(message_so_far(in)).is_whole)
		return;
	if (!in->is_raw)
		complete_header(in);
	in->fd = ipc_memfd_open();
	if (in->fd < 0)
		fail(in, INCOMING_STORAGE);
	else
		write_fd(in, buf_slice(&in->head));
}

static void remember_last(struct incoming *in, struct slice bytes)
{
	if (bytes.len == 1) {
		in->last[0] = in->last[1];
		in->last[1] = bytes.data[0];
	} else if (bytes.len > 1) {
		memcpy(in->last, bytes.data + bytes.len - 2, 2);
	}
}

static void add_text(struct incoming *in, struct slice bytes)
{
	if (bytes.len == 0)
		return;
	remember_last(in, bytes);
	if (in->fd >= 0) {
		write_fd(in, bytes);
		return;
	}
	buf_add(&in->head, bytes);
	if (!buf_ok(&in->head))
		fail(in, INCOMING_STORAGE);
	else if (in->head.len > INCOMING_INLINE_MAX)
		spill(in);
}

static void add_between_nuls(struct incoming *in, struct slice bytes)
{
	while (bytes.len > 0 && in->fault == INCOMING_OK)
		add_text(in, slice_cut(&bytes, '\0'));
}

void incoming_add(struct incoming *in, struct slice bytes)
{
	in->size += bytes.len;
	if (in->size > in->limit)
		fail(in, INCOMING_TOO_LARGE);
	if (in->fault != INCOMING_OK)
		return;
	if (in->is_raw || slice_find_byte(bytes, '\0') == SLICE_NOT_FOUND)
		add_text(in, bytes);
	else if (in->add_missing)
		add_between_nuls(in, bytes);
	else
		fail(in, INCOMING_NUL);
}

void incoming_end(struct incoming *in)
{
	/* BDAT may end anywhere; a message in a mailbox or in DATA can't. */
	if (!in->is_raw && in->size > 0 && memcmp(in->last, "\r\n", 2) != 0 && in->fault == INCOMING_OK)
		incoming_add(in, SLICE("\r\n"));
	if (!in->is_raw && !in->header_done)
		complete_header(in);
	if (in->fd >= 0 && !ipc_memfd_seal(in->fd))
		fail(in, INCOMING_STORAGE);
}

/* Small enough to stand in memory, or in a memfd of its own. */
static bool write_anew(struct incoming *in, struct slice header, struct slice body)
{
	if (header.len + body.len <= INCOMING_INLINE_MAX) {
		buf_reserve(&in->head, header.len + body.len);
		buf_add(&in->head, header);
		buf_add(&in->head, body);
		return buf_ok(&in->head);
	}
	in->fd = ipc_memfd_open();
	if (in->fd < 0)
		return false;
	write_fd(in, header);
	write_fd(in, body);
	return in->fault == INCOMING_OK && ipc_memfd_seal(in->fd);
}

bool incoming_replace(struct incoming *in, struct slice header, struct slice body)
{
	uint64_t former_taken = in->taken;
	int former = in->fd;
	bool ok;

	in->fd = -1;
	in->taken = 0;
	buf_init(&in->head, in->arena, 0);
	ok = write_anew(in, header, body);
	if (former >= 0)
		close(former);
	budget_give(in->memory, former_taken);
	in->size = header.len + body.len;
	in->facts.message_id = slice_dup(in->arena, header_look(header).message_id);
	return ok;
}

void incoming_close(struct incoming *in)
{
	if (in->fd >= 0)
		close(in->fd);
	in->fd = -1;
	budget_give(in->memory, in->taken);
	in->taken = 0;
}
