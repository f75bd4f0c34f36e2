/* import: messages from elsewhere, brought once. A source is a mailbox of another system; what was brought from it is remembered, in the
 * same transaction, by what the source calls it (an item: its uid, or a hash), so that an import that is run again brings only what is
 * new, whenever the first one ended.
 *
 * UIDs are kept where the source has some and the mailbox here was empty when the source was first met: it then takes the source's
 * UIDVALIDITY too, and clients that knew the source have nothing to download. No client may ever find another message under a uid that
 * it knows (RFC 9051 section 2.3.1.1), neither one that comes from the source nor one that was here before the import was run again. So
 * where both have given out the same uid, both messages get new uids that neither has given out.
 */
#pragma once

#include "store/email.h"

struct import_request {
	int64_t account;
	struct slice source;   /* its name, the same in each run */
	uint32_t uid_validity; /* 0: the source has no uids */
	bool items_are_uids;   /* so another UIDVALIDITY means other messages */
	struct slice mailbox;  /* where to; made if missing */
	struct slice role;     /* if it is made */
};

struct import_source {
	int64_t account, id, mailbox;
	uint32_t uid_validity, next_uid;
	bool keeps_uids;
};
/* REFUSED: the source's UIDVALIDITY isn't what it was: its messages can't be told apart any more. */
MUST_CHECK enum status import_open(struct store *store, const struct import_request *request, struct import_source *source);

struct import_item {
	int64_t item;
	uint64_t flags; /* as the source had them when it was last looked at */
};
/* By item. */
MUST_CHECK enum status import_items(struct store *store, struct arena *arena, const struct import_source *source,
				    struct import_item **items, size_t *count);

struct import_message {
	int64_t item;
	uint32_t uid; /* at the source; 0: none */
	uint64_t flags;
	int64_t received_ms;
	const struct email_facts *facts;
};
/* All in one transaction; those that are here already are passed over. Ascending by uid. `next_uid`: the source's UIDNEXT (0: it has no
 * uids). *added: how many came. LIMIT: over quota, or a message of more than 4 GB. */
MUST_CHECK enum status import_add(struct store *store, const struct import_source *source,
				  const struct import_message *messages, size_t count, uint32_t next_uid, size_t *added);
/* At the end of a run: uids up to next_uid are the source's. */
MUST_CHECK enum status import_settle(struct store *store, const struct import_source *source, uint32_t next_uid);
/* The source's flags are these now: what changed there is changed here, and nothing else. */
MUST_CHECK enum status import_flags(struct store *store, const struct import_source *source, const struct import_item *items,
				    size_t count);
/* The source has them no more: they are expunged here too. *removed: how many were still here. */
MUST_CHECK enum status import_remove(struct store *store, const struct import_source *source, const int64_t *items,
				     size_t count, size_t *removed);
