/* One pass: headers line by line, bodies from one line that begins with a dash to the next (where no boundary is looked for lines are
 * only counted). Parts are parsed by recursion, whose depth is limited.
 *
 * Invariant: `at` stands at the beginning of a line or at the end, and `lines` is the number of LFs before it. */
#include "mime/message.h"

#include "mime/parameters.h"
#include "mime/part.h"
#include "mime/scan.h"

#define DEPTH_DEFAULT         99
#define DEPTH_MAX             100
#define PARTS_DEFAULT         10000
#define HEADER_BYTES_DEFAULT  (1024 * 1024)
#define HEADER_FIELDS_DEFAULT 5000
#define PARAMETERS_MAX        50000 /* of all parts: they take more memory than they have bytes */

/* A boundary that is looked for, the innermost first. */
struct boundary {
	struct slice text;
	struct boundary *outer;
};

struct parser {
	struct arena *arena;
	struct message *message;
	struct message_limits limits;
	const char *at, *end;
	uint64_t lines;
	struct boundary *boundaries;
	unsigned parameters_left;
};

static uint64_t offset(const struct parser *parser)
{
	return (uint64_t)(parser->at - parser->message->bytes.data);
}

/* ---- lines ---- */

static const char *find_line_end(const struct parser *parser)
{
	const char *lf = memchr(parser->at, '\n', (size_t)(parser->end - parser->at));

	return lf ? lf + 1 : parser->end;
}

static void pass_line(struct parser *parser)
{
	parser->at = find_line_end(parser);
	parser->lines += parser->at[-1] == '\n';
}

static bool begins_with_dashes(const struct parser *parser)
{
	return parser->end - parser->at >= 2 && parser->at[0] == '-' && parser->at[1] == '-';
}

/* Whether the line, which begins with the boundary, is nothing else: "foo--" ends "foo", even if there is a boundary "foo-". */
static bool is_exact(struct slice line, struct slice boundary)
{
	struct slice rest = slice_skip(line, boundary.len);
	size_t lf;

	if (slice_starts_with(rest, SLICE("--")))
		rest = slice_skip(rest, 2);
	lf = slice_starts_with(rest, SLICE("\r")) ? 1 : 0;
	return rest.len == lf || rest.data[lf] == '\n';
}

/* RFC 2046 section 5.1.1: it suffices that the line begins with the boundary. Of several the innermost that is all of the line counts, else
 * the longest, of those the innermost. */
static struct boundary *boundary_here(const struct parser *parser)
{
	struct slice line = slice_of(parser->at + 2, (size_t)(parser->end - parser->at) - 2);
	struct boundary *best = NULL;

	for (struct boundary *boundary = parser->boundaries; boundary; boundary = boundary->outer) {
		if ((best && boundary->text.len <= best->text.len) || !slice_starts_with(line, boundary->text))
			continue;
		best = boundary;
		if (is_exact(line, boundary->text))
			break;
	}
	return best;
}

static struct slice rest_of(const struct parser *parser)
{
	return slice_of(parser->at, (size_t)(parser->end - parser->at));
}

/* Passes over this line, and over more that begin with no dash. */
static void pass_lines(struct parser *parser)
{
	size_t passed;

	pass_line(parser);
	if (parser->at == parser->end || *parser->at == '-')
		return;
	passed = scan_pass_undashed(rest_of(parser), &parser->lines);
	parser->at += passed;
	if (passed > 0 && parser->at[-1] != '\n')
		pass_line(parser);
}

/* Passes over lines until one begins with a boundary; NULL at the end of the message. */
static struct boundary *pass_to_boundary(struct parser *parser)
{
	if (!parser->boundaries) {
		parser->lines += scan_count_lf(rest_of(parser));
		parser->at = parser->end;
	}
	while (parser->at < parser->end) {
		struct boundary *boundary = begins_with_dashes(parser) ? boundary_here(parser) : NULL;

		if (boundary)
			return boundary;
		pass_lines(parser);
	}
	return NULL;
}

/* ---- the header ---- */

