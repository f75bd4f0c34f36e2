/* json: texts as JSON has them. */
#pragma once

#include "base/buf.h"

/* A string with its quotes (RFC 8259 section 7). What is no UTF-8 stands as its bytes' numbers. */
void json_string(struct buf *out, struct slice text);
