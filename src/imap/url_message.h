/* url_message: what an URL names, in a mailbox that has been found and may be read. */
#pragma once

#include "imap/fetch.h"
#include "imap/session.h"
#include "imap/url.h"

struct url_message {
	struct fetch_section section; /* its label is the caller's */
	struct fetch_source source;
	const struct message *message;
};
/* The section in the words of FETCH. False: there is none of that name. */
MUST_CHECK bool url_section_parse(struct arena *arena, const struct imap_url *url, struct fetch_section *section);
/* The message, by uid; `arena` outlives it. NOT_FOUND: it isn't there. */
MUST_CHECK enum status url_message_open(struct imap_session *s, struct arena *arena, int64_t account, int64_t mailbox,
					const struct imap_url *url, struct url_message *m);
void url_message_close(struct url_message *m);
/* The section without its content transfer encoding, where it has one (RFC 5524 section 3.1). */
void url_message_decode(struct url_message *m);
/* Is there such a section? */
bool url_message_has_part(const struct url_message *m);
/* RFC 5524 section 3.2: the structure of the part, as its data are told: encoded or not. NOT_FOUND: the message, read anew, has no such
 * part. Brings all of it into memory for a moment. */
MUST_CHECK enum status url_message_structure(struct url_message *m, struct arena *arena, struct buf *out);
