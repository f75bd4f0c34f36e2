#include "ipc/frame.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

union descriptors {
	struct cmsghdr head;
	char space[CMSG_SPACE(FRAME_FDS_MAX * sizeof(int))];
};

int frame_send(int socket, const struct frame *frame, int flags)
{
	struct iovec parts[2] = {
		{(void *)&frame->header, sizeof(frame->header)},
		{(void *)frame->payload.data, frame->payload.len},
	};
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = frame->payload.len ? 2 : 1};
	union descriptors control;
	ssize_t sent;

	if (frame->fd_count) {
		memset(&control, 0, sizeof(control));
		control.head = (struct cmsghdr){
			.cmsg_len = CMSG_LEN(frame->fd_count * sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
		memcpy(CMSG_DATA(&control.head), frame->fds, frame->fd_count * sizeof(int));
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(frame->fd_count * sizeof(int));
	}
	do
		sent = sendmsg(socket, &message, MSG_NOSIGNAL | flags);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? errno : 0;
}

static void take_fds(struct msghdr *message, struct frame *frame)
{
	struct cmsghdr *head = CMSG_FIRSTHDR(message);

	if (!head || head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
		return;
	frame->fd_count = (unsigned)((head->cmsg_len - CMSG_LEN(0)) / sizeof(int));
	memcpy(frame->fds, CMSG_DATA(head), frame->fd_count * sizeof(int));
}

int frame_receive(int socket, char *buffer, size_t size, unsigned fds_max, struct frame *frame)
{
	struct iovec parts[2] = {{&frame->header, sizeof(frame->header)}, {buffer, size}};
	union descriptors control;
	/* CMSG_LEN, not CMSG_SPACE: padding would have room for one descriptor more than asked for. */
	struct msghdr message = {.msg_iov = parts,
				 .msg_iovlen = 2,
				 .msg_control = &control,
				 .msg_controllen = fds_max ? CMSG_LEN(fds_max * sizeof(int)) : 0};
	ssize_t got;

	do
		got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	frame->fd_count = 0;
	if (got < 0)
		return errno;
	take_fds(&message, frame);
	if ((size_t)got < sizeof(frame->header) || (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC))) {
		frame_close_fds(frame);
		return got == 0 ? EPIPE : EBADMSG;
	}
	frame->payload = slice_of(buffer, (size_t)got - sizeof(frame->header));
	return 0;
}

void frame_close_fds(struct frame *frame)
{
	for (unsigned i = 0; i < frame->fd_count; i++)
		close(frame->fds[i]);
	frame->fd_count = 0;
}
