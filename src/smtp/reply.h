/* reply: what the SMTP role says, and how a reply is written (RFC 5321 section 4.2, RFC 2034). Pure. */
#pragma once

#include "base/buf.h"
#include "base/slice.h"

enum reply_id {
	REPLY_NONE, /* parsers: nothing is wrong */
	/* 2xx, 3xx */
	REPLY_OK,
	REPLY_SENDER_OK,
	REPLY_CHUNK_OK,
	REPLY_BYE,
	REPLY_HELP,
	REPLY_CANNOT_VERIFY,
	REPLY_START_TLS,
	REPLY_AUTHENTICATED,
	REPLY_GO_AHEAD,
	/* 421: the session ends */
	REPLY_TIMEOUT,
	REPLY_SESSION_TOO_LONG,
	REPLY_SHUTDOWN,
	REPLY_TOO_MANY_ERRORS,
	REPLY_NOT_SMTP,
	REPLY_OUT_OF_MEMORY,
	/* 4xx */
	REPLY_STORAGE,
	REPLY_TOO_MANY_RECIPIENTS,
	REPLY_AUTH_TEMPORARY,
	/* 5xx */
	REPLY_EARLY_TALKER,
	REPLY_OUT_OF_TURN,
	REPLY_LMTP_STRANGER,
	REPLY_LMTP_NEED_RCPT,
	REPLY_SENDER_NOT_YOURS,
	REPLY_UNKNOWN_COMMAND,
	REPLY_LINE_TOO_LONG,
	REPLY_CONTROL_CHARACTER,
	REPLY_BARE_LINE_END,
	REPLY_NO_ARGUMENT,
	REPLY_ARGUMENT_MISSING,
	REPLY_SYNTAX_HELLO,
	REPLY_SYNTAX_MAIL,
	REPLY_SYNTAX_RCPT,
	REPLY_SYNTAX_BDAT,
	REPLY_SYNTAX_AUTH,
	REPLY_BAD_SENDER,
	REPLY_BAD_RECIPIENT,
	REPLY_NEEDS_SMTPUTF8,
	REPLY_PARAMETER_VALUE,
	REPLY_PARAMETER_UNKNOWN,
	REPLY_SAY_HELLO,
	REPLY_NESTED_MAIL,
	REPLY_NEED_MAIL,
	REPLY_NEED_RCPT,
	REPLY_BDAT_BEGUN,
	REPLY_BDAT_FAILED,
	REPLY_SYNTAX_BURL,
	REPLY_URL_UNAVAILABLE,
	REPLY_URL_TEMPORARY,
	REPLY_BINARY_DATA,
	REPLY_WRONG_STATE,
	REPLY_NOT_TRUSTED,
	REPLY_EXPN_DENIED,
	REPLY_REPLY_NEEDS_SMTPUTF8,
	REPLY_ATTRIBUTE,
	REPLY_NO_EXPN,
	REPLY_NO_TLS,
	REPLY_TLS_ALREADY,
	REPLY_NEED_TLS,
	REPLY_NEED_AUTH,
	REPLY_NO_AUTH,
	REPLY_AUTH_ALREADY,
	REPLY_AUTH_MECHANISM,
	REPLY_AUTH_CANCELLED,
	REPLY_AUTH_MALFORMED,
	REPLY_AUTH_TOO_LONG,
	REPLY_AUTH_REFUSED,
	REPLY_TOO_LARGE,
	REPLY_BY_TOO_SHORT,
	REPLY_VERP_OF_NOBODY,
	REPLY_BARE_IN_MESSAGE,
	REPLY_NUL_IN_MESSAGE,
	REPLY_LOOP,
	REPLY_COUNT,
};

struct reply {
	unsigned code;
	struct slice enhanced; /* empty: none belongs there (3xx, greeting, EHLO: RFC 2034 section 4) */
	struct slice text;
	bool goes_on; /* more lines of it follow */
	bool utf8;    /* the client takes UTF-8 (RFC 6531 section 3.7.4.2) */
};
struct reply reply_make(enum reply_id id);

/* "250 2.1.0 Ok\r\n"; with LF in the text as many lines (RFC 5321 section 4.2.1), up to 32. What is no printable ASCII in the text, which might come from elsewhere, becomes '?'; it is cut where the line
 * would be too long. */
void reply_write(struct buf *out, const struct reply *reply);
/* "220 mx.example.org ESMTP Posthorn\r\n" */
void reply_write_greeting(struct buf *out, struct slice hostname);
/* The same as the first line of a greeting that has another. */
void reply_write_greeting_begin(struct buf *out, struct slice hostname);
/* "220 mx.example.org LMTP Posthorn\r\n" */
void reply_write_lmtp_greeting(struct buf *out, struct slice hostname);
/* 334 with base64 (RFC 4954 section 4). */
void reply_write_challenge(struct buf *out, struct slice challenge);

/* What EHLO offers in this moment (RFC 5321 section 4.1.1.1). */
struct reply_offer {
	uint64_t max_message_size;
	unsigned max_recipients;
	bool starttls, requiretls;
	struct slice auth; /* mechanisms; empty: not offered */
	unsigned xclient, xforward; /* attributes (client_info.h); 0: not offered */
	bool deliver_by, verp;
	int deliver_by_min_s;
	bool etrn, burl;
	int64_t future_release_ms, now_ms; /* how long a message may be held; 0: not offered */
};
void reply_write_ehlo(struct buf *out, struct slice hostname, const struct reply_offer *offer);
void reply_write_helo(struct buf *out, struct slice hostname);
