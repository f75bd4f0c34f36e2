/* downgrade: a header for readers that take no UTF-8 in it (RFC 6532): the surrogate of RFC 6858, one header block at a time, so that a
 * message of any length can be given with only its headers in memory. Pure; memory from the arena.
 *
 *   addresses    domains become A-labels; with a local part in UTF-8 the address becomes an invalid one (RFC 6858 section 2.1), and
 *                where there was no name the address is the name
 *   parameters   of Content-Type and Content-Disposition: encoded (RFC 2231), and left out where they become too long for a line
 *   texts        Subject, Comments and Content-Description: encoded words
 *   other fields are left out, if they aren't ASCII; what is no field too
 *
 * What is ASCII stays as it is, to the octet. Bytes that aren't UTF-8 are taken for Windows-1252.
 */
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/slice.h"

bool downgrade_is_needed(struct slice header);
/* A header block as message_header gives it, with its blank line. */
void downgrade_header(struct buf *out, struct arena *arena, struct slice header);
