/* The calling side. A call takes a free channel of the wanted role (the last used first: it is warm), or asks the supervisor
 * for a new one; then it is one sendmsg and one recvmsg. Whatever goes wrong after the request was sent ends the channel. */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/thread.h"
#include "ipc/frame.h"
#include "ipc/internal.h"
#include "ipc/pack.h"

static void channel_free(struct channel *channel)
{
	close(channel->fd);
	free(channel);
}

static void free_list(struct channel *channel)
{
	while (channel) {
		struct channel *next = channel->next;

		channel_free(channel);
		channel = next;
	}
}

static struct channel *take_list(struct ipc *ipc, enum role to)
{
	struct channel *list;

	pthread_mutex_lock(&ipc->lock);
	list = ipc->free_channels[to];
	ipc->free_channels[to] = NULL;
	pthread_mutex_unlock(&ipc->lock);
	return list;
}

void channel_free_all(struct ipc *ipc)
{
	for (int role = 0; role < ROLE_COUNT; role++)
		free_list(take_list(ipc, (enum role)role));
}

static struct channel *take_free(struct ipc *ipc, enum role to)
{
	struct channel *channel;

	pthread_mutex_lock(&ipc->lock);
	channel = ipc->free_channels[to];
	if (channel)
		ipc->free_channels[to] = channel->next;
	pthread_mutex_unlock(&ipc->lock);
	return channel;
}

static void give_back(struct ipc *ipc, enum role to, struct channel *channel)
{
	pthread_mutex_lock(&ipc->lock);
	channel->next = ipc->free_channels[to];
	ipc->free_channels[to] = channel;
	pthread_mutex_unlock(&ipc->lock);
}

/* ---- a new channel, by way of the supervisor ---- */

static bool add_waiter(struct ipc *ipc, struct waiter *waiter)
{
	bool possible;

	pthread_mutex_lock(&ipc->lock);
	possible = !ipc->gone;
	if (possible) {
		waiter->number = ++ipc->next_number;
		waiter->next = ipc->waiters;
		ipc->waiters = waiter;
	}
	pthread_mutex_unlock(&ipc->lock);
	return possible;
}

/* Takes the waiter off the list; from then on the control thread doesn't know it. */
static void remove_waiter(struct ipc *ipc, struct waiter *waiter)
{
	struct waiter **link = &ipc->waiters;

	while (*link && *link != waiter)
		link = &(*link)->next;
	if (*link)
		*link = waiter->next;
}

static void answer(struct waiter *waiter, int fd)
{
	waiter->fd = fd;
	waiter->answered = true;
	pthread_cond_signal(&waiter->wake);
}

void channel_answered(struct ipc *ipc, uint32_t number, int fd)
{
	struct waiter *waiter;

	pthread_mutex_lock(&ipc->lock);
	waiter = ipc->waiters;
	while (waiter && waiter->number != number)
		waiter = waiter->next;
	if (waiter && !waiter->answered)
		answer(waiter, fd);
	else if (fd >= 0)
		close(fd); /* the caller gave up meanwhile */
	pthread_mutex_unlock(&ipc->lock);
}

void channel_fail_waiters(struct ipc *ipc)
{
	pthread_mutex_lock(&ipc->lock);
	ipc->gone = true;
	for (struct waiter *waiter = ipc->waiters; waiter; waiter = waiter->next) {
		if (!waiter->answered)
			answer(waiter, -1);
	}
	pthread_mutex_unlock(&ipc->lock);
}

static void wait_for_answer(struct ipc *ipc, struct waiter *waiter, int64_t deadline_ms)
{
	bool in_time = true;

	pthread_mutex_lock(&ipc->lock);
	while (!waiter->answered && in_time)
		in_time = thread_wait_until(&waiter->wake, &ipc->lock, deadline_ms);
	remove_waiter(ipc, waiter);
	pthread_mutex_unlock(&ipc->lock);
}

static bool ask_supervisor(struct ipc *ipc, uint32_t number, enum role to)
{
	char bytes[8];
	struct buf payload = {.data = bytes, .cap = sizeof(bytes), .limit = sizeof(bytes)};

	pack_u32(&payload, number);
	pack_u32(&payload, to);
	return control_send(ipc->control_fd, CONTROL_CONNECT, buf_slice(&payload), -1);
}

static bool ask_to_dial(struct ipc *ipc, uint32_t number, struct slice address)
{
	struct buf payload SCOPED_BUF;

	buf_init(&payload, NULL, 0);
	pack_u32(&payload, number);
	pack_slice(&payload, address);
	return control_send(ipc->control_fd, CONTROL_DIAL, buf_slice(&payload), -1);
}

