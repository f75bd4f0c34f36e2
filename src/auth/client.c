#include "auth/auth.h"
#include "auth/wire.h"
#include "ipc/ipc.h"

/* Longer than the longest delay and a full line of checks together. */
#define TIMEOUT_MS 30000

static struct auth_reply call(struct ipc *ipc, struct arena *arena, enum auth_request_type type, const struct buf *request)
{
	struct slice frame;
	struct auth_reply reply;

	if (!buf_ok(request) ||
	    ipc_call(ipc, ROLE_AUTH, type, buf_slice(request), -1, TIMEOUT_MS, arena, &frame) != STATUS_OK ||
	    !wire_unpack_reply(frame, &reply))
		return (struct auth_reply){.outcome = AUTH_UNAVAILABLE};
	return reply;
}

struct auth_reply auth_begin(struct ipc *ipc, struct arena *arena, const struct auth_peer *peer, struct slice mechanism,
			     const struct slice *initial_response)
{
	struct buf request;

	buf_init(&request, arena, IPC_FRAME_MAX);
	wire_pack_peer(&request, peer);
	pack_slice(&request, mechanism);
	pack_u8(&request, initial_response != NULL);
	pack_slice(&request, initial_response ? *initial_response : SLICE_EMPTY);
	return call(ipc, arena, AUTH_REQUEST_BEGIN, &request);
}

struct auth_reply auth_step(struct ipc *ipc, struct arena *arena, uint64_t exchange, struct slice response)
{
	struct buf request;

	buf_init(&request, arena, IPC_FRAME_MAX);
	pack_u64(&request, exchange);
	pack_slice(&request, response);
	return call(ipc, arena, AUTH_REQUEST_STEP, &request);
}

void auth_cancel(struct ipc *ipc, uint64_t exchange)
{
	struct arena arena SCOPED_ARENA;
	struct buf request;

	arena_init(&arena, 0);
	buf_init(&request, &arena, 0);
	pack_u64(&request, exchange);
	call(ipc, &arena, AUTH_REQUEST_CANCEL, &request);
}

struct auth_reply auth_password(struct ipc *ipc, struct arena *arena, const struct auth_peer *peer, struct slice user,
				struct slice password)
{
	struct buf request;

	buf_init(&request, arena, IPC_FRAME_MAX);
	wire_pack_peer(&request, peer);
	pack_slice(&request, user);
	pack_slice(&request, password);
	return call(ipc, arena, AUTH_REQUEST_PASSWORD, &request);
}
