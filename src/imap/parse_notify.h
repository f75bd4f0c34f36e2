/* parse_notify: the arguments of NOTIFY (RFC 5465 section 8). Pure. */
#pragma once

#include "imap/fetch.h"
#include "imap/filter.h"

#define NOTIFY_GROUPS_MAX 100

enum {
	NOTIFY_MESSAGE_NEW = 1 << 0,
	NOTIFY_MESSAGE_EXPUNGE = 1 << 1,
	NOTIFY_FLAG_CHANGE = 1 << 2,
	NOTIFY_MAILBOX_NAME = 1 << 3,
	NOTIFY_SUBSCRIPTION_CHANGE = 1 << 4,
	NOTIFY_MAILBOX_METADATA = 1 << 5,
	NOTIFY_SERVER_METADATA = 1 << 6,
};
#define NOTIFY_MESSAGES ((unsigned)(NOTIFY_MESSAGE_NEW | NOTIFY_MESSAGE_EXPUNGE | NOTIFY_FLAG_CHANGE))
/* All that there are, for BADEVENT. */
#define NOTIFY_EVENTS \
	"MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange MailboxMetadataChange ServerMetadataChange"

struct notify_group {
	struct mailbox_filter filter; /* not SELECTED: that stands by itself */
	unsigned events;
};
struct notify_request {
	bool none, status;
	bool unknown_event; /* answered by BADEVENT */
	struct notify_group *groups;
	size_t count;
	bool has_selected, delayed; /* SELECTED or SELECTED-DELAYED */
	unsigned selected;          /* its events */
	bool has_items;
	struct fetch_request items; /* of MessageNew */
};
/* From behind the command's name; all of it is in the parser's arena. */
MUST_CHECK bool imap_parse_notify(struct imap_parser *p, struct notify_request *request);
