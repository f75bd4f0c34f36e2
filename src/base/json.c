#include "base/json.h"

void json_string(struct buf *out, struct slice text)
{
	bool is_utf8 = slice_is_utf8(text);

	buf_add_byte(out, '"');
	for (size_t i = 0; i < text.len; i++) {
		unsigned char byte = (unsigned char)text.data[i];

		if (byte == '"' || byte == '\\')
			buf_printf(out, "\\%c", byte);
		else if (byte < ' ' || byte == 0x7f || (byte >= 0x80 && !is_utf8))
			buf_printf(out, "\\u%04x", byte);
		else
			buf_add_byte(out, (char)byte);
	}
	buf_add_byte(out, '"');
}
