/* The packed structure of a message. Numbers are LEB128; a string is its length and its bytes.
 *
 *     version, flags, part
 *     part: kind and presence bits, header start (from the end of what came before), header length, body length, body lines,
 *           type, subtype, encoding, the texts that are present, parameters, disposition with its parameters, children
 */
#include "mime/message.h"
#include "mime/parameters.h"

#define VERSION        1
#define UNPACK_DEPTH   101 /* what message_parse makes at most, and the root */
#define PARAMETER_SIZE 2   /* bytes at least */

enum { FLAG_TRUNCATED = 1, FLAG_8BIT = 2, FLAGS_ALL = 3 };

/* In the first number of a part; the kind is in the lowest two bits. */
enum {
	HAS_CONTENT_ID = 1 << 2,
	HAS_DESCRIPTION = 1 << 3,
	HAS_MD5 = 1 << 4,
	HAS_LOCATION = 1 << 5,
	HAS_LANGUAGE = 1 << 6,
	HAS_PARAMETERS = 1 << 7,
	HAS_DISPOSITION = 1 << 8,
};

/* ---- packing ---- */

static void put_number(struct buf *out, uint64_t number)
{
	char *to = buf_reserve(out, 10);
	size_t len = 0;

	if (!to)
		return;
	for (; number >= 0x80; number >>= 7)
		to[len++] = (char)(number | 0x80);
	to[len++] = (char)number;
	buf_advance(out, len);
}

static void put_string(struct buf *out, struct slice string)
{
	put_number(out, string.len);
	buf_add(out, string);
}

static void put_text(struct buf *out, struct slice text)
{
	if (text.data)
		put_string(out, text);
}

static void put_parameters(struct buf *out, const struct mime_parameter *parameters, unsigned count)
{
	put_number(out, count);
	for (unsigned i = 0; i < count; i++) {
		put_string(out, parameters[i].wire_name);
		put_string(out, parameters[i].wire_value);
	}
}

static unsigned presence(const struct message_part *part)
{
	return (part->content_id.data ? HAS_CONTENT_ID : 0) | (part->description.data ? HAS_DESCRIPTION : 0) |
	       (part->md5.data ? HAS_MD5 : 0) | (part->location.data ? HAS_LOCATION : 0) |
	       (part->language.data ? HAS_LANGUAGE : 0) | (part->parameter_count ? HAS_PARAMETERS : 0) |
	       (part->disposition.data ? HAS_DISPOSITION : 0);
}

static void pack_part(struct buf *out, const struct message_part *part, uint64_t previous_end)
{
	uint64_t end = part->body_start;

	put_number(out, (unsigned)part->kind | presence(part));
	put_number(out, part->header_start - previous_end);
	put_number(out, part->body_start - part->header_start);
	put_number(out, part->body_end - part->body_start);
	put_number(out, part->body_lines);
	put_string(out, part->type);
	put_string(out, part->subtype);
	put_string(out, part->encoding);
	put_text(out, part->content_id);
	put_text(out, part->description);
	put_text(out, part->md5);
	put_text(out, part->location);
	put_text(out, part->language);
	if (part->parameter_count > 0)
		put_parameters(out, part->parameters, part->parameter_count);
	if (part->disposition.data) {
		put_string(out, part->disposition);
		put_parameters(out, part->disposition_parameters, part->disposition_parameter_count);
	}
	if (part->kind == MESSAGE_PART_LEAF)
		return;
	put_number(out, part->child_count);
	for (const struct message_part *child = part->children; child; child = child->next) {
		pack_part(out, child, end);
		end = child->body_end;
	}
}

void message_pack(struct buf *out, const struct message *message)
{
	put_number(out, VERSION);
	put_number(out, (message->truncated ? FLAG_TRUNCATED : 0) | (message->has_8bit ? FLAG_8BIT : 0));
	pack_part(out, message->root, 0);
}

/* ---- unpacking: the first fault sticks ---- */

struct reader {
	struct arena *arena;
	struct slice rest;
	unsigned part_count;
	bool failed;
};

static uint64_t fail(struct reader *reader)
{
	reader->failed = true;
	reader->rest = SLICE_EMPTY;
	return 0;
}

static uint64_t get_number(struct reader *reader, uint64_t max)
{
	uint64_t number = 0;

	for (unsigned shift = 0; shift < 64 && reader->rest.len > 0; shift += 7) {
		unsigned char byte = (unsigned char)*reader->rest.data;

		reader->rest = slice_skip(reader->rest, 1);
		if (shift == 63 && byte > 1)
			break;
		number |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return number <= max ? number : fail(reader);
	}
	return fail(reader);
}

