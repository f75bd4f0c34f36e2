/* metrics_request: as much of HTTP/1.1 as a scraper needs (RFC 9112 section 3): one request without a body. Pure. */
#pragma once

#include "base/buf.h"
#include "base/error.h"

#define METRICS_REQUEST_MAX 8192

enum metrics_answer { METRICS_PAGE, METRICS_PAGE_HEAD, METRICS_NOT_FOUND, METRICS_NOT_ALLOWED, METRICS_BAD_REQUEST };

/* NEED_MORE until the empty line is there; then OK with what is to be answered. */
MUST_CHECK enum status metrics_request_parse(struct slice bytes, enum metrics_answer *answer);
/* The answer's head, for a body of so many bytes. */
void metrics_answer_write(struct buf *out, enum metrics_answer answer, size_t body_size);
