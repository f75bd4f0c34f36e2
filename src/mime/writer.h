/* writer: header fields written with folding (RFC 5322 section 2.1.1, 78 characters), for the messages that we make ourselves
 * (bounces, Received fields). Line ends are CRLF. Values are refused a CR or LF: they are replaced by a space.
 */
#pragma once

#include "base/buf.h"
#include "base/slice.h"

/* "Name: value\r\n", folded at white space. */
void header_write(struct buf *out, struct slice name, struct slice value);
/* Likewise, UTF-8 turned into encoded words. */
void header_write_text(struct buf *out, struct slice name, struct slice utf8);
