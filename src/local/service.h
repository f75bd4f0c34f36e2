/* service: the local role's work: answers who is a user here, and starts an agent (job.h) for each delivery, which it watches: its
 * outcome or its command's exit status, its output, its time. Holds no byte of a message. Threads: one a request. */
#pragma once

#include "base/log.h"
#include "ipc/ipc.h"
#include "local/job.h"

struct local_target {
	struct slice name, user, to;
};
struct local_service_options {
	const struct local_target *targets;
	size_t target_count;
	struct slice mailbox, mailbox_command, hostname;
	bool forward;
	uint32_t minimum_uid, time_limit_s;
	char separator;
};
struct local_service;

/* Slices of the options outlive the service. */
struct local_service *local_service_new(const struct local_service_options *options, const struct log *log);
/* Deliveries that run are ended and deferred; no more are begun. Any thread. */
void local_service_stop(struct local_service *service);
void local_service_free(struct local_service *service);
/* An ipc_handler; context is the service. */
enum status local_service_handle(void *service, struct ipc_request *request, struct arena *arena, struct buf *reply);
