/* The serving side: a thread per channel, receive, handle, send. Its memory (frame buffer, arena, reply) is kept from request
 * to request. */
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/thread.h"
#include "ipc/frame.h"
#include "ipc/internal.h"

/* Sanitizers' frames are larger; clang tells of them in its own way, so it gets the larger stack always. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(__clang__)
#define STACK_BYTES (1024 * 1024)
#else
#define STACK_BYTES (256 * 1024)
#endif

/* The metrics role gets numbers and nothing else. */
static enum status answer(struct server *server, struct ipc_request *request, struct arena *arena, struct buf *reply)
{
	struct ipc *ipc = server->ipc;

	if (request->type == IPC_METRICS)
		return ipc_metrics_answer(ipc, reply);
	if (server->from == ROLE_METRICS || !ipc->handler)
		return STATUS_REFUSED;
	return ipc->handler(ipc->context, request, arena, reply);
}

static enum status handle(struct server *server, struct frame *frame, struct arena *arena, struct buf *reply, int *reply_fd)
{
	struct ipc *ipc = server->ipc;
	struct ipc_request request = {
		.from = server->from,
		.type = frame->header.type,
		.payload = frame->payload,
		.fd = frame->fd_count ? frame->fds[0] : -1,
		.reply_fd = -1,
		.deadline_ms = frame->header.deadline_ms,
	};
	enum status status = answer(server, &request, arena, reply);

	if (request.fd >= 0)
		close(request.fd);
	*reply_fd = request.reply_fd;
	if (buf_ok(reply))
		return status;
	LOG_ERROR(ipc->log, "ipc.reply-too-large", LOG_INT("type", request.type));
	buf_clear(reply);
	return STATUS_BUG;
}

/* One request. False ends the channel. */
static bool serve_one(struct server *server, struct arena *arena, struct buf *reply)
{
	struct frame frame, answer = {.header = {.flags = 0}};

	if (frame_receive(server->fd, server->buffer, sizeof(server->buffer), 1, &frame) != 0)
		return false;
	if (clock_monotonic_ms() >= frame.header.deadline_ms) {
		frame_close_fds(&frame); /* the caller has given up and told its peer so: don't do it behind its back */
		return false;
	}
	buf_clear(reply);
	answer.header.type = handle(server, &frame, arena, reply, &answer.fds[0]);
	answer.fd_count = answer.fds[0] >= 0;
	answer.payload = buf_slice(reply);
	bool sent = frame_send(server->fd, &answer, 0) == 0;

	if (answer.fds[0] >= 0)
		close(answer.fds[0]);
	arena_reset(arena);
	return sent;
}

static void *serve(void *argument)
{
	struct server *server = argument;
	struct arena arena SCOPED_ARENA;
	struct buf reply SCOPED_BUF;

	buf_init(&reply, NULL, IPC_FRAME_MAX);
	while (serve_one(server, &arena, &reply))
		;
	pthread_mutex_lock(&server->ipc->lock);
	close(server->fd);
	server->fd = -1;
	server->finished = true;
	pthread_mutex_unlock(&server->ipc->lock);
	return NULL;
}

/* Takes the servers off the list that have finished, or all. */
static struct server *take_servers(struct ipc *ipc, bool all)
{
	struct server *taken = NULL, **link = &ipc->servers;

	pthread_mutex_lock(&ipc->lock);
	while (*link) {
		struct server *server = *link;

		if (!all && !server->finished) {
			link = &server->next;
			continue;
		}
		if (server->fd >= 0)
			shutdown(server->fd, SHUT_RDWR);
		*link = server->next;
		server->next = taken;
		taken = server;
	}
	pthread_mutex_unlock(&ipc->lock);
	return taken;
}

static void join_all(struct server *server)
{
	while (server) {
		struct server *next = server->next;

		pthread_join(server->thread, NULL);
		free(server);
		server = next;
	}
}

void serve_stop_all(struct ipc *ipc)
{
	join_all(take_servers(ipc, true));
}

void serve_start(struct ipc *ipc, enum role from, int fd)
{
	struct server *server;

	join_all(take_servers(ipc, false));
	server = ipc->handler || from == ROLE_METRICS ? malloc(sizeof(*server)) : NULL;
	if (!server) {
		close(fd);
		return;
	}
	server->ipc = ipc;
	server->from = from;
	server->fd = fd;
	server->finished = false;
	pthread_mutex_lock(&ipc->lock);
	if (thread_start(&server->thread, STACK_BYTES, serve, server)) {
		server->next = ipc->servers;
		ipc->servers = server;
		server = NULL;
	}
	pthread_mutex_unlock(&ipc->lock);
	if (server) {
		LOG_ERROR(ipc->log, "ipc.no-thread", LOG_STR("from", role_name(from)));
		close(fd);
		free(server);
	}
}
