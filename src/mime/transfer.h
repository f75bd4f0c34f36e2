/* transfer: content transfer encodings (RFC 2045 section 6). Private to mime/. */
#pragma once

#include "base/buf.h"

void quoted_printable_decode(struct buf *out, struct slice in);
