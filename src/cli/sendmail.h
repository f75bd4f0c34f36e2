/* sendmail: the command under the names that programs have called for forty years: sendmail, mailq, newaliases. It takes the message from
 * standard input and brings it to the running server over its local socket: no privileges, no files, no queue of its own.
 */
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/slice.h"

/* Is that what the program was called as? */
bool sendmail_is_name(const char *program);
/* The whole command; the exit status is one of sysexits.h. */
int sendmail_main(int argc, char **argv);

/* ---- sendmail_message.c: the message, before it is sent. Pure. ---- */

struct sendmail_message {
	struct slice header, body; /* lines with CRLF; the header without its blank line */
	bool has_from;
};
/* What came on standard input: lines of any end get CRLF; unless `ignore_dots` a line of one dot ends it; an mbox "From " line
 * goes, and Bcc fields (Resent-Bcc) too, once *recipients (may be NULL) has the addresses of To, Cc, Bcc, or of the Resent fields
 * if there are any, separated by commas. */
void sendmail_parse(struct arena *arena, struct slice input, bool ignore_dots, struct sendmail_message *message,
		    struct buf *recipients);
/* The addresses of a list, "Name <a@b>, c", each as it goes into RCPT; one without a domain gets `origin`. Appended to *out, each
 * with a NUL behind it. False: there is something that is no address. */
__attribute__((warn_unused_result)) bool sendmail_addresses(struct arena *arena, struct slice list, struct slice origin,
							    struct buf *out);
/* As it goes over the wire after DATA, with the last dot. */
void sendmail_write_data(struct buf *out, const struct sendmail_message *message, struct slice from_field);
