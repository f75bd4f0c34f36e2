#include "simple_dots.h"

struct simple_text simple_text_decode(struct slice text, char *bytes)
{
	struct simple_text d = {.bytes = bytes, .used = text.len};
	bool line_begins = true;
	size_t i = 0;

	while (i < text.len) {
		struct slice rest = slice_skip(text, i);

		if (line_begins && slice_starts_with(rest, SLICE(".\r\n"))) {
			d.ended = true;
			d.used = i + 3;
			return d;
		}
		if (line_begins && rest.data[0] == '.') {
			line_begins = false;
			i++;
			continue;
		}
		line_begins = slice_starts_with(rest, SLICE("\r\n"));
		if (line_begins) {
			d.bytes[d.len++] = '\r';
			d.bytes[d.len++] = '\n';
			i += 2;
			continue;
		}
		d.has_bare |= rest.data[0] == '\r' || rest.data[0] == '\n';
		d.bytes[d.len++] = rest.data[0];
		i++;
	}
	return d;
}

bool simple_text_has_bare(struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] == '\r' && (i + 1 == text.len || text.data[i + 1] != '\n'))
			return true;
		if (text.data[i] == '\n' && (i == 0 || text.data[i - 1] != '\r'))
			return true;
	}
	return false;
}
