/* expiry: messages that have been in a mailbox for longer than they are to be, found mailbox by mailbox. */
#pragma once

#include "store/store.h"

struct expiry_rule {
	/* A name, INBOX in any case; with "*" at its end what begins so; or "\Trash": the one of that special use (RFC 6154 section 2). */
	struct slice mailbox;
	int64_t before_ms;    /* put into it before that moment */
};
/* Does it speak of that mailbox? `role`: "Trash", or empty. */
bool expiry_rule_fits(const struct expiry_rule *rule, struct slice name, struct slice role);

struct expiry_place {
	int64_t account, mailbox; /* 0, 0: before the first */
};
/* The next place behind *place that a rule speaks of, and the first such rule's moment. NOT_FOUND: there is no other. */
MUST_CHECK enum status expiry_next(struct store *store, const struct expiry_rule *rules, size_t count, struct expiry_place *place,
				   int64_t *before_ms);
/* Expunges at most `max` there that were put there before; what is expunged is kept as always (deleted.h). */
MUST_CHECK enum status expiry_expunge(struct store *store, struct expiry_place place, int64_t before_ms, size_t max,
				      size_t *removed);
