/* Record data: the first byte chooses the parser. A name that is taken must be one that may be asked for (but for "/"). */
#include <stdlib.h>

#include "net/dns_rdata.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_name(struct arena *arena, struct slice name)
{
	struct slice checked = name;
	struct buf plain;

	buf_init(&plain, arena, 0);
	for (size_t i = 0; i < name.len; i++)
		buf_add_byte(&plain, name.data[i] == '/' ? '-' : name.data[i]);
	if (name.len && (!dns_name_check(arena, buf_slice(&plain), &checked) || !slice_eq(checked, buf_slice(&plain))))
		abort();
}

static void mx(struct arena *arena, struct slice rdata)
{
	struct dns_mx record;

	if (dns_rdata_mx(arena, rdata, &record))
		check_name(arena, record.host);
}

static void ptr(struct arena *arena, struct slice rdata)
{
	struct slice name;

	if (dns_rdata_ptr(arena, rdata, &name))
		check_name(arena, name);
}

static void txt(struct arena *arena, struct slice rdata)
{
	struct slice text;

	if (dns_rdata_txt(arena, rdata, &text) && text.len >= rdata.len)
		abort();
}

static void tlsa(struct arena *arena, struct slice rdata)
{
	struct dns_tlsa record;

	if (dns_rdata_tlsa(arena, rdata, &record) && record.data.len + 3 != rdata.len)
		abort();
}

static void address(struct arena *arena, struct slice rdata)
{
	struct net_address address;
	struct slice name;

	if (!dns_rdata_address(rdata, &address))
		return;
	if (!dns_name_of_address(arena, &address, &name))
		abort();
	check_name(arena, name);
}

static void asked(struct arena *arena, struct slice text)
{
	struct slice name;

	if (dns_name_check(arena, text, &name))
		check_name(arena, name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const parsers[])(struct arena *, struct slice) = {mx, ptr, txt, tlsa, address, asked};
	struct arena arena SCOPED_ARENA;

	if (size)
		parsers[data[0] % (sizeof(parsers) / sizeof(parsers[0]))](&arena, slice_of((const char *)data + 1, size - 1));
	return 0;
}
