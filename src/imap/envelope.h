/* envelope: what an ENVELOPE (RFC 9051 section 7.5.2) says, out of the bytes in which it is kept and sent. Pure. */
#pragma once

#include "base/arena.h"
#include "base/slice.h"

enum envelope_item {
	ENVELOPE_DATE,
	ENVELOPE_SUBJECT,
	ENVELOPE_FROM,
	ENVELOPE_SENDER,
	ENVELOPE_REPLY_TO,
	ENVELOPE_TO,
	ENVELOPE_CC,
	ENVELOPE_BCC,
	ENVELOPE_IN_REPLY_TO,
	ENVELOPE_MESSAGE_ID,
};
/* The item with its encoded words decoded; addresses as "name <mailbox@host>, ...". data NULL: it is NIL. */
struct slice envelope_text(struct arena *arena, struct slice envelope, enum envelope_item item);

/* The first address of a list, for sorting (RFC 5256 section 3: FROM; RFC 5957 section 2: DISPLAYFROM). A group counts by its name.
 * Empty where there is none. */
struct envelope_address {
	struct slice mailbox;
	struct slice display; /* the name in UTF-8, or "mailbox@host" */
};
struct envelope_address envelope_first_address(struct arena *arena, struct slice envelope, enum envelope_item item);
