#include <unistd.h>

#include "base/buf.h"
#include "ipc/pack.h"
#include "ipc/urls.h"

#define TIMEOUT_MS 60000

/* Nothing is mapped of what is empty. */
static enum status take_body(int fd, struct slice frame, uint64_t max, struct ipc_body *body)
{
	struct unpack in = unpack_begin(frame);
	uint64_t size = unpack_u64(&in);

	if (!unpack_ok(&in) || size > max)
		return STATUS_TEMPORARY;
	if (size == 0)
		return STATUS_OK;
	if (!ipc_memfd_seal(fd) || !ipc_body_map(fd, (size_t)max, body))
		return STATUS_TEMPORARY;
	if (body->bytes.len == size)
		return STATUS_OK;
	ipc_body_unmap(body);
	return STATUS_TEMPORARY;
}

enum status url_fetch(struct ipc *ipc, struct arena *arena, const struct url_request *request, struct ipc_body *body)
{
	int fd = ipc_memfd_open();
	struct slice frame;
	struct buf payload;
	enum status status;

	*body = (struct ipc_body){.bytes = SLICE_EMPTY};
	if (fd < 0)
		return STATUS_TEMPORARY;
	buf_init(&payload, arena, IPC_FRAME_MAX);
	url_request_pack(&payload, request);
	status = ipc_call(ipc, ROLE_IMAP, IPC_URL_FETCH, buf_slice(&payload), fd, TIMEOUT_MS, arena, &frame);
	if (status == STATUS_OK)
		status = take_body(fd, frame, request->max, body);
	close(fd);
	return status;
}
