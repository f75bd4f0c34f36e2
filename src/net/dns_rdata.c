#include "net/dns_rdata.h"

#include "base/buf.h"

#define POINTER_BITS 0xC0 /* RFC 1035 section 4.1.4 */

static bool is_name_byte(char c)
{
	return ascii_is_alnum(c) || c == '-' || c == '_';
}

static bool label_is_plain(struct slice label, bool slash_allowed)
{
	for (size_t i = 0; i < label.len; i++) {
		if (!is_name_byte(label.data[i]) && !(slash_allowed && label.data[i] == '/'))
			return false;
	}
	return label.len >= 1 && label.len <= DNS_LABEL_MAX;
}

bool dns_name_check(struct arena *arena, struct slice text, struct slice *name)
{
	struct slice rest = text;

	/* An empty last label (a final dot) is not seen by the cuts. */
	if (text.len == 0 || text.len > DNS_NAME_MAX || text.data[text.len - 1] == '.')
		return false;
	while (rest.len) {
		if (!label_is_plain(slice_cut(&rest, '.'), false))
			return false;
	}
	*name = slice_lower(arena, text);
	return true;
}

bool dns_name_from_wire(struct arena *arena, struct slice *wire, struct slice *name)
{
	struct slice rest = *wire;
	struct buf text;

	buf_init(&text, arena, DNS_NAME_MAX);
	while (rest.len && rest.data[0]) {
		size_t len = (uint8_t)rest.data[0];
		struct slice label = slice_sub(rest, 1, 1 + len);

		if ((len & POINTER_BITS) || label.len != len || !label_is_plain(label, true))
			return false;
		if (text.len)
			buf_add_byte(&text, '.');
		buf_add(&text, label);
		rest = slice_skip(rest, 1 + len);
	}
	if (rest.len == 0 || !buf_ok(&text))
		return false;
	*wire = slice_skip(rest, 1);
	*name = slice_lower(arena, buf_slice(&text));
	return true;
}

bool dns_name_of_address(struct arena *arena, const struct net_address *address, struct slice *name)
{
	static const char digits[] = "0123456789abcdef";
	struct buf text;

	buf_init(&text, arena, DNS_NAME_MAX);
	if (address->family == AF_INET) {
		for (size_t i = 4; i-- > 0;)
			buf_printf(&text, "%u.", address->bytes[i]);
		buf_add_literal(&text, "in-addr.arpa");
	} else if (address->family == AF_INET6) {
		for (size_t i = 16; i-- > 0;)
			buf_printf(&text, "%c.%c.", digits[address->bytes[i] & 15], digits[address->bytes[i] >> 4]);
		buf_add_literal(&text, "ip6.arpa");
	}
	*name = buf_slice(&text);
	return text.len && buf_ok(&text);
}

/* RFC 1035 section 3.3.9 */
bool dns_rdata_mx(struct arena *arena, struct slice rdata, struct dns_mx *mx)
{
	if (rdata.len < 2)
		return false;
	mx->preference = (uint16_t)((uint8_t)rdata.data[0] << 8 | (uint8_t)rdata.data[1]);
	rdata = slice_skip(rdata, 2);
	return dns_name_from_wire(arena, &rdata, &mx->host) && rdata.len == 0;
}

/* RFC 1035 section 3.3.14 */
bool dns_rdata_txt(struct arena *arena, struct slice rdata, struct slice *text)
{
	struct buf joined;

	if (rdata.len == 0)
		return false;
	buf_init(&joined, arena, 0);
	while (rdata.len) {
		size_t len = (uint8_t)rdata.data[0];
		struct slice part = slice_sub(rdata, 1, 1 + len);

		if (part.len != len)
			return false;
		buf_add(&joined, part);
		rdata = slice_skip(rdata, 1 + len);
	}
	*text = buf_slice(&joined);
	return buf_ok(&joined);
}

/* RFC 6698 section 2.1 */
bool dns_rdata_tlsa(struct arena *arena, struct slice rdata, struct dns_tlsa *tlsa)
{
	if (rdata.len <= 3)
		return false;
	tlsa->usage = (uint8_t)rdata.data[0];
	tlsa->selector = (uint8_t)rdata.data[1];
	tlsa->matching = (uint8_t)rdata.data[2];
	tlsa->data = slice_dup(arena, slice_skip(rdata, 3));
	return true;
}

/* RFC 1035 section 3.3.12. The root is nobody's name. */
bool dns_rdata_ptr(struct arena *arena, struct slice rdata, struct slice *name)
{
	return dns_name_from_wire(arena, &rdata, name) && rdata.len == 0 && name->len > 0;
}

bool dns_rdata_address(struct slice rdata, struct net_address *address)
{
	static const char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, (char)0xff, (char)0xff};

	*address = (struct net_address){0};
	if (rdata.len == 16 && slice_starts_with(rdata, slice_of(mapped, sizeof(mapped))))
		rdata = slice_skip(rdata, sizeof(mapped));
	if (rdata.len != 4 && rdata.len != 16)
		return false;
	address->family = rdata.len == 4 ? AF_INET : AF_INET6;
	memcpy(address->bytes, rdata.data, rdata.len);
	return true;
}

void dns_mx_sort(struct dns_mx *records, size_t count)
{
	for (size_t i = 1; i < count; i++) {
		struct dns_mx moving = records[i];
		size_t at = i;

		for (; at > 0 && records[at - 1].preference > moving.preference; at--)
			records[at] = records[at - 1];
		records[at] = moving;
	}
}
