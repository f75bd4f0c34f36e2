/* What a milter sends: a packet's kind and data; the macros that it chooses; a body in pieces, of which only whole lines come out. */
#include <stdlib.h>

#include "milter/lines.h"
#include "milter/macros.h"

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void check_reply(const struct milter_reply *reply)
{
	struct slice rest = reply->macros, names;
	uint32_t step;

	if (reply->kind == MILTER_REPLY_CODE) {
		must(reply->code >= 400 && reply->code <= 599);
		must(reply->enhanced.len == 0 || reply->enhanced.data[0] == (char)('0' + reply->code / 100));
		must(slice_find_byte(reply->text, '\r') == SLICE_NOT_FOUND || reply->text.len > 0);
	}
	if (reply->kind >= MILTER_REPLY_ADD_HEADER && reply->kind <= MILTER_REPLY_CHANGE_HEADER)
		must(reply->name.len > 0 && slice_find_byte(reply->name, ':') == SLICE_NOT_FOUND);
	while (milter_next_macros(&rest, &step, &names))
		(void)milter_macro_set_parse(names);
}

static void check_lines(struct slice text, size_t piece)
{
	struct lines once = {0}, pieces = {0};
	struct buf whole SCOPED_BUF, joined SCOPED_BUF;

	buf_init(&whole, NULL, 0);
	buf_init(&joined, NULL, 0);
	lines_add(&once, text, &whole);
	lines_end(&once, &whole);
	for (size_t at = 0; at < text.len; at += piece)
		lines_add(&pieces, slice_sub(text, at, at + piece), &joined);
	lines_end(&pieces, &joined);
	must(slice_eq(buf_slice(&whole), buf_slice(&joined)));
	must(whole.len == 0 || slice_ends_with(buf_slice(&whole), SLICE("\r\n")));
	for (size_t i = 0; i < whole.len; i++) {
		must(whole.data[i] != '\n' || (i > 0 && whole.data[i - 1] == '\r'));
		must(whole.data[i] != '\r' || whole.data[i + 1] == '\n');
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena SCOPED_ARENA;
	struct milter_reply reply;

	if (size < 1 || size > 65536)
		return 0;
	struct slice text = slice_of((const char *)data + 1, size - 1);

	if (milter_parse_reply(&arena, (char)data[0], text, &reply) == STATUS_OK)
		check_reply(&reply);
	check_lines(text, data[0] % 16 + 1);
	return 0;
}
