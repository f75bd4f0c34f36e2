#include "main/session_report.h"

#include "ipc/pack.h"
#include "ipc/sessions.h"

/* Room for the last entry, and the frame's own. */
#define ENTRY_ROOM 2048

struct report {
	struct buf entries;
	uint32_t count;
};

static bool add(void *context, const struct engine_user *user)
{
	struct report *report = context;
	struct buf peer SCOPED_BUF;

	buf_init(&peer, NULL, 0);
	net_address_format(&peer, user->peer);
	pack_u64(&report->entries, user->session);
	pack_slice(&report->entries, user->user);
	pack_slice(&report->entries, slice_from_cstr(user->listener));
	pack_slice(&report->entries, buf_slice(&peer));
	pack_u64(&report->entries, (uint64_t)user->since_ms);
	report->count++;
	return report->entries.len < IPC_FRAME_MAX - ENTRY_ROOM;
}

enum status session_report(struct engine *engine, const struct ipc_request *request, struct buf *reply)
{
	struct unpack in = unpack_begin(request->payload);
	uint32_t slot = unpack_u32(&in);
	struct report report = {0};

	if (request->from != ROLE_SUPERVISOR || request->type != IPC_SESSIONS || !unpack_ok(&in))
		return STATUS_REFUSED;
	buf_init(&report.entries, NULL, 0);
	bool more = engine_users(engine, &slot, add, &report);

	pack_u32(reply, more ? slot : 0);
	pack_u32(reply, report.count);
	buf_add(reply, buf_slice(&report.entries));
	buf_free(&report.entries);
	return STATUS_OK;
}
