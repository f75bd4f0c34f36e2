/* name: mailbox names: modified UTF-7 (RFC 3501 section 5.1.3) to UTF-8 and back, what a name may be, and LIST's patterns. Pure. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/slice.h"

/* The name as a client sent it, in UTF-8. False if it is neither valid UTF-8 nor valid modified UTF-7. */
MUST_CHECK bool imap_name_decode(struct arena *arena, struct slice raw, bool utf8, struct slice *name);
/* Valid UTF-8 as modified UTF-7. */
void imap_utf7_encode(struct buf *out, struct slice utf8);
/* Strict: shortest forms only, so that one name has one encoding. */
MUST_CHECK bool imap_utf7_decode(struct buf *out, struct slice utf7);
/* Not empty, not too long, no empty level, no control characters and none of the wildcards. */
bool imap_name_is_valid(struct slice name);
/* RFC 9051 section 5.1: INBOX in any case is INBOX, also as the first level of a name. */
struct slice imap_name_canonical(struct arena *arena, struct slice name);
/* As a server sends it: quoted, or a literal where it must be. */
void imap_put_mailbox(struct buf *out, struct slice name, bool utf8);
/* RFC 9051 section 6.3.9: "*" matches anything, "%" anything but "/". */
bool imap_pattern_matches(struct slice pattern, struct slice name);
/* Children after their parents and before everything else: "/" sorts before all other bytes. */
int imap_name_compare(struct slice a, struct slice b);
/* Does `name` lie below `parent`? */
bool imap_name_is_below(struct slice name, struct slice parent);
