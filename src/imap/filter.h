/* filter: which mailboxes are meant (RFC 5465 section 6), for NOTIFY and for ESEARCH's IN (RFC 7377 section 2.2). Pure. */
#pragma once

#include "imap/parse.h"
#include "store/mailbox.h"

#define FILTER_NAMES_MAX 1000

enum filter_kind {
	FILTER_SELECTED,
	FILTER_SELECTED_DELAYED,
	FILTER_INBOXES, /* where mail may be delivered to: any mailbox may be, so it is FILTER_PERSONAL (RFC 5465 section 6.3) */
	FILTER_PERSONAL,
	FILTER_SUBSCRIBED,
	FILTER_SUBTREE,
	FILTER_SUBTREE_ONE, /* RFC 7377 section 2.2: one level down */
	FILTER_MAILBOXES,
};
struct mailbox_filter {
	enum filter_kind kind;
	struct slice *names; /* of SUBTREE, SUBTREE_ONE, MAILBOXES */
	size_t count;
};
/* Whether the kind that was found may stand there is the caller's to say. */
MUST_CHECK bool imap_parse_filter(struct imap_parser *p, struct mailbox_filter *filter);
/* The selected mailbox is matched by no name: FILTER_SELECTED matches nothing. */
bool imap_filter_matches(const struct mailbox_filter *filter, struct slice name, bool subscribed);
