/* Messages: parts lie inside each other and in order, sections agree with parts, what is packed is unpacked to the same answers, and
 * text and bodies can be read. The first byte chooses the limits. */
#include <stdlib.h>

#include "mime/imap_structure.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool claim)
{
	if (!claim)
		abort();
}

static void check_part(const struct message *message, const struct message_part *part, uint64_t from, uint64_t to,
		       unsigned *count)
{
	unsigned children = 0;

	++*count;
	require(from <= part->header_start && part->header_start <= part->body_start);
	require(part->body_start <= part->body_end && part->body_end <= to);
	require(part->type.len > 0 && part->subtype.len > 0 && part->encoding.data);
	require(part->body_lines <= part->body_end - part->body_start);
	require(part->kind != MESSAGE_PART_LEAF || !part->children);
	from = part->body_start;
	for (const struct message_part *child = part->children; child; child = child->next) {
		check_part(message, child, from, part->body_end, count);
		from = child->body_end;
		children++;
	}
	require(children == part->child_count);
	require(part->kind != MESSAGE_PART_MESSAGE || children == 1);
}

static void check_sections(const struct message *message, uint32_t *numbers, unsigned count)
{
	uint64_t start, end;

	for (enum message_section section = MESSAGE_SECTION_BODY; section <= MESSAGE_SECTION_MIME; section++)
		if (message_section_range(message, numbers, count, section, &start, &end))
			require(start <= end && end <= message->bytes.len);
	if (count == 6)
		return;
	for (numbers[count] = 1; numbers[count] < 20 && message_find_part(message, numbers, count + 1); numbers[count]++)
		check_sections(message, numbers, count + 1);
}

static void check_texts(struct arena *arena, const struct message *message, const struct message_part *part, unsigned depth)
{
	struct slice header = message_header(message, part);
	struct header_field field;

	while (header_next(&header, &field))
		require(field.value.data >= field.whole.data &&
			field.value.data + field.value.len <= field.whole.data + field.whole.len);
	for (unsigned i = 0; i < part->parameter_count; i++)
		require(slice_is_utf8(part->parameters[i].value) && part->parameters[i].name.len > 0);
	if (part->kind == MESSAGE_PART_LEAF)
		require(slice_is_utf8(message_part_text(arena, message, part)));
	for (const struct message_part *child = part->children; child && depth < 100; child = child->next)
		check_texts(arena, message, child, depth + 1);
}

static struct slice answers(struct arena *arena, const struct message *message)
{
	struct buf out;

	buf_init(&out, arena, 0);
	imap_envelope(&out, arena, message_header(message, message->root));
	imap_body(&out, arena, message);
	imap_body_structure(&out, arena, message);
	return buf_slice(&out);
}

static void check_packing(struct arena *arena, const struct message *message)
{
	struct buf packed, again;
	struct message *unpacked;

	buf_init(&packed, arena, 0);
	buf_init(&again, arena, 0);
	message_pack(&packed, message);
	unpacked = message_unpack(arena, buf_slice(&packed), message->bytes);
	require(unpacked && unpacked->part_count == message->part_count);
	message_pack(&again, unpacked);
	require(slice_eq(buf_slice(&packed), buf_slice(&again)));
	require(slice_eq(answers(arena, message), answers(arena, unpacked)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena SCOPED_ARENA;
	struct message_limits limits = {0};
	struct message *message;
	uint32_t numbers[6];
	unsigned count = 0;

	if (size == 0)
		return 0;
	if (data[0] & 1)
		limits = (struct message_limits){
			.max_depth = 3, .max_parts = 5, .max_header_bytes = 200, .max_header_fields = 5};
	message = message_parse(&arena, slice_of((const char *)data + 1, size - 1), &limits);
	check_part(message, message->root, 0, size - 1, &count);
	require(count == message->part_count);
	require(message->root->header_start == 0 && message->root->body_end == size - 1);
	check_sections(message, numbers, 0);
	check_texts(&arena, message, message->root, 0);
	check_packing(&arena, message);
	return 0;
}
