#include "extract/zip.h"

#include <zlib.h>

#define END_SIZE     22
#define COMMENT_MAX  65535
#define ENTRY_SIZE   46
#define LOCAL_SIZE   30
#define PIECE        (64 * 1024)
#define IS_ENCRYPTED 1u

enum { METHOD_STORED = 0, METHOD_DEFLATED = 8 };

static uint32_t number16(struct slice bytes, size_t at)
{
	return (uint32_t)(unsigned char)bytes.data[at] | (uint32_t)(unsigned char)bytes.data[at + 1] << 8;
}

static uint32_t number32(struct slice bytes, size_t at)
{
	return number16(bytes, at) | number16(bytes, at + 2) << 16;
}

/* The end record is the last thing but for a comment. */
bool zip_open(struct zip *zip, struct slice bytes)
{
	size_t least = bytes.len > END_SIZE + COMMENT_MAX ? bytes.len - END_SIZE - COMMENT_MAX : 0;

	if (bytes.len < END_SIZE)
		return false;
	for (size_t at = bytes.len - END_SIZE + 1; at-- > least;) {
		if (memcmp(bytes.data + at, "PK\5\6", 4) != 0)
			continue;
		size_t size = number32(bytes, at + 12), start = number32(bytes, at + 16);

		if (start > at || size > at - start)
			continue;
		*zip = (struct zip){bytes, slice_sub(bytes, start, start + size), 0};
		return true;
	}
	return false;
}

/* Where the file's bytes lie is said by the header in front of them. */
static bool find_bytes(const struct zip *zip, size_t local, size_t size, struct slice *packed)
{
	if (local > zip->bytes.len || zip->bytes.len - local < LOCAL_SIZE || memcmp(zip->bytes.data + local, "PK\3\4", 4) != 0)
		return false;
	size_t start = local + LOCAL_SIZE + number16(zip->bytes, local + 26) + number16(zip->bytes, local + 28);

	if (start > zip->bytes.len || size > zip->bytes.len - start)
		return false;
	*packed = slice_sub(zip->bytes, start, start + size);
	return true;
}

static bool read_entry(const struct zip *zip, struct slice record, struct zip_entry *entry)
{
	uint32_t flags = number16(record, 8), method = number16(record, 10);

	entry->is_deflated = method == METHOD_DEFLATED;
	return !(flags & IS_ENCRYPTED) && (method == METHOD_STORED || method == METHOD_DEFLATED) &&
	       find_bytes(zip, number32(record, 42), number32(record, 20), &entry->packed);
}

bool zip_next(struct zip *zip, struct zip_entry *entry)
{
	while (zip->directory.len >= ENTRY_SIZE && memcmp(zip->directory.data, "PK\1\2", 4) == 0 &&
	       zip->entries < ZIP_ENTRIES_MAX) {
		struct slice record = zip->directory;
		size_t name = number16(record, 28);
		size_t length = ENTRY_SIZE + name + number16(record, 30) + number16(record, 32);

		if (length > record.len)
			return false;
		zip->directory = slice_skip(record, length);
		zip->entries++;
		entry->name = slice_sub(record, ENTRY_SIZE, ENTRY_SIZE + name);
		if (read_entry(zip, record, entry))
			return true;
	}
	return false;
}

static void end_stream(z_stream *stream)
{
	(void)inflateEnd(stream);
}

void zip_read(const struct zip_entry *entry, size_t most, struct buf *out)
{
	__attribute__((cleanup(end_stream))) z_stream stream = {0};
	int result = Z_OK;

	if (!entry->is_deflated) {
		buf_add(out, slice_sub(entry->packed, 0, most));
		return;
	}
	/* Without zlib's own header: RFC 1951. */
	if (inflateInit2(&stream, -MAX_WBITS) != Z_OK)
		return;
	stream.next_in = (Bytef *)(uintptr_t)entry->packed.data;
	stream.avail_in = (uInt)entry->packed.len;
	while (result == Z_OK && most > 0) {
		size_t room = most < PIECE ? most : PIECE;

		stream.next_out = (Bytef *)buf_reserve(out, room);
		if (!stream.next_out)
			return;
		stream.avail_out = (uInt)room;
		result = inflate(&stream, Z_SYNC_FLUSH);
		if (result == Z_OK && stream.avail_out == room)
			return;
		buf_advance(out, room - stream.avail_out);
		most -= room - stream.avail_out;
	}
}