/* The new socket, or -1: a channel to `to` or, with an address, what is there. */
static int request_socket(struct ipc *ipc, enum role to, struct slice address, int64_t deadline_ms)
{
	struct waiter waiter = {.fd = -1};

	thread_condition_init(&waiter.wake);
	if (add_waiter(ipc, &waiter)) {
		bool asked = address.len > 0 ? ask_to_dial(ipc, waiter.number, address) : ask_supervisor(ipc, waiter.number, to);

		wait_for_answer(ipc, &waiter, asked ? deadline_ms : 0);
	}
	pthread_cond_destroy(&waiter.wake);
	return waiter.fd;
}

int ipc_dial(struct ipc *ipc, struct slice address, int timeout_ms)
{
	return request_socket(ipc, ROLE_SUPERVISOR, address, clock_monotonic_ms() + timeout_ms);
}

static struct channel *connect_new(struct ipc *ipc, enum role to, int64_t deadline_ms)
{
	int fd = request_socket(ipc, to, SLICE_EMPTY, deadline_ms);
	struct channel *channel;

	if (fd < 0) {
		LOG_WARNING(ipc->log, "ipc.unreachable", LOG_STR("to", role_name(to)));
		return NULL;
	}
	channel = malloc(sizeof(*channel));
	if (!channel) {
		close(fd);
		return NULL;
	}
	channel->next = NULL;
	channel->fd = fd;
	channel->receive_timeout_ms = 0;
	return channel;
}

/* ---- a call ---- */

/* Callers mostly use one time limit, so the option is rarely set anew. A channel that was just made gets what time is left. */
static void limit_receive_time(struct channel *channel, int timeout_ms)
{
	struct timeval limit = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};

	if (channel->receive_timeout_ms == timeout_ms)
		return;
	if (setsockopt(channel->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) == 0)
		channel->receive_timeout_ms = timeout_ms;
}

/* A free channel may lead to a role that has died since. If so much as the sending fails, nothing has been executed: all free
 * channels of that role are thrown away, and a new one is tried, once. */
static struct channel *send_request(struct ipc *ipc, enum role to, const struct frame *request)
{
	struct channel *channel = take_free(ipc, to);

	if (channel) {
		if (frame_send(channel->fd, request, MSG_DONTWAIT) == 0)
			return channel;
		channel_free(channel);
		free_list(take_list(ipc, to));
	}
	channel = connect_new(ipc, to, request->header.deadline_ms);
	if (!channel || frame_send(channel->fd, request, MSG_DONTWAIT) == 0)
		return channel;
	channel_free(channel);
	return NULL;
}

static bool receive_reply(struct channel *channel, int64_t deadline_ms, int timeout_ms, struct frame *reply)
{
	int64_t left_ms = channel->receive_timeout_ms ? timeout_ms : deadline_ms - clock_monotonic_ms();

	limit_receive_time(channel, left_ms > 0 ? (int)left_ms : 1);
	return frame_receive(channel->fd, channel->buffer, sizeof(channel->buffer), 1, reply) == 0;
}

enum status ipc_call(struct ipc *ipc, enum role to, uint32_t type, struct slice payload, int fd, int timeout_ms,
		     struct arena *arena, struct slice *reply)
{
	int reply_fd;
	enum status status = ipc_call_fd(ipc, to, type, payload, fd, timeout_ms, arena, reply, &reply_fd);

	if (reply_fd >= 0)
		close(reply_fd);
	return status;
}

enum status ipc_call_fd(struct ipc *ipc, enum role to, uint32_t type, struct slice payload, int fd, int timeout_ms,
			struct arena *arena, struct slice *reply, int *reply_fd)
{
	struct frame request = {.header = {.type = type}, .payload = payload, .fds = {fd}, .fd_count = fd >= 0};
	struct channel *channel;
	struct frame answer;

	*reply = SLICE_EMPTY;
	*reply_fd = -1;
	if (payload.len > IPC_FRAME_MAX)
		return STATUS_LIMIT;
	request.header.deadline_ms = clock_monotonic_ms() + timeout_ms;
	channel = send_request(ipc, to, &request);
	if (!channel)
		return STATUS_TEMPORARY;
	if (!receive_reply(channel, request.header.deadline_ms, timeout_ms, &answer)) {
		channel_free(channel);
		LOG_WARNING(ipc->log, "ipc.no-reply", LOG_STR("to", role_name(to)), LOG_INT("type", type));
		return STATUS_TEMPORARY;
	}
	*reply = slice_dup(arena, answer.payload);
	if (answer.fd_count)
		*reply_fd = answer.fds[0];
	give_back(ipc, to, channel);
	return answer.header.type <= STATUS_BUG ? (enum status)answer.header.type : STATUS_BUG;
}
