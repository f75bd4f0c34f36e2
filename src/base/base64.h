/* base64: RFC 4648 section 4, and IMAP's modified alphabet; hex. Decoding is strict (no white space, right padding). */
#pragma once

#include "base/slice.h"

struct arena;
struct buf;

void base64_encode(struct buf *out, struct slice in);
/* False if `in` is not base64; `out` then holds what came before the fault. An empty input is valid. */
__attribute__((warn_unused_result)) bool base64_decode(struct buf *out, struct slice in);
/* RFC 3501 section 5.1.3: "," for "/", no padding. */
void base64_imap_encode(struct buf *out, struct slice in);
__attribute__((warn_unused_result)) bool base64_imap_decode(struct buf *out, struct slice in);
/* RFC 2045 section 6.8: white space and foreign characters are passed over, padding may be missing. For message bodies. */
void base64_decode_lenient(struct buf *out, struct slice in);

void hex_encode(struct buf *out, struct slice in);
__attribute__((warn_unused_result)) bool hex_decode(struct buf *out, struct slice in);
