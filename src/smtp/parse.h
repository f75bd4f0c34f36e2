/* parse: SMTP's commands from bytes to structs (RFC 5321 section 4.1, RFC 3461, RFC 6531). Pure; memory from the arena. What is wrong is
 * told as the reply that says so. */
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "base/slice.h"
#include "smtp/parse_timing.h"
#include "smtp/reply.h"
#include "store/email.h"

struct smtp_line {
	struct slice verb;     /* letters as typed */
	struct slice argument; /* trimmed */
};
struct smtp_line smtp_parse_line(struct slice line);

struct smtp_path {
	struct slice address; /* "local@domain" normalised; empty: null; "postmaster" may stand alone (RCPT) */
	bool needs_utf8;      /* was written with other characters than ASCII */
};

struct smtp_mail {
	struct smtp_path path;
	uint64_t size; /* 0: not given */
	bool body_8bit, body_binary, smtputf8, requires_tls;
	enum dsn_return dsn_return;
	struct slice envelope_id; /* xtext as given; empty: none */
	struct smtp_timing timing;
};
/* The argument of MAIL: "FROM:<a@b> SIZE=100". REPLY_NONE if all is well. */
MUST_CHECK enum reply_id smtp_parse_mail(struct arena *arena, struct slice argument, struct smtp_mail *mail);

struct smtp_rcpt {
	struct smtp_path path;
	struct slice original; /* ORCPT as given: "rfc822;" and xtext; empty: none */
	unsigned notify;       /* NOTIFY_* of store/email.h; 0: not given */
};
MUST_CHECK enum reply_id smtp_parse_rcpt(struct arena *arena, struct slice argument, struct smtp_rcpt *rcpt);

/* RFC 3030 section 2: "1000 LAST". */
MUST_CHECK bool smtp_parse_bdat(struct slice argument, uint64_t *size, bool *last);

/* The argument of EHLO and HELO, fit to stand in a Received field: one word of printable characters. */
MUST_CHECK bool smtp_parse_host(struct slice argument, struct slice *host);

/* RFC 3461 section 4: is it well-formed xtext of at most `max` bytes that stands for printable ASCII? */
MUST_CHECK bool smtp_is_xtext(struct slice text, size_t max);
