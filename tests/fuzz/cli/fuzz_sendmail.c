/* Whatever a program writes: lines end with CRLF, nothing but the last dot ends the message, and no Bcc is left. */
#include <stdint.h>
#include <stdlib.h>

#include "cli/sendmail.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
	if (!holds)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice input = slice_of((const char *)data, size), wire, all;
	struct arena arena SCOPED_ARENA;
	struct sendmail_message message;
	struct buf recipients, out, addresses;

	arena_init(&arena, 0);
	buf_init(&recipients, &arena, 0);
	buf_init(&out, &arena, 0);
	buf_init(&addresses, &arena, 0);
	sendmail_parse(&arena, input, size % 2 == 0, &message, &recipients);
	(void)sendmail_addresses(&arena, buf_slice(&recipients), SLICE("origin.test"), &addresses);
	all = buf_slice(&addresses);
	check(all.len == 0 || all.data[all.len - 1] == '\0');
	check(slice_find_byte(all, '\r') == SLICE_NOT_FOUND && slice_find_byte(all, '\n') == SLICE_NOT_FOUND);
	sendmail_write_data(&out, &message, SLICE("From: <me@origin.test>\r\n"));
	wire = buf_slice(&out);
	check(slice_ends_with(wire, SLICE("\r\n.\r\n")));
	check(slice_find(wire, SLICE("\r\n.\r\n")) == wire.len - 5);
	for (size_t i = 0; i < wire.len; i++)
		check((wire.data[i] != '\r' || wire.data[i + 1] == '\n') && (wire.data[i] != '\n' || wire.data[i - 1] == '\r'));
	check(!slice_starts_with_nocase(message.header, SLICE("Bcc:")) &&
	      slice_find(message.header, SLICE("\nBcc:")) == SLICE_NOT_FOUND);
	return 0;
}
