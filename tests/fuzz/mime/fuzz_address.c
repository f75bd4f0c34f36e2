/* Address lists, and mailboxes of SMTP: what is formatted is parsed to the same; groups are closed. */
#include <stdlib.h>

#include "mime/address.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_list(struct arena *arena, struct slice text)
{
	unsigned count = 0, in_group = 0;

	for (const struct address *a = address_list_parse(arena, text, 100); a; a = a->next) {
		count++;
		if (!a->domain.data) {
			if ((a->local.data != NULL) == in_group)
				abort();
			in_group = !in_group;
		} else if (a->local.len == 0 && a->domain.len == 0 && !a->local.data) {
			abort();
		}
		if (a->name.data && memchr(a->name.data, '\n', a->name.len))
			abort();
	}
	if (in_group || count > 100)
		abort();
}

static void check_mailbox(struct arena *arena, struct slice text)
{
	struct email_address address, again;
	struct buf out;

	if (!email_address_parse(arena, text, &address))
		return;
	buf_init(&out, arena, 0);
	email_address_format(&out, &address);
	if (!email_address_parse(arena, buf_slice(&out), &again) || !slice_eq(address.local, again.local) ||
	    !slice_eq(address.domain, again.domain))
		abort();
	if (!slice_is_ascii(address.domain) || memchr(out.data, '\n', out.len))
		abort();
	(void)domain_to_unicode(arena, address.domain);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena SCOPED_ARENA;
	struct slice text = slice_of((const char *)data, size), domain;

	check_list(&arena, text);
	check_mailbox(&arena, text);
	if (domain_parse(&arena, text, &domain) && (domain.len == 0 || domain.len > 253))
		abort();
	return 0;
}
