/* pack: the encoding of what roles say to each other: fields one after the other, little-endian, slices with a 32-bit length.
 *
 * The reader trusts nothing: its first error sticks, later reads give zero or empty, and `unpack_ok` is looked at once, at the
 * end (it also demands that nothing is left over). Slices point into the frame.
 */
#pragma once

#include "base/buf.h"
#include "base/slice.h"

void pack_u8(struct buf *out, uint8_t value);
void pack_u32(struct buf *out, uint32_t value);
void pack_u64(struct buf *out, uint64_t value);
void pack_slice(struct buf *out, struct slice value);

struct unpack {
	struct slice rest;
	bool failed;
};
static inline struct unpack unpack_begin(struct slice frame)
{
	return (struct unpack){frame, false};
}
uint8_t unpack_u8(struct unpack *in);
uint32_t unpack_u32(struct unpack *in);
uint64_t unpack_u64(struct unpack *in);
struct slice unpack_slice(struct unpack *in);
/* A count of items that follow, at most `max` (else the reader fails and 0 is returned). */
uint32_t unpack_count(struct unpack *in, uint32_t max);
bool unpack_ok(const struct unpack *in);
