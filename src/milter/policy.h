/* policy: the client of a policy service (policy_wire.h): one question, one answer, over connections that are kept. Shared by all threads. */
#pragma once

#include "base/log.h"
#include "milter/policy_wire.h"
#include "milter/pool.h"

struct policy_service;

/* Slices outlive the service. */
struct policy_options {
	struct slice address; /* "unix:/var/spool/postgrey", "inet:127.0.0.1:10023" */
	struct slice context; /* told as policy_context */
	unsigned stages;      /* enum policy_stage, at which it is asked */
	int timeout_ms;
	struct slice default_action; /* if it can't be had: an action as it would give it */
};
struct policy_service *policy_service_new(const struct policy_options *options, pool_dial dial, void *context,
					  const struct log *log);
void policy_service_free(struct policy_service *service);
const struct policy_options *policy_options_of(const struct policy_service *service);

/* `request` is whole, with its empty line. Asks once more if a connection that was kept is gone. A thread of `env`'s engine. The verdict's
 * slices are in the arena. */
struct policy_verdict policy_ask(struct policy_service *service, struct session_env *env, struct arena *arena,
				 struct slice request);
