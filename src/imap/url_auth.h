/* url_auth: authorised URLs (RFC 4467): whether one may be made, and whether one is to be obeyed. The token is an HMAC of the URL's text
 * under a key that the owner has for that mailbox (store/url_key.h). */
#pragma once

#include "imap/session.h"
#include "imap/url.h"

/* May the session have this URL authorised? Then *place is its mailbox. NOT_FOUND: no, whatever the reason. */
MUST_CHECK enum status url_may_generate(struct imap_session *s, const struct imap_url *url, struct imap_place *place);
/* ":INTERNAL:" and the token, to stand behind the text. */
MUST_CHECK enum status url_put_token(struct imap_session *s, const struct imap_url *url, const struct imap_place *place,
				     struct buf *out);
/* Is it authorised for this session now? It is read with the eyes of its owner, whose rights are asked at this moment. NOT_FOUND: no,
 * whatever the reason: that takes as long whichever it is. */
MUST_CHECK enum status url_authorize(struct imap_session *s, const struct imap_url *url, struct imap_place *place);
/* "* OK [URLMECH INTERNAL]", if the connection is one for secrets (RFC 4467 section 8). */
void url_put_mechanisms(struct imap_session *s);
/* Tells a session whose selected mailbox got another key meanwhile. */
void url_tell_reset(struct imap_session *s);
