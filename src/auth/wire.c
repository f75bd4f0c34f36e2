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
}

static struct slice unpack_binding(struct unpack *in)
{
	struct slice binding = unpack_slice(in);

	if (binding.len > WIRE_BINDING_MAX)
		in->failed = true;
	return binding;
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
	peer->binding_exporter = unpack_binding(in);
	peer->binding_unique = unpack_binding(in);
	peer->binding_end_point = unpack_binding(in);
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
