#include "store/surrogate.h"

#include "mime/downgrade.h"

/* Only those that lie in `bytes` can be looked at. */
static bool headers_are_ascii(const struct message_part *part, struct slice bytes)
{
	if (part->body_start > bytes.len || downgrade_is_needed(slice_sub(bytes, part->header_start, part->body_start)))
		return false;
	for (const struct message_part *child = part->children; child; child = child->next) {
		if (!headers_are_ascii(child, bytes))
			return false;
	}
	return true;
}

bool surrogate_may_be_needed(const struct message *structure, struct slice bytes)
{
	return structure->has_8bit && !headers_are_ascii(structure->root, bytes);
}

struct giving {
	struct email_reader *reader;
	uint64_t at;     /* in the message that is stored */
	uint64_t octets; /* of the surrogate, so far */
	bool is_changed;
	surrogate_sink sink; /* NULL: octets are counted */
	void *context;
	enum status status;
};

static bool give(struct giving *giving, struct slice piece)
{
	giving->octets += piece.len;
	return !giving->sink || giving->sink(giving->context, piece);
}

/* Some of what is stored from `at` on, up to `end`. */
static bool read_piece(struct giving *giving, uint64_t at, uint64_t end, struct slice *piece)
{
	giving->status = email_read(giving->reader, at, piece);
	if (giving->status == STATUS_OK && piece->len == 0)
		giving->status = STATUS_BUG;
	*piece = slice_sub(*piece, 0, end - at);
	return giving->status == STATUS_OK;
}

static bool copy_until(struct giving *giving, uint64_t end)
{
	struct slice piece;

	if (!giving->sink && end > giving->at) {
		giving->octets += end - giving->at;
		giving->at = end;
	}
	while (giving->at < end) {
		if (!read_piece(giving, giving->at, end, &piece))
			return false;
		giving->at += piece.len;
		if (!give(giving, piece))
			return false;
	}
	return true;
}

static bool read_header(struct giving *giving, const struct message_part *part, struct buf *header)
{
	struct slice piece;

	for (uint64_t at = part->header_start; at < part->body_start; at += piece.len) {
		if (!read_piece(giving, at, part->body_start, &piece))
			return false;
		buf_add(header, piece);
	}
	return true;
}

static bool give_header(struct giving *giving, const struct message_part *part)
{
	struct arena arena SCOPED_ARENA;
	struct buf header SCOPED_BUF, downgraded SCOPED_BUF;

	if (!copy_until(giving, part->header_start) || !read_header(giving, part, &header))
		return false;
	if (!downgrade_is_needed(buf_slice(&header)))
		return copy_until(giving, part->body_start);
	downgrade_header(&downgraded, &arena, buf_slice(&header));
	giving->is_changed = true;
	giving->at = part->body_start;
	return give(giving, buf_slice(&downgraded));
}

/* Parts lie in the order of the message; message_parse limits their depth. */
static bool give_part(struct giving *giving, const struct message_part *part)
{
	if (!give_header(giving, part))
		return false;
	for (const struct message_part *child = part->children; child; child = child->next) {
		if (!give_part(giving, child))
			return false;
	}
	return true;
}

enum status surrogate_give(struct email_reader *reader, const struct message *structure, surrogate_sink sink, void *context,
			   struct surrogate_result *result)
{
	struct giving giving = {.reader = reader, .sink = sink, .context = context};

	if (give_part(&giving, structure->root))
		(void)copy_until(&giving, email_reader_size(reader));
	*result = (struct surrogate_result){giving.octets, giving.is_changed};
	return giving.status;
}
