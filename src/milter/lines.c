#include "milter/lines.h"

static void end_line(struct lines *lines, struct buf *out)
{
	buf_add_literal(out, "\r\n");
	lines->in_line = false;
}

static size_t plain_length(struct slice piece)
{
	size_t len = 0;

	while (len < piece.len && piece.data[len] != '\r' && piece.data[len] != '\n')
		len++;
	return len;
}

void lines_add(struct lines *lines, struct slice piece, struct buf *out)
{
	while (piece.len > 0) {
		size_t len = plain_length(piece);

		/* What a CR that stands alone ends is a line too. */
		if (lines->after_cr && piece.data[0] != '\n')
			end_line(lines, out);
		lines->after_cr = false;
		buf_add(out, slice_sub(piece, 0, len));
		lines->in_line |= len > 0;
		piece = slice_skip(piece, len);
		if (piece.len == 0)
			return;
		if (piece.data[0] == '\n')
			end_line(lines, out);
		else
			lines->after_cr = lines->in_line = true;
		piece = slice_skip(piece, 1);
	}
}

void lines_end(struct lines *lines, struct buf *out)
{
	if (lines->in_line)
		end_line(lines, out);
	lines->after_cr = false;
}
