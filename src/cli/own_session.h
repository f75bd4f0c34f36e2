/* own_session: an IMAP session in this process, on an account and without a log-in (PREAUTH): for `posthorn imap`, and for commands that
 * are said best in IMAP. It sees what others change, and they what it changes.
 */
#pragma once

#include "cli/command.h"
#include "import/imap_client.h"

struct own_session;

/* Opens the store and finds the account. NULL: there was trouble, which has been told. */
MUST_CHECK struct own_session *own_session_open(struct cli *cli, struct slice address);
/* After the client's end was closed, or is to be of no more use. */
void own_session_close(struct own_session *session);
int64_t own_session_account(const struct own_session *session);
/* The client's end: connected, non-blocking; the caller's to close. Once. */
int own_session_take(struct own_session *session);
/* Has the session look at what others have changed. */
void own_session_look(struct own_session *session);

/* A client on it that speaks IMAP4rev2, with the mailbox selected. NULL: there was trouble, which has been told. */
MUST_CHECK struct imap_client *own_session_select(struct cli *cli, struct own_session *session, struct slice mailbox, bool read_only);
/* Runs a command; what is refused is told. */
MUST_CHECK bool own_session_run(struct cli *cli, struct imap_client *client, struct slice command,
				void (*each)(void *context, const struct imap_response *response), void *context);
/* Appended as a quoted string. False: it holds a control character, which is told. */
MUST_CHECK bool own_session_quote(struct cli *cli, struct buf *command, struct slice text);
