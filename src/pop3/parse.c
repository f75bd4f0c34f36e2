#include "pop3/parse.h"

struct slice pop3_cut_keyword(struct slice line, struct slice *rest)
{
	*rest = line;
	return slice_cut(rest, ' ');
}

static bool parse_message(struct slice text, struct pop3_arguments *arguments)
{
	return slice_to_u32(text, UINT32_MAX, &arguments->message) && arguments->message > 0;
}

/* As many lines as can't be counted are all lines. */
static bool parse_lines(struct slice text, uint32_t *lines)
{
	bool digits = text.len > 0;

	for (size_t i = 0; i < text.len; i++)
		digits = digits && ascii_is_digit(text.data[i]);
	if (digits && !slice_to_u32(text, UINT32_MAX, lines))
		*lines = UINT32_MAX;
	return digits;
}

static bool parse_message_and_lines(struct slice text, struct pop3_arguments *arguments)
{
	struct slice message = slice_cut(&text, ' ');

	return parse_message(message, arguments) && parse_lines(slice_trim(text), &arguments->lines);
}

bool pop3_parse_arguments(enum pop3_form form, struct slice rest, struct pop3_arguments *arguments)
{
	struct slice trimmed = slice_trim(rest);

	*arguments = (struct pop3_arguments){.text = rest};
	switch (form) {
	case POP3_NOTHING:
		return trimmed.len == 0;
	case POP3_MESSAGE:
		return parse_message(trimmed, arguments);
	case POP3_MESSAGE_OR_NOTHING:
		return trimmed.len == 0 || parse_message(trimmed, arguments);
	case POP3_MESSAGE_AND_LINES:
		return parse_message_and_lines(trimmed, arguments);
	case POP3_TEXT:
		return rest.len > 0;
	case POP3_TEXT_OR_NOTHING:
		break;
	}
	return true;
}
