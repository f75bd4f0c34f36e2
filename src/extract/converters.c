#include "extract/converters.h"

/* Of our own readers and of how texts are kept: greater when they find other text than before. */
#define READERS_VERSION 1

struct slice converter_program(struct slice command)
{
	return slice_cut(&command, ' ');
}

/* ---- which ---- */

static bool has_word(struct slice words, struct slice word)
{
	while (words.len > 0) {
		if (slice_eq_nocase(slice_cut(&words, ' '), word))
			return true;
	}
	return false;
}

/* "type/subtype" or ".extension". */
static size_t find(const struct converters *converters, struct slice word)
{
	for (size_t i = 0; i < converters->count; i++) {
		if (has_word(converters->list[i].types, word))
			return i;
	}
	return CONVERTER_NONE;
}

static struct slice parameter(const struct mime_parameter *parameters, unsigned count, struct slice name)
{
	for (unsigned i = 0; i < count; i++) {
		if (slice_eq(parameters[i].name, name))
			return parameters[i].value;
	}
	return SLICE_EMPTY;
}

static size_t find_by_name(const struct converters *converters, const struct message_part *part)
{
	struct slice name = parameter(part->disposition_parameters, part->disposition_parameter_count, SLICE("filename"));
	size_t dot;

	if (name.len == 0)
		name = parameter(part->parameters, part->parameter_count, SLICE("name"));
	dot = slice_find_last_byte(name, '.');
	return dot == SLICE_NOT_FOUND ? CONVERTER_NONE : find(converters, slice_skip(name, dot));
}

#define TYPE_MAX 255

size_t converter_for(const struct converters *converters, const struct message_part *part)
{
	char type[TYPE_MAX];
	struct buf out = {.data = type, .cap = sizeof(type), .limit = sizeof(type)};
	size_t found = CONVERTER_NONE;

	if (part->kind != MESSAGE_PART_LEAF)
		return CONVERTER_NONE;
	if (part->type.len + 1 + part->subtype.len <= sizeof(type)) {
		buf_add(&out, part->type);
		buf_add_byte(&out, '/');
		buf_add(&out, part->subtype);
		found = find(converters, buf_slice(&out));
	}
	if (found == CONVERTER_NONE && slice_eq_nocase(part->type, SLICE("application")))
		found = find_by_name(converters, part);
	return found;
}

struct walk {
	const struct converters *converters;
	const struct message_part *last;
	bool behind; /* the last one has been met */
	size_t converter;
};

/* Depth is the message's, which has a limit. */
static const struct message_part *next_in(struct walk *walk, const struct message_part *part)
{
	const struct message_part *found = NULL;

	if (walk->behind) {
		walk->converter = converter_for(walk->converters, part);
		if (walk->converter != CONVERTER_NONE)
			return part;
	}
	walk->behind |= part == walk->last;
	for (const struct message_part *child = part->children; child && !found; child = child->next)
		found = next_in(walk, child);
	return found;
}

const struct message_part *converter_next_part(const struct converters *converters, const struct message *message,
					       const struct message_part *last, size_t *converter)
{
	struct walk walk = {.converters = converters, .last = last, .behind = last == NULL};
	const struct message_part *found = next_in(&walk, message->root);

	*converter = walk.converter;
	return found;
}

/* ---- edition ---- */

uint64_t converter_number(const struct converters *converters, size_t converter)
{
	struct buf all SCOPED_BUF;

	buf_init(&all, NULL, 0);
	buf_printf(&all, "%u %llu %llu\n%.*s", READERS_VERSION, (unsigned long long)converters->attachment_size,
		   (unsigned long long)converters->attachment_text, SLICE_ARG(converters->list[converter].command));
	return slice_hash(buf_slice(&all)) >> 2;
}

int64_t converters_edition(const struct converters *converters)
{
	struct buf all SCOPED_BUF;

	buf_init(&all, NULL, 0);
	buf_printf(&all, "%u %llu %llu\n", READERS_VERSION, (unsigned long long)converters->attachment_size,
		   (unsigned long long)converters->attachment_text);
	for (size_t i = 0; i < converters->count; i++)
		buf_printf(&all, "%.*s\n%.*s\n", SLICE_ARG(converters->list[i].types), SLICE_ARG(converters->list[i].command));
	return (int64_t)(slice_hash(buf_slice(&all)) >> 2) + 1;
}
