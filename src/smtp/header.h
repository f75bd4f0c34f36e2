/* header: a look at the header of a message that comes in: where it ends, how often it was passed on, what is missing. Pure. */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/slice.h"

struct header_facts {
	size_t end;     /* offset of the blank line, or of the first line that is no header field, or of the end */
	bool is_whole;  /* its end was seen */
	bool has_blank; /* it ends with a blank line */
	unsigned received;
	bool has_date, has_message_id, has_from;
	struct slice message_id; /* trimmed, with its brackets; may be empty */
};
struct header_facts header_look(struct slice message);

/* What fields are made of. */
struct header_origin {
	int64_t wall_ms;
	struct slice queue_id, hostname;
	struct slice author; /* the address that submitted; empty: none is added */
};
/* What a submission lacks (RFC 6409 section 8.2, 8.3; From, without which it is no message: RFC 5322 section 3.6), as lines. */
void header_write_missing(struct buf *out, const struct header_facts *facts, const struct header_origin *origin);
/* "Tue, 24 Nov 2026 16:00:00 +0000" (RFC 5322 section 3.3) */
void header_write_date(struct buf *out, int64_t wall_ms);
