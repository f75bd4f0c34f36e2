/* A role's connection to its supervisor: the control thread reads what comes and hands it on. */
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "ipc/internal.h"
#include "ipc/pack.h"

static const struct slice role_names[ROLE_COUNT] = {
	[ROLE_SUPERVISOR] = {"supervisor", 10},
	[ROLE_SMTP] = {"smtp", 4},
	[ROLE_DELIVER] = {"deliver", 7},
	[ROLE_RELAY] = {"relay", 5},
	[ROLE_IMAP] = {"imap", 4},
	[ROLE_AUTH] = {"auth", 4},
	[ROLE_JOBS] = {"jobs", 4},
	[ROLE_METRICS] = {"metrics", 7},
	[ROLE_LOCAL] = {"local", 5},
	[ROLE_CONVERT] = {"convert", 7},
};

struct slice role_name(enum role role)
{
	return (unsigned)role < ROLE_COUNT ? role_names[role] : SLICE("unknown");
}

bool role_from_name(struct slice name, enum role *role)
{
	for (int i = 0; i < ROLE_COUNT; i++) {
		if (slice_eq(name, role_names[i])) {
			*role = (enum role)i;
			return true;
		}
	}
	return false;
}

struct ipc *ipc_new(int control_fd, ipc_handler handler, const struct ipc_control_handler *control, void *context,
		    const struct log *log)
{
	struct ipc *ipc = calloc(1, sizeof(*ipc));

	if (!ipc)
		abort();
	ipc->control_fd = control_fd;
	ipc->handler = handler;
	if (control)
		ipc->control = *control;
	ipc->context = context;
	ipc->log = log;
	pthread_mutex_init(&ipc->lock, NULL);
	pthread_cond_init(&ipc->stop, NULL);
	return ipc;
}

/* On the control thread only. The handler comes first: whoever waits for the stop may free what it uses. */
static void stop(struct ipc *ipc)
{
	pthread_mutex_lock(&ipc->lock);
	bool first = !ipc->stopping;
	pthread_mutex_unlock(&ipc->lock);
	if (!first)
		return;
	if (ipc->control.stop)
		ipc->control.stop(ipc->context);
	pthread_mutex_lock(&ipc->lock);
	ipc->stopping = true;
	pthread_cond_broadcast(&ipc->stop);
	pthread_mutex_unlock(&ipc->lock);
}

static void handle_channel(struct ipc *ipc, struct slice payload, int fd)
{
	struct unpack in = unpack_begin(payload);
	uint32_t number = unpack_u32(&in);

	if (unpack_ok(&in))
		channel_answered(ipc, number, fd);
	else if (fd >= 0)
		close(fd);
}

static void handle_serve(struct ipc *ipc, struct slice payload, int fd)
{
	struct unpack in = unpack_begin(payload);
	uint32_t from = unpack_u32(&in);

	if (fd < 0)
		return;
	if (unpack_ok(&in) && from < ROLE_COUNT)
		serve_start(ipc, (enum role)from, fd);
	else
		close(fd);
}

static void handle_announcement(struct ipc *ipc, struct slice frame)
{
	struct unpack in = unpack_begin(frame);
	struct slice kind = unpack_slice(&in), payload = unpack_slice(&in);

	if (ipc->control.announce && unpack_ok(&in))
		ipc->control.announce(ipc->context, kind, payload);
}

static void handle_control(struct ipc *ipc, enum control_type type, struct slice payload, int fd)
{
	switch (type) {
	case CONTROL_CHANNEL:
		handle_channel(ipc, payload, fd);
		return;
	case CONTROL_SERVE:
		handle_serve(ipc, payload, fd);
		return;
	case CONTROL_ANNOUNCE:
		handle_announcement(ipc, payload);
		break;
	case CONTROL_RELOAD:
		if (ipc->control.reload)
			ipc->control.reload(ipc->context, payload);
		break;
	case CONTROL_STOP:
		stop(ipc);
		break;
	default:
		LOG_WARNING(ipc->log, "ipc.unexpected-control", LOG_INT("type", type));
	}
	if (fd >= 0)
		close(fd);
}

static void *run_control(void *argument)
{
	struct ipc *ipc = argument;
	struct arena arena SCOPED_ARENA;
	enum control_type type;
	struct slice payload;
	int fd;

	while (control_receive(ipc->control_fd, &arena, &type, &payload, &fd)) {
		handle_control(ipc, type, payload, fd);
		arena_reset(&arena);
	}
	channel_fail_waiters(ipc);
	stop(ipc);
	return NULL;
}

void ipc_start(struct ipc *ipc)
{
	if (pthread_create(&ipc->control_thread, NULL, run_control, ipc) != 0)
		abort(); /* a role without its supervisor's word is of no use: it is started anew */
	ipc->started = true;
}

void ipc_wait_for_stop(struct ipc *ipc)
{
	pthread_mutex_lock(&ipc->lock);
	while (!ipc->stopping)
		pthread_cond_wait(&ipc->stop, &ipc->lock);
	pthread_mutex_unlock(&ipc->lock);
}

void ipc_free(struct ipc *ipc)
{
	shutdown(ipc->control_fd, SHUT_RDWR);
	if (ipc->started)
		pthread_join(ipc->control_thread, NULL);
	serve_stop_all(ipc);
	channel_free_all(ipc);
	close(ipc->control_fd);
	pthread_cond_destroy(&ipc->stop);
	pthread_mutex_destroy(&ipc->lock);
	free(ipc);
}

void ipc_announce(struct ipc *ipc, struct slice kind, struct slice payload)
{
	struct buf frame SCOPED_BUF;

	pack_slice(&frame, kind);
	pack_slice(&frame, payload);
	if (!buf_ok(&frame) || !control_send(ipc->control_fd, CONTROL_ANNOUNCE, buf_slice(&frame), -1))
		LOG_WARNING(ipc->log, "ipc.announcement-lost", LOG_STR("kind", kind));
}
