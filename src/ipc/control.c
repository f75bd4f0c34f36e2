#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc/frame.h"
#include "ipc/ipc.h"

#define CONTROL_MAX (64 * 1024 * 1024) /* configuration, certificates and lists of accounts are far smaller */

bool control_send(int socket, enum control_type type, struct slice payload, int fd)
{
	struct frame frame = {.header = {.type = type}, .payload = payload};
	int memfd = -1, failed;

	if (payload.len > IPC_FRAME_MAX) {
		memfd = ipc_memfd(payload);
		if (memfd < 0)
			return false;
		frame.header.flags |= FRAME_IN_MEMFD;
		frame.payload = SLICE_EMPTY;
		frame.fds[frame.fd_count++] = memfd;
	}
	if (fd >= 0) {
		frame.header.flags |= FRAME_HAS_FD;
		frame.fds[frame.fd_count++] = fd;
	}
	failed = frame_send(socket, &frame, 0);
	if (memfd >= 0)
		close(memfd);
	return failed == 0;
}

/* The payload's copy outlives the mapping. */
static bool read_memfd(int fd, struct arena *arena, struct slice *payload)
{
	struct ipc_body body;

	if (!ipc_body_map(fd, CONTROL_MAX, &body))
		return false;
	*payload = slice_dup(arena, body.bytes);
	ipc_body_unmap(&body);
	return true;
}

static ssize_t next_size(int socket)
{
	ssize_t size;
	char byte;

	do
		size = recv(socket, &byte, sizeof(byte), MSG_PEEK | MSG_TRUNC);
	while (size < 0 && errno == EINTR);
	return size;
}

bool control_receive(int socket, struct arena *arena, enum control_type *type, struct slice *payload, int *fd)
{
	ssize_t size = next_size(socket);
	struct frame frame;
	unsigned expected, next = 0;
	bool ok = true;

	*fd = -1;
	*payload = SLICE_EMPTY;
	if (size <= 0 || size > CONTROL_MAX)
		return false;
	if (frame_receive(socket, arena_alloc(arena, (size_t)size), (size_t)size, FRAME_FDS_MAX, &frame) != 0)
		return false;
	expected = !!(frame.header.flags & FRAME_IN_MEMFD) + !!(frame.header.flags & FRAME_HAS_FD);
	if (frame.fd_count != expected) {
		frame_close_fds(&frame);
		return false;
	}
	*type = (enum control_type)frame.header.type;
	*payload = frame.payload;
	if (frame.header.flags & FRAME_IN_MEMFD) {
		ok = read_memfd(frame.fds[next], arena, payload);
		close(frame.fds[next++]);
	}
	if (frame.header.flags & FRAME_HAS_FD)
		*fd = frame.fds[next];
	if (!ok && *fd >= 0) {
		close(*fd);
		*fd = -1;
	}
	return ok;
}
