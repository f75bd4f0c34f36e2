/* ipc: requests between roles over Unix socket pairs (SOCK_SEQPACKET), which only the supervisor makes.
 *
 * Every role has one control socket to the supervisor (descriptor 3). A role that wants to talk to another asks for a
 * channel; the supervisor checks its table of who may talk to whom, makes a socket pair and sends one end to each. A channel
 * carries one request at a time and belongs to the calling thread while it does: so a call is a write, a wake-up and a
 * read, and the serving side is a thread per channel running the same straight line.
 *
 * A frame is a 32-bit type and a payload of at most IPC_FRAME_MAX bytes, with at most one descriptor: large bodies go as
 * a sealed memfd (F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE: checked by the receiver before it maps it).
 * If the other role is down or late the call returns STATUS_TEMPORARY, and the channel is thrown away: a late answer
 * can't be taken for another request's.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/log.h"
#include "base/slice.h"

#define IPC_FRAME_MAX (96 * 1024)

enum role {
	ROLE_SUPERVISOR,
	ROLE_SMTP,
	ROLE_DELIVER,
	ROLE_RELAY,
	ROLE_IMAP,
	ROLE_AUTH,
	ROLE_JOBS,
	ROLE_METRICS,
	ROLE_LOCAL,
	ROLE_CONVERT,
	ROLE_COUNT,
};
struct slice role_name(enum role role);
MUST_CHECK bool role_from_name(struct slice name, enum role *role);

/* A message as it lies in a frame or a mapped memfd. */
struct ipc_body {
	struct slice bytes;
	void *map; /* NULL: in the frame */
	size_t map_len;
};

struct ipc_request {
	enum role from;
	uint32_t type;
	struct slice payload;
	int fd;              /* -1: none. Closed after the handler unless it sets it to -1. */
	int reply_fd;        /* -1; what the handler sets it to goes with the reply, and is closed then */
	int64_t deadline_ms; /* monotonic: when the caller gives up. A request that comes later isn't handled at all. */
};

/* ---- the role's side ---- */

struct ipc;
struct buf;

/* Answers one request: appends the reply's payload to *reply and returns its status, which the caller's ipc_call returns.
 * Runs on the channel's own thread; `arena` is reset after each request. */
typedef enum status (*ipc_handler)(void *context, struct ipc_request *request, struct arena *arena, struct buf *reply);
/* What comes over the control socket; called on the control thread, must not block for long and must not call ipc_call (it
 * would wait for the thread it runs on). Each may be NULL. `stop` is called once, also when the supervisor is gone. */
struct ipc_control_handler {
	void (*announce)(void *context, struct slice kind, struct slice payload); /* the event hub */
	void (*reload)(void *context, struct slice frame); /* as CONTROL_CONFIGURE's */
	void (*stop)(void *context);
};

/* control_fd is owned from now on and is blocking; `log` outlives the ipc. `handler` may be NULL for a role that serves
 * nobody. */
struct ipc *ipc_new(int control_fd, ipc_handler handler, const struct ipc_control_handler *control, void *context,
		    const struct log *log);
/* Starts the control thread. */
void ipc_start(struct ipc *ipc);
/* Blocks until the supervisor says stop or is gone. */
void ipc_wait_for_stop(struct ipc *ipc);
void ipc_free(struct ipc *ipc);

/* One request, one reply. *reply is in `arena`. fd (-1: none) stays the caller's. timeout_ms covers everything. Returns the
 * handler's status, or STATUS_TEMPORARY if the role could not be asked, or STATUS_LIMIT if the payload is larger than
 * IPC_FRAME_MAX. */
MUST_CHECK enum status ipc_call(struct ipc *ipc, enum role to, uint32_t type, struct slice payload, int fd, int timeout_ms,
				struct arena *arena, struct slice *reply);
/* The same for a reply that brings a descriptor: *reply_fd, -1 or the caller's to close. */
MUST_CHECK enum status ipc_call_fd(struct ipc *ipc, enum role to, uint32_t type, struct slice payload, int fd, int timeout_ms,
				   struct arena *arena, struct slice *reply, int *reply_fd);
/* A socket to one of the programs beside us that this role may talk to, by its address as the configuration has it: non-blocking, and
 * perhaps still about to be connected. The supervisor makes it, so that the role needs no power for that. -1: none. */
int ipc_dial(struct ipc *ipc, struct slice address, int timeout_ms);
/* Tells every role that listens (the supervisor knows which): kind "mailbox" with a list of account ids, "queue",
 * "directory", ... */
void ipc_announce(struct ipc *ipc, struct slice kind, struct slice payload);

/* Seals and returns a memfd holding `bytes`, or -1. */
int ipc_memfd(struct slice bytes);
/* A memfd that is written piece by piece with write(2); ipc_memfd_seal ends that. */
int ipc_memfd_open(void);
MUST_CHECK bool ipc_memfd_seal(int fd);
/* Checks the seals and maps. */
MUST_CHECK bool ipc_body_map(int fd, size_t max, struct ipc_body *body);
void ipc_body_unmap(struct ipc_body *body);

/* ---- the supervisor's side: frames on control sockets ---- */

/* Fields as of pack.h: u32 numbers and roles, slices. CONFIGURE, LISTENER, START and READY come before ipc_new and are for
 * main/ to define; the others ipc.c reads and writes. */
enum control_type {
	/* to a role, first: configuration, certificates, secrets; the listening sockets follow one by one */
	CONTROL_CONFIGURE = 1,
	CONTROL_LISTENER, /* to a role: name, with the descriptor */
	CONTROL_START,    /* to a role: enter the sandbox and serve */
	CONTROL_READY,    /* from a role: serving */
	CONTROL_RELOAD,   /* to a role: what CONTROL_CONFIGURE holds, anew */
	CONTROL_STOP,     /* to a role: finish and exit */
	CONTROL_CONNECT,  /* from a role or the command line: u32 number, u32 role wanted */
	CONTROL_CHANNEL,  /* to the asking role: u32 number, with the descriptor (none: role down or not allowed) */
	CONTROL_SERVE,    /* to the asked role: u32 role that asks, with the descriptor */
	CONTROL_ANNOUNCE, /* both ways: slice kind, slice payload */
	CONTROL_DIAL,     /* from a role: u32 number, slice address; the answer is CONTROL_CHANNEL's */
	CONTROL_STATUS,   /* from the command line: -> the same type with one line of text per role */
};
/* Blocking; MSG_NOSIGNAL. Frames larger than IPC_FRAME_MAX go as a memfd, invisibly. fd (-1: none) stays the caller's. */
MUST_CHECK bool control_send(int socket, enum control_type type, struct slice payload, int fd);
/* False at end or error. *payload in `arena`; *fd (-1: none) is the caller's to close. */
MUST_CHECK bool control_receive(int socket, struct arena *arena, enum control_type *type, struct slice *payload, int *fd);
