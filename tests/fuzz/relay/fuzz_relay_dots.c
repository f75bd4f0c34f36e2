/* Dots: in whatever pieces a message comes, no line of it is taken for its end, and the peer gets back what we had. */
#include <stdlib.h>

#include "relay/client.h"

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void undo(struct buf *out, struct slice sent)
{
	while (sent.len > 0) {
		size_t end = slice_find_byte(sent, '\n');
		struct slice line = slice_sub(sent, 0, end == SLICE_NOT_FOUND ? sent.len : end + 1);

		must(!slice_eq(line, SLICE(".\n")) && !slice_eq(line, SLICE(".\r\n")));
		sent = slice_skip(sent, line.len);
		if (line.data[0] == '.') {
			must(line.len > 1 && line.data[1] == '.');
			line = slice_skip(line, 1);
		}
		buf_add(out, line);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena SCOPED_ARENA;
	struct buf sent, received;
	bool at_line_start = true;
	struct slice message, rest;

	if (size == 0)
		return 0;
	message = rest = slice_of((const char *)data + 1, size - 1);
	buf_init(&sent, &arena, 0);
	buf_init(&received, &arena, 0);
	while (rest.len > 0) {
		size_t piece = 1 + data[0] % 16u;

		client_stuff_dots(&sent, slice_sub(rest, 0, piece), &at_line_start);
		rest = slice_skip(rest, piece);
	}
	undo(&received, buf_slice(&sent));
	must(slice_eq(buf_slice(&received), message));
	return 0;
}
