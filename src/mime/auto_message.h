/* auto_message: the header of a plain text that the server itself writes to people. RFC 3834 section 5: nobody answers it by itself, if its
 * envelope's sender is the null path too.
 */
#pragma once

#include "base/buf.h"

struct auto_message {
	struct slice hostname;
	struct slice to; /* an address; without "@": of the host */
	struct slice queue_id;
	struct slice subject; /* ASCII */
	int64_t now_ms;       /* wall */
};
/* Up to the empty line; the text, in UTF-8 and with CRLF, comes behind it. */
void auto_message_header(struct buf *out, const struct auto_message *message);
