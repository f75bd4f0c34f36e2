/* XCLIENT and XFORWARD: whatever is taken is one of what is allowed, within its limits, and fit for log and Received field. */
#include <stdlib.h>

#include "smtp/client_info.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void must_be_tame(struct slice text, size_t max)
{
	must(text.len <= max && (text.len == 0 || text.data));
	for (size_t i = 0; i < text.len; i++)
		must((unsigned char)text.data[i] >= ' ' && text.data[i] != 127);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena SCOPED_ARENA;

	arena_init(&arena, 0);
	for (unsigned i = 0; i < 2; i++) {
		unsigned allowed = i ? CLIENT_OF_XCLIENT : CLIENT_OF_XFORWARD;
		struct client_info info = {0};

		if (client_info_parse(&arena, slice_of((const char *)data, size), allowed, &info) != REPLY_NONE)
			continue;
		must(info.given != 0 && (info.given & ~allowed) == 0 && (info.known & ~info.given) == 0);
		must_be_tame(info.name, 255);
		must_be_tame(info.helo, 255);
		must_be_tame(info.login, 320);
		must_be_tame(info.ident, 255);
		if (info.known & CLIENT_ADDR)
			must(info.address.family == AF_INET || info.address.family == AF_INET6);
	}
	return 0;
}
