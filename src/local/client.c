#include "ipc/ipc.h"
#include "ipc/pack.h"
#include "local/local.h"

#define USER_TIMEOUT_MS 10000
#define USER_NAME_MAX   32

bool local_user_of(struct arena *arena, struct slice local_part, struct slice *user)
{
	if (local_part.len == 0 || local_part.len > USER_NAME_MAX || local_part.data[0] == '-' || local_part.data[0] == '.')
		return false;
	for (size_t i = 0; i < local_part.len; i++)
		if (!ascii_is_alnum(local_part.data[i]) && !strchr("._-", local_part.data[i]))
			return false;
	*user = slice_lower(arena, local_part);
	return true;
}

static struct slice domain_of(struct slice address)
{
	size_t at = slice_find_last_byte(address, '@');

	return at == SLICE_NOT_FOUND ? SLICE_EMPTY : slice_skip(address, at + 1);
}

bool local_has_domain(const struct local_domains *domains, struct slice address)
{
	for (size_t i = 0; i < domains->count; i++)
		if (slice_eq_nocase(domains->domains[i], domain_of(address)))
			return true;
	return false;
}

bool local_user_at(const struct local_domains *domains, struct arena *arena, struct slice address, struct slice *user)
{
	struct slice local = slice_sub(address, 0, slice_find_last_byte(address, '@'));
	size_t mark = domains->separator ? slice_find_byte(local, domains->separator) : SLICE_NOT_FOUND;

	return local_has_domain(domains, address) && local_user_of(arena, mark > 0 ? slice_sub(local, 0, mark) : local, user);
}

enum status local_check_user(struct ipc *ipc, struct arena *arena, struct slice user)
{
	struct slice reply;
	enum status status = ipc_call(ipc, ROLE_LOCAL, LOCAL_REQUEST_USER, user, -1, USER_TIMEOUT_MS, arena, &reply);

	return status == STATUS_OK || status == STATUS_NOT_FOUND ? status : STATUS_TEMPORARY;
}

void local_deliver(struct ipc *ipc, struct arena *arena, const struct local_request *request, int message, int timeout_ms,
		   struct local_outcome *outcome)
{
	struct slice reply = SLICE_EMPTY;
	struct buf frame;

	buf_init(&frame, arena, IPC_FRAME_MAX);
	local_request_pack(&frame, request);
	if (ipc && buf_ok(&frame) &&
	    ipc_call(ipc, ROLE_LOCAL, LOCAL_REQUEST_DELIVER, buf_slice(&frame), message, timeout_ms, arena, &reply) == STATUS_OK &&
	    local_outcome_unpack(arena, reply, outcome))
		return;
	*outcome = (struct local_outcome){.result = LOCAL_DEFERRED, .enhanced = LOCAL_ROLE_AWAY,
					  .text = SLICE("the local role is not there, or was ended meanwhile; it runs while local.domains or local.targets is set")};
}

/* ---- frames ---- */

void local_request_pack(struct buf *out, const struct local_request *request)
{
	pack_slice(out, request->hop);
	pack_slice(out, request->sender);
	pack_slice(out, request->recipient);
	pack_slice(out, request->original_recipient);
	pack_slice(out, request->queue_id);
	pack_u64(out, (uint64_t)request->row);
	pack_u64(out, (uint64_t)request->created_ms);
}

bool local_request_unpack(struct slice frame, struct local_request *request)
{
	struct unpack in = unpack_begin(frame);

	request->hop = unpack_slice(&in);
	request->sender = unpack_slice(&in);
	request->recipient = unpack_slice(&in);
	request->original_recipient = unpack_slice(&in);
	request->queue_id = unpack_slice(&in);
	request->row = (int64_t)unpack_u64(&in);
	request->created_ms = (int64_t)unpack_u64(&in);
	return unpack_ok(&in);
}

void local_outcome_pack(struct buf *out, const struct local_outcome *outcome)
{
	pack_u8(out, (uint8_t)outcome->result);
	pack_slice(out, outcome->enhanced);
	pack_slice(out, outcome->text);
	pack_u32(out, (uint32_t)outcome->target_count);
	for (size_t i = 0; i < outcome->target_count; i++)
		pack_slice(out, outcome->targets[i]);
}

bool local_outcome_unpack(struct arena *arena, struct slice frame, struct local_outcome *outcome)
{
	struct unpack in = unpack_begin(frame);
	uint8_t result = unpack_u8(&in);

	*outcome = (struct local_outcome){.result = (enum local_result)result};
	outcome->enhanced = unpack_slice(&in);
	outcome->text = unpack_slice(&in);
	outcome->target_count = unpack_count(&in, LOCAL_TARGETS_MAX);
	outcome->targets = ARENA_ARRAY(arena, struct slice, outcome->target_count + 1);
	for (size_t i = 0; i < outcome->target_count; i++)
		outcome->targets[i] = unpack_slice(&in);
	return unpack_ok(&in) && result <= LOCAL_FORWARDED && (outcome->target_count > 0) == (result == LOCAL_FORWARDED);
}
