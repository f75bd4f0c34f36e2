#include "local/service.h"

#include <errno.h>
#include <poll.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "local/watch.h"

#define PASSWD_MAX 16384

struct local_service {
	struct local_service_options options;
	const struct log *log;
	int stop_fd; /* readable: all is to end */
};

struct local_service *local_service_new(const struct local_service_options *options, const struct log *log)
{
	struct local_service *service = calloc(1, sizeof(*service));

	if (!service)
		abort();
	*service = (struct local_service){*options, log, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
	return service;
}

void local_service_stop(struct local_service *service)
{
	eventfd_write(service->stop_fd, 1);
}

void local_service_free(struct local_service *service)
{
	close(service->stop_fd);
	free(service);
}

/* ---- users ---- */

/* nobody isn't one of them. */
static bool may_have_mail(const struct local_service *service, const struct passwd *entry)
{
	return entry->pw_uid >= service->options.minimum_uid && entry->pw_uid != 0 && entry->pw_uid != 65534;
}

static enum status check_user(struct local_service *service, struct arena *arena, struct slice name)
{
	struct slice user;
	struct passwd entry, *found = NULL;
	char *room = arena_alloc(arena, PASSWD_MAX);
	int error;

	if (!local_user_of(arena, name, &user))
		return STATUS_NOT_FOUND;
	error = getpwnam_r(slice_cstr(arena, user), &entry, room, PASSWD_MAX, &found);
	if (found)
		return may_have_mail(service, found) ? STATUS_OK : STATUS_NOT_FOUND;
	return error == 0 || error == ENOENT || error == ESRCH ? STATUS_NOT_FOUND : STATUS_TEMPORARY;
}

/* ---- a delivery ---- */

static void defer(struct local_outcome *outcome, const char *enhanced, struct slice text)
{
	*outcome = (struct local_outcome){.result = LOCAL_DEFERRED, .enhanced = slice_from_cstr(enhanced), .text = text};
}

/* local:NAME */
static bool take_settings_target(const struct local_service *service, struct slice name, struct local_job *job)
{
	for (size_t i = 0; i < service->options.target_count; i++) {
		const struct local_target *target = &service->options.targets[i];

		if (!slice_eq_nocase(target->name, name))
			continue;
		job->user = target->user;
		job->target = target->to;
		job->is_settings = true;
		return true;
	}
	return false;
}

/* unix:USER, unix:USER:ITEM */
static bool take_user(struct arena *arena, struct slice rest, struct local_job *job)
{
	struct slice name = slice_cut(&rest, ':');

	job->target = rest;
	return local_user_of(arena, name, &job->user);
}

static bool make_job(const struct local_service *service, struct arena *arena, struct slice hop, struct local_job *job)
{
	const struct local_service_options *options = &service->options;

	job->mailbox = options->mailbox;
	job->mailbox_command = options->mailbox_command;
	job->forward = options->forward;
	job->minimum_uid = options->minimum_uid;
	job->time_limit_s = options->time_limit_s;
	job->separator = options->separator;
	job->hostname = options->hostname;
	if (slice_starts_with(hop, HOP_LOCAL))
		return take_settings_target(service, slice_skip(hop, HOP_LOCAL.len), job);
	return slice_starts_with(hop, HOP_UNIX) && take_user(arena, slice_skip(hop, HOP_UNIX.len), job);
}

static enum status deliver(struct local_service *service, struct ipc_request *request, struct arena *arena, struct buf *reply)
{
	struct local_job job = {.target = SLICE_EMPTY};
	struct local_outcome outcome;

	if (!local_request_unpack(request->payload, &job.request) || request->fd < 0)
		return STATUS_PEER;
	if (make_job(service, arena, job.request.hop, &job)) {
		struct watch watch = {.log = service->log, .stop_fd = service->stop_fd, .message_fd = request->fd};

		watch_agent(&watch, arena, &job, &outcome);
	} else {
		defer(&outcome, "4.3.5", SLICE("local.targets has no such name"));
	}
	LOG_INFO(service->log, "local.done", LOG_STR("id", job.request.queue_id), LOG_STR("to", job.request.recipient),
		 LOG_STR("user", job.user), LOG_INT("result", outcome.result), LOG_STR("text", outcome.text));
	local_outcome_pack(reply, &outcome);
	return STATUS_OK;
}

enum status local_service_handle(void *context, struct ipc_request *request, struct arena *arena, struct buf *reply)
{
	struct local_service *service = context;

	switch (request->type) {
	case LOCAL_REQUEST_USER:
		return request->from == ROLE_DELIVER ? check_user(service, arena, request->payload) : STATUS_REFUSED;
	case LOCAL_REQUEST_DELIVER:
		return request->from == ROLE_RELAY ? deliver(service, request, arena, reply) : STATUS_REFUSED;
	default:
		return STATUS_REFUSED;
	}
}
