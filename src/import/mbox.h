/* mbox: a file of messages, cut at its From lines (RFC 4155 and its relatives mboxo, mboxrd, mboxcl, mboxcl2). A Content-Length is
 * believed where a From line, or the end, stands behind it. Pure.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

struct mbox {
	struct slice rest;
	uint32_t uid_validity, last_uid; /* of X-IMAPbase or X-IMAP, once its message was read; 0: none */
};

struct mbox_message {
	struct slice header; /* with its blank line, without the From line */
	struct slice body;
	bool is_quoted;        /* ">From" stands for "From" in it */
	int64_t received_ms;   /* of the From line; 0: it has none */
	uint64_t flags;        /* of Status and X-Status */
	struct slice keywords; /* X-Keywords, separated by spaces */
	uint32_t uid;          /* X-UID; 0: none */
	bool is_internal;      /* what mail programs put at the beginning for their own use */
};

/* Does a message begin here? */
MUST_CHECK bool mbox_is_from_line(struct slice line, int64_t *received_ms);
/* The next message; false at the end. What stands before the first From line is passed over. */
MUST_CHECK bool mbox_next(struct mbox *mbox, struct mbox_message *message);
/* As it was before it came into the file: without the fields that belong to the file, unquoted, with CRLF. */
void mbox_restore(struct buf *out, const struct mbox_message *message);

/* The other way (mboxrd): From line, Status fields, quoting, LF. */
struct mbox_facts {
	struct slice sender; /* empty: MAILER-DAEMON */
	int64_t received_ms;
	uint64_t flags;
	struct slice keywords;
	uint32_t uid;
	uint32_t uid_validity, last_uid; /* for the first of a file; else 0 */
};
void mbox_put(struct buf *out, const struct mbox_facts *facts, struct slice bytes);
