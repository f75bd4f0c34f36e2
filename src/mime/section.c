/* Which bytes a section of IMAP is (RFC 9051 section 6.4.5.1). */
#include "mime/message.h"

struct slice message_header(const struct message *message, const struct message_part *part)
{
	return slice_sub(message->bytes, part->header_start, part->body_start);
}

struct slice message_body(const struct message *message, const struct message_part *part)
{
	return slice_sub(message->bytes, part->body_start, part->body_end);
}

static const struct message_part *nth_child(const struct message_part *part, uint32_t number)
{
	const struct message_part *child = part->children;

	if (number == 0 || number > part->child_count)
		return NULL;
	while (child && --number > 0)
		child = child->next;
	return child;
}

/* Part `number` of a message: one of its parts, or its body, which is its part 1, if it has none. */
static const struct message_part *part_of_message(const struct message_part *root, uint32_t number)
{
	if (root->kind == MESSAGE_PART_MULTIPART)
		return nth_child(root, number);
	return number == 1 ? root : NULL;
}

const struct message_part *message_find_part(const struct message *message, const uint32_t *numbers, unsigned count)
{
	const struct message_part *part = message->root;

	for (unsigned i = 0; part && i < count; i++) {
		if (i == 0)
			part = part_of_message(part, numbers[i]);
		else if (part->kind == MESSAGE_PART_MULTIPART)
			part = nth_child(part, numbers[i]);
		else if (part->kind == MESSAGE_PART_MESSAGE && part->children)
			part = part_of_message(part->children, numbers[i]);
		else
			part = NULL;
	}
	return part;
}

static bool range(uint64_t from, uint64_t to, uint64_t *start, uint64_t *end)
{
	*start = from;
	*end = to;
	return true;
}

bool message_section_range(const struct message *message, const uint32_t *numbers, unsigned count, enum message_section section,
			   uint64_t *start, uint64_t *end)
{
	const struct message_part *part = message_find_part(message, numbers, count);
	const struct message_part *inside = NULL;

	if (!part)
		return false;
	if (count == 0)
		inside = part;
	else if (part->kind == MESSAGE_PART_MESSAGE)
		inside = part->children;
	switch (section) {
	case MESSAGE_SECTION_BODY:
		return range(count == 0 ? part->header_start : part->body_start, part->body_end, start, end);
	case MESSAGE_SECTION_MIME:
		return count > 0 && range(part->header_start, part->body_start, start, end);
	case MESSAGE_SECTION_HEADER:
		return inside && range(inside->header_start, inside->body_start, start, end);
	case MESSAGE_SECTION_TEXT:
		return inside && range(inside->body_start, inside->body_end, start, end);
	}
	return false;
}
