/* text: a message as a multi-line response (RFC 1939 section 3): dots at the beginnings of lines doubled, all lines ended by CRLF, a last line
 * of one dot. And its first lines for TOP. At memchr's speed, piece by piece; pure. */
#pragma once

#include "base/buf.h"

#define POP3_ALL_LINES UINT32_MAX

struct pop3_text {
	uint32_t lines_left; /* of the body, or POP3_ALL_LINES */
	bool in_body;
	bool ended;      /* TOP has what it wants: further pieces are passed over */
	bool after_cr;   /* the last byte was a CR */
	uint64_t length; /* of the line that has begun, with its CR */
};

static inline struct pop3_text pop3_text_begin(uint32_t lines)
{
	return (struct pop3_text){.lines_left = lines};
}
/* The next piece of the message. */
void pop3_text_add(struct pop3_text *text, struct slice bytes, struct buf *out);
/* After the last piece. */
void pop3_text_end(struct pop3_text *text, struct buf *out);
