/* tls_document: what is known of TLS with a domain's mail hosts in one day, as RFC 8460 section 4.4 writes it. Pure. */
#pragma once

#include "base/buf.h"
#include "store/tls_report.h"

struct tls_document {
	struct slice hostname; /* who reports */
	struct slice contact;  /* an address */
};
/* `rows` of one domain and day, `count` at least 1. One line of JSON. */
void tls_document_write(struct buf *out, const struct tls_document *about, const struct tls_count *rows, size_t count);
