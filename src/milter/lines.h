/* lines: text in pieces, of which each line shall end with CRLF and nothing else shall be a line end: what a milter gives as a body. Pure. */
#pragma once

#include "base/buf.h"

struct lines {
	bool after_cr, in_line;
};

/* The next piece, appended to *out. */
void lines_add(struct lines *lines, struct slice piece, struct buf *out);
/* There is no more: ends the last line. */
void lines_end(struct lines *lines, struct buf *out);
