/* url: IMAP URLs that name a message or a part of one (RFC 5092), as they stand in CATENATE (RFC 4469) and URLAUTH (RFC 4467). Pure.
 *
 *     imap://alice%40example.org@mail.example.org/INBOX;UIDVALIDITY=1/;UID=20/;SECTION=1.2/;PARTIAL=0.500
 *     /INBOX/;UID=20         from the root of the session's own mailboxes
 *     ;UID=20                in the selected mailbox
 *     imap://.../;UID=20;EXPIRE=2030-01-01T00:00:00Z;URLAUTH=user+bob%40example.org:INTERNAL:0123...
 */
#pragma once

#include "imap/parse.h"

#define IMAP_URL_MAX 4096 /* bytes */

enum imap_url_access {
	IMAP_URL_OPEN, /* it says nothing of that */
	IMAP_URL_SUBMIT,
	IMAP_URL_USER,
	IMAP_URL_AUTHUSER,
	IMAP_URL_ANONYMOUS,
};

struct imap_url {
	bool is_absolute;
	struct slice user;    /* of an absolute one, decoded; may be empty */
	struct slice mailbox; /* UTF-8, a name that a mailbox can have; data NULL: the selected one */
	bool has_uid_validity;
	uint32_t uid_validity, uid;
	struct slice section, partial; /* "1.2", "0.500" */

	/* RFC 4467 section 3 */
	bool has_expire;
	int64_t expire_ms;
	enum imap_url_access access;
	struct slice access_user; /* of SUBMIT and USER, decoded */
	struct slice rump;        /* the text that the token is made of */
	struct slice mechanism;   /* empty: it isn't authorised yet */
	struct slice token;       /* hexadecimal digits */
};

MUST_CHECK bool imap_url_parse(struct arena *arena, struct slice text, struct imap_url *url);
