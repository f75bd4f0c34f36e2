/* incoming: commands that bring messages (APPEND, REPLACE), read as they come: a line, a literal, the next line. A function that returns
 * false has noted why; incoming_fail answers that. */
#pragma once

#include "imap/session.h"

struct incoming {
	struct imap_session *s;
	struct imap_command *command;
	struct imap_parser *p;       /* over the line at hand */
	struct imap_literal literal; /* whose head ends it */
	bool has_literal;
	uint64_t bytes; /* of all messages so far */
	uint64_t taken; /* of the budget for them */
	/* why it failed; all empty: a fault of grammar */
	bool closed;
	enum status status;
	struct slice code, text;
	bool is_bad; /* BAD with them, not NO */
};

struct incoming_message {
	struct imap_flags flags;
	bool has_date;
	int64_t received_ms;
	bool binary;
	struct buf bytes; /* on the heap */
};

void incoming_init(struct incoming *in, struct imap_session *s, struct imap_command *command);
/* When the messages are gone. */
void incoming_give_back(struct incoming *in);
/* Notes a NO; always false. */
bool incoming_refuse(struct incoming *in, struct slice code, struct slice text);
/* Likewise with the store's answer, as for a target mailbox. */
bool incoming_refuse_status(struct incoming *in, enum status status);
/* The answer, when what the client sends unasked has been read. */
enum next incoming_fail(struct incoming *in);

/* " mailbox ": there, and one for messages. */
MUST_CHECK bool incoming_parse_target(struct incoming *in, struct imap_place *place);
/* "[flags] [date] {n}" or "CATENATE (...)", with CRLF line ends. *message is initialised, and freed on failure. */
MUST_CHECK bool incoming_read_message(struct incoming *in, struct incoming_message *message);

/* What an URL of CATENATE (RFC 4469 section 3) stands for, appended to *out. NOT_FOUND, REFUSED: it stands for nothing, or for too
 * much. */
MUST_CHECK enum status imap_catenate_url(struct imap_session *s, struct slice url, uint64_t max, struct buf *out);
