/* frame: one message on a SOCK_SEQPACKET socket: a fixed header, a payload and up to two descriptors. Private to ipc/.
 *
 * Both ends are the same binary on the same machine: the header goes as it lies in memory, and a deadline is a time of the
 * one monotonic clock that both read.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

struct frame_header {
	uint32_t type;       /* of a request or a control frame; a reply's status */
	uint32_t flags;      /* control frames: FRAME_* */
	int64_t deadline_ms; /* requests: when the caller gives up */
};
enum { FRAME_HAS_FD = 1, FRAME_IN_MEMFD = 2 };

#define FRAME_FDS_MAX 2

struct frame {
	struct frame_header header;
	struct slice payload;
	int fds[FRAME_FDS_MAX];
	unsigned fd_count;
};

/* 0 or an errno. Never raises SIGPIPE. `flags` for sendmsg: MSG_DONTWAIT. The descriptors stay the caller's. */
int frame_send(int socket, const struct frame *frame, int flags);
/* Receives into the buffer; the payload points into it, the descriptors are the caller's. 0 or an errno; EPIPE at the peer's
 * end, EBADMSG for what is no frame or brings more than `fds_max` descriptors (all closed then). */
int frame_receive(int socket, char *buffer, size_t size, unsigned fds_max, struct frame *frame);
void frame_close_fds(struct frame *frame);
