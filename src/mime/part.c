#include "mime/part.h"

#include "mime/lexer.h"
#include "mime/parameters.h"

/* RFC 2045 section 5.1 */
static void take_type(struct arena *arena, struct message_part *part, struct slice value, unsigned *parameters_left)
{
	struct lexer lexer = lexer_of(arena, value);

	lexer_skip_space(&lexer);
	part->type = lexer_token(&lexer);
	part->subtype = SLICE_EMPTY;
	lexer_skip_space(&lexer);
	if (!lexer_is_at(&lexer, '/'))
		return;
	lexer.at++;
	lexer_skip_space(&lexer);
	part->subtype = lexer_token(&lexer);
	part->parameter_count = *parameters_left;
	parameters_parse(&lexer, &part->parameters, &part->parameter_count);
	*parameters_left -= part->parameter_count;
}

static bool is_known_encoding(struct slice encoding)
{
	static const struct slice known[] = {{"7bit", 4}, {"8bit", 4}, {"binary", 6}, {"base64", 6}, {"quoted-printable", 16}};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (slice_eq_nocase(encoding, known[i]))
			return true;
	}
	return false;
}

static void take_encoding(struct arena *arena, struct message_part *part, struct slice value)
{
	struct lexer lexer = lexer_of(arena, value);

	lexer_skip_space(&lexer);
	part->encoding = lexer_token(&lexer);
	lexer_skip_space(&lexer);
	/* Lenient: "base64; x=y" is base64. Where what stands there is nobody's encoding, it is none. */
	if (lexer.at < lexer.end && !is_known_encoding(part->encoding))
		part->encoding = (struct slice){NULL, 0};
}

/* RFC 2183 section 2. Lenient: a type in quotes; and where it is missing a file name stays known (as an attachment's, which is what
 * section 2.8 says of unknown types). */
static void take_disposition(struct arena *arena, struct message_part *part, struct slice value, unsigned *parameters_left)
{
	struct lexer lexer = lexer_of(arena, value);
	struct slice disposition;

	lexer_skip_space(&lexer);
	disposition = lexer_is_at(&lexer, '"') ? lexer_quoted(&lexer) : lexer_token(&lexer);
	part->disposition_parameter_count = *parameters_left;
	parameters_parse(&lexer, &part->disposition_parameters, &part->disposition_parameter_count);
	*parameters_left -= part->disposition_parameter_count;
	if (disposition.len == 0 && part->disposition_parameter_count > 0)
		disposition = SLICE("attachment");
	if (disposition.len > 0)
		part->disposition = disposition;
}

static void take_text(struct slice *slot, struct slice value)
{
	if (!slot->data)
		*slot = slice_trim(value);
}

void part_take_field(struct arena *arena, struct message_part *part, struct slice name, struct slice value,
		     unsigned *parameters_left)
{
	struct slice what = slice_skip(name, 8);

	switch (what.len) {
	case 2:
		if (slice_eq_nocase(what, SLICE("ID")))
			take_text(&part->content_id, value);
		break;
	case 3:
		if (slice_eq_nocase(what, SLICE("MD5")))
			take_text(&part->md5, value);
		break;
	case 4:
		if (!part->type.data && slice_eq_nocase(what, SLICE("Type")))
			take_type(arena, part, value, parameters_left);
		break;
	case 8:
		if (slice_eq_nocase(what, SLICE("Language")))
			take_text(&part->language, value);
		else if (slice_eq_nocase(what, SLICE("Location")))
			take_text(&part->location, value);
		break;
	case 11:
		if (slice_eq_nocase(what, SLICE("Disposition")))
			take_disposition(arena, part, value, parameters_left);
		else if (slice_eq_nocase(what, SLICE("Description")))
			take_text(&part->description, value);
		break;
	case 17:
		if (!part->encoding.data && slice_eq_nocase(what, SLICE("Transfer-Encoding")))
			take_encoding(arena, part, value);
		break;
	default:
		break;
	}
}

bool part_is_identity_encoded(const struct message_part *part)
{
	return part->encoding.len == 0 || slice_eq_nocase(part->encoding, SLICE("7bit")) ||
	       slice_eq_nocase(part->encoding, SLICE("8bit")) || slice_eq_nocase(part->encoding, SLICE("binary"));
}

static enum message_part_kind kind_of(const struct message_part *part)
{
	if (slice_eq_nocase(part->type, SLICE("multipart")))
		return MESSAGE_PART_MULTIPART;
	if (!slice_eq_nocase(part->type, SLICE("message")))
		return MESSAGE_PART_LEAF;
	/* RFC 2046 section 5.2.1 forbids an encoding here, so whatever the header says the message stands there. */
	if (slice_eq_nocase(part->subtype, SLICE("rfc822")))
		return MESSAGE_PART_MESSAGE;
	/* RFC 6532 section 3.7 allows it. */
	return slice_eq_nocase(part->subtype, SLICE("global")) && part_is_identity_encoded(part) ? MESSAGE_PART_MESSAGE
												 : MESSAGE_PART_LEAF;
}

void part_conclude(struct message_part *part, bool in_digest)
{
	const struct mime_parameter *boundary;

	part->kind = kind_of(part);
	boundary = parameter_find(part->parameters, part->parameter_count, SLICE("boundary"));
	/* RFC 2045 section 5.2: what is invalid is as if it were absent. */
	if (part->type.len == 0 || part->subtype.len == 0 ||
	    (part->kind == MESSAGE_PART_MULTIPART && (!boundary || boundary->wire_value.len == 0))) {
		part->type = in_digest ? SLICE("message") : SLICE("text");
		part->subtype = in_digest ? SLICE("rfc822") : SLICE("plain");
		part->parameter_count = 0;
	}
	if (!part->encoding.data)
		part->encoding = SLICE_EMPTY;
	part->kind = kind_of(part);
}
