/* address: RFC 5322 section 3.4 addresses with obsolete syntax, groups, comments and UTF-8 (RFC 6532), as header fields hold
 * them, and RFC 5321 section 4.1.2 paths, as SMTP holds them. Pure; memory from the arena.
 */
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/slice.h"

/* One entry of an address list, in the order of IMAP's ENVELOPE (RFC 9051 section 7.5.2): a group begins with an entry whose
 * `domain` is absent (data NULL) and whose `local` is its name, and ends with one in which both are absent. */
struct address {
	struct slice name;   /* display name, quotes and escapes taken off, encoded words left as they are; data NULL: absent */
	struct slice route;  /* obsolete source route "@a,@b"; data NULL: absent */
	struct slice local;  /* quotes and escapes taken off */
	struct slice domain; /* empty but not absent: the field had none ("root") */
	struct address *next;
};

/* Tolerant: what can't be read is passed over. At most `max` entries are returned, and never more than 10,000. NULL for an empty
 * list. */
struct address *address_list_parse(struct arena *arena, struct slice field_value, unsigned max);

/* A validated mailbox of SMTP. Can only be made by its validator. */
struct email_address {
	struct slice local;  /* dot-atom or content of the quoted string, unescaped; case kept */
	struct slice domain; /* lower case; U-labels turned into A-labels (RFC 5891); "[192.0.2.1]" literals as they stand */
	bool is_utf8;        /* the local part has non-ASCII: needs SMTPUTF8 (RFC 6531) */
};
/* "user@example.org"; local part at most 64 bytes, whole at most 254 (RFC 5321 section 4.5.3.1). False if it is none. */
__attribute__((warn_unused_result)) bool email_address_parse(struct arena *arena, struct slice text,
							     struct email_address *address);
/* "local@domain", the local part quoted where it must be (RFC 5321 section 4.1.2). */
void email_address_format(struct buf *out, const struct email_address *address);
/* A domain name alone: lower case A-labels. */
__attribute__((warn_unused_result)) bool domain_parse(struct arena *arena, struct slice text, struct slice *domain);
/* The same in Unicode, for people. */
struct slice domain_to_unicode(struct arena *arena, struct slice domain);
