/* URLs: what was parsed holds what it promises, and the text that a token is made of is the front of the URL. */
#include <stdlib.h>

#include "imap/name.h"
#include "imap/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena SCOPED_ARENA;
	struct slice input = slice_of((const char *)data, size);
	struct imap_url url;

	if (!imap_url_parse(&arena, input, &url))
		return 0;
	if (url.uid == 0 || !slice_is_utf8(url.user) || !slice_is_utf8(url.access_user))
		abort();
	if (url.mailbox.data && !imap_name_is_valid(url.mailbox))
		abort();
	if ((url.access != IMAP_URL_OPEN) != (url.rump.len > 0) || !slice_starts_with(input, url.rump))
		abort();
	if ((url.mechanism.len > 0) != (url.token.len > 0) || (!url.is_absolute && url.rump.len > 0))
		abort();
	return 0;
}
