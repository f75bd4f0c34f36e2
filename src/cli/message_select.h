/* message_select: which messages of a mailbox are meant: uids, or what SEARCH finds (RFC 9051 section 6.4.4). */
#pragma once

#include "cli/own_session.h"

#define MESSAGE_SELECT_USAGE "ADDRESS (UID... | --search KEYS | --all) [--mailbox NAME]"
#define MESSAGE_SELECT_HELP                                                                             \
	"  UID              as message list tells it; also a range, 3:9\n"                            \
	"  --search KEYS    those that IMAP's SEARCH finds: 'FROM bob BEFORE 1-Oct-2026'\n"           \
	"  --all            all of the mailbox\n"                                                     \
	"  --mailbox NAME   default INBOX\n"

struct message_selection {
	struct slice mailbox;
	const char *search; /* NULL: uids or all */
	bool all;
};
/* Takes its options out of the arguments; the caller calls cli_finish after it. */
void message_select_options(struct cli *cli, struct message_selection *selection);
/* SEARCH's keys, from the options or the arguments behind the address. Tells if there are none, or both. */
MUST_CHECK bool message_select_keys(struct cli *cli, const struct message_selection *selection, struct slice *keys);
/* What the keys find becomes "$" (RFC 9051 section 6.4.4.1), and *count their number. */
MUST_CHECK bool message_select(struct cli *cli, struct imap_client *client, struct slice keys, uint32_t *count);
/* The uids, ascending. */
MUST_CHECK bool message_select_uids(struct cli *cli, struct imap_client *client, struct slice keys, uint32_t **uids, size_t *count);
