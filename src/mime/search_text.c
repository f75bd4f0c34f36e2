#include "mime/search_text.h"

#include "mime/words.h"

struct walk {
	struct arena *arena;
	const struct message *message;
	message_text_each each;
	void *context;
};

static bool tell_header(struct walk *w, struct slice header, enum message_text_place place)
{
	struct header_field field;

	while (header_next(&header, &field)) {
		if (w->each(w->context, words_decode(w->arena, field.whole), place))
			return true;
	}
	return false;
}

static bool tell_names(struct walk *w, const struct mime_parameter *parameters, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		if ((slice_eq(parameters[i].name, SLICE("name")) || slice_eq(parameters[i].name, SLICE("filename"))) &&
		    w->each(w->context, parameters[i].value, MESSAGE_TEXT_BODY))
			return true;
	}
	return false;
}

static bool has_text(const struct message_part *part)
{
	return slice_eq_nocase(part->type, SLICE("text"));
}

static bool tell_leaf(struct walk *w, const struct message_part *part)
{
	struct slice text;
	struct buf plain;

	if (tell_names(w, part->parameters, part->parameter_count) ||
	    tell_names(w, part->disposition_parameters, part->disposition_parameter_count))
		return true;
	if (!has_text(part))
		return false;
	text = message_part_text(w->arena, w->message, part);
	if (slice_eq_nocase(part->subtype, SLICE("html"))) {
		buf_init(&plain, w->arena, 0);
		html_to_text(&plain, text);
		text = buf_slice(&plain);
	}
	return w->each(w->context, text, MESSAGE_TEXT_BODY);
}

/* Depth is the message's, which has a limit. */
static bool tell_part(struct walk *w, const struct message_part *part)
{
	if (part->kind == MESSAGE_PART_LEAF)
		return tell_leaf(w, part);
	for (const struct message_part *child = part->children; child; child = child->next) {
		if (part->kind == MESSAGE_PART_MESSAGE && tell_header(w, message_header(w->message, child), MESSAGE_TEXT_BODY))
			return true;
		if (tell_part(w, child))
			return true;
	}
	return false;
}

bool message_texts(struct arena *arena, const struct message *message, message_text_each each, void *context)
{
	struct walk w = {arena, message, each, context};

	return tell_header(&w, message_header(message, message->root), MESSAGE_TEXT_HEADER) || tell_part(&w, message->root);
}

static void tell_ranges(const struct message_part *part, message_range_each each, void *context)
{
	if (part->kind == MESSAGE_PART_LEAF && has_text(part))
		each(context, part->body_start, part->body_end);
	for (const struct message_part *child = part->children; child; child = child->next) {
		if (part->kind == MESSAGE_PART_MESSAGE)
			each(context, child->header_start, child->body_start);
		tell_ranges(child, each, context);
	}
}

void message_text_ranges(const struct message *message, message_range_each each, void *context)
{
	each(context, message->root->header_start, message->root->body_start);
	tell_ranges(message->root, each, context);
}
