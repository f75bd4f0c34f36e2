/* tls_mail: a report on TLS as a message (RFC 8460 section 5.3), and packed (RFC 8460 section 5.2). */
#pragma once

#include "base/buf.h"
#include "base/error.h"

/* gzip (RFC 1952). False: it can't be. */
MUST_CHECK bool tls_mail_pack(struct buf *out, struct slice json);

struct tls_mail {
	struct slice hostname, from, to;
	struct slice domain;
	int64_t day;
	struct slice packed;
	int64_t now_ms;
};
/* Lines with CRLF, Received field left out. */
void tls_mail_write(struct buf *out, const struct tls_mail *mail);
