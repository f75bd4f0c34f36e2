#include "mime/binary.h"

#include "base/base64.h"
#include "mime/message.h"

#define LINE_BYTES ((size_t)57) /* 76 characters of base64 (RFC 2045 section 6.8) */
#define ROOM       (16 * 1024)  /* written at once */

struct rewrite {
	binary_write write;
	void *context;
	struct slice bytes;
	uint64_t at; /* up to here it has been written */
};

static void copy_to(struct rewrite *r, uint64_t to)
{
	if (to > r->at)
		r->write(r->context, slice_sub(r->bytes, (size_t)r->at, (size_t)to));
	r->at = to > r->at ? to : r->at;
}

static void put_base64(struct rewrite *r, struct slice bytes)
{
	struct buf lines SCOPED_BUF;

	buf_init(&lines, NULL, 0);
	while (bytes.len > 0) {
		size_t len = bytes.len < LINE_BYTES ? bytes.len : LINE_BYTES;

		base64_encode(&lines, slice_sub(bytes, 0, len));
		buf_add_literal(&lines, "\r\n");
		bytes = slice_skip(bytes, len);
		if (lines.len >= ROOM || bytes.len == 0) {
			r->write(r->context, buf_slice(&lines));
			buf_clear(&lines);
		}
	}
}

/* The header with another encoding in it. */
static void put_header(struct rewrite *r, const struct message_part *part, struct slice encoding)
{
	struct slice header = slice_sub(r->bytes, (size_t)part->header_start, (size_t)part->body_start);
	struct header_field field;

	copy_to(r, part->header_start);
	while (header_next(&header, &field)) {
		if (!slice_eq_nocase(field.name, SLICE("Content-Transfer-Encoding")))
			r->write(r->context, field.whole);
		if (!slice_ends_with(field.whole, SLICE("\n"))) /* the message ends here */
			r->write(r->context, SLICE("\r\n"));
	}
	r->write(r->context, SLICE("Content-Transfer-Encoding: "));
	r->write(r->context, encoding);
	r->write(r->context, SLICE("\r\n\r\n"));
	r->at = part->body_start;
}

static void rewrite_part(struct rewrite *r, const struct message_part *part)
{
	bool is_binary = slice_eq_nocase(slice_trim(part->encoding), SLICE("binary"));

	if (part->kind == MESSAGE_PART_LEAF && is_binary) {
		put_header(r, part, SLICE("base64"));
		put_base64(r, slice_sub(r->bytes, (size_t)part->body_start, (size_t)part->body_end));
		r->at = part->body_end;
		return;
	}
	/* RFC 2045 section 6.4: what holds other parts has no encoding of its own. */
	if (is_binary)
		put_header(r, part, SLICE("8bit"));
	for (const struct message_part *child = part->children; child; child = child->next)
		rewrite_part(r, child);
}

void binary_to_lines(struct slice message, binary_write write, void *context)
{
	struct arena arena SCOPED_ARENA;
	struct rewrite r = {.write = write, .context = context, .bytes = message};

	arena_init(&arena, 0);
	rewrite_part(&r, message_parse(&arena, message, NULL)->root);
	copy_to(&r, message.len);
}
