/* Whatever a stranger's TXT record says, we send to an address or to a named host's usual port. */
#include <stdint.h>
#include <stdlib.h>

#include "relay/tls_rua.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void check_plain(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		check(text.data[i] != '\r' && text.data[i] != '\n' && text.data[i] != '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = slice_of((const char *)data, size);
	struct tls_rua places[TLS_RUA_MAX];
	struct arena arena SCOPED_ARENA;
	size_t count;

	arena_init(&arena, 0);
	if (tls_rua_find(&arena, &text, 1, places, &count) != STATUS_OK)
		return 0;
	check(count > 0 && count <= TLS_RUA_MAX);
	for (size_t i = 0; i < count; i++) {
		struct slice host = places[i].host;

		if (places[i].is_mail) {
			check(slice_find_byte(places[i].address, '@') != SLICE_NOT_FOUND);
			check_plain(places[i].address);
			continue;
		}
		check(host.len > 0 && slice_find_byte(host, ':') == SLICE_NOT_FOUND && slice_find_byte(host, '@') == SLICE_NOT_FOUND);
		check(slice_starts_with(places[i].path, SLICE("/")) && slice_find_byte(places[i].path, ' ') == SLICE_NOT_FOUND);
		check_plain(places[i].path);
	}
	return 0;
}
