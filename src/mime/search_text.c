#include "mime/search_text.h"

#include "mime/words.h"

struct walk {
	struct arena *arena;
	const struct message *message;
	message_text_each each;
	void *context;
};

static bool tell_header(struct walk *w, const struct message_part *part)
{
	struct slice header = message_header(w->message, part);
	struct header_field field;

	/* Lines that are no field can be read too. */
	while (header_next_line(&header, &field)) {
		if (w->each(w->context, words_decode(w->arena, field.whole), MESSAGE_TEXT_HEADER))
			return true;
	}
	return false;
}

/* Which RFC 2231 may have encoded, so that they can't be read in the field. */
static bool tell_names(struct walk *w, const struct mime_parameter *parameters, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		if ((slice_eq(parameters[i].name, SLICE("name")) || slice_eq(parameters[i].name, SLICE("filename"))) &&
		    w->each(w->context, parameters[i].value, MESSAGE_TEXT_HEADER))
			return true;
	}
	return false;
}

/* Reports ("message/delivery-status") can be read too. */
static bool has_text(const struct message_part *part)
{
	return slice_eq_nocase(part->type, SLICE("text")) || slice_eq_nocase(part->type, SLICE("message"));
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
	if (tell_header(w, part))
		return true;
	if (part->kind == MESSAGE_PART_LEAF)
		return tell_leaf(w, part);
	for (const struct message_part *child = part->children; child; child = child->next) {
		if (tell_part(w, child))
			return true;
	}
	return false;
}

bool message_texts(struct arena *arena, const struct message *message, message_text_each each, void *context)
{
	struct walk w = {arena, message, each, context};

	return tell_part(&w, message->root);
}

static void tell_ranges(const struct message_part *part, message_range_each each, void *context)
{
	each(context, part->header_start, part->body_start);
	if (part->kind == MESSAGE_PART_LEAF && has_text(part))
		each(context, part->body_start, part->body_end);
	for (const struct message_part *child = part->children; child; child = child->next)
		tell_ranges(child, each, context);
}

void message_text_ranges(const struct message *message, message_range_each each, void *context)
{
	tell_ranges(message->root, each, context);
}