static bool is_blank_line(const struct parser *parser)
{
	return parser->at[0] == '\n' || (parser->at[0] == '\r' && parser->end - parser->at > 1 && parser->at[1] == '\n');
}

/* Passes over a field with its continuation lines. */
static void pass_field(struct parser *parser)
{
	do
		pass_line(parser);
	while (parser->at < parser->end && (*parser->at == ' ' || *parser->at == '\t'));
}

static bool is_content_field(struct slice field)
{
	return (field.data[0] == 'C' || field.data[0] == 'c') && slice_starts_with_nocase(field, SLICE("Content-"));
}

static void take_field(struct parser *parser, struct message_part *part, struct slice whole)
{
	struct header_field field;

	if (is_content_field(whole) && header_next(&whole, &field))
		part_take_field(parser->arena, part, field.name, field.value, &parser->parameters_left);
	if (parser->parameters_left == 0)
		parser->message->truncated = true;
}

/* To the end of the blank line, or to a boundary, which is returned: what stands before it is all header. */
static struct boundary *parse_header(struct parser *parser, struct message_part *part)
{
	const char *start = parser->at;
	unsigned fields = 0;

	while (parser->at < parser->end && !is_blank_line(parser)) {
		const char *field = parser->at;
		struct boundary *boundary = begins_with_dashes(parser) ? boundary_here(parser) : NULL;

		if (boundary)
			return boundary;
		if ((size_t)(field - start) >= parser->limits.max_header_bytes) {
			parser->message->truncated = true;
			return NULL;
		}
		pass_field(parser);
		if (fields++ < parser->limits.max_header_fields)
			take_field(parser, part, slice_of(field, (size_t)(parser->at - field)));
		else
			parser->message->truncated = true;
	}
	if (parser->at < parser->end)
		pass_line(parser);
	return NULL;
}

/* ---- parts ---- */

static struct boundary *parse_part(struct parser *parser, struct message_part *part, bool in_digest, unsigned depth);

static struct message_part *part_new(struct parser *parser)
{
	parser->message->part_count++;
	return ARENA_NEW(parser->arena, struct message_part);
}

static bool may_have_parts(struct parser *parser, unsigned depth)
{
	if (depth < parser->limits.max_depth && parser->message->part_count < parser->limits.max_parts)
		return true;
	parser->message->truncated = true;
	return false;
}

static bool is_closing(const struct parser *parser, const struct boundary *boundary)
{
	struct slice line = slice_of(parser->at, (size_t)(parser->end - parser->at));

	return slice_starts_with(slice_skip(line, 2 + boundary->text.len), SLICE("--"));
}

/* RFC 2046 section 5.1.1. Returns the boundary of an outer multipart at which it ended. */
static struct boundary *parse_multipart(struct parser *parser, struct message_part *part, struct slice text, unsigned depth)
{
	struct boundary *own = ARENA_NEW(parser->arena, struct boundary), *found;
	bool is_digest = slice_eq_nocase(part->subtype, SLICE("digest"));
	struct message_part **link = &part->children;

	*own = (struct boundary){text, parser->boundaries};
	parser->boundaries = own;
	found = pass_to_boundary(parser);
	while (found == own && !is_closing(parser, own) && may_have_parts(parser, depth)) {
		struct message_part *child;

		pass_line(parser);
		/* A boundary that is all of the last line begins nothing. */
		if (parser->at[-1] != '\n') {
			found = NULL;
			break;
		}
		child = part_new(parser);
		*link = child;
		link = &child->next;
		part->child_count++;
		found = parse_part(parser, child, is_digest, depth + 1);
	}
	parser->boundaries = own->outer;
	if (found != own)
		return found;
	pass_line(parser);
	return pass_to_boundary(parser);
}

static struct boundary *parse_message_inside(struct parser *parser, struct message_part *part, unsigned depth)
{
	part->children = part_new(parser);
	part->child_count = 1;
	return parse_part(parser, part->children, false, depth + 1);
}

static struct boundary *parse_body(struct parser *parser, struct message_part *part, unsigned depth)
{
	const struct mime_parameter *boundary;

