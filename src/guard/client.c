#include "guard/client.h"

#include "guard/wire.h"

#define ASK_TIMEOUT_MS 10000
#define BANS_MAX       200000

/* ---- reports ---- */

void guard_pack_offence(struct buf *out, const struct offence *offence)
{
	pack_u8(out, offence->peer.family == AF_INET ? 4 : 6);
	pack_slice(out, slice_of((const char *)offence->peer.bytes, sizeof(offence->peer.bytes)));
	pack_slice(out, offence->reason);
}

bool guard_unpack_offence(struct slice payload, struct offence *offence)
{
	struct unpack in = unpack_begin(payload);
	uint8_t version = unpack_u8(&in);
	struct slice bytes = unpack_slice(&in);

	*offence = (struct offence){.reason = unpack_slice(&in)};
	if (!unpack_ok(&in) || bytes.len != sizeof(offence->peer.bytes) || (version != 4 && version != 6))
		return false;
	offence->peer.family = version == 4 ? AF_INET : AF_INET6;
	memcpy(offence->peer.bytes, bytes.data, bytes.len);
	return true;
}

void guard_report(struct ipc *ipc, const struct net_address *peer, struct slice reason)
{
	struct offence offence = {*peer, reason};
	struct buf out SCOPED_BUF;

	if (peer->family != AF_INET && peer->family != AF_INET6)
		return;
	buf_init(&out, NULL, 0);
	guard_pack_offence(&out, &offence);
	ipc_announce(ipc, SLICE("offence"), buf_slice(&out));
}

/* ---- questions ---- */

struct bans {
	struct ban *items;
	size_t count, room;
};

static struct ban *add_ban(struct arena *arena, struct bans *bans)
{
	if (bans->count == bans->room) {
		size_t room = bans->room ? 2 * bans->room : GUARD_BANS_PER_PAGE;
		struct ban *grown = arena_try_grow(arena, bans->items, bans->room * sizeof(*grown), room * sizeof(*grown));

		if (!grown || room > BANS_MAX)
			return NULL;
		bans->items = grown;
		bans->room = room;
	}
	return &bans->items[bans->count++];
}

/* Appends what the page holds; *last is its last network. */
static bool take_page(struct arena *arena, struct slice page, struct bans *bans, uint32_t *count, struct slice *last)
{
	struct unpack in = unpack_begin(page);

	*count = unpack_count(&in, GUARD_BANS_PER_PAGE);
	for (uint32_t i = 0; i < *count; i++) {
		struct slice network = unpack_slice(&in);
		int64_t until_ms = (int64_t)unpack_u64(&in);
		struct net_prefix prefix;
		struct ban *ban;

		*last = network;
		if (!net_prefix_parse(network, &prefix))
			continue;
		ban = add_ban(arena, bans);
		if (!ban)
			return false;
		*ban = (struct ban){prefix, until_ms};
	}
	return unpack_ok(&in);
}

bool guard_fetch_bans(void *ipc, struct arena *arena, struct ban **bans, size_t *count)
{
	struct slice last = SLICE_EMPTY, page;
	struct bans all = {0};
	uint32_t got = 0;

	do {
		struct buf request;

		buf_init(&request, arena, 0);
		pack_slice(&request, last);
		if (ipc_call(ipc, ROLE_DELIVER, GUARD_REQUEST_BANS, buf_slice(&request), -1, ASK_TIMEOUT_MS, arena, &page) !=
			    STATUS_OK ||
		    !take_page(arena, page, &all, &got, &last))
			return false;
	} while (got == GUARD_BANS_PER_PAGE);
	*bans = all.items;
	*count = all.count;
	return true;
}

enum status guard_spend(struct ipc *ipc, struct arena *arena, int64_t account, struct slice login, uint64_t recipients)
{
	struct buf request;
	struct slice reply;

	buf_init(&request, arena, 0);
	pack_u64(&request, (uint64_t)account);
	pack_slice(&request, login);
	pack_u64(&request, recipients);
	enum status status =
		ipc_call(ipc, ROLE_DELIVER, GUARD_REQUEST_SPEND, buf_slice(&request), -1, ASK_TIMEOUT_MS, arena, &reply);
	struct unpack in = unpack_begin(reply);

	if (status != STATUS_OK)
		return STATUS_TEMPORARY;
	return unpack_u8(&in) != 0 ? STATUS_OK : STATUS_LIMIT;
}

enum status guard_greylist(struct ipc *ipc, struct arena *arena, const struct net_address *peer, struct slice sender,
			   struct slice recipient, int64_t *wait_ms)
{
	/* RFC 6647 section 4.3: of a farm of hosts any may come again. */
	struct net_prefix network = {*peer, peer->family == AF_INET ? 24 : 64};
	struct buf request;
	struct slice reply;

	network = ban_prefix_canonical(&network);
	buf_init(&request, arena, 0);
	pack_slice(&request, ban_prefix_text(arena, &network));
	pack_slice(&request, slice_lower(arena, sender));
	pack_slice(&request, slice_lower(arena, recipient));
	enum status status =
		ipc_call(ipc, ROLE_DELIVER, GUARD_REQUEST_GREYLIST, buf_slice(&request), -1, ASK_TIMEOUT_MS, arena, &reply);
	struct unpack in = unpack_begin(reply);

	*wait_ms = 0;
	if (status != STATUS_OK)
		return STATUS_TEMPORARY;
	*wait_ms = (int64_t)unpack_u64(&in);
	return *wait_ms > 0 ? STATUS_LIMIT : STATUS_OK;
}

bool guard_exchange_rates(struct ipc *ipc, struct arena *arena, const struct guard_rate *taken, size_t count,
			  struct guard_rates *answer)
{
	struct buf request;
	struct slice reply;

	buf_init(&request, arena, 0);
	pack_u32(&request, (uint32_t)count);
	for (size_t i = 0; i < count; i++) {
		pack_u64(&request, taken[i].bucket);
		pack_u64(&request, (uint64_t)taken[i].us);
	}
	if (ipc_call(ipc, ROLE_DELIVER, GUARD_REQUEST_RATES, buf_slice(&request), -1, ASK_TIMEOUT_MS, arena, &reply) != STATUS_OK)
		return false;
	struct unpack in = unpack_begin(reply);

	answer->is_shared = unpack_u8(&in) != 0;
	struct slice secret = unpack_slice(&in);

	answer->count = unpack_count(&in, GUARD_RATES_AT_ONCE);
	answer->rates = ARENA_ARRAY(arena, struct guard_rate, answer->count + 1);
	for (size_t i = 0; i < answer->count; i++) {
		answer->rates[i].bucket = unpack_u64(&in);
		answer->rates[i].us = (int64_t)unpack_u64(&in);
	}
	if (!unpack_ok(&in) || secret.len != sizeof(answer->secret))
		return false;
	memcpy(answer->secret, secret.data, secret.len);
	return true;
}
