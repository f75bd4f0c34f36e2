/* service: the guard's side that has the store, in the deliver role: it answers what client.h asks, turns reported offences into bans,
 * and brings what accounts have sent into the store. A thread of its own does what takes time.
 */
#pragma once

#include "guard/ban_list.h"
#include "guard/outflow.h"
#include "ipc/ipc.h"
#include "net/conn.h"
#include "store/bans.h"

struct guard_service;

struct guard_greylisting {
	int64_t wait_ms, window_ms, remember_ms; /* see store/greylist.h */
	unsigned passes_before_trust;
};

/* Whoever sends too much. */
struct guard_alarm {
	struct slice login;
	int64_t account;
	struct outflow_limits limits;
};

struct guard_service_options {
	struct ban_growth growth;        /* first_ms 0: nobody is banned by itself */
	const struct net_prefix *exempt; /* nor from there */
	size_t exempt_count;
	struct outflow_limits limits;
	struct guard_greylisting greylisting;
	bool shares_rates; /* there may be other nodes on the store */
	/* Called on the guard's thread; may be NULL. */
	void (*alarm)(void *context, const struct guard_alarm *alarm);
	void *alarm_context;
};
/* All that is pointed to outlives the service. Never NULL. */
struct guard_service *guard_service_new(const struct guard_service_options *options, struct store *store, struct ipc *ipc,
					const struct log *log);
/* Brings in what is counted. */
void guard_service_free(struct guard_service *service);
/* A ban_fetch for roles that have the store themselves; context is the struct store. */
bool guard_read_bans(void *store, struct arena *arena, struct ban **bans, size_t *count);
/* Is it for guard_service_handle? */
bool guard_service_answers(uint32_t request_type);
/* An ipc_handler; context is the service. */
enum status guard_service_handle(void *service, struct ipc_request *request, struct arena *arena, struct buf *reply);
/* The announcement "offence". Doesn't block. When a ban was made, "ban" is announced. */
void guard_service_offence(struct guard_service *service, struct slice payload);
