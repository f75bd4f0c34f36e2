/* The frame that carries a role's configuration; both ends here. */
#include "main/role.h"

#include "ipc/pack.h"

void role_configuration_pack(struct buf *out, const struct role_configuration *configuration)
{
	pack_slice(out, configuration->config_text);
	pack_slice(out, configuration->smarthost_password);
	pack_slice(out, configuration->seal_key);
	pack_slice(out, configuration->client_authorities);
	pack_u32(out, (uint32_t)configuration->token_key_count);
	for (size_t i = 0; i < configuration->token_key_count; i++)
		pack_slice(out, configuration->token_keys[i]);
	pack_u32(out, configuration->uid);
	pack_u32(out, configuration->gid);
	pack_u32(out, (uint32_t)configuration->pair_count);
	for (size_t i = 0; i < configuration->pair_count; i++) {
		pack_slice(out, configuration->pairs[i].certificate_chain);
		pack_slice(out, configuration->pairs[i].private_key);
	}
}

bool role_configuration_unpack(struct arena *arena, struct slice frame, struct role_configuration *configuration)
{
	struct unpack in = unpack_begin(frame);

	configuration->config_text = unpack_slice(&in);
	configuration->smarthost_password = unpack_slice(&in);
	configuration->seal_key = unpack_slice(&in);
	configuration->client_authorities = unpack_slice(&in);
	configuration->token_key_count = unpack_count(&in, ROLE_MAX_TOKEN_KEYS);
	configuration->token_keys = ARENA_ARRAY(arena, struct slice, configuration->token_key_count + 1);
	for (size_t i = 0; i < configuration->token_key_count; i++)
		configuration->token_keys[i] = unpack_slice(&in);
	configuration->uid = unpack_u32(&in);
	configuration->gid = unpack_u32(&in);
	configuration->pair_count = unpack_count(&in, ROLE_MAX_CERTIFICATES);
	configuration->pairs = ARENA_ARRAY(arena, struct tls_pair, configuration->pair_count + 1);
	for (size_t i = 0; i < configuration->pair_count; i++) {
		configuration->pairs[i].certificate_chain = unpack_slice(&in);
		configuration->pairs[i].private_key = unpack_slice(&in);
	}
	return unpack_ok(&in);
}
