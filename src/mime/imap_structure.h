/* imap_structure: the bytes that IMAP sends for ENVELOPE, BODY and BODYSTRUCTURE (RFC 9051 section 7.5.2, 9), made once at
 * delivery and kept with the message, so that a FETCH parses nothing. Strings are quoted where they may be and literals
 * (non-synchronising form is the client's affair only: a server sends {n}) where they must be; NIL where absent.
 *
 * At most 20,000 addresses stand in one answer: lists are cut there, so that what a message makes of us stays bounded.
 */
#pragma once

#include "base/buf.h"
#include "mime/message.h"

/* "(date subject from sender reply-to to cc bcc in-reply-to message-id)"; sender and reply-to default to from. */
void imap_envelope(struct buf *out, struct arena *arena, struct slice header);
void imap_body(struct buf *out, struct arena *arena, const struct message *message);
void imap_body_structure(struct buf *out, struct arena *arena, const struct message *message);
/* Of one part of it, as in BODYSTRUCTURE; `decoded` (may be NULL): a leaf whose content transfer encoding is taken off. */
struct imap_decoded {
	struct slice encoding; /* what it is then */
	uint64_t size, lines;
};
void imap_part_structure(struct buf *out, struct arena *arena, const struct message *message, const struct message_part *part,
			 const struct imap_decoded *decoded);
/* A string as IMAP sends it: quoted or literal; NIL if data is NULL. */
void imap_put_nstring(struct buf *out, struct slice value);
