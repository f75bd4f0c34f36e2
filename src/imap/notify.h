/* notify: what a client wants to hear of without asking (RFC 5465).
 *
 * A session with NOTIFY hears of its account's announcements. What they are about stands in the change log; what the client knows, a few
 * numbers and the name of each mailbox, is kept with the session, and the difference is told. A session without NOTIFY has none of it.
 *
 * Deviation: what the session has done itself to mailboxes other than the selected one is told too (RFC 5465 section 5: SHOULD NOT): the
 * log doesn't say whose a change was, and to leave others' out would be worse.
 *
 * Deviation: of mailboxes that others share it tells only of annotations, and of the selected one with the next command: a session is
 * subscribed to one account.
 */
#pragma once

#include <stdbool.h>

#include "base/slice.h"

struct imap_command;
struct imap_session;
struct view_news;

/* Are events of the selected mailbox to be told now? `command` NULL: none is being answered. */
bool imap_notify_allows_news(const struct imap_session *s, const struct imap_command *command);
/* Is the client to be told of changed flags in the selected mailbox? */
bool imap_notify_allows_flags(const struct imap_session *s);
/* What the client wants to know of new messages (uids from uid_next on) of the selected mailbox. False: nothing. */
bool imap_notify_has_items(const struct imap_session *s);
void imap_notify_put_items(struct imap_session *s, unsigned uid_next);
/* The account was announced, and no command is at work. */
void imap_notify_event(struct imap_session *s);
/* Likewise, before a command's answer: the other mailboxes. */
void imap_notify_others(struct imap_session *s);
/* Of changed annotations: does the client want to hear of this mailbox's (RFC 5465 section 5.6; name empty: of the server's, section 5.7)? */
bool imap_notify_wants_metadata(const struct imap_session *s, struct slice name, bool is_foreign);
void imap_notify_end(struct imap_session *s);
