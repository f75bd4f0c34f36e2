/* surrogate: messages with UTF-8 in their headers for sessions that haven't said they take it (RFC 6858), if the options say so. Everything
 * that FETCH tells of such a message's texts is its surrogate's (store/surrogate.h); sizes, searches and copies are the message's own. */
#pragma once

#include "imap/session.h"
#include "store/email.h"

bool imap_gives_surrogates(const struct imap_session *s);
/* Might this message, of which the header and the structure are there, need one? */
bool imap_may_need_surrogate(struct arena *arena, const struct email *email);
/* Makes *email, of which the id and the structure are known, what the client is to see; its bytes are in *bytes, all else in the arena.
 * *is_changed: it is a surrogate; else the message itself. */
MUST_CHECK enum status imap_make_surrogate(struct imap_session *s, struct arena *arena, struct email *email, struct buf *bytes,
					   bool *is_changed);
