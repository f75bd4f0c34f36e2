#include "mime/xtext.h"

#include "base/buf.h"

struct slice xtext_decode(struct arena *arena, struct slice xtext)
{
	struct buf out;

	buf_init(&out, arena, 0);
	for (size_t i = 0; i < xtext.len; i++) {
		struct slice digits = slice_sub(xtext, i + 1, i + 3);
		uint64_t byte;

		if (xtext.data[i] == '+' && digits.len == 2 && slice_hex_to_u64(digits, &byte)) {
			buf_add_byte(&out, (char)byte);
			i += 2;
		} else {
			buf_add_byte(&out, xtext.data[i]);
		}
	}
	return buf_slice(&out);
}

struct slice xtext_decode_original(struct arena *arena, struct slice original)
{
	struct slice rest = original, type = slice_cut(&rest, ';');
	const struct slice parts[] = {type, SLICE(";"), xtext_decode(arena, rest)};

	return original.len > 0 ? slice_join(arena, parts, 3) : SLICE_EMPTY;
}
