/* Messages with parts in "Content-Transfer-Encoding: binary" (RFC 3516 section 4.4): kept with those parts in base64, so that all of a
 * message are lines without NUL, as every other reader has it. */
#include "imap/incoming.h"

#include "base/base64.h"
#include "mime/message.h"

#define LINE_BYTES ((size_t)57) /* 76 characters of base64 (RFC 2045 section 6.8) */

struct rewrite {
	struct buf *out;
	struct slice bytes;
	uint64_t at; /* up to here it has been written */
};

static void copy_to(struct rewrite *r, uint64_t to)
{
	if (to > r->at)
		buf_add(r->out, slice_sub(r->bytes, (size_t)r->at, (size_t)to));
	r->at = to > r->at ? to : r->at;
}

static void put_base64(struct buf *out, struct slice bytes)
{
	while (bytes.len > 0) {
		size_t len = bytes.len < LINE_BYTES ? bytes.len : LINE_BYTES;

		base64_encode(out, slice_sub(bytes, 0, len));
		buf_add_literal(out, "\r\n");
		bytes = slice_skip(bytes, len);
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
			buf_add(r->out, field.whole);
	}
	buf_add_literal(r->out, "Content-Transfer-Encoding: ");
	buf_add(r->out, encoding);
	buf_add_literal(r->out, "\r\n\r\n");
	r->at = part->body_start;
}

static void rewrite_part(struct rewrite *r, const struct message_part *part)
{
	bool is_binary = slice_eq_nocase(slice_trim(part->encoding), SLICE("binary"));

	if (part->kind == MESSAGE_PART_LEAF && is_binary) {
		put_header(r, part, SLICE("base64"));
		put_base64(r->out, slice_sub(r->bytes, (size_t)part->body_start, (size_t)part->body_end));
		r->at = part->body_end;
		return;
	}
	/* RFC 2045 section 6.4: what holds other parts has no encoding of its own. */
	if (is_binary)
		put_header(r, part, SLICE("8bit"));
	for (const struct message_part *child = part->children; child; child = child->next)
		rewrite_part(r, child);
}

void imap_make_text(struct buf *bytes)
{
	struct arena arena SCOPED_ARENA;
	struct buf out;
	struct rewrite r = {.out = &out, .bytes = buf_slice(bytes)};

	buf_init(&out, NULL, 0);
	rewrite_part(&r, message_parse(&arena, r.bytes, NULL)->root);
	copy_to(&r, r.bytes.len);
	buf_free(bytes);
	*bytes = out;
}
