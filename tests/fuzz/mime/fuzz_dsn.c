/* Notifications about anything: what comes out is a message of three parts whose lines are short, with the fields that we wrote and no
 * others. The input is cut at LFs into texts. */
#include <stdlib.h>

#include "mime/dsn.h"
#include "mime/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool claim)
{
	if (!claim)
		abort();
}

static void check_lines(struct slice text)
{
	while (text.len > 0) {
		struct slice line = slice_cut(&text, '\n');

		require(line.len > 0 && line.data[line.len - 1] == '\r' && line.len <= 999);
		require(!memchr(line.data, '\r', line.len - 1) && !memchr(line.data, '\0', line.len));
	}
}

static unsigned count_fields(struct slice header)
{
	struct header_field field;
	unsigned count = 0;

	while (header_next(&header, &field))
		count++;
	return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena SCOPED_ARENA;
	struct slice rest = slice_of((const char *)data, size);
	struct dsn_recipient recipient = {
		.action = size % 4,
		.final = slice_cut(&rest, '\n'),
		.original = slice_cut(&rest, '\n'),
		.status = SLICE("5.0.0"),
		.remote_mta = slice_cut(&rest, '\n'),
		.diagnostic = slice_cut(&rest, '\v'),
	};
	struct dsn dsn = {
		.reporting_mta = SLICE("mx.example.org"),
		.to = slice_cut(&rest, '\n'),
		.token = SLICE("abcdefghijklmnopqrstuvwxyz"),
		.envelope_id = slice_cut(&rest, '\n'),
		.now_ms = 1,
		.recipients = &recipient,
		.recipient_count = 1,
		.original = SLICE("Subject: x\n\n"),
	};
	struct message *message;
	struct buf out;

	buf_init(&out, &arena, 0);
	dsn_write(&out, &dsn);
	check_lines(buf_slice(&out));
	require(dsn_needs_utf8(&dsn) || slice_is_ascii(buf_slice(&out)));
	message = message_parse(&arena, buf_slice(&out), NULL);
	require(message->root->child_count == 3);
	require(count_fields(message_header(message, message->root)) == (dsn_needs_utf8(&dsn) ? 9 : 8));
	return 0;
}
