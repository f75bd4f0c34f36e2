#include "ipc/client.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/clock.h"
#include "ipc/frame.h"
#include "ipc/pack.h"

int ipc_client_channel(int server, enum role to)
{
	struct arena arena SCOPED_ARENA;
	enum control_type type;
	struct slice answer;
	struct buf request;
	int fd = -1;

	buf_init(&request, &arena, 0);
	pack_u32(&request, 0);
	pack_u32(&request, to);
	if (!control_send(server, CONTROL_CONNECT, buf_slice(&request), -1) ||
	    !control_receive(server, &arena, &type, &answer, &fd))
		return -1;
	if (type == CONTROL_CHANNEL)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

enum status ipc_client_call(int channel, uint32_t type, struct slice payload, int timeout_ms, struct arena *arena,
			    struct slice *reply)
{
	struct timeval limit = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
	struct frame request = {.header = {.type = type, .deadline_ms = clock_monotonic_ms() + timeout_ms}, .payload = payload};
	char *buffer = arena_alloc(arena, IPC_FRAME_MAX);
	struct frame answer;

	*reply = SLICE_EMPTY;
	setsockopt(channel, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (frame_send(channel, &request, 0) != 0 || frame_receive(channel, buffer, IPC_FRAME_MAX, 1, &answer) != 0)
		return STATUS_TEMPORARY;
	frame_close_fds(&answer);
	*reply = answer.payload;
	return answer.header.type <= STATUS_BUG ? (enum status)answer.header.type : STATUS_BUG;
}
