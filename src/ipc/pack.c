#include "ipc/pack.h"

static void pack_number(struct buf *out, uint64_t value, size_t bytes)
{
	char *to = buf_reserve(out, bytes);

	if (!to)
		return;
	for (size_t i = 0; i < bytes; i++)
		to[i] = (char)(value >> (8 * i));
	buf_advance(out, bytes);
}

void pack_u8(struct buf *out, uint8_t value)
{
	pack_number(out, value, 1);
}

void pack_u32(struct buf *out, uint32_t value)
{
	pack_number(out, value, 4);
}

void pack_u64(struct buf *out, uint64_t value)
{
	pack_number(out, value, 8);
}

void pack_slice(struct buf *out, struct slice value)
{
	if (value.len > UINT32_MAX) {
		out->failed = true;
		return;
	}
	pack_u32(out, (uint32_t)value.len);
	buf_add(out, value);
}

static struct slice take(struct unpack *in, size_t count)
{
	struct slice taken;

	if (in->failed || count > in->rest.len) {
		in->failed = true;
		return SLICE_EMPTY;
	}
	taken = slice_sub(in->rest, 0, count);
	in->rest = slice_skip(in->rest, count);
	return taken;
}

static uint64_t unpack_number(struct unpack *in, size_t bytes)
{
	struct slice taken = take(in, bytes);
	uint64_t value = 0;

	for (size_t i = 0; i < taken.len; i++)
		value |= (uint64_t)(unsigned char)taken.data[i] << (8 * i);
	return value;
}

uint8_t unpack_u8(struct unpack *in)
{
	return (uint8_t)unpack_number(in, 1);
}

uint32_t unpack_u32(struct unpack *in)
{
	return (uint32_t)unpack_number(in, 4);
}

uint64_t unpack_u64(struct unpack *in)
{
	return unpack_number(in, 8);
}

struct slice unpack_slice(struct unpack *in)
{
	return take(in, unpack_u32(in));
}

uint32_t unpack_count(struct unpack *in, uint32_t max)
{
	uint32_t count = unpack_u32(in);

	if (count > max) {
		in->failed = true;
		return 0;
	}
	return count;
}

bool unpack_ok(const struct unpack *in)
{
	return !in->failed && in->rest.len == 0;
}
