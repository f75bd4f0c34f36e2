#include "guard/dnslist.h"

#define POINTS_MAX 100
#define ZONE_MAX   180 /* with 64 bytes of an IPv6 address before it: RFC 1035 section 2.3.4 */
#define LOOPBACK   0x7f000000u
#define REFUSALS   0x7fff0000u

static uint32_t number_of(const struct net_address *address)
{
	const uint8_t *b = address->bytes;

	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static bool is_zone(struct slice zone)
{
	for (size_t i = 0; i < zone.len; i++)
		if (!ascii_is_alnum(zone.data[i]) && zone.data[i] != '-' && zone.data[i] != '.' && zone.data[i] != '_')
			return false;
	return zone.len > 0 && zone.len <= ZONE_MAX && zone.data[0] != '.' && zone.data[zone.len - 1] != '.' &&
	       slice_find_byte(zone, '.') != SLICE_NOT_FOUND && slice_find(zone, SLICE("..")) == SLICE_NOT_FOUND;
}

/* "127.0.0.2" or "127.0.0.2-11" */
static bool parse_answers(struct slice text, struct dnslist *list)
{
	struct slice rest = text, first = slice_cut(&rest, '-');
	struct net_address address;
	uint32_t last;

	if (!net_address_parse(first, &address) || address.family != AF_INET || address.bytes[0] != 127)
		return false;
	list->from = list->to = number_of(&address);
	if (first.len == text.len)
		return true;
	if (!slice_to_u32(rest, 255, &last) || last < (list->from & 0xff))
		return false;
	list->to = (list->from & ~0xffu) | last;
	return true;
}

bool dnslist_parse(struct slice text, struct dnslist *list)
{
	struct slice points = text, answers = slice_cut(&points, '*');
	bool has_points = answers.len < text.len;
	struct slice zone = slice_cut(&answers, '=');
	bool has_answers = zone.len + answers.len + (has_points ? 1 + points.len : 0) < text.len;
	int64_t number = 1;

	*list = (struct dnslist){.zone = zone};
	if (!is_zone(zone) || (has_answers && !parse_answers(answers, list)) ||
	    (has_points && !slice_to_i64(points, &number)) || number < -POINTS_MAX || number > POINTS_MAX || number == 0)
		return false;
	list->points = (int)number;
	return true;
}

struct slice dnslist_query(struct arena *arena, const struct dnslist *list, const struct net_address *peer)
{
	struct buf out;

	buf_init(&out, arena, 0);
	if (peer->family == AF_INET)
		for (int i = 3; i >= 0; i--)
			buf_printf(&out, "%u.", peer->bytes[i]);
	else
		for (int i = 15; i >= 0; i--)
			buf_printf(&out, "%x.%x.", peer->bytes[i] & 15, peer->bytes[i] >> 4);
	buf_add(&out, list->zone);
	return buf_slice(&out);
}

bool dnslist_matches(const struct dnslist *list, const struct net_address *answer)
{
	uint32_t number = number_of(answer);

	if (answer->family != AF_INET || (number & 0xff000000u) != LOOPBACK)
		return false;
	if (list->from != 0)
		return number >= list->from && number <= list->to;
	return number != LOOPBACK + 1 && (number & 0xffff0000u) != REFUSALS;
}