static struct slice get_string(struct reader *reader)
{
	size_t len = get_number(reader, reader->rest.len);

	/* The number's own bytes are gone from the rest by now. */
	if (len > reader->rest.len)
		fail(reader);
	struct slice string = slice_sub(reader->rest, 0, len);

	reader->rest = slice_skip(reader->rest, string.len);
	return string;
}

static struct slice get_text(struct reader *reader, bool present)
{
	return present ? get_string(reader) : slice_of(NULL, 0);
}

static struct mime_parameter *get_parameters(struct reader *reader, unsigned *count)
{
	struct mime_parameter *parameters;
	uint64_t wanted = get_number(reader, reader->rest.len / PARAMETER_SIZE);

	*count = 0;
	if (wanted == 0)
		return NULL;
	parameters = ARENA_ARRAY(reader->arena, struct mime_parameter, wanted);
	while (*count < wanted && !reader->failed) {
		struct mime_parameter *parameter = &parameters[(*count)++];

		parameter->wire_name = get_string(reader);
		parameter->wire_value = get_string(reader);
		parameter_decode(reader->arena, parameter);
	}
	return parameters;
}

static void get_strings(struct reader *reader, struct message_part *part, unsigned bits)
{
	part->type = get_string(reader);
	part->subtype = get_string(reader);
	part->encoding = get_string(reader);
	part->content_id = get_text(reader, bits & HAS_CONTENT_ID);
	part->description = get_text(reader, bits & HAS_DESCRIPTION);
	part->md5 = get_text(reader, bits & HAS_MD5);
	part->location = get_text(reader, bits & HAS_LOCATION);
	part->language = get_text(reader, bits & HAS_LANGUAGE);
	if (bits & HAS_PARAMETERS)
		part->parameters = get_parameters(reader, &part->parameter_count);
	part->disposition = get_text(reader, bits & HAS_DISPOSITION);
	if (bits & HAS_DISPOSITION)
		part->disposition_parameters = get_parameters(reader, &part->disposition_parameter_count);
}

static struct message_part *get_part(struct reader *reader, uint64_t from, uint64_t to, unsigned depth);

/* Each lies behind the one before it and inside its parent. */
static void get_children(struct reader *reader, struct message_part *part, unsigned depth)
{
	struct message_part **link = &part->children;
	uint64_t from = part->body_start, wanted = get_number(reader, reader->rest.len);

	if ((part->kind == MESSAGE_PART_MESSAGE && wanted != 1) || depth == UNPACK_DEPTH)
		fail(reader);
	while (part->child_count < wanted && !reader->failed) {
		*link = get_part(reader, from, part->body_end, depth + 1);
		from = (*link)->body_end;
		link = &(*link)->next;
		part->child_count++;
	}
}

static struct message_part *get_part(struct reader *reader, uint64_t from, uint64_t to, unsigned depth)
{
	struct message_part *part = ARENA_NEW(reader->arena, struct message_part);
	unsigned bits = (unsigned)get_number(reader, (HAS_DISPOSITION << 1) - 1);

	reader->part_count++;
	part->kind = bits & 3;
	part->header_start = from + get_number(reader, to - from);
	part->body_start = part->header_start + get_number(reader, to - part->header_start);
	part->body_end = part->body_start + get_number(reader, to - part->body_start);
	part->body_lines = (uint32_t)get_number(reader, UINT32_MAX);
	get_strings(reader, part, bits);
	if (part->kind > MESSAGE_PART_MESSAGE)
		fail(reader);
	else if (part->kind != MESSAGE_PART_LEAF)
		get_children(reader, part, depth);
	return part;
}

struct message *message_unpack(struct arena *arena, struct slice packed, struct slice bytes)
{
	struct reader reader = {.arena = arena, .rest = packed};
	struct message *message = ARENA_NEW(arena, struct message);
	uint64_t flags;

	if (get_number(&reader, UINT64_MAX) != VERSION)
		return NULL;
	flags = get_number(&reader, FLAGS_ALL);
	message->bytes = bytes;
	message->truncated = flags & FLAG_TRUNCATED;
	message->has_8bit = flags & FLAG_8BIT;
	message->root = get_part(&reader, 0, INT64_MAX, 0);
	message->part_count = reader.part_count;
	return reader.failed || reader.rest.len > 0 ? NULL : message;
}

bool message_packed_has_8bit(struct slice packed)
{
	struct reader reader = {.rest = packed};

	return get_number(&reader, UINT64_MAX) == VERSION && (get_number(&reader, FLAGS_ALL) & FLAG_8BIT);
}
