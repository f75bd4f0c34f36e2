#include "auth/wire.h"

void wire_pack_peer(struct buf *out, const struct auth_peer *peer)
{
	pack_slice(out, peer->protocol);
	pack_u32(out, (uint32_t)peer->address.family);
	pack_slice(out, slice_of((const char *)peer->address.bytes, sizeof peer->address.bytes));
	pack_u32(out, peer->address.port);
	pack_u8(out, peer->is_tls);
	pack_slice(out, peer->binding_exporter);
	pack_slice(out, peer->binding_unique);
	pack_slice(out, peer->binding_end_point);
	pack_slice(out, peer->certified);
}

static struct slice unpack_at_most(struct unpack *in, size_t max)
{
	struct slice text = unpack_slice(in);

	if (text.len > max)
		in->failed = true;
	return text;
}

void wire_unpack_peer(struct unpack *in, struct auth_peer *peer)
{
	*peer = (struct auth_peer){.protocol = unpack_slice(in)};
	peer->address.family = (int)unpack_u32(in);
	struct slice bytes = unpack_slice(in);

	if (bytes.len == sizeof peer->address.bytes)
		memcpy(peer->address.bytes, bytes.data, bytes.len);
	else
		in->failed = true;
	peer->address.port = (uint16_t)unpack_u32(in);
	peer->is_tls = unpack_u8(in) != 0;
	peer->binding_exporter = unpack_at_most(in, WIRE_BINDING_MAX);
	peer->binding_unique = unpack_at_most(in, WIRE_BINDING_MAX);
	peer->binding_end_point = unpack_at_most(in, WIRE_BINDING_MAX);
	peer->certified = unpack_at_most(in, WIRE_CERTIFIED_MAX);
}

void wire_pack_reply(struct buf *out, const struct auth_reply *reply)
{
	pack_u32(out, reply->outcome);
	pack_u64(out, reply->exchange);
	pack_slice(out, reply->challenge);
	pack_u64(out, (uint64_t)reply->account);
	pack_slice(out, reply->address);
}

bool wire_unpack_reply(struct slice frame, struct auth_reply *reply)
{
	struct unpack in = unpack_begin(frame);
	uint32_t outcome = unpack_u32(&in);

	*reply = (struct auth_reply){.outcome = (enum auth_outcome)outcome};
	reply->exchange = unpack_u64(&in);
	reply->challenge = unpack_slice(&in);
	reply->account = (int64_t)unpack_u64(&in);
	reply->address = unpack_slice(&in);
	return unpack_ok(&in) && outcome <= AUTH_UNAVAILABLE;
}
