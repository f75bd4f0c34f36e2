/* words: encoded words (RFC 2047), charsets to UTF-8, dates (RFC 5322 section 3.3). Pure; memory from the arena. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/slice.h"

/* A header value in UTF-8: unfolded, encoded words decoded (B, Q; adjacent ones joined before decoding the charset), raw 8-bit
 * taken as UTF-8 if it is, else as Windows-1252. Tolerant. */
struct slice words_decode(struct arena *arena, struct slice value);
/* UTF-8 text as encoded words where it has non-ASCII, in pieces short enough for header lines of 76 characters. */
void words_encode(struct buf *out, struct slice utf8);
/* All of it as encoded words that may stand in a phrase (RFC 2047 section 5). */
void words_encode_phrase(struct buf *out, struct slice utf8);

/* Charset name (any case, aliases) to UTF-8; what can't be converted becomes U+FFFD. False if the charset isn't known:
 * *out then has the bytes with non-ASCII replaced. Opens no file. */
bool charset_to_utf8(struct buf *out, struct slice charset, struct slice bytes);
bool charset_is_known(struct slice charset);
/* For search (RFC 9051 section 6.4.4): full case folding and compatibility decomposition of UTF-8, as i;unicode-casemap does it
 * (RFC 5051), but to lower case, so that ASCII alone is just in lower case. Marks are kept; what is invisible (soft hyphens) goes. */
void text_fold(struct buf *out, struct slice utf8);
/* For ordering (RFC 5051 section 2): the octets by which i;unicode-casemap compares. Each character in title case, decomposed. */
void text_collation_key(struct buf *out, struct slice utf8);

/* "Tue, 24 Nov 2026 15:00:00 +0100 (comment)", obsolete zones and two-digit years too. False if it is none. */
__attribute__((warn_unused_result)) bool date_parse(struct slice value, int64_t *wall_ms, int *zone_minutes);
/* RFC 5322 section 3.3, for Date and Received fields. */
void date_format(struct buf *out, int64_t wall_ms, int zone_minutes);
