/* surrogate: a stored message as those get it who take no UTF-8 in headers (RFC 6858): what mime/downgrade.h makes of its headers, at all
 * depths, and the rest as it stands. No more than one header (1 MB at most) and a chunk of the store are in memory. */
#pragma once

#include "mime/message.h"
#include "store/email.h"

/* False: certainly not. What lies beyond `bytes`, the front of the message, isn't known. */
bool surrogate_may_be_needed(const struct message *structure, struct slice bytes);

/* Takes a piece; false: no more is wanted. */
typedef bool (*surrogate_sink)(void *context, struct slice piece);
struct surrogate_result {
	uint64_t octets;
	bool is_changed; /* false: it is the message itself */
};
/* The whole of it, piece by piece; sink NULL: it is only measured. */
MUST_CHECK enum status surrogate_give(struct email_reader *reader, const struct message *structure, surrogate_sink sink,
				      void *context, struct surrogate_result *result);
