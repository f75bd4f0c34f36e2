/* preview: the first words of a message (RFC 8970), for lists of messages. Pure. */
#pragma once

#include "base/buf.h"
#include "mime/message.h"

#define PREVIEW_CHARACTERS 200

/* UTF-8 on one line; nothing if the message has no text. message->bytes may be a message's beginning only. */
void preview_of(struct buf *out, struct arena *arena, const struct message *message);