	switch (part->kind) {
	case MESSAGE_PART_MULTIPART:
		boundary = parameter_find(part->parameters, part->parameter_count, SLICE("boundary"));
		return parse_multipart(parser, part, boundary->wire_value, depth);
	case MESSAGE_PART_MESSAGE:
		return parse_message_inside(parser, part, depth);
	case MESSAGE_PART_LEAF:
		break;
	}
	return pass_to_boundary(parser);
}

/* IMAP's grammar wants a part in each multipart, so there is one that can be asked for. */
static void add_empty_part(struct parser *parser, struct message_part *part)
{
	struct message_part *child = part_new(parser);

	part_conclude(child, false);
	child->header_start = child->body_start = child->body_end = part->body_start;
	part->children = child;
	part->child_count = 1;
}

/* Nothing in `part` may lie behind `end`: where two boundaries follow each other the last part's place is in the line end between. */
static void clamp(struct message_part *part, uint64_t end)
{
	struct message_part *last = part->children;

	if (part->header_start > end)
		part->header_start = end;
	if (part->body_start > end)
		part->body_start = end;
	part->body_end = end;
	while (last && last->next)
		last = last->next;
	if (last && last->body_end > end)
		clamp(last, end);
}

/* The line end before a boundary belongs to the boundary (RFC 2046 section 5.1.1), be it of the body or, without one, of the header. */
static void end_body(const struct parser *parser, struct message_part *part, bool at_boundary, uint64_t lines_before)
{
	const char *start = parser->message->bytes.data + part->header_start, *end = parser->at;
	uint64_t lines = parser->lines - lines_before;

	if (at_boundary && end > start && end[-1] == '\n') {
		end--;
		lines -= lines > 0;
		if (end > start && end[-1] == '\r')
			end--;
	}
	part->body_lines = lines < UINT32_MAX ? (uint32_t)lines : UINT32_MAX;
	clamp(part, part->header_start + (uint64_t)(end - start));
}

/* Returns the boundary of an outer multipart at which it ended; NULL: at the end of the message. */
static struct boundary *parse_part(struct parser *parser, struct message_part *part, bool in_digest, unsigned depth)
{
	struct boundary *found;
	uint64_t lines_before;

	part->header_start = offset(parser);
	found = parse_header(parser, part);
	part_conclude(part, in_digest);
	part->body_start = offset(parser);
	lines_before = parser->lines;
	if (part->kind != MESSAGE_PART_LEAF && !may_have_parts(parser, depth))
		part->kind = MESSAGE_PART_LEAF;
	/* A message has its inside even where its place is empty. */
	if (!found || part->kind == MESSAGE_PART_MESSAGE)
		found = parse_body(parser, part, depth);
	if (part->kind == MESSAGE_PART_MULTIPART && !part->children)
		add_empty_part(parser, part);
	end_body(parser, part, found != NULL, lines_before);
	return found;
}

/* ---- the whole ---- */

static struct message_limits limits_or_default(const struct message_limits *given)
{
	struct message_limits limits = given ? *given : (struct message_limits){0};

	if (limits.max_depth == 0)
		limits.max_depth = DEPTH_DEFAULT;
	if (limits.max_depth > DEPTH_MAX)
		limits.max_depth = DEPTH_MAX;
	if (limits.max_parts == 0)
		limits.max_parts = PARTS_DEFAULT;
	if (limits.max_header_bytes == 0)
		limits.max_header_bytes = HEADER_BYTES_DEFAULT;
	if (limits.max_header_fields == 0)
		limits.max_header_fields = HEADER_FIELDS_DEFAULT;
	return limits;
}

struct message *message_parse(struct arena *arena, struct slice bytes, const struct message_limits *limits)
{
	struct message *message = ARENA_NEW(arena, struct message);
	struct parser parser = {
		.arena = arena,
		.message = message,
		.limits = limits_or_default(limits),
		.parameters_left = PARAMETERS_MAX,
		.at = bytes.data,
		.end = bytes.data + bytes.len,
	};

	message->bytes = bytes;
	message->root = part_new(&parser);
	parse_part(&parser, message->root, false, 0);
	message->has_8bit = scan_has_8bit(bytes);
	return message;
}
