/* binary: a message with parts in "Content-Transfer-Encoding: binary" (RFC 2045 section 6.2) made one that is lines, as the store and every
 * reader has it: those parts become base64, which keeps each of their bytes, and their headers say so. The same at each door through
 * which such messages come: RFC 3030 section 3 (SMTP), RFC 3516 section 4.4 (IMAP). Pure; the bytes that make up the result are handed
 * to `write` in order, so that nobody needs room for all of it.
 */
#pragma once

#include "base/slice.h"

typedef void (*binary_write)(void *context, struct slice bytes);

void binary_to_lines(struct slice message, binary_write write, void *context);
