/* What a server answers: lines to a reply, a reply to what it offers. Whatever comes, the text is bounded and harmless. */
#include <stdlib.h>

#include "relay/capabilities.h"
#include "relay/reply.h"

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void check(struct arena *arena, const struct reply *reply)
{
	struct reply copy = reply_dup(arena, reply);
	struct slice line = reply_one_line(arena, reply->text), status = reply_status(arena, reply);
	struct capabilities capabilities = capabilities_parse(reply->text);

	must(reply->code >= 200 && reply->code <= 599);
	must(reply->text.len >= 3 && reply->text.len <= REPLY_TEXT_MAX && !reply->is_ours);
	must(slice_eq(copy.text, reply->text) && slice_eq(copy.enhanced, reply->enhanced));
	must(reply_is_positive(reply) == (reply->code < 400) && reply_is_permanent(reply) == (reply->code >= 500));
	must(status.len >= 5 && status.len <= 9 && status.data[0] == (char)('0' + reply->code / 100) && status.data[1] == '.');
	must(line.len == reply->text.len);
	for (size_t i = 0; i < line.len; i++)
		must((unsigned char)line.data[i] >= ' ' && line.data[i] != 0x7f);
	must(capabilities.mechanisms == 0 || (capabilities.offered & CAPABILITY_AUTH));
	must(capabilities.size_limit == 0 || (capabilities.offered & CAPABILITY_SIZE));
	must(capabilities.host.len < reply->text.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice rest = slice_of((const char *)data, size);
	struct arena arena SCOPED_ARENA;
	struct reply_builder builder;

	reply_begin(&builder, &arena);
	for (unsigned lines = 1; rest.len > 0; lines++) {
		enum status status = reply_add_line(&builder, slice_cut(&rest, '\n'));

		must(lines <= REPLY_LINES_MAX || status == STATUS_PEER);
		if (status == STATUS_PEER)
			return 0;
		if (status == STATUS_OK) {
			check(&arena, &builder.reply);
			reply_begin(&builder, &arena);
			lines = 0;
		}
	}
	return 0;
}
