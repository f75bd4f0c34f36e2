#include "mime/verp.h"

#include "mime/address.h"

static bool is_delimiter(char c)
{
	return c == '-' || c == '=' || c == '+';
}

bool verp_is_delimiters(struct slice text)
{
	return text.len == 2 && is_delimiter(text.data[0]) && is_delimiter(text.data[1]);
}

struct slice verp_sender(struct arena *arena, struct slice sender, struct slice delimiters, struct slice recipient)
{
	size_t origin = slice_find_last_byte(sender, '@'), at = slice_find_last_byte(recipient, '@');
	struct email_address checked;

	if (!verp_is_delimiters(delimiters) || origin == SLICE_NOT_FOUND || at == SLICE_NOT_FOUND)
		return sender;
	const struct slice parts[] = {slice_sub(sender, 0, origin), slice_sub(delimiters, 0, 1),   slice_sub(recipient, 0, at),
				      slice_sub(delimiters, 1, 2),  slice_skip(recipient, at + 1), slice_skip(sender, origin)};
	struct slice made = slice_join(arena, parts, 6);

	return email_address_parse(arena, made, &checked) ? made : sender;
}
